"""Labs go up and come down, and leave nothing, however their makers end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import changed
from yaoki.core.error import ActuatorError, UsageError
from yaoki.lab.lab import Lab, remove_lab
from yaoki.lab.namespaces import command_line, existing, inside, processes, run
from yaoki.lab.state import LabState, all_sites, claim, recall, started_at
from yaoki.site.load import load_site

pytestmark = pytest.mark.netns

NAME = "yketest"
PATIENCE_S = 20.0


def unchanged(_: dict[str, Any]) -> None: ...


def wait(what: Callable[[], bool]) -> bool:
    until = time.monotonic() + PATIENCE_S
    while not what() and time.monotonic() < until:
        time.sleep(0.02)
    return what()


def make(tmp_path: Path) -> Lab:
    file = changed(tmp_path, unchanged, name=NAME)
    return Lab(load_site(file).site, file, base=tmp_path / "labs")


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    found = make(tmp_path)
    found.up()
    yield found
    found.down()


def answer(lab: Lab, client: str, url: str) -> str:
    command = ["curl", "-s", "--max-time", "1", "--noproxy", "*", url]
    return run(inside(lab.namespace(client), command), check=False)


@pytest.mark.parametrize("url", ["http://192.0.2.21/", "http://[2001:db8:1::21]/healthz"])
def test_a_client_reaches_a_web_server_behind_the_router(lab: Lab, url: str) -> None:
    assert wait(lambda: answer(lab, "alice", url) == "web1\n")


def test_a_web_server_answers_500_while_it_is_broken(lab: Lab) -> None:
    assert wait(lambda: answer(lab, "alice", "http://192.0.2.21/") == "web1\n")
    (lab.machine_directory("web1") / "broken").touch()
    command = ["curl", "-so", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "http://192.0.2.21/"]
    assert run(inside(lab.namespace("alice"), command)) == "500"


def test_a_server_of_direct_return_holds_the_vip_and_does_not_answer_arp_for_it(lab: Lab) -> None:
    addresses = run(["ip", "-n", lab.namespace("web1"), "addr", "show", "dev", "lo"])
    assert "192.0.2.50/32" in addresses
    command = ["arping", "-c", "2", "-w", "1", "-I", "eth0", "192.0.2.50"]
    assert "Received 0 response" in run(inside(lab.namespace("router"), command), check=False)


def test_nothing_is_left_after_down(tmp_path: Path) -> None:
    lab = make(tmp_path)
    lab.up()
    inhabitants = processes(lab.plan.all_namespaces)
    assert inhabitants
    lab.down()
    assert existing(lab.plan.all_namespaces) == ()
    assert not any(command_line(pid) for pid in inhabitants)
    assert not lab.directory.exists()


def test_down_twice_does_no_harm(tmp_path: Path) -> None:
    lab = make(tmp_path)
    lab.up()
    lab.down()
    lab.down()
    assert not remove_lab(NAME, base=lab.base)


def test_a_second_up_is_refused_and_says_what_to_do(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=f"is up already; `yaoki lab exec {NAME} .*lab down {NAME}"):
        make(tmp_path).up()
    assert existing(lab.plan.all_namespaces) == lab.plan.all_namespaces


def test_namespaces_without_a_record_are_not_taken_for_ours(tmp_path: Path) -> None:
    lab = make(tmp_path)
    run(["ip", "netns", "add", lab.plan.switch])
    try:
        with pytest.raises(UsageError, match=r"left no record .*lab down"):
            lab.up()
    finally:
        assert remove_lab(NAME, base=lab.base, also=lab.plan.all_namespaces)
    assert existing(lab.plan.all_namespaces) == ()


def test_a_lab_that_cannot_be_built_is_taken_down_again(tmp_path: Path) -> None:
    lab = make(tmp_path)
    lab.plan = replace(lab.plan, namespaces=(*lab.plan.namespaces, replace(lab.plan.namespaces[0], name="no/name")))
    with pytest.raises(ActuatorError):
        lab.up()
    lab.plan = replace(lab.plan, namespaces=lab.plan.namespaces[:-1])
    assert existing(lab.plan.all_namespaces) == ()
    assert not lab.directory.exists()


def test_what_a_dead_holder_left_is_replaced(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    left = make(tmp_path)
    left.up(holder=dead.pid)
    state = recall(NAME, base=left.base)
    assert state is not None
    assert state.left_over
    lab = make(tmp_path)
    try:
        lab.up()
        state = recall(NAME, base=lab.base)
        assert state is not None
        assert not state.left_over
    finally:
        lab.down()
        left.reap()


REHEARSAL = """
import signal, sys, time
from pathlib import Path
from yaoki.lab.run import rehearse
from yaoki.site.load import load_site
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in what a shell runs in the background
def prepare(lab):
    print("up", flush=True)
    for _ in range(600):  # a signal just before a long sleep would wait for its end
        time.sleep(0.1)
file = Path(sys.argv[1])
rehearse(load_site(file).site, file, (), prepare=prepare, base=Path(sys.argv[2]))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_rehearsal_that_is_ended_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    lab = make(tmp_path)
    command = [sys.executable, "-c", REHEARSAL, str(lab.file), str(lab.base)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as rehearsal:
        assert rehearsal.stdout is not None
        assert rehearsal.stdout.readline() == b"up\n"
        assert existing(lab.plan.all_namespaces) == lab.plan.all_namespaces
        rehearsal.send_signal(number)
        rehearsal.wait()
    assert wait(lambda: existing(lab.plan.all_namespaces) == () and not lab.directory.exists())


def test_a_claim_is_exclusive_and_can_be_recalled(tmp_path: Path) -> None:
    state = LabState("here", "site.yaml", ("yk-here-sw",), os.getpid(), started_at(os.getpid()))
    claim(state, base=tmp_path)
    assert recall("here", base=tmp_path) == state
    assert not state.left_over
    assert all_sites(base=tmp_path) == ("here",)
    with pytest.raises(UsageError, match="is up already"):
        claim(state, base=tmp_path)


def test_a_damaged_record_is_a_lab_without_namespaces(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "lab.json").write_text("{")
    assert recall("here", base=tmp_path) == LabState("here", "", ())
    assert recall("elsewhere", base=tmp_path) is None


def test_a_process_id_that_was_used_again_is_not_the_holder() -> None:
    assert LabState("here", "", (), os.getpid(), "12").left_over


def test_what_another_lab_has_is_neither_built_nor_removed(tmp_path: Path) -> None:
    """Names are joined by hyphens, which both parts may have in them."""
    lab = make(tmp_path)
    theirs = lab.namespace("lb1")
    other = LabState("ykete", "other.yaml", (theirs,))
    claim(other, base=lab.base)
    with pytest.raises(UsageError, match=f"the lab of ykete has a namespace {theirs} already"):
        lab.up()
    run(["ip", "netns", "add", theirs])
    try:
        assert not remove_lab(NAME, base=lab.base, also=lab.plan.all_namespaces)
        assert existing([theirs]) == (theirs,)
    finally:
        assert remove_lab("ykete", base=lab.base)
    assert existing([theirs]) == ()
