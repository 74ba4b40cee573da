"""Foreign claims of one address: suspicion, judgement, quiet, limits."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vrrp.wire_scene import HERE, HERS, INTRUDER, MINE, NOW, PARAMS, VIP, mac
from yaoki.core.address import MacAddress
from yaoki.core.event import Emit
from yaoki.packet.claim import Form
from yaoki.vrrp.claim_watch import CLAIM_QUIET, MAX_CLAIMANTS, VERIFY_TIME, AskMembers, ClaimWatch, Reassert
from yaoki.vrrp.wire_events import ArpLeaked, ClaimsEnded, ForeignClaim, UnknownClaim

ROUTER = PARAMS.router


class Scene:
    def __init__(self) -> None:
        self.members = {MINE: HERE, HERS: "lb2"}
        self.servers: dict[MacAddress, str] = {}
        self.unknown: tuple[str, ...] = ()
        self.watch = ClaimWatch(
            PARAMS, VIP, node_of=self.members.get, unknown=lambda: self.unknown, server_of=self.servers.get
        )

    def foreign(self, count: int, form: Form = Form.ANNOUNCEMENT, *, others: int = 0) -> Emit:
        return Emit(ForeignClaim("vip", ROUTER, VIP, INTRUDER, "eth0", form, count, others))


def test_a_members_claim_is_nothing() -> None:
    scene = Scene()
    for form in Form:
        assert scene.watch.claimed(NOW, HERS, form) == []
    assert (scene.watch.deadline(), scene.watch.claims) == (None, 0)


@pytest.mark.req("B-09")
@pytest.mark.parametrize("form", Form)
def test_a_foreign_claim_is_contradicted_at_once_and_told_when_verified(form: Form) -> None:
    scene = Scene()
    assert scene.watch.claimed(NOW, INTRUDER, form) == [AskMembers(), Reassert()]
    assert scene.watch.claimed(NOW, INTRUDER, form) == [Reassert()]
    assert scene.watch.timer_fired(NOW + VERIFY_TIME - timedelta(microseconds=1)) == []
    deadline = scene.watch.deadline()
    assert deadline is not None
    assert deadline.at == NOW + VERIFY_TIME
    assert scene.watch.timer_fired(deadline.at) == [scene.foreign(2, form), Reassert()]
    assert [claimant.mac for claimant in scene.watch.foreign] == [INTRUDER]


def test_a_member_with_a_new_card_is_no_alarm() -> None:
    scene = Scene()
    scene.watch.claimed(NOW, INTRUDER, Form.ANNOUNCEMENT)
    scene.members[INTRUDER] = "lb2"
    assert scene.watch.timer_fired(NOW + VERIFY_TIME) == []
    assert (scene.watch.deadline(), scene.watch.foreign) == (None, ())


def test_one_mac_is_told_once_in_a_while_and_contradicted_each_time() -> None:
    scene = Scene()
    scene.watch.claimed(NOW, INTRUDER, Form.ANNOUNCEMENT)
    told_at = NOW + VERIFY_TIME
    scene.watch.timer_fired(told_at)
    assert scene.watch.claimed(told_at + timedelta(seconds=9), INTRUDER, Form.ANSWER) == [Reassert()]
    again = told_at + CLAIM_QUIET
    assert scene.watch.claimed(again, INTRUDER, Form.ANSWER) == [scene.foreign(3, Form.ANSWER), Reassert()]


def test_when_it_is_quiet_the_claims_have_ended() -> None:
    scene = Scene()
    scene.watch.claimed(NOW, INTRUDER, Form.ANNOUNCEMENT)
    scene.watch.timer_fired(NOW + VERIFY_TIME)
    deadline = scene.watch.deadline()
    assert deadline is not None
    assert deadline.at == NOW + VERIFY_TIME + CLAIM_QUIET
    assert scene.watch.timer_fired(deadline.at) == [Emit(ClaimsEnded("vip", ROUTER, VIP, INTRUDER, "eth0", 1))]
    assert scene.watch.deadline() is None


def test_while_a_member_is_not_known_the_claim_may_be_its() -> None:
    scene = Scene()
    scene.unknown = ("lb2", "a member of another VIP")
    scene.watch.claimed(NOW, INTRUDER, Form.ANNOUNCEMENT)
    told = UnknownClaim("vip", ROUTER, VIP, INTRUDER, "eth0", Form.ANNOUNCEMENT, 1, ("lb2",))
    assert scene.watch.timer_fired(NOW + VERIFY_TIME) == [Emit(told), Reassert()]
    scene.unknown = ()
    again = NOW + VERIFY_TIME + CLAIM_QUIET - timedelta(microseconds=1)
    assert scene.watch.claimed(again, INTRUDER, Form.ANNOUNCEMENT) == [Reassert()]
    again += timedelta(seconds=1)
    assert scene.watch.claimed(again, INTRUDER, Form.ANNOUNCEMENT) == [scene.foreign(3), Reassert()]


@pytest.mark.req("D-19")
def test_a_real_server_that_leaks_arp_is_named() -> None:
    scene = Scene()
    scene.servers[INTRUDER] = "web1"
    scene.watch.claimed(NOW, INTRUDER, Form.ANSWER)
    leaked = ArpLeaked("vip", ROUTER, VIP, INTRUDER, "eth0", Form.ANSWER, 1, "web1")
    assert scene.watch.timer_fired(NOW + VERIFY_TIME) == [Emit(leaked), Reassert()]


def test_of_more_macs_than_are_told_apart_one_is_told_and_all_are_contradicted() -> None:
    scene = Scene()
    for number in range(MAX_CLAIMANTS - 1):
        scene.watch.claimed(NOW, mac(100 + number), Form.ANNOUNCEMENT)
    scene.watch.claimed(NOW, INTRUDER, Form.ANNOUNCEMENT)
    fifth = ForeignClaim("vip", ROUTER, VIP, mac(200), "eth0", Form.ANNOUNCEMENT, 1, 1)
    assert scene.watch.claimed(NOW, mac(200), Form.ANNOUNCEMENT) == [Emit(fifth), Reassert()]
    assert scene.watch.claimed(NOW, mac(201), Form.ANSWER) == [Reassert()]
    told = scene.watch.timer_fired(NOW + VERIFY_TIME)
    assert scene.foreign(1, others=2) in told
    assert len([effect for effect in told if isinstance(effect, Emit)]) == MAX_CLAIMANTS
    assert scene.watch.claims == MAX_CLAIMANTS + 2
    sixth = replace(fifth, mac=mac(201), form=Form.ANSWER, others=3)
    later = NOW + CLAIM_QUIET
    assert scene.watch.claimed(later, mac(201), Form.ANSWER) == [Emit(sixth), Reassert()]


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 40)), max_size=80))
def test_whatever_is_claimed_events_are_few_and_memory_is_bounded(claims: list[tuple[int, int]]) -> None:
    scene, now, told = Scene(), NOW, 0
    for pause_ms, number in claims:
        now += timedelta(milliseconds=pause_ms)
        effects = [*scene.watch.timer_fired(now), *scene.watch.claimed(now, mac(100 + number), Form.ANNOUNCEMENT)]
        told += sum(isinstance(effect, Emit) and isinstance(effect.body, ForeignClaim) for effect in effects)
        assert len(scene.watch.foreign) <= MAX_CLAIMANTS
    elapsed = (now - NOW) / CLAIM_QUIET
    assert told <= (1 + elapsed) * (2 * MAX_CLAIMANTS + 1)
    assert scene.watch.claims == len(claims)


def test_the_address_is_that_of_the_watch() -> None:
    assert Scene().watch.address == IPv4Address("192.0.2.50")
