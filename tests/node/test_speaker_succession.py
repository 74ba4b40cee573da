"""A newer speaker that takes an older one's place: what it is told, when, and that it is where the older one was."""

from dataclasses import replace

import pytest

from tests.node.speaker_scene import ETH0, KEY, KEY_6, PARAMS, PARAMS_6, PEER_6, VIP, Speaker, bodies, sent
from tests.node.test_speaker_gates import ABLE, HEARTBEAT, REFRESH, Guarded, owner
from yaoki.node.messages import (
    ArmedAddress,
    ConfigureRouters,
    GateFound,
    InterfaceFound,
    MoveRouter,
    RefreshGate,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SetPriority,
    SpeakerOrder,
)
from yaoki.node.speaker_events import Overslept
from yaoki.vrrp.dead_man import dead_man_limit

pytestmark = pytest.mark.req("B-19")


def test_wishes_are_the_orders_that_are_in_force() -> None:
    speaker = Speaker(PARAMS, PARAMS_6)
    assert speaker.brain.wishes() == [ConfigureRouters((PARAMS, PARAMS_6))]
    speaker.tell(SetPriority(KEY, 40))
    speaker.tell(SetPriority(KEY_6, 100, barred=True))
    assert speaker.brain.wishes()[1:] == [SetPriority(KEY, 40), SetPriority(KEY_6, 100, barred=True)]
    speaker.tell(ConfigureRouters((PARAMS_6,)))
    assert [order for order in speaker.brain.wishes() if isinstance(order, ConfigureRouters)] == [
        ConfigureRouters((PARAMS_6,))
    ]


def test_one_that_was_never_told_anything_has_no_wishes() -> None:
    assert Speaker().brain.wishes() == []
    assert Speaker().brain.steady


def test_nothing_is_handed_over_while_a_router_is_on_its_way_out() -> None:
    speaker = Speaker(PARAMS)
    speaker.run_to(1000)
    assert speaker.brain.steady
    assert speaker.brain.owns
    speaker.tell(MoveRouter(KEY))
    assert not speaker.brain.steady
    speaker.hear(50)
    assert not speaker.brain.steady
    speaker.run_to(1040)
    assert speaker.brain.steady
    assert not speaker.brain.owns


def test_nor_while_the_owner_that_leaves_is_about_to_be_relieved_here() -> None:
    # The newer one would learn of it by the next word of priority zero, an interval later.
    speaker = Speaker(PARAMS)
    speaker.hear(150)
    assert speaker.brain.steady
    speaker.hear(0)
    assert not speaker.brain.steady
    speaker.tell(SetPriority(KEY, 100, barred=True))
    assert speaker.brain.steady
    speaker.tell(SetPriority(KEY, 100))
    speaker.run_to(1000)
    assert speaker.state() is RouterState.ACTIVE
    assert speaker.brain.steady


def test_nor_by_one_that_releases_or_waits_for_an_address() -> None:
    speaker = Speaker(PARAMS)
    speaker.tell(ReleaseRouters())
    assert not speaker.brain.steady
    slow = Speaker(interface=None)
    slow.takes = False
    slow.tell(ConfigureRouters((PARAMS_6,)))
    slow.tell(ETH0)
    slow.hear(0, source=PEER_6, key=KEY_6)
    skew = slow.brain.deadline()
    assert skew is not None
    slow.run_to(skew.at.us / 1000)
    assert slow.state(KEY_6) is RouterState.ACTIVE
    assert not slow.brain.steady


def succeeding(older: Guarded, orders: list[SpeakerOrder]) -> Speaker:
    """A speaker that begins at the moment at which the older one fell silent."""
    newer = Speaker(interface=None)
    newer.now = older.now
    newer.tell(ABLE)
    newer.tell(GateFound((ArmedAddress(VIP.ip, dead_man_limit(PARAMS.interval, ABLE.tick)),)))
    for order in orders:
        newer.tell(order)
    newer.said.clear()
    newer.tell(InterfaceFound("eth0", True, ETH0.ipv4, ETH0.ipv6_link_local, (VIP,)))
    return newer


def test_the_newer_one_owns_at_once_with_the_priority_of_the_older_and_keeps_the_gate_open() -> None:
    older = owner()
    older.tell(SetPriority(KEY, 90))
    newer = succeeding(older, older.brain.wishes())
    assert newer.state() is RouterState.ACTIVE
    assert sent(newer.said) == [90]
    assert [effect for effect in newer.said if isinstance(effect, RefreshGate | ReleaseAddress)] == [REFRESH]
    # Long enough for the peer to be heard again.
    assert [type(body) for body in bodies(newer.run_to(newer.now.us / 1000 + 250)) if isinstance(body, Overslept)] == []
    assert newer.brain.wishes() == [
        ConfigureRouters((replace(PARAMS),), heartbeat=HEARTBEAT),
        SetPriority(KEY, 90),
    ]
