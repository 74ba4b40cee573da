"""Whose MAC is whose: learning, changing and contesting, in every state."""

from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest

from yaoki.core.address import MacAddress
from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.vrrp.member_macs import ASK_KNOWN_EVERY, ASK_UNKNOWN_EVERY, CHALLENGE_TIME, CONTEST_QUIET, Ask, MemberMacs
from yaoki.vrrp.wire_events import MemberContested, MemberMacChanged

NOW = Instant.of_seconds(100)
OWN, PEER, PEER6 = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"), IPv6Address("2001:db8:1::12")
MINE, HERS, NEW = (MacAddress(bytes([2, 0, 0, 0, 0, number])) for number in (1, 2, 3))


@pytest.fixture
def table() -> MemberMacs:
    macs = MemberMacs("eth0", "lb1")
    macs.own(MINE)
    macs.configure(NOW, [("lb1", OWN), ("lb2", PEER), ("lb2", PEER6)])
    return macs


def test_a_member_that_is_not_known_is_asked_for_once_a_second(table: MemberMacs) -> None:
    assert table.timer_fired(NOW) == [Ask(PEER), Ask(PEER6)]
    assert table.timer_fired(NOW) == []
    assert table.deadline() is not None
    assert table.timer_fired(NOW + ASK_UNKNOWN_EVERY) == [Ask(PEER), Ask(PEER6)]
    assert table.node_of(HERS) is None


def test_what_a_members_own_address_is_bound_to_is_the_members(table: MemberMacs) -> None:
    assert table.claimed(NOW, PEER, HERS) == []
    assert (table.node_of(HERS), table.node_of(MINE), table.node_of(NEW)) == ("lb2", "lb1", None)
    assert table.timer_fired(NOW) == [Ask(PEER6)]
    assert Ask(PEER) in table.timer_fired(NOW + ASK_KNOWN_EVERY)


def test_a_member_that_is_heard_is_not_asked_for(table: MemberMacs) -> None:
    table.claimed(NOW, PEER, HERS)
    later = NOW + ASK_KNOWN_EVERY - timedelta(seconds=1)
    table.claimed(later, PEER, HERS)
    assert Ask(PEER) not in table.timer_fired(NOW + ASK_KNOWN_EVERY)


def test_another_mac_is_believed_when_the_former_one_is_silent(table: MemberMacs) -> None:
    table.claimed(NOW, PEER, HERS)
    assert table.claimed(NOW, PEER, NEW) == [Ask(PEER)]
    assert table.node_of(NEW) is None
    assert table.claimed(NOW, PEER, NEW) == []
    changed = Emit(MemberMacChanged("lb2", PEER, "eth0", NEW, HERS))
    assert changed not in table.timer_fired(NOW + CHALLENGE_TIME - timedelta(milliseconds=1))
    assert changed in table.timer_fired(NOW + CHALLENGE_TIME)
    assert (table.node_of(NEW), table.node_of(HERS)) == ("lb2", None)


@pytest.mark.req("B-09")
def test_who_claims_a_living_members_address_is_not_taken_for_it(table: MemberMacs) -> None:
    table.claimed(NOW, PEER, HERS)
    table.claimed(NOW, PEER, NEW)
    contested = Emit(MemberContested("lb2", PEER, "eth0", NEW, HERS))
    assert table.claimed(NOW, PEER, HERS) == [contested]
    assert table.node_of(NEW) is None
    assert not any(isinstance(effect, Emit) for effect in table.timer_fired(NOW + CHALLENGE_TIME))
    # Told once in a while, however often it is tried.
    table.claimed(NOW, PEER, NEW)
    assert table.claimed(NOW, PEER, HERS) == []
    table.claimed(NOW + CONTEST_QUIET, PEER, NEW)
    assert table.claimed(NOW + CONTEST_QUIET, PEER, HERS) == [contested]


def test_this_nodes_own_address_is_its_kernels_to_defend(table: MemberMacs) -> None:
    assert table.claimed(NOW, OWN, NEW) == []
    assert table.claimed(NOW, PEER, MINE) == []
    assert table.node_of(NEW) is None


def test_an_address_of_nobody_is_passed_over(table: MemberMacs) -> None:
    assert table.claimed(NOW, IPv4Address("192.0.2.99"), NEW) == []


def test_what_is_known_outlives_another_configuration(table: MemberMacs) -> None:
    table.claimed(NOW, PEER, HERS)
    table.configure(NOW, [("lb1", OWN), ("lb2", PEER)])
    assert table.node_of(HERS) == "lb2"
    assert table.addresses == (OWN, PEER)
    table.configure(NOW, [("lb1", OWN)])
    assert table.node_of(HERS) is None
    assert table.deadline() is None


def test_another_card_of_ours_has_another_mac(table: MemberMacs) -> None:
    table.own(NEW)
    assert (table.node_of(NEW), table.node_of(MINE)) == ("lb1", None)
    table.own(None)
    assert table.node_of(NEW) is None


def test_a_member_is_unknown_until_one_of_its_addresses_is_heard_from(table: MemberMacs) -> None:
    assert table.unknown() == ("lb2",)
    table.claimed(NOW, PEER6, HERS)
    assert table.unknown() == ()


def test_all_are_asked_for_when_a_mac_is_not_known(table: MemberMacs) -> None:
    assert table.ask_all() == [Ask(PEER), Ask(PEER6)]
