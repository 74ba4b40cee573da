"""The speaker's heartbeats: when they go out, to whom, what they say, and what is made of a peer's."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.speaker_scene import ETH0, KEY, OWN, PARAMS, PARAMS_6, PEER, VIP, Speaker, at, bodies, sent
from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.node.messages import (
    ConfigureRouters,
    HeartbeatArrived,
    MoveRouter,
    PeerStatus,
    Published,
    ReleaseRouters,
    RouterState,
    SendHeartbeat,
    SetPriority,
    SpeakerEffect,
)
from yaoki.node.speaker_events import HeartbeatRejected, PeerHeard, PeerOwnsNoMore, PeerRestarted, PeerSilent
from yaoki.node.speaker_peering import SpeakerPeering
from yaoki.vrrp.events import BecameActive, Reason
from yaoki.vrrp.heartbeat import MAX_ROUTERS, Heartbeat, HeartbeatFlaw, Role, RouterKeyOnWire, RouterWord, decode
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath
from yaoki.vrrp.virtual_router import VirtualRouter

BACK, BACK_PEER = IPv4Address("198.51.100.11"), IPv4Address("198.51.100.12")
PATHS = (PeerPath("eth0", OWN, PEER), PeerPath("eth1", BACK, BACK_PEER))
LB2 = PeerParams("lb2", ("web-vip",), PATHS)
HEARTBEAT = HeartbeatParams("lb1", "g1", timedelta(milliseconds=100), (LB2,))


def speaker(*, heartbeat: HeartbeatParams = HEARTBEAT) -> Speaker:
    scene = Speaker()
    scene.tell(ConfigureRouters((PARAMS, PARAMS_6), heartbeat=heartbeat))
    return scene


def beats(effects: list[SpeakerEffect]) -> list[SendHeartbeat]:
    return [effect for effect in effects if isinstance(effect, SendHeartbeat)]


def said(effect: SendHeartbeat) -> Heartbeat:
    heartbeat = decode(effect.payload, hop_limit=255)
    assert isinstance(heartbeat, Heartbeat)
    return heartbeat


def words(effects: list[SpeakerEffect]) -> list[list[tuple[Role, int]]]:
    """What each heartbeat on eth0 tells of the two routers."""
    return [[(w.role, w.priority) for w in said(b).routers] for b in beats(effects) if b.interface == "eth0"]


def arrived(
    scene: Speaker, *, boot: int = 5, sequence: int = 1, node: str = "lb2", hop_limit: int = 255, priority: int = 90
) -> HeartbeatArrived:
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.BACKUP, priority)
    payload = Heartbeat(node, "g1", boot, sequence, timedelta(milliseconds=100), (word,)).encode()
    return HeartbeatArrived("eth0", PEER, hop_limit, payload, scene.now)


def test_a_configured_speaker_tells_every_path_at_once_and_at_the_interval() -> None:
    scene = speaker()
    first = beats(scene.said)
    assert [(b.interface, b.source, b.destination) for b in first] == [
        ("eth0", OWN, PEER),
        ("eth1", BACK, BACK_PEER),
    ]
    assert first[0].payload == first[1].payload
    heartbeat = said(first[0])
    assert (heartbeat.node, heartbeat.generation, heartbeat.interval) == ("lb1", "g1", timedelta(milliseconds=100))
    assert len(beats(scene.run_to(300))) == 2 * 3


def test_a_speaker_without_peers_sends_none() -> None:
    scene = Speaker(PARAMS)
    scene.run_to(5000)
    assert beats(scene.said) == []


def test_states_and_priorities_are_told_at_once() -> None:
    scene = speaker()
    assert words(scene.said)[-1] == [(Role.BACKUP, 100), (Role.BACKUP, 100)]
    scene.run_to(360)
    assert words(scene.run_to(361)) == [[(Role.ACTIVE, 100), (Role.ACTIVE, 100)]]
    assert words(scene.tell(SetPriority(KEY, 40))) == [[(Role.ACTIVE, 40), (Role.ACTIVE, 100)]]


def test_a_lost_interface_is_told_on_the_other_path() -> None:
    scene = speaker()
    scene.run_to(400)
    sent = [b for b in beats(scene.tell(replace(ETH0, up=False))) if b.interface == "eth1"]
    assert [[(w.role, w.priority) for w in said(b).routers] for b in sent] == [[(Role.INITIALIZE, 0)] * 2]


def test_release_is_the_last_word() -> None:
    scene = speaker()
    scene.run_to(400)
    assert words(scene.tell(ReleaseRouters()))[-1] == [(Role.LEAVING, 0)] * 2
    assert [(Role.INITIALIZE, 0)] * 2 in words(scene.run_to(1000))


def test_a_removed_router_is_told_of_as_taking_no_part() -> None:
    scene = speaker()
    scene.run_to(400)
    told = words(scene.tell(ConfigureRouters((PARAMS,), heartbeat=HEARTBEAT)))
    assert told == [[(Role.ACTIVE, 100), (Role.LEAVING, 0)]]
    # Nobody relieves it within 499.6 ms.
    told = words(scene.run_to(950))
    assert [(Role.ACTIVE, 100), (Role.INITIALIZE, 0)] in told
    assert words(scene.run_to(1050)) == [[(Role.ACTIVE, 100)]]


def told_by(scene: Speaker, role: Role, priority: int, *, sequence: int) -> list[SpeakerEffect]:
    """A heartbeat of lb2 on the other network."""
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), role, priority)
    payload = Heartbeat("lb2", "g1", 5, sequence, timedelta(milliseconds=100), (word,)).encode()
    return scene.tell(HeartbeatArrived("eth1", BACK_PEER, 255, payload, scene.now))


@pytest.mark.req("B-02")
def test_an_owner_that_lost_its_interface_is_relieved_at_once_by_news_from_another_network() -> None:
    scene = speaker()
    scene.hear(150)
    told_by(scene, Role.ACTIVE, 150, sequence=1)
    scene.run_to(10)
    effects = told_by(scene, Role.INITIALIZE, 0, sequence=2)
    assert bodies(effects) == [PeerOwnsNoMore("lb2", "web-vip", Family.IPV4)]
    assert scene.state(KEY) is RouterState.BACKUP
    (gone,) = [effect.event for effect in effects if isinstance(effect, Published)]
    effects = scene.run_to(11)
    assert scene.state(KEY) is RouterState.ACTIVE
    (became,) = [effect.event for effect in effects if isinstance(effect, Published)]
    assert (became.body, became.because) == (BecameActive(KEY, "web-vip", Reason.ACTIVE_RELEASED, 100), gone.id)


@pytest.mark.parametrize("before", [Role.BACKUP, Role.LEAVING, Role.INITIALIZE])
def test_a_peer_that_was_no_owner_is_relieved_of_nothing(before: Role) -> None:
    """One that left has been relieved by its own word, priority zero."""
    scene = speaker()
    scene.hear(150)
    told_by(scene, before, 150, sequence=1)
    scene.run_to(10)
    assert bodies(told_by(scene, Role.INITIALIZE, 0, sequence=2)) == []
    scene.run_to(100)
    assert scene.state(KEY) is RouterState.BACKUP


def test_sequences_grow() -> None:
    scene = speaker()
    scene.run_to(1000)
    sequences = [said(b).sequence for b in beats(scene.said) if b.interface == "eth0"]
    assert sequences == sorted(set(sequences))


def test_a_peer_that_is_new_to_us_is_answered_at_once_and_one_that_is_known_is_not() -> None:
    scene = speaker()
    effects = scene.tell(arrived(scene))
    assert bodies(effects) == [PeerHeard("lb2", "eth0")]
    assert len(beats(effects)) == 2
    (status,) = [effect for effect in effects if isinstance(effect, PeerStatus)]
    assert (status.node, status.alive) == ("lb2", True)
    assert scene.tell(arrived(scene, sequence=2)) == []
    again = scene.tell(arrived(scene, boot=6))
    assert bodies(again) == [PeerRestarted("lb2")]
    assert len(beats(again)) == 2


def test_a_peer_falls_silent() -> None:
    scene = speaker()
    scene.tell(arrived(scene))
    events: list[EventBody] = bodies(scene.run_to(1000))
    assert PeerSilent("lb2", ("eth0",)) in events


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [({"hop_limit": 254}, HeartbeatFlaw.HOP_LIMIT), ({"node": "lb9"}, HeartbeatFlaw.WRONG_NODE)],
)
def test_what_is_no_heartbeat_of_the_peer_is_an_event_now_and_then(
    wrong: dict[str, object], reason: HeartbeatFlaw
) -> None:
    scene = speaker()
    heartbeat = arrived(scene, **wrong)  # type: ignore[arg-type] # one keyword of several types
    assert bodies(scene.tell(heartbeat)) == [HeartbeatRejected("eth0", PEER, reason, 1)]
    assert bodies(scene.tell(heartbeat)) == []
    scene.run_to(10_000)
    assert bodies(scene.tell(heartbeat)) == [HeartbeatRejected("eth0", PEER, reason, 3)]
    assert not scene.brain.peering.peers.alive("lb2")


def test_a_heartbeat_that_is_not_authentic_is_told_and_heeded_by_nobody() -> None:
    """It says that the owner is gone, under another life of the peer, and that we were replaced."""
    scene = speaker()
    scene.tell(arrived(scene))
    word = RouterWord(RouterKeyOnWire.of("web-vip", Family.IPV4), Role.INITIALIZE, 0)
    payload = Heartbeat("lb2", "g9", 6, 2, timedelta(seconds=60), (word,), replaced=True).encode()
    forged = HeartbeatArrived("eth0", PEER, 255, payload, scene.now, HeartbeatFlaw.WRONG_HMAC)
    assert bodies(scene.tell(forged)) == [HeartbeatRejected("eth0", PEER, HeartbeatFlaw.WRONG_HMAC, 1)]
    peers = scene.brain.peering.peers
    assert not peers.replaced
    assert peers.best_other("web-vip", Family.IPV4) == 90
    assert [body for body in bodies(scene.run_to(1000)) if isinstance(body, PeerSilent)], "it keeps nobody alive"


def test_more_routers_than_one_heartbeat_holds_go_in_several() -> None:
    peering = SpeakerPeering(boot=1)
    vips = tuple(f"vip-{number}" for number in range(MAX_ROUTERS + 1))
    peering.configure(at(0), replace(HEARTBEAT, peers=(replace(LB2, vips=vips),)))
    machines = [
        VirtualRouter(replace(PARAMS, vip=vip, key=replace(KEY, vrid=n % 255 + 1))) for n, vip in enumerate(vips)
    ]
    told = [said(effect) for effect in peering.send(at(0), machines) if effect.interface == "eth0"]
    assert [len(heartbeat.routers) for heartbeat in told] == [MAX_ROUTERS, 1]


def test_only_the_routers_that_a_peer_shares_are_told_to_it() -> None:
    scene = speaker(heartbeat=replace(HEARTBEAT, peers=(replace(LB2, vips=("mail-vip",)),)))
    assert words(scene.run_to(500))[-1] == []


def barred_owner() -> Speaker:
    scene = speaker()
    scene.run_to(400)
    scene.tell(SetPriority(KEY, 100, barred=True))
    return scene


@pytest.mark.req("B-24")
def test_an_owner_that_may_not_own_steps_aside_as_soon_as_a_peer_says_that_it_may() -> None:
    scene = barred_owner()
    scene.tell(arrived(scene, priority=0))
    assert scene.state() is RouterState.ACTIVE
    assert sent(scene.tell(arrived(scene, sequence=2, priority=90))) == [0]
    assert scene.state() is RouterState.LEAVING
    assert scene.addresses >= {("eth0", str(VIP))}, "until somebody else serves"
    scene.hear(90)
    scene.run_to(scene.now.us / 1000 + 100)
    assert scene.state() is RouterState.BACKUP


@pytest.mark.req("B-24")
def test_it_steps_aside_at_once_if_it_knows_already() -> None:
    scene = speaker()
    scene.run_to(350)
    scene.tell(arrived(scene))
    scene.run_to(400)
    assert scene.state() is RouterState.ACTIVE
    assert 0 in sent(scene.tell(SetPriority(KEY, 100, barred=True)))


def test_it_asks_only_once_for_the_same_and_keeps_if_nobody_comes() -> None:
    scene = barred_owner()
    zeros = []
    for sequence in range(1, 100):
        zeros += [priority for priority in sent(scene.tell(arrived(scene, sequence=sequence))) if priority == 0]
        scene.run_to(scene.now.us / 1000 + 100)
    assert zeros == [0]
    assert scene.state() is RouterState.ACTIVE


def test_a_heartbeat_tells_that_an_owner_may_not_own() -> None:
    scene = barred_owner()
    assert (Role.ACTIVE, 0) in words(scene.said)[-1]


def test_who_leaves_tells_its_successor_at_once_that_it_was_heard() -> None:
    """That one answers for the addresses from then on."""
    scene = speaker()
    scene.run_to(1000)
    assert scene.state(KEY) is RouterState.ACTIVE
    assert [w.yields for b in beats(scene.tell(MoveRouter(KEY))) for w in said(b).routers] == [False] * 4
    heard = beats(scene.hear(50))
    assert len(heard) == len(PATHS)
    assert [(w.key.family, w.role, w.yields) for w in said(heard[0]).routers] == [
        (Family.IPV4, Role.LEAVING, True),
        (Family.IPV6, Role.ACTIVE, False),
    ]
