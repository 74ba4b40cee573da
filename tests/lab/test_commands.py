"""`yaoki lab` and `yaoki rehearse` as they are typed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import EXAMPLE, changed, example
from yaoki.lab.catalogue import catalogue
from yaoki.lab.namespaces import existing
from yaoki.lab.state import BASE, LabState, claim, forget, started_at

NAME = "ykecli"


def yaoki(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "yaoki.cli", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8", **environment},
    )


def test_the_list_shows_every_scenario_and_whether_it_is_survivable() -> None:
    shown = yaoki("rehearse", str(EXAMPLE), "--list")
    assert shown.returncode == 0
    lines = shown.stdout.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [scenario.name for scenario in catalogue(example())]
    assert any(line.startswith("front-partition") and " no " in line for line in lines)


def test_the_list_speaks_japanese_to_those_who_do() -> None:
    assert "シナリオ" in yaoki("rehearse", str(EXAMPLE), "--list", LC_ALL="ja_JP.UTF-8").stdout


def test_the_list_is_json_for_programs() -> None:
    found = json.loads(yaoki("-j", "rehearse", str(EXAMPLE), "--list", "--only", "lb1-stop").stdout)
    assert [scenario["name"] for scenario in found["scenarios"]] == ["lb1-stop"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rehearse", str(EXAMPLE), "--only", "lb9"), 'no scenario fits "lb9"'),
        (("rehearse", str(EXAMPLE), "--list", "--baseline", "/nowhere.json"), "cannot be read as a report"),
        (("lab", "exec", "nowhere", "lb1", "true"), "neither a site file nor a site whose lab is up"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_with_status_2(words: tuple[str, ...], said: str) -> None:
    refused = yaoki(*words)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_a_site_without_clients_cannot_be_rehearsed(tmp_path: Path) -> None:
    def clientless(plain: dict[str, Any]) -> None:
        plain["hosts"]["alice"]["plays"] = []

    refused = yaoki("rehearse", str(changed(tmp_path, clientless, name=NAME)))
    assert refused.returncode == 2
    assert "no host plays a client" in refused.stderr


@pytest.mark.parametrize("words", [("lab", "up"), ("rehearse",)])
def test_a_site_that_no_node_would_run_is_refused_before_it_is_built(tmp_path: Path, words: tuple[str, ...]) -> None:
    def wrong(plain: dict[str, Any]) -> None:
        plain["vips"]["web-vip"]["addresses"] = ["203.0.113.50"]

    refused = yaoki(*words, str(changed(tmp_path, wrong, name=NAME)))
    assert refused.returncode == 1
    assert "[vip-outside-network]" in refused.stderr
    assert not (BASE / NAME).exists()


def unchanged(_: dict[str, Any]) -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Path]:
    yield changed(tmp_path, unchanged, name=NAME)
    yaoki("lab", "down", NAME, "--force")


@pytest.mark.netns
def test_a_lab_goes_up_is_entered_and_comes_down(file: Path) -> None:
    up = yaoki("lab", "up", str(file))
    assert up.returncode == 0, up.stderr
    assert f"{NAME} is up: lb1, lb2" in up.stdout
    again = yaoki("lab", "up", str(file))
    assert again.returncode == 2
    assert "is up already" in again.stderr
    assert NAME in yaoki("lab", "list").stdout

    inside = yaoki("lab", "exec", NAME, "web1", "ip", "-br", "addr", "show", "dev", "eth0")
    assert "192.0.2.21/24" in inside.stdout
    assert yaoki("lab", "exec", str(file), "web1", "sh", "-c", "exit 7").returncode == 7
    assert "usage: yaoki" in yaoki("lab", "exec", NAME, "web1", "yaoki", "--help").stdout
    mistyped = yaoki("lab", "exec", NAME, "web7", "true")
    assert mistyped.returncode == 2
    assert 'did you mean "web' in mistyped.stderr

    down = yaoki("lab", "down", str(file))
    assert (down.returncode, down.stdout) == (0, f"{NAME} is removed\n")
    assert existing([f"yk-{NAME}-sw", f"yk-{NAME}-lb1"]) == ()
    assert not (BASE / NAME).exists()


@pytest.mark.netns
def test_a_lab_in_which_a_rehearsal_is_under_way_is_not_taken_away() -> None:
    me = os.getpid()
    claim(LabState(NAME, "site.yaml", (), me, started_at(me)), base=BASE)
    try:
        refused = yaoki("lab", "down", NAME)
        assert refused.returncode == 2
        assert f"in a rehearsal, process {me}" in refused.stderr
        assert yaoki("lab", "down", NAME, "--force").returncode == 0
        assert not (BASE / NAME).exists()
    finally:
        forget(NAME, base=BASE)
