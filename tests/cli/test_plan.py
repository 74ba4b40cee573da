"""`yaoki plan` as a person and as a program meet it."""

import argparse
import json
from pathlib import Path

import pytest

from yaoki.cli import main
from yaoki.cli.node_client import RUN_DIR, RUN_ROOT, node_is_meant

EXAMPLE = Path(__file__).parents[1] / "site" / "pair.yaml"


def write(folder: Path, *edits: tuple[str, str]) -> str:
    text = EXAMPLE.read_text()
    for before, after in edits:
        assert before in text
        text = text.replace(before, after)
    path = folder / "site.yaml"
    path.write_text(text)
    return str(path)


def test_two_files_are_compared_node_by_node(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write(tmp_path, ("lb1: {priority: 150}", "lb1: {priority: 90}"))
    assert main(["plan", "--from", str(EXAMPLE), new]) == 0
    assert capsys.readouterr().out.split("\n")[:3] == [
        "lb1:",
        "  ~ VIP web-vip (eth0/ipv4/51)",
        "      priority 150 -> 90",
    ]
    assert main(["plan", "--from", str(EXAMPLE), new, "--node", "lb2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("lb2: no change\nVIP web-vip (192.0.2.50, 2001:db8:1::50), owned by VRRP priority:\n")


def test_an_unsafe_plan_says_so_in_its_exit_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = write(tmp_path, ("[192.0.2.50, ", "[192.0.2.60, "))
    assert main(["-j", "plan", "--from", str(EXAMPLE), new]) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["nodes"]["lb1"]["safe"] is False
    assert told["nodes"]["lb1"]["unsafe"] == ["VIP web-vip: nobody would own 192.0.2.50 any more"]
    assert [each["vip"] for each in told["stand"]] == ["web-vip"]


def test_a_node_is_meant_where_it_is_named_or_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_DIR, raising=False)
    unnamed = argparse.Namespace(run_dir=None, node=None)
    assert not node_is_meant(unnamed, root=tmp_path)
    assert node_is_meant(argparse.Namespace(run_dir=tmp_path, node=None), root=tmp_path)
    assert node_is_meant(argparse.Namespace(run_dir=None, node="lb1"), root=tmp_path)
    (tmp_path / "lb1").mkdir()
    (tmp_path / "lb1/control.sock").touch()
    assert node_is_meant(unnamed, root=tmp_path)


@pytest.mark.req("B-20")
@pytest.mark.skipif(any(RUN_ROOT.glob("*/control.sock")), reason="a node runs on this machine")
def test_without_a_node_a_file_alone_tells_what_it_survives(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(RUN_DIR, raising=False)
    assert main(["plan", str(EXAMPLE)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("VIP web-vip (192.0.2.50, 2001:db8:1::50), owned by VRRP priority:\n  it survives")
    assert "service web (" in told.out
    assert "`yaoki plan --from OLD NEW`" in told.err
    assert main(["-j", "plan", str(EXAMPLE)]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert plain["nodes"] == {}
    [stood] = plain["stand"]
    assert (stood["vip"], stood["losses"], stood["two_owners"]) == ("web-vip", 1, True)
    assert stood["says"][0] == "it survives the failure of any one machine."
    assert main(["plan"]) == 2, "without a file there is nothing to tell of"


@pytest.mark.parametrize(
    "words",
    [
        ["FILE", "--if", "lb1", "--if", "web2"],
        ["FILE", "--if", "lb1", "web2", "fail"],
        ["FILE", "--if", "lb1", "fails", "--if", "web2", "fails"],
        ["--if", "lb1", "FILE", "--if", "web2"],
        ["--if", "lb1", "web2", "FILE"],
    ],
)
def test_what_fails_is_named_in_any_order(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-j", "plan", *(str(EXAMPLE) if word == "FILE" else word for word in words)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["failed"] == ["lb1", "web2"]
    assert told["vips"] == [{"vip": "web-vip", "before": "lb1", "after": "lb2"}]
    assert [each["vip"] for each in told["stand"]] == ["web-vip"]


def test_a_service_that_only_its_backup_serves_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = write(tmp_path, ("web2: {weight: 1000}", "web2: {priority: 50}"))
    assert main(["plan", site, "--if", "web1"]) == 0
    assert "service web: web1 100% -> 0%, web2 0% -> 100%; only backups serve: web2\n" in capsys.readouterr().out
