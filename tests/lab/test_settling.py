"""When a lab has settled."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.lab.sites import pair, site_with
from yaoki.core.address import MacAddress
from yaoki.lab.crew import Glimpse, Question, Seen
from yaoki.lab.probes.targets import Target, targets_of
from yaoki.lab.settling import Wanted, astray, quiet, unsettled
from yaoki.lab.topology import Bridge

LB1, LB2 = MacAddress.parse("02:59:6b:00:01:00"), MacAddress.parse("02:59:6b:00:02:00")
MACS = {LB1: "lb1", LB2: "lb2"}
VIP = Question("web-vip", ip_address("192.0.2.50"), Bridge("b0", "front", "o0", "p0"))


def target(service: str) -> Target:
    return next(t for t in targets_of(pair()) if t.service == service and t.family.value == 4)


def glimpse(
    *, sent: int = 34, failed: int = 0, servers: tuple[str, ...] = ("web1", "web2"), silent: int = 0
) -> Glimpse:
    return Glimpse(target("web"), sent, failed, frozenset(servers), silent)


def seen(shown: Glimpse, answers: list[tuple[MacAddress, ...]] | None = None) -> Seen:
    return Seen((shown,), ((VIP, tuple(answers if answers is not None else [(LB1,)] * 20)),))


def test_a_lab_in_which_everything_answers_has_settled() -> None:
    assert unsettled(pair(), seen(glimpse()), MACS) is None


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        (glimpse(sent=0), "nothing has been sent yet"),
        (glimpse(failed=3), "3 of 34 failed"),
        (glimpse(silent=1), "1 streams wait"),
        (glimpse(servers=("web1",)), "nothing from web2"),
    ],
)
def test_a_probe_that_is_not_content_is_named(shown: Glimpse, missing: str) -> None:
    assert unsettled(pair(), seen(shown), MACS) == f"web from alice over ipv4: {missing}"


@pytest.mark.parametrize(
    ("answers", "missing"),
    [
        ([(LB1,)] * 5, "not asked for long enough"),
        ([(LB1,)] * 10 + [(LB1, LB2)] + [(LB1,)] * 9, "two owners"),
        ([(LB1,)] * 10 + [()] + [(LB1,)] * 9, "no steady owner"),
        ([()] * 20, "no steady owner"),
        ([(LB1,)] * 10 + [(LB2,)] * 10, "no steady owner"),
        ([(LB2,)] * 20, "owned by lb2"),
    ],
)
def test_a_vip_without_its_one_owner_is_named(answers: list[tuple[MacAddress, ...]], missing: str) -> None:
    assert unsettled(pair(), seen(glimpse(), answers), MACS) == f"192.0.2.50: {missing}"


def test_requests_under_way_are_not_held_against_the_owner() -> None:
    assert unsettled(pair(), seen(glimpse(), [(LB1,)] * 18 + [(), ()]), MACS) is None


def test_a_lab_that_is_broken_on_purpose_needs_no_preferred_owner_and_not_every_server() -> None:
    shown = seen(glimpse(servers=("web1",)), [(LB2,)] * 20)
    assert unsettled(pair(), shown, MACS, Wanted.QUIET) is None


def test_after_a_mending_the_preferred_owner_is_wanted_and_not_every_server() -> None:
    assert unsettled(pair(), seen(glimpse(servers=("web1",))), MACS, Wanted.OWNED) is None
    shown = seen(glimpse(), [(LB2,)] * 20)
    assert unsettled(pair(), shown, MACS, Wanted.OWNED) == "192.0.2.50: owned by lb2"


@pytest.mark.parametrize(
    ("shown", "is_quiet"), [(glimpse(), True), (glimpse(failed=1), False), (glimpse(silent=1), False)]
)
def test_quiet_is_when_nothing_fails_and_no_stream_waits(shown: Glimpse, is_quiet: bool) -> None:
    assert quiet(seen(shown), {target("web")}) is is_quiet
    assert quiet(seen(shown), {target("api")})


def test_a_stream_that_waits_may_be_left_out_of_account() -> None:
    assert quiet(seen(glimpse(silent=1)), {target("web")}, streams=False)
    assert not quiet(seen(glimpse(failed=1)), {target("web")}, streams=False)


@pytest.mark.parametrize(
    ("answers", "strayed"),
    [
        ([(LB1,)] * 20, None),
        ([(LB2,)] * 20, "192.0.2.50: owned by lb2"),
        ([(LB2,)] * 18 + [(LB1,), ()], "192.0.2.50: owned by lb2"),
        ([(LB2,)] * 10 + [(LB1,)] * 10, None),
        ([(LB2, LB1)] * 20, None),
        ([()] * 20, None),
    ],
)
def test_a_vip_that_stays_with_another_than_its_preferred_owner_is_astray(
    answers: list[tuple[MacAddress, ...]], strayed: str | None
) -> None:
    assert astray(pair(), seen(glimpse(), answers), MACS) == strayed


@pytest.mark.parametrize(
    "keys", [{"failback": "sticky"}, {"failback-delay": "20s"}, {"startup-delay": "20s"}], ids=lambda keys: str(*keys)
)
def test_a_vip_that_was_told_to_stay_or_to_wait_is_not_astray(keys: dict[str, str], tmp_path: Path) -> None:
    site = site_with(tmp_path, lambda plain: plain["vips"]["web-vip"].update(keys))
    assert astray(site, seen(glimpse(), [(LB2,)] * 20), MACS) is None
