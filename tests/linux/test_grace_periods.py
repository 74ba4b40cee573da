"""The machine's switch for short grace periods, by files in its place."""

import fcntl
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.linux.grace_periods import BRISK, GracePeriods, turn_back

SLOW = timedelta(milliseconds=100)
TOP = Path(__file__).parents[2]


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    file = tmp_path / "rcu_expedited"
    file.write_text("0\n")
    return file


def one(switch: Path) -> GracePeriods:
    return GracePeriods(switch, switch.with_name("lock"))


@pytest.mark.parametrize(("interval", "turned"), [(BRISK, "1"), (SLOW, "0\n"), (None, "0\n")])
def test_it_is_turned_for_quick_advertisements_alone(switch: Path, interval: timedelta | None, turned: str) -> None:
    one(switch).shorten(interval)
    assert switch.read_text() == turned


@pytest.mark.parametrize("then", [SLOW, None])
def test_the_last_one_to_leave_turns_it_back(switch: Path, then: timedelta | None) -> None:
    first, second = one(switch), one(switch)
    first.shorten(BRISK)
    second.shorten(BRISK)
    first.shorten(then)
    assert switch.read_text() == "1"
    second.shorten(then)
    assert switch.read_text() == "0"
    second.shorten(then)
    first.shorten(BRISK)
    assert switch.read_text() == "1"


def test_what_one_that_was_killed_has_turned_the_next_one_turns_back(switch: Path) -> None:
    killed = f"one(Path({str(switch)!r})).shorten(BRISK)"
    imports = "from pathlib import Path; from tests.linux.test_grace_periods import BRISK, one"
    subprocess.run([sys.executable, "-c", f"{imports}; {killed}"], check=True, cwd=TOP, timeout=30)
    assert switch.read_text() == "1"
    after = one(switch)
    after.shorten(BRISK)
    turn_back(switch, switch.with_name("lock"))
    assert switch.read_text() == "1"
    after.shorten(None)
    assert switch.read_text() == "0"


def test_what_is_left_is_turned_back_once_nobody_needs_it(switch: Path) -> None:
    lock = switch.with_name("lock")
    turn_back(switch, lock)
    assert not lock.exists()
    lock.write_text("1")
    switch.write_text("1")
    turn_back(switch, lock)
    assert (switch.read_text(), lock.read_text()) == ("0", "0")


def test_what_somebody_else_has_turned_stays(switch: Path) -> None:
    switch.write_text("1\n")
    us = one(switch)
    us.shorten(BRISK)
    us.shorten(None)
    assert switch.read_text() == "1\n"


def test_where_there_is_no_switch_nothing_happens(switch: Path) -> None:
    switch.unlink()
    us = one(switch)
    us.shorten(BRISK)
    us.shorten(None)
    assert not switch.exists()


def test_a_switch_that_cannot_be_turned_is_not_said_to_be(switch: Path) -> None:
    switch.unlink()
    switch.symlink_to("/sys/class/net/lo/carrier_down_count")  # says 0, and root cannot write it either
    us = one(switch)
    us.shorten(BRISK)
    assert switch.with_name("lock").read_text() == "0"
    us.shorten(None)


def test_one_that_is_about_to_leave_is_not_waited_for(switch: Path) -> None:
    with switch.with_name("lock").open("w") as leaving:
        fcntl.flock(leaving, fcntl.LOCK_EX)
        us = one(switch)
        us.shorten(BRISK)
        assert switch.read_text() == "0\n"
    us.shorten(BRISK)
    assert switch.read_text() == "1"
