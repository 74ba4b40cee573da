"""`yaoki sim` as a person and a program use it."""

import json
from pathlib import Path

import pytest

from yaoki.cli import main
from yaoki.sim.invariants import INVARIANTS

SITES = Path(__file__).parents[1] / "simulation" / "sites"
FAST = str(SITES / "fast.yaml")
SLOW = str(SITES / "one-second.yaml")
HOURS = ("--hours", "0.03")


def test_a_campaign_says_what_it_did_and_how_fast(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seeds", "3", "--site", FAST, *HOURS, "--jobs", "1"]) == 0
    said = capsys.readouterr().out
    assert "3 seeds, 0.1 simulated hours" in said
    assert f"{len(INVARIANTS)} invariants: none failed" in said
    assert "simulated hours a minute in 1 processes" in said


def test_two_processes_find_what_one_finds(capsys: pytest.CaptureFixture[str]) -> None:
    found = []
    for jobs in ("1", "2"):
        assert main(["-j", "sim", "--seeds", "3", "--site", FAST, *HOURS, "--jobs", jobs]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["faults"] == found[1]["faults"]
    assert found[0]["hours"] == found[1]["hours"]
    assert found[0]["failed"] == []


def test_faults_of_several_sites_are_counted_and_it_is_said_from_which_seed_to_go_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = [
        "sim",
        "--dense",
        "--until-faults",
        "30",
        "--site",
        FAST,
        "--site",
        SLOW,
        "--hours",
        "0.03",
        "--first",
        "7",
    ]
    assert main(["-j", *words, "--jobs", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seeds"] == sum(site["seeds"] for site in found["sites"].values())
    assert sum(found["faults"].values()) >= 30
    assert found["next_seed"] == 7 + max(site["seeds"] for site in found["sites"].values())
    assert main([*words, "--jobs", "2"]) == 0
    said = capsys.readouterr().out
    assert f"{found['seeds']} seeds, " in said, "two processes meet the same worlds"
    assert said.endswith(f"to go on: --first {found['next_seed']}\n")


def test_one_seed_shows_its_last_records(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "5", "--site", FAST, *HOURS, "--trace", "5"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert lines[-1].startswith("seed 5: 0.03 h, ")
    assert lines[-1].endswith("nothing broken")


def test_chosen_faults_are_the_only_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--seed", "5", "--faults", "1", "--site", FAST, *HOURS]) == 0
    assert ", 1 faults (" in capsys.readouterr().out


def test_the_list_names_every_invariant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "--list"]) == 0
    said = capsys.readouterr().out
    assert all(invariant.holds in said for invariant in INVARIANTS)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seeds", "0"], "--seeds is 1 to 1000000"),
        (["--hours", "0"], "--hours is more than 0"),
        (["--jobs", "0"], "--jobs is 1 or more"),
        (["--seed", "1", "--site", FAST, "--site", SLOW], "--seed is a world of one site"),
        (["--faults", "3"], "--faults goes with --seed"),
        (["--seed", "1", "--faults", "x"], '--faults takes numbers, as in "--faults 3,7:0.5", not "x"'),
    ],
)
def test_what_cannot_be_carried_out_is_said(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", *words]) == 2
    assert message in capsys.readouterr().err


def test_a_site_without_vips_has_nothing_to_simulate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(
        "version: 1\nsite: bare\nnetworks: {front: {prefixes: [192.0.2.0/24]}}\n"
        "nodes: {lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}}\n"
    )
    assert main(["sim", "--site", str(site)]) == 2
    assert "no VIPs" in capsys.readouterr().err
