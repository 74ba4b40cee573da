"""Hooks: clean environment, time limit, no process left, bounded queue."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.core.event import EventBody
from yaoki.node.brain_events import HookFailed, HooksPutOff
from yaoki.runtime import hooks
from yaoki.runtime.hooks import HookRunner, run_program
from yaoki.site.model import DataCheck, Hook

ME = "root" if os.geteuid() == 0 else os.environ.get("USER", "nobody")


def hook(script: str, *, user: str = ME, seconds: float = 10) -> Hook:
    return Hook("mail", ("x",), ("/bin/sh", "-c", script), user, timedelta(seconds=seconds))


def run(*starts: tuple[Hook, tuple[tuple[str, str], ...]], wait: float = 5) -> list[EventBody]:
    """Start hooks, wait until all have ended, and give what was reported."""
    told: list[EventBody] = []

    async def scene() -> None:
        runner = HookRunner(told.append)
        for each, environment in starts:
            runner.start(each, environment)
        async with asyncio.timeout(wait + 10):
            while runner.busy:
                await asyncio.sleep(0.01)
        await runner.close()

    asyncio.run(scene())
    return told


def test_a_hook_is_told_its_event_and_nothing_of_our_environment(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run((hook(f"env > {out}; pwd >> {out}"), (("YAOKI_EVENT", "became-active"),))) == []
    lines = out.read_text().splitlines()
    assert "YAOKI_EVENT=became-active" in lines
    assert "/" in lines
    names = {line.partition("=")[0] for line in lines if "=" in line}
    assert names <= {"PATH", "HOME", "USER", "YAOKI_EVENT", "PWD", "_", "SHLVL", "OLDPWD"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the account")
def test_a_hook_runs_as_the_account_that_the_site_file_names(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.touch()
    out.chmod(0o666)
    tmp_path.chmod(0o755)
    assert run((hook("id -un; exit 1", user="nobody"), ())) == [HookFailed("mail", "exit status 1: nobody")]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (hook("echo to stderr >&2; exit 3"), "exit status 3: to stderr"),
        (hook("true", user="nobody-of-this-name"), "cannot be started"),
        (Hook("mail", ("x",), ("/nonexistent/program",), ME), "cannot be started"),
    ],
)
def test_a_hook_that_fails_is_reported(bad: Hook, why: str) -> None:
    (told,) = run((bad, ()))
    assert isinstance(told, HookFailed)
    assert why in told.why


def test_a_hook_and_all_it_started_are_killed_when_its_time_is_over(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    told = run((hook(f"sleep 60 & echo $! > {pid}; sleep 60", seconds=2), ()))
    assert told == [HookFailed("mail", "killed after 2 s")]
    child = Path(f"/proc/{pid.read_text().strip()}/stat")
    assert not child.exists() or child.read_text().split()[2] == "Z"


def test_hooks_wait_for_their_turn_and_too_many_are_left_out(tmp_path: Path) -> None:
    out = tmp_path / "out"
    quick = (hook(f"echo . >> {out}"), ())
    total = hooks.MAX_RUNNING + hooks.MAX_WAITING + 3
    told = run(*[quick] * total, wait=60)
    assert told == [HooksPutOff("mail", hooks.MAX_WAITING)] * 3
    assert len(out.read_text().splitlines()) == total - 3


@pytest.mark.req("N-13")
@pytest.mark.parametrize(
    ("script", "why"),
    [
        ('test "$YAOKI_VIP" = data', None),
        ("echo 17 writes behind; exit 1", "exit status 1: 17 writes behind"),
        ("sleep 60", "killed after 2 s"),
    ],
)
def test_a_data_check_says_yes_by_its_exit_status_and_by_nothing_else(script: str, why: str | None) -> None:
    check = DataCheck("data", ("/bin/sh", "-c", script), ME, timedelta(seconds=2 if script == "sleep 60" else 20))
    assert asyncio.run(run_program(check, {"YAOKI_VIP": "data"})) == why


@pytest.mark.req("N-13")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root may change the account")
def test_a_data_check_runs_as_nobody_unless_the_site_file_names_another() -> None:
    check = DataCheck("data", ("/bin/sh", "-c", "id -un; exit 1"))
    assert asyncio.run(run_program(check, {})) == "exit status 1: nobody"
