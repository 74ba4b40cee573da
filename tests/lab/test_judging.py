"""What the observer's records say of a row, and whether another run may tell more."""

from dataclasses import replace

import pytest

from tests.lab.sites import pair
from yaoki.core.address import Family, MacAddress
from yaoki.lab.catalogue import Scenario
from yaoki.lab.fault import KillNode
from yaoki.lab.judging import vip_figures, with_return, worth_repeating
from yaoki.lab.measure import OwnerRecord
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.row import Quality, Row, expectation
from yaoki.lab.software import Part
from yaoki.site.model import Election, Vip

KILLED = Scenario("lb1-kill-all", KillNode("lb1", Part.ALL))
LB1, LB2 = "02:00:00:00:00:01", "02:00:00:00:00:02"
MACS = {MacAddress.parse(LB1): "lb1", MacAddress.parse(LB2): "lb2"}
BY_VRRP = pair().vip("web-vip")
BY_LEASE = replace(BY_VRRP, election=Election.LEASE)


def owners(pattern: str, family: Family = Family.IPV4) -> OwnerRecord:
    """Who answered each 10 ms: 1 or 2, both, or nobody."""
    who = {"1": [LB1], "2": [LB2], "b": [LB1, LB2], ".": []}
    at = [10_000 * number for number in range(len(pattern))]
    return OwnerRecord("web-vip", family, at, [who[answer] for answer in pattern])


@pytest.mark.parametrize(
    ("vip", "overlap_ms"),
    [(BY_VRRP, {Family.IPV4: 10.0, Family.IPV6: 0.0}), (BY_LEASE, {Family.IPV4: 30.0, Family.IPV6: 0.0})],
)
def test_by_lease_two_owners_count_from_when_the_lab_began_to_settle(vip: Vip, overlap_ms: dict[Family, float]) -> None:
    records = (owners("1bb1.b22222"), owners("1111.222222", Family.IPV6))
    found = vip_figures(KILLED, vip, records, MACS, fault_us=40_000)
    assert found.two_owners_ms == overlap_ms
    assert (found.owner, found.leased) == ("lb2", vip is BY_LEASE)


@pytest.mark.req("B-19")
def test_two_owners_while_a_node_returns_are_the_rows_too() -> None:
    for vip, kept in ((BY_VRRP, True), (BY_LEASE, False)):
        found = vip_figures(KILLED, vip, (owners("1...222"),), MACS)
        assert found.kept
        returned = with_return(found, KILLED, vip, (owners("222bb111"), owners("2111", Family.IPV6)))
        assert returned.return_ms == {Family.IPV4: 20.0, Family.IPV6: 0.0}
        assert returned.kept is kept
    long = with_return(vip_figures(KILLED, BY_VRRP, (), MACS), KILLED, BY_VRRP, (owners("222bbbbbb111"),))
    assert not long.kept


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    ("void", "pattern", "attempts", "repeated"),
    [
        (None, "1111", 1, False),
        ("late", "1111", 1, True),
        ("late", "1111", 4, False),
        ("the lab had not settled: 192.0.2.50: two owners", "1b11", 1, False),
    ],
)
def test_a_void_run_is_repeated_unless_a_leased_vip_had_two_owners(
    void: str | None, pattern: str, attempts: int, repeated: bool
) -> None:
    vips = (vip_figures(KILLED, BY_LEASE, (owners(pattern),), MACS),)
    row = Row(expectation(pair(), KILLED, targets_of(pair())), vips=vips, void=void, quality=Quality(attempts=attempts))
    assert worth_repeating(row, 3) is repeated
