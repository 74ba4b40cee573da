"""Sync groups whose VIPs are owned by one lease: owned together, and never left answered for without the lease."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

import pytest

from tests.node.speaker_scene import (
    ETH0,
    INTERVAL,
    KEY,
    OWN,
    PARAMS,
    PARAMS_6,
    PEER,
    VIP,
    VIP_6,
    Speaker,
    at,
    bodies,
)
from tests.node.test_speaker_leases import SILENT, TICK, D, kinds, orders
from yaoki.core.address import Family
from yaoki.election.lease_params import LeaseParams
from yaoki.node.holder_messages import HoldLeases, LeasesInherited, LeaseValid
from yaoki.node.messages import (
    AbilitiesFound,
    ArmedAddress,
    ArmGate,
    ConfigureRouters,
    DisarmGate,
    GateFound,
    HeartbeatArrived,
    InterfaceFound,
    ReleaseAddress,
    RouterState,
)
from yaoki.node.speaker_events import GroupHindered
from yaoki.vrrp.events import Reason
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = [pytest.mark.req("B-06"), pytest.mark.req("B-21")]

OUTER = RouterKey("eth1", Family.IPV4, 52)
OUT = IPv4Interface("198.51.100.50/24")
LEASE = LeaseParams.usual("group/edge", D)
INNER_PARAMS = tuple(replace(params, lease=LEASE, group="edge") for params in (PARAMS, PARAMS_6))
ROUTERS = (*INNER_PARAMS, replace(INNER_PARAMS[0], vip="outer", key=OUTER, addresses=(OUT,)))
ETH1 = InterfaceFound("eth1", True, IPv4Address("198.51.100.11"), None, ())
ALL = {("eth0", str(VIP)), ("eth0", str(VIP_6)), ("eth1", str(OUT))}
OPEN = tuple(ArmedAddress(address.ip, D - TICK) for address in (VIP, VIP_6, OUT))
HELD_0, HELD_1 = replace(ETH0, held=(VIP, VIP_6)), replace(ETH1, held=(OUT,))
SILENCING = (ArmGate, ReleaseAddress, DisarmGate)


def valid(until_ms: float, *, claim: int = 1) -> LeaseValid:
    return LeaseValid("group/edge", claim, 9, at(until_ms))


def owner() -> Speaker:
    made = Speaker(interface=None)
    made.tell(AbilitiesFound(gate=True, tick=TICK))
    for input_ in (ConfigureRouters(ROUTERS), ETH0, ETH1, valid(1500)):
        made.tell(input_)
    return made


def newer(*, word: bool, inner: InterfaceFound = HELD_0) -> Speaker:
    """A speaker whose kernel answers by the lease of an earlier one, which has handed it over, or was killed."""
    made = Speaker(interface=None)
    made.tell(GateFound(OPEN))
    made.tell(AbilitiesFound(gate=True, tick=TICK))
    if word:
        made.tell(LeasesInherited((valid(1500),)))
    made.tell(ConfigureRouters(ROUTERS))
    made.addresses |= {(found.interface, str(each)) for found in (inner, HELD_1) for each in found.held or ()}
    made.tell(inner)
    return made


def wished(made: Speaker) -> list[str]:
    return [wish.key for wish in orders(made.said)[-1].wishes]


def test_all_vips_of_the_group_are_owned_by_one_lease_at_once() -> None:
    made = owner()
    assert made.addresses == ALL
    assert {len(order.wishes) for order in orders(made.said) if order.wishes} == {1}
    assert {status.epoch for status in made.brain.statuses()} == {9}


def test_until_all_of_its_interfaces_are_there_nothing_is_wanted() -> None:
    made = Speaker(interface=None)
    made.tell(AbilitiesFound(gate=True, tick=TICK))
    made.tell(ConfigureRouters(ROUTERS))
    made.tell(ETH0)
    assert orders(made.said) == []
    made.tell(ETH1)
    assert wished(made) == ["group/edge"]


def test_an_owner_that_loses_one_network_keeps_the_rest_until_a_member_bids_and_then_gives_all_up_at_once() -> None:
    made = owner()
    effects = made.tell(replace(ETH1, up=False))
    assert [body.reason for body in bodies(effects) if isinstance(body, GroupHindered)] == [Reason.INTERFACE_DOWN]
    assert orders(effects) == []
    assert made.state(KEY) is RouterState.ACTIVE
    made.now = at(400)
    made.tell(valid(1900))
    effects = made.hear(50)
    assert kinds(effects, *SILENCING, HoldLeases) == [*SILENT, *SILENT, HoldLeases]
    assert orders(effects)[-1].wishes == ()
    assert made.addresses & ALL == set()


def test_that_a_peer_may_own_is_no_reason_to_give_up_what_works() -> None:
    """It may be cut off from the store; one that is not bids."""
    made = Speaker(interface=None)
    made.tell(AbilitiesFound(gate=True, tick=TICK))
    peer = PeerParams("lb2", ("web-vip", "outer"), (PeerPath("eth0", OWN, PEER),))
    made.tell(ConfigureRouters(ROUTERS, heartbeat=HeartbeatParams("lb1", "g1", INTERVAL, (peer,))))
    for input_ in (ETH0, ETH1, valid(1500)):
        made.tell(input_)
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.BACKUP, 90)
    beat = Heartbeat("lb2", "g1", 5, 1, INTERVAL, (word,)).encode()
    made.tell(HeartbeatArrived("eth0", PEER, 255, beat, made.now))
    assert orders(made.tell(replace(ETH1, up=False))) == []
    assert made.state(KEY) is RouterState.ACTIVE


def test_a_bid_on_one_network_has_the_vips_of_the_other_given_up_before_the_lease() -> None:
    made = owner()
    effects = made.hear(150)
    assert kinds(effects, *SILENCING, HoldLeases) == [*SILENT * 3, HoldLeases]
    assert made.addresses == set()


def test_a_lease_that_is_over_silences_all_of_it() -> None:
    made = owner()
    made.run_to(1500)
    assert made.addresses == set()


@pytest.mark.req("B-19")
@pytest.mark.parametrize("inner", [HELD_0, ETH0], ids=["held", "not held"])
def test_what_was_inherited_is_wanted_until_the_last_interface_was_found(inner: InterfaceFound) -> None:
    """The kernel answers for the outer VIP all the while: given up, the lease would have another owner at once."""
    made = newer(word=True, inner=inner)
    assert orders(made.said) != []
    assert all(order.wishes for order in orders(made.said))
    effects = made.tell(HELD_1)
    assert all(order.wishes for order in orders(effects))
    assert kinds(effects, ReleaseAddress) == []
    made.tell(valid(1750))
    made.tell(valid(2000))
    assert made.addresses == ALL


@pytest.mark.req("B-19")
@pytest.mark.parametrize("outer", [HELD_1, ETH1], ids=["held", "not held"])
def test_who_was_killed_asks_for_the_lease_until_the_word_comes_whatever_interface_is_found(
    outer: InterfaceFound,
) -> None:
    made = newer(word=False)
    made.tell(outer)
    assert wished(made) == ["group/edge"]
    assert ("eth0", str(VIP)) in made.addresses
    for until in (1750, 2000):
        made.tell(valid(until))
    assert made.addresses >= {("eth0", str(VIP)), ("eth0", str(VIP_6))}
    assert made.state(KEY) is made.state(OUTER) is RouterState.ACTIVE


def test_without_a_word_all_of_it_is_silent_when_the_kernel_has_shut_its_gates() -> None:
    made = newer(word=False)
    made.tell(HELD_1)
    made.run_to(1500)
    assert made.addresses == set()
    assert wished(made) == ["group/edge"], "as any member"
