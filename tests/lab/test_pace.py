"""How long a scenario is watched."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lab.sites import pair
from yaoki.lab.catalogue import Promise, Scenario
from yaoki.lab.fault import CutLink, ServerTrouble, Trouble
from yaoki.lab.pace import AFTERWARDS, SHORTEST, observation
from yaoki.site.model import Site

SECOND = timedelta(seconds=1)


def with_schedule(interval: timedelta, timeout: timedelta) -> Site:
    site = pair()
    checks = tuple(
        replace(each, schedule=replace(each.schedule, interval=interval, timeout=timeout, fall=3))
        for each in site.checks
    )
    return replace(site, checks=checks)


@pytest.mark.parametrize(("timeout", "verdict"), [(SECOND / 2, 3.5), (4 * SECOND, 13)])
def test_a_dead_server_is_watched_until_its_check_must_have_fallen(timeout: timedelta, verdict: float) -> None:
    """A probe that is waited for for longer than the interval puts off the next one."""
    site = with_schedule(SECOND, timeout)
    killed = Scenario("web1-killed", ServerTrouble("web1", Trouble.KILLED), Promise.SERVER_OUTAGE)
    cut = Scenario("web1-eth0-cut", CutLink("web1", "eth0"), Promise.SERVER_OUTAGE)
    wanted = verdict * SECOND + AFTERWARDS
    assert (observation(site, killed), observation(site, cut)) == (wanted, wanted)


def test_nothing_is_watched_for_less_than_the_shortest() -> None:
    quick = timedelta(milliseconds=20)
    killed = Scenario("app1-killed", ServerTrouble("nobody", Trouble.KILLED), Promise.SERVER_OUTAGE)
    assert observation(with_schedule(quick, quick), killed) == SHORTEST
