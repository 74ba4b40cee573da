"""Who relieves an owner that lives claims its addresses hushed, and answers for them when that owner does no more."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Interface

import pytest

from tests.node.speaker_scene import (
    ETH0,
    INTERVAL,
    KEY,
    KEY_6,
    PARAMS,
    PARAMS_6,
    PEER,
    PEER_6,
    VIP,
    VIP_6,
    Speaker,
    at,
    sent,
)
from tests.node.test_speaker_peering import HEARTBEAT
from yaoki.core.address import Family
from yaoki.core.machine import TimerFired
from yaoki.election.lease_params import LeaseParams
from yaoki.node.messages import (
    AbilitiesFound,
    AddressTaken,
    AnnounceAddress,
    AnnounceRouter,
    AnswerAgain,
    ArmGate,
    ClaimAddress,
    ConfigureRouters,
    HeartbeatArrived,
    HushAddresses,
    InterfaceFound,
    ReleaseAddress,
    RouterState,
    SpeakerEffect,
)
from yaoki.node.speaker_hushing import PATIENCE, SpeakerHushing
from yaoki.node.speaker_peers import SpeakerPeers
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.timing import HOLD

pytestmark = pytest.mark.req("B-05")

HUSH, ANSWER = HushAddresses("eth0", (VIP.ip,)), AnswerAgain("eth0", (VIP.ip,))
CLAIM, RELEASE = ClaimAddress("eth0", VIP), ReleaseAddress("eth0", VIP)
ANNOUNCE = AnnounceAddress("eth0", VIP.ip)
OF_ADDRESSES = HushAddresses | AnswerAgain | ReleaseAddress | ClaimAddress | AnnounceAddress


def beat(
    speaker: Speaker, role: Role, *, yields: bool = False, sequence: int = 1, family: Family = Family.IPV4
) -> list[SpeakerEffect]:
    """What the peer says of itself by a heartbeat."""
    word = RouterWord(RouterKeyOnWire.of("web-vip", family), role, 50, yields)
    payload = Heartbeat("lb2", "g1", 5, sequence, INTERVAL, (word,)).encode()
    return speaker.tell(HeartbeatArrived("eth0", PEER, 255, payload, speaker.now))


def standby(params: RouterParams = PARAMS, *, gate: bool = True) -> Speaker:
    """A Backup that hears the owner, which is of lower priority and about to leave."""
    speaker = Speaker(interface=None)
    speaker.tell(AbilitiesFound(gate=gate))
    speaker.tell(ConfigureRouters((params,), heartbeat=HEARTBEAT))
    speaker.tell(ETH0)
    return speaker


def succeeding(
    role: Role = Role.LEAVING, params: RouterParams = PARAMS, *, gate: bool = True
) -> tuple[Speaker, list[SpeakerEffect]]:
    """The owner has said what it is, and with priority zero that it leaves."""
    speaker = standby(params, gate=gate)
    beat(speaker, role)
    speaker.hear(0)
    down = speaker.brain.deadline()
    assert down is not None
    effects = speaker.run_to(down.at.us / 1000)
    assert speaker.state() is RouterState.ACTIVE
    return speaker, effects


def told(effects: list[SpeakerEffect]) -> list[SpeakerEffect]:
    return [effect for effect in effects if isinstance(effect, OF_ADDRESSES)]


def test_a_successor_is_hushed_before_it_claims_and_advertises_before_it_answers() -> None:
    speaker, effects = succeeding()
    assert told(effects) == [HUSH, CLAIM]
    assert sent(effects) == [100]
    kinds = [type(effect) for effect in effects]
    assert kinds.index(ArmGate) < kinds.index(HushAddresses), "a gate that is not hooked in hushes nobody"
    assert told(beat(speaker, Role.LEAVING, sequence=2)) == []
    assert told(beat(speaker, Role.LEAVING, yields=True, sequence=3)) == [ANSWER, ANNOUNCE]
    assert told(speaker.run_to(speaker.now.us / 1000 + 15)) == []


def test_a_better_router_takes_back_hushed_as_well() -> None:
    speaker = standby()
    beat(speaker, Role.ACTIVE)
    effects = speaker.hear(50)
    while speaker.state() is RouterState.BACKUP:
        beat(speaker, Role.ACTIVE, sequence=speaker.now.us + 2)
        down = speaker.brain.deadline()
        assert down is not None
        effects = speaker.run_to(down.at.us / 1000)
    assert told(effects) == [HUSH, CLAIM]
    assert told(beat(speaker, Role.LEAVING, yields=True, sequence=speaker.now.us + 2)) == [ANSWER, ANNOUNCE]


@pytest.mark.parametrize("role", [Role.BACKUP, Role.INITIALIZE])
def test_an_owner_that_holds_nothing_any_more_is_not_waited_for(role: Role) -> None:
    speaker, _ = succeeding()
    assert told(beat(speaker, role, sequence=2)) == [ANSWER, ANNOUNCE]
    assert told(succeeding(role)[1]) == [CLAIM, ANNOUNCE]


def test_an_owner_that_says_nothing_is_waited_for_no_longer_than_it_serves() -> None:
    speaker, _ = succeeding()
    begun = speaker.now
    assert not speaker.brain.steady
    assert told(speaker.run_to((begun + PATIENCE).us / 1000 - 0.001)) == []
    assert told(speaker.run_to((begun + PATIENCE).us / 1000)) == [ANSWER, ANNOUNCE]
    assert speaker.brain.steady
    assert told(beat(speaker, Role.LEAVING, yields=True, sequence=2)) == []
    assert 2 * PATIENCE < HOLD


def test_an_owner_without_heartbeats_is_relieved_as_before() -> None:
    """keepalived gives the address up as soon as it hears us."""
    speaker = standby()
    speaker.hear(0)
    down = speaker.brain.deadline()
    assert down is not None
    assert told(speaker.run_to(down.at.us / 1000 + 100))[:2] == [CLAIM, ANNOUNCE]


def test_without_a_gate_nothing_is_hushed_that_would_answer_all_the_same() -> None:
    assert told(succeeding(gate=False)[1]) == [CLAIM, ANNOUNCE]


def test_who_dies_is_not_waited_for() -> None:
    speaker = standby()
    speaker.hear(150)
    speaker.run_to(300)
    beat(speaker, Role.ACTIVE)
    effects = speaker.run_to(370)
    assert speaker.state() is RouterState.ACTIVE
    assert told(effects)[:2] == [CLAIM, ANNOUNCE]


def test_who_is_found_dead_by_the_input_that_relieves_it_is_not_waited_for() -> None:
    """A speaker that was late learns of both at once. Hushed after it was to answer again, it would be for ever."""
    speaker = standby()
    beat(speaker, Role.ACTIVE)
    speaker.hear(50)
    speaker.now = at(390)
    effects = speaker.tell(TimerFired())
    assert speaker.state() is RouterState.ACTIVE
    assert told(effects) == [HUSH, ANSWER, CLAIM, ANNOUNCE]


def test_a_successor_that_hears_a_better_one_stays_hushed_and_announces_nothing() -> None:
    speaker, _ = succeeding()
    assert told(speaker.hear(150)) == [HUSH]
    assert told(beat(speaker, Role.LEAVING, yields=True, sequence=2)) == []
    assert told(speaker.run_to(speaker.now.us / 1000 + 40)) == [RELEASE, ANSWER]


def test_a_successor_that_loses_its_interface_leaves_nothing_behind() -> None:
    speaker, _ = succeeding()
    assert told(speaker.tell(InterfaceFound("eth0", False, None, None))) == [RELEASE, ANSWER]
    assert told(speaker.run_to(speaker.now.us / 1000 + 50)) == []


def test_the_successors_own_announcements_wait_too_and_are_not_lost() -> None:
    speaker, _ = succeeding()
    assert told(speaker.tell(AnnounceRouter(KEY))) == []
    assert told(beat(speaker, Role.BACKUP, sequence=2)) == [ANSWER, ANNOUNCE]
    assert told(speaker.run_to(speaker.now.us / 1000 + 21)) == [ANNOUNCE]


def test_a_fresh_ipv6_address_is_waited_for_before_the_owner_is() -> None:
    speaker = standby(PARAMS_6)
    speaker.takes = False
    beat(speaker, Role.LEAVING, family=Family.IPV6)
    speaker.hear(0, source=PEER_6, key=KEY_6)
    down = speaker.brain.deadline()
    assert down is not None
    effects = speaker.run_to(down.at.us / 1000)
    hush = HushAddresses("eth0", (VIP_6.ip,))
    assert told(effects) == [hush, ClaimAddress("eth0", VIP_6)]
    assert sent(effects) == []
    begun = speaker.now
    assert told(speaker.run_to(begun.us / 1000 + 8)) == [], "the owner cannot have heard it yet"
    taken = speaker.tell(AddressTaken("eth0", VIP_6.ip))
    assert told(taken) == []
    assert sent(taken) == [100]
    assert told(speaker.run_to(begun.us / 1000 + 17.999)) == []
    at_last = speaker.run_to(begun.us / 1000 + 18)
    assert told(at_last) == [AnswerAgain("eth0", (VIP_6.ip,)), AnnounceAddress("eth0", VIP_6.ip)]


def test_a_router_with_several_addresses_answers_for_all_of_them_at_once() -> None:
    more = IPv4Interface("192.0.2.60/24")
    _, effects = succeeding(params=replace(PARAMS, addresses=(VIP, more)))
    assert told(effects) == [HushAddresses("eth0", (VIP.ip, more.ip)), CLAIM, ClaimAddress("eth0", more)]


def test_a_leased_router_one_at_a_virtual_mac_and_one_without_heartbeats_are_no_successors() -> None:
    peers = SpeakerPeers()
    hushing = SpeakerHushing(peers)
    assert not hushing.succeeds(PARAMS)
    peers.configure(at(0), HEARTBEAT)
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.ACTIVE, 50)
    peers.heard(at(0), "eth0", PEER, Heartbeat("lb2", "g1", 5, 1, INTERVAL, (word,)), at(0))
    assert hushing.succeeds(PARAMS)
    assert not hushing.succeeds(replace(PARAMS, virtual_mac=True))
    assert not hushing.succeeds(replace(PARAMS, lease=LeaseParams.usual("vip/web", timedelta(seconds=2))))
