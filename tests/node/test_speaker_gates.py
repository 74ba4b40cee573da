"""Dead-man gates of a SpeakerBrain: when they are armed, opened and disarmed, in which order; what a sleeper does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import (
    ETH0,
    INTERVAL,
    KEY,
    OWN,
    PARAMS,
    PEER,
    VIP,
    Speaker,
    at,
    bodies,
    sent,
    statuses,
)
from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.core.machine import TimerFired
from yaoki.node.messages import (
    AbilitiesFound,
    AnnounceAddress,
    ArmedAddress,
    ArmGate,
    ClaimAddress,
    ConfigureRouters,
    DisarmGate,
    GateFound,
    GateShut,
    HeartbeatArrived,
    LimitAddress,
    RefreshGate,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SendAdvertisement,
    SpeakerEffect,
)
from yaoki.node.speaker_events import GateArmed, GateDisarmed, IntervalRaised, Overslept
from yaoki.vrrp.events import BecameActive, BecameBackup, Reason
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = pytest.mark.req("B-19")

MS = timedelta(milliseconds=1)
LIMIT = 300 * MS
LIFETIME = timedelta(seconds=2)
HEARTBEAT = HeartbeatParams("lb1", "g1", INTERVAL, (PeerParams("lb2", ("web-vip",), (PeerPath("eth0", OWN, PEER),)),))
ABLE = AbilitiesFound(gate=True, punctual=True, tick=4 * MS)
GATE = ArmGate | RefreshGate | DisarmGate | LimitAddress
ARM = ArmGate("eth0", (VIP.ip,), LIMIT)
REFRESH = RefreshGate(KEY, (VIP.ip,), LIMIT)
DISARM = DisarmGate((VIP.ip,))
LIMITED = LimitAddress("eth0", VIP, LIFETIME)


class Guarded(Speaker):
    """A speaker that has a peer, which beats as long as it is told to."""

    def __init__(self, *, abilities: AbilitiesFound = ABLE, held: bool = False, left: GateFound | None = None) -> None:
        super().__init__(interface=None)
        self.beats = 0
        self.tell(abilities)
        if left is not None:
            self.tell(left)
        self.addresses |= {("eth0", str(VIP))} if held else set()
        self.tell(replace(ETH0, held=(VIP,)) if held else ETH0)

    def configure(self, *, interval: timedelta = INTERVAL) -> list[SpeakerEffect]:
        return self.tell(ConfigureRouters((replace(PARAMS, interval=interval),), heartbeat=HEARTBEAT))

    def beat(self) -> list[SpeakerEffect]:
        self.beats += 1
        word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.BACKUP, 90)
        payload = Heartbeat("lb2", "g1", 7, self.beats, INTERVAL, (word,)).encode()
        return self.tell(HeartbeatArrived("eth0", PEER, 255, payload, self.now))

    def with_peer_to(self, ms: int) -> list[SpeakerEffect]:
        """Let time pass, with a heartbeat every 100 ms."""
        effects: list[SpeakerEffect] = []
        while self.now < at(ms):
            effects += self.beat()
            effects += self.run_to(min(ms, self.now.us / 1000 + 100))
        return effects


def owner() -> Guarded:
    """Active and armed since 361 ms, last opened at 1 s or a little before."""
    speaker = Guarded()
    speaker.configure()
    speaker.with_peer_to(1000)
    assert speaker.state() is RouterState.ACTIVE
    return speaker


def gate_effects(effects: list[SpeakerEffect]) -> list[SpeakerEffect]:
    return [effect for effect in effects if isinstance(effect, GATE)]


def order(effects: list[SpeakerEffect], *kinds: type) -> list[type]:
    return [type(effect) for effect in effects if isinstance(effect, kinds)]


def test_a_takeover_arms_before_it_claims_and_opens_before_it_advertises() -> None:
    speaker = Guarded()
    speaker.configure()
    effects = speaker.with_peer_to(400)
    kinds = (ArmGate, ClaimAddress, AnnounceAddress, RefreshGate, LimitAddress, SendAdvertisement)
    assert order(effects, *kinds)[:6] == [
        ArmGate,
        ClaimAddress,
        AnnounceAddress,
        RefreshGate,
        LimitAddress,
        SendAdvertisement,
    ]
    assert gate_effects(effects)[:3] == [ARM, REFRESH, LIMITED]
    assert GateArmed(KEY, "web-vip", LIMIT) in bodies(effects)


def test_every_advertisement_opens_the_gate_and_addresses_are_renewed_thrice_a_lifetime() -> None:
    effects = owner().with_peer_to(3000)
    assert effects.count(REFRESH) == len(sent(effects)) == 20
    assert order(effects, RefreshGate, SendAdvertisement) == [RefreshGate, SendAdvertisement] * 20
    assert 2 <= effects.count(LIMITED) <= 3


def test_a_lone_owner_is_never_armed() -> None:
    speaker = Guarded()
    speaker.configure()
    effects = speaker.run_to(5000)
    assert gate_effects(effects) == []
    assert speaker.state() is RouterState.ACTIVE


def test_a_peer_that_comes_arms_and_one_that_falls_silent_disarms() -> None:
    speaker = Guarded()
    speaker.configure()
    speaker.run_to(1000)
    # It advertised 39.062 ms ago, and the peer counts from then.
    effects = speaker.beat()
    assert gate_effects(effects) == [replace(ARM, limit=LIMIT - timedelta(microseconds=39_062)), LIMITED]
    effects = speaker.run_to(2000)
    news: list[EventBody] = bodies(effects)
    assert GateDisarmed(KEY, "web-vip") in news
    assert gate_effects(effects)[-2:] == [DISARM, LimitAddress("eth0", VIP, None)]
    assert speaker.state() is RouterState.ACTIVE


def test_giving_way_disarms_after_the_release() -> None:
    speaker = owner()
    effects = speaker.hear(150) + speaker.run_to(1100)
    kinds = order(effects, RefreshGate, SendAdvertisement, ReleaseAddress, DisarmGate)
    assert kinds[:2] == [RefreshGate, SendAdvertisement]
    assert kinds[-2:] == [ReleaseAddress, DisarmGate]


def test_release_disarms_everything() -> None:
    speaker = owner()
    effects = speaker.tell(ReleaseRouters()) + speaker.hear(90) + speaker.with_peer_to(2000)
    assert order(effects, ReleaseAddress, DisarmGate) == [ReleaseAddress, DisarmGate]


def test_an_owner_that_waits_to_leave_is_kept_open_and_armed() -> None:
    speaker = owner()
    effects = speaker.tell(ReleaseRouters()) + speaker.with_peer_to(1150)
    assert order(effects, ReleaseAddress, DisarmGate) == []
    assert effects.count(REFRESH) >= 2
    assert not [body for body in bodies(effects) if isinstance(body, Overslept)]


def test_where_the_kernel_has_no_gate_addresses_are_limited_all_the_same() -> None:
    speaker = Guarded(abilities=AbilitiesFound(gate=False))
    speaker.configure()
    effects = gate_effects(speaker.with_peer_to(1000))
    assert effects
    assert set(map(type, effects)) == {LimitAddress}


@pytest.mark.req("B-21")
@pytest.mark.parametrize("first", ["packet", "timer"])
def test_a_sleeper_steps_down_before_anything_else(first: str) -> None:
    speaker = owner()
    speaker.now = speaker.now + timedelta(seconds=1)
    effects = speaker.hear(90) if first == "packet" else speaker.tell(TimerFired())
    news = bodies(effects)
    assert isinstance(news[0], Overslept)
    assert news[0].asleep is not None
    assert news[0].asleep >= LIMIT
    assert speaker.state() is RouterState.BACKUP
    assert order(effects, RefreshGate, ArmGate, SendAdvertisement, AnnounceAddress) == []
    assert order(effects, ReleaseAddress, DisarmGate) == [ReleaseAddress, DisarmGate]
    assert speaker.addresses == set()
    assert [status.state for status in statuses(effects)][-1] is RouterState.BACKUP
    assert BecameBackup(KEY, "web-vip", Reason.STARTED) in news


def test_what_the_kernel_took_from_a_sleeper_is_not_put_back() -> None:
    speaker = owner()
    speaker.now = speaker.now + timedelta(seconds=3)
    effects = speaker.tell(ETH0)
    assert isinstance(bodies(effects)[0], Overslept)
    assert order(effects, ClaimAddress, AnnounceAddress) == []


@pytest.mark.req("B-21")
def test_a_sleeper_that_is_told_to_release_has_released_on_waking() -> None:
    speaker = owner()
    speaker.now = speaker.now + timedelta(seconds=1)
    effects = speaker.tell(ReleaseRouters())
    assert isinstance(bodies(effects)[0], Overslept)
    assert order(effects, ReleaseAddress, DisarmGate, ClaimAddress) == [ReleaseAddress, DisarmGate]
    assert speaker.brain.released


def test_a_nap_shorter_than_the_limit_changes_nothing() -> None:
    speaker = owner()
    speaker.now = speaker.now + timedelta(milliseconds=190)
    assert not [body for body in bodies(speaker.tell(TimerFired())) if isinstance(body, Overslept)]
    assert speaker.state() is RouterState.ACTIVE


def test_who_is_told_that_the_gate_had_shut_steps_down() -> None:
    speaker = owner()
    effects = speaker.tell(GateShut(KEY))
    assert Overslept(KEY, "web-vip", None) in bodies(effects)
    assert speaker.state() is RouterState.BACKUP
    assert speaker.tell(GateShut(KEY)) == []


# --- a gate left by an earlier life -----------------------------------------------------------------------------------


def left(open_ms: int) -> GateFound:
    return GateFound((ArmedAddress(VIP.ip, open_ms * MS),))


def test_a_gate_that_is_still_open_is_taken_up_and_only_refreshed() -> None:
    speaker = Guarded(held=True, left=left(200))
    effects = speaker.configure()
    assert speaker.state() is RouterState.ACTIVE
    assert BecameActive(KEY, "web-vip", Reason.ADDRESSES_HELD, 100) in bodies(effects)
    assert gate_effects(effects) == [REFRESH, LIMITED]
    effects = speaker.with_peer_to(1000)
    assert order(effects, ArmGate, DisarmGate) == []


def test_a_gate_that_was_taken_up_is_opened_by_advertisements_alone() -> None:
    """The others count from the last that they heard, and a gate that was opened since would shut after they own."""
    speaker = Guarded(held=True, left=left(200))
    speaker.configure()
    effects = speaker.with_peer_to(1000)
    kinds = order(effects, RefreshGate, SendAdvertisement)
    assert kinds == [RefreshGate, SendAdvertisement] * (len(kinds) // 2)


def test_a_gate_that_has_shut_is_not_opened_and_the_addresses_are_given_up_first() -> None:
    speaker = Guarded(held=True, left=left(200))
    speaker.run_to(250)
    effects = speaker.configure()
    assert speaker.state() is RouterState.BACKUP
    assert order(effects, ReleaseAddress, DisarmGate, ArmGate, RefreshGate) == [ReleaseAddress, DisarmGate]
    assert speaker.addresses == set()


@pytest.mark.req("B-21")
def test_who_takes_over_with_a_gate_that_an_earlier_life_let_shut_arms_it_anew() -> None:
    """Its interface was away while it was told its routers, so that the gate waited for one of them."""
    speaker = Guarded(left=left(0))
    speaker.tell(replace(ETH0, up=False))
    assert order(speaker.configure(), DisarmGate) == []
    speaker.beat()
    speaker.tell(ETH0)
    effects = speaker.with_peer_to(1000)
    assert order(effects, DisarmGate, ArmGate, RefreshGate)[:3] == [DisarmGate, ArmGate, RefreshGate]
    assert speaker.state() is RouterState.ACTIVE
    assert not [body for body in bodies(effects) if isinstance(body, Overslept)]


@pytest.mark.req("B-21")
def test_a_lone_node_opens_what_an_earlier_life_let_shut() -> None:
    speaker = Guarded(left=left(0))
    speaker.tell(replace(ETH0, up=False))
    speaker.configure()
    speaker.tell(ETH0)
    effects = speaker.run_to(1000)
    assert speaker.state() is RouterState.ACTIVE
    assert order(effects, DisarmGate, ArmGate, RefreshGate) == [DisarmGate]


def test_a_gate_that_was_taken_up_is_disarmed_if_no_peer_is_heard_in_time() -> None:
    speaker = Guarded(held=True, left=left(200))
    speaker.configure()
    effects = speaker.run_to(319)
    assert order(effects, DisarmGate) == []
    assert order(speaker.run_to(450), DisarmGate) == [DisarmGate]
    assert speaker.state() is RouterState.ACTIVE


def test_what_nobody_takes_up_is_disarmed() -> None:
    other = ArmedAddress(PEER, 100 * MS)
    speaker = Guarded(left=GateFound((other,)))
    assert DisarmGate((PEER,)) in speaker.configure()


# --- the floor of the interval ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("abilities", "raised_ms"),
    [
        (replace(ABLE, punctual=False), 50),
        (replace(ABLE, tick=10 * MS), 20),
        (ABLE, None),
    ],
)
def test_an_interval_that_is_not_safe_here_is_raised_and_told(abilities: AbilitiesFound, raised_ms: int | None) -> None:
    speaker = Guarded(abilities=abilities)
    effects = speaker.configure(interval=10 * MS)
    raised = [] if raised_ms is None else [IntervalRaised(KEY, "web-vip", 10 * MS, raised_ms * MS)]
    assert [body for body in bodies(effects) if isinstance(body, IntervalRaised)] == raised
    speaker.with_peer_to(1000)
    count = len(sent(speaker.with_peer_to(2000)))
    assert count == 1000 // (raised_ms or 10)
