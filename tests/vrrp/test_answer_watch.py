"""Who answers for an address: every role, every picture, and what is told of a change."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.vrrp.wire_scene import HERE, HERS, INTRUDER, MINE, NOW, PARAMS, VIP, mac
from yaoki.core.address import MacAddress
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Instant
from yaoki.vrrp.answer_watch import (
    ANSWER_TIME,
    CALM_QUESTIONS,
    CONFIRM_TIME,
    HEARD_LATELY,
    MAX_ANSWERS,
    AnswerWatch,
    Aside,
    Contested,
    Effect,
    Listening,
    Owning,
    Plain,
    Resting,
    Role,
    Silent,
    Waiting,
)
from yaoki.vrrp.claim_watch import Reassert
from yaoki.vrrp.member_macs import Ask
from yaoki.vrrp.wire_events import AnsweredUnadvertised, OneAnswers, OwnedButSilent, TwoOwnersSeen
from yaoki.vrrp.wire_params import SILENT_QUESTIONS, WireParams, question_pause

PEER = IPv4Address("192.0.2.12")
THIRD = mac(3)
LONG_AGO = NOW - timedelta(hours=1)
WHAT = ("vip", PARAMS.router, VIP, "eth0")


class Scene:
    """A watch, and a clock that jumps from deadline to deadline."""

    def __init__(self, role: Role, params: WireParams = PARAMS) -> None:
        self.now = NOW
        self.members = {MINE: HERE, HERS: "lb2", THIRD: "lb3"}
        self.watch = AnswerWatch(params, VIP, NOW, node_of=self.members.get)
        self.watch.know(role)
        self.watch.begin(NOW)

    def round(self, *macs: MacAddress) -> list[Effect]:
        """One question, answered so; what follows it."""
        deadline = self.watch.deadline()
        assert deadline is not None
        self.now = deadline.at
        assert self.watch.timer_fired(self.now) == [Ask(VIP)]
        for answering in macs:
            self.watch.answered(self.now + timedelta(milliseconds=1), answering)
        deadline = self.watch.deadline()
        assert deadline is not None
        self.now = deadline.at
        return self.watch.timer_fired(self.now)

    def rounds(self, count: int, *macs: MacAddress) -> list[Effect]:
        return [effect for _ in range(count) for effect in self.round(*macs)]


def bodies(effects: list[Effect]) -> list[EventBody]:
    return [effect.body for effect in effects if isinstance(effect, Emit)]


def hearing(since: Instant = LONG_AGO) -> Listening:
    return Listening(since, PEER, NOW)


def test_a_question_is_asked_each_pause_and_waited_for() -> None:
    scene = Scene(hearing())
    assert scene.watch.timer_fired(NOW) == [Ask(VIP)]
    assert isinstance(scene.watch.question, Waiting)
    assert scene.watch.timer_fired(NOW + ANSWER_TIME - timedelta(microseconds=1)) == []
    assert scene.watch.timer_fired(NOW + ANSWER_TIME) == []
    deadline = scene.watch.deadline()
    assert deadline is not None
    assert deadline.at == NOW + PARAMS.ask_every
    assert scene.watch.timer_fired(NOW + ANSWER_TIME) == []


def test_while_the_interface_is_away_nobody_is_asked() -> None:
    scene = Scene(hearing())
    scene.round()
    scene.watch.rest()
    assert (scene.watch.question, scene.watch.deadline(), scene.watch.sight) == (Resting(), None, Plain())
    assert scene.watch.timer_fired(scene.now) == []
    scene.watch.begin(scene.now)
    scene.watch.begin(scene.now + timedelta(hours=1))
    assert scene.round(HERS) == []


@pytest.mark.parametrize("role", [hearing(), Owning(LONG_AGO), Aside(LONG_AGO)])
def test_one_owner_is_nothing_to_tell_of(role: Role) -> None:
    scene = Scene(role)
    assert scene.rounds(20, *([] if isinstance(role, Owning) else [HERS])) == []
    assert scene.watch.sight == Plain()
    assert scene.watch.answers == (() if isinstance(role, Owning) else (HERS,))


@pytest.mark.req("B-21")
def test_an_owner_that_is_advertised_and_does_not_answer_is_told_once() -> None:
    scene = Scene(hearing())
    told = bodies(scene.rounds(10))
    (silent,) = told
    assert isinstance(silent, OwnedButSilent)
    assert (silent.vip, silent.address, silent.peer) == ("vip", VIP, PEER)
    assert silent.silent_for >= PARAMS.silent_after
    assert isinstance(scene.watch.sight, Silent)
    assert bodies(scene.rounds(3, HERS)) == [OneAnswers(*WHAT, "lb2")]


@pytest.mark.parametrize(
    "role",
    [
        Aside(LONG_AGO),
        Listening(LONG_AGO),
        Listening(LONG_AGO, PEER, NOW - HEARD_LATELY - timedelta(seconds=10)),
        Owning(LONG_AGO),
    ],
)
def test_silence_of_nobody_is_nothing_to_tell_of(role: Role) -> None:
    assert bodies(Scene(role).rounds(10)) == []


def test_a_few_lost_answers_are_no_silence() -> None:
    scene = Scene(hearing())
    for _ in range(5):
        assert bodies(scene.rounds(SILENT_QUESTIONS - 1)) == []
        assert bodies(scene.round(HERS)) == []


def test_silence_is_counted_from_the_change_of_roles() -> None:
    """A failover takes its time; that of the former owner is not the new one's."""
    scene = Scene(hearing())
    scene.rounds(SILENT_QUESTIONS - 1)
    scene.watch.know(hearing(scene.now))
    assert bodies(scene.rounds(SILENT_QUESTIONS)) == []


def test_what_was_dropped_unseen_is_no_silence() -> None:
    scene = Scene(hearing())
    for _ in range(10):
        deadline = scene.watch.deadline()
        assert deadline is not None
        scene.watch.timer_fired(deadline.at)
        scene.watch.blinded()
        deadline = scene.watch.deadline()
        assert deadline is not None
        assert scene.watch.timer_fired(deadline.at) == []
    assert scene.watch.asked_at is None


def test_a_process_that_was_stopped_concludes_nothing_from_what_it_missed() -> None:
    scene = Scene(hearing())
    for _ in range(10):
        deadline = scene.watch.deadline()
        assert deadline is not None
        scene.watch.timer_fired(deadline.at)
        scene.now = deadline.at + timedelta(minutes=1)
        scene.watch.know(Listening(LONG_AGO, PEER, scene.now))
        assert scene.watch.timer_fired(scene.now) == []


@pytest.mark.req("B-21")
def test_two_that_answer_one_question_are_told_when_seen_twice() -> None:
    scene = Scene(hearing())
    assert scene.round(HERS, THIRD) == []
    deadline = scene.watch.deadline()
    assert deadline is not None
    assert deadline.at == scene.now + CONFIRM_TIME
    assert bodies(scene.round(THIRD, HERS)) == [TwoOwnersSeen(*WHAT, ("lb3", "lb2"), (THIRD, HERS))]
    assert bodies(scene.rounds(10, HERS, THIRD)) == []
    assert bodies(scene.rounds(CALM_QUESTIONS - 1, HERS)) == []
    assert bodies(scene.round(HERS)) == [OneAnswers(*WHAT, "lb2")]


def test_the_overlap_of_a_planned_move_is_no_second_owner() -> None:
    scene = Scene(hearing())
    assert scene.rounds(1, HERS, THIRD) + scene.rounds(5, THIRD) == []


@pytest.mark.req("B-21")
def test_whoever_answers_the_owners_question_is_a_second_owner() -> None:
    scene = Scene(Owning(LONG_AGO, NOW))
    assert scene.round(HERS) == []
    told = scene.round(HERS)
    assert told == [Emit(TwoOwnersSeen(*WHAT, (HERE, "lb2"), (HERS,))), Reassert()]
    assert scene.round(HERS) == [Reassert()]
    assert bodies(scene.rounds(CALM_QUESTIONS)) == [OneAnswers(*WHAT, HERE)]


@pytest.mark.req("B-21")
def test_a_second_owner_that_nobody_hears_advertise_is_named_as_the_cause() -> None:
    scene = Scene(Owning(LONG_AGO, LONG_AGO - timedelta(seconds=1)))
    scene.round(HERS)
    cause, two, reassert = scene.round(HERS)
    assert cause == Emit(AnsweredUnadvertised(*WHAT, "lb2", HERS))
    assert (two, reassert) == (Emit(TwoOwnersSeen(*WHAT, (HERE, "lb2"), (HERS,))), Reassert())


@pytest.mark.req("B-21")
def test_a_member_that_answers_while_nobody_advertises_is_told_once() -> None:
    scene = Scene(Listening(LONG_AGO))
    assert bodies(scene.rounds(5, HERS)) == [AnsweredUnadvertised(*WHAT, "lb2", HERS)]
    scene.watch.know(Listening(scene.now))
    assert bodies(scene.rounds(SILENT_QUESTIONS - 1, HERS)) == [], "a node that has just started waits"
    assert bodies(scene.rounds(5, HERS)) == [AnsweredUnadvertised(*WHAT, "lb2", HERS)]


def test_of_two_that_both_announce_only_the_higher_goes_on() -> None:
    lower = replace(PARAMS, here="lb2")
    higher_scene, lower_scene = Scene(Owning(LONG_AGO, NOW)), Scene(Owning(LONG_AGO, NOW), lower)
    lower_scene.members.update({MINE: "lb2", HERS: "lb1"})
    for scene, goes_on in ((higher_scene, True), (lower_scene, False)):
        scene.watch.announced(NOW, HERS)
        scene.round(HERS)
        assert (Reassert() in scene.round(HERS)) is goes_on
        assert (Reassert() in scene.round(HERS)) is goes_on
    lower_scene.watch.know(Owning(lower_scene.now, NOW))
    assert Reassert() in lower_scene.round(HERS), "in a new role the other may be dead"


def test_a_foreign_answer_is_neither_owner_nor_silence() -> None:
    scene = Scene(hearing())
    assert scene.rounds(10, INTRUDER) == []
    assert scene.watch.sight == Plain()


def test_when_both_owners_are_gone_it_is_silent_until_somebody_answers() -> None:
    scene = Scene(hearing())
    scene.rounds(2, HERS, THIRD)
    assert isinstance(scene.watch.sight, Contested)
    assert bodies(scene.rounds(3)) == []
    assert isinstance(scene.watch.sight, Silent)
    assert bodies(scene.round(HERS, THIRD)) == []
    assert bodies(scene.round(HERS, THIRD)) == [TwoOwnersSeen(*WHAT, ("lb2", "lb3"), (HERS, THIRD))]


def test_answers_to_one_question_are_bounded() -> None:
    scene = Scene(hearing())
    scene.round(*(mac(100 + number) for number in range(MAX_ANSWERS + 10)))
    assert len(scene.watch.answers) == MAX_ANSWERS
    for number in range(MAX_ANSWERS + 10):
        scene.watch.announced(NOW, mac(100 + number))


@pytest.mark.parametrize(
    ("interval_ms", "addresses", "pause_ms"),
    [(10, 1, 200), (50, 1, 500), (100, 1, 1000), (1000, 1, 1000), (100, 255, 2550), (10, 10, 200)],
)
def test_the_pause_follows_the_advertisements_and_the_number_of_addresses(
    interval_ms: int, addresses: int, pause_ms: int
) -> None:
    pause = question_pause(timedelta(milliseconds=interval_ms), addresses=addresses)
    assert pause == timedelta(milliseconds=pause_ms)


@pytest.mark.req("B-21", "B-06")
def test_two_answers_from_the_virtual_mac_are_two_owners() -> None:
    scene, virtual = Scene(hearing()), PARAMS.virtual_mac
    scene.members[virtual] = "VRID 51"
    assert scene.rounds(5, virtual) == [], "one answers"
    assert scene.round(virtual, virtual) == []
    assert bodies(scene.round(virtual, virtual)) == [TwoOwnersSeen(*WHAT, ("VRID 51", "VRID 51"), (virtual, virtual))]
    assert bodies(scene.rounds(CALM_QUESTIONS, virtual)) == [OneAnswers(*WHAT, "VRID 51")]
    scene.round(*[virtual] * (2 * MAX_ANSWERS))
    assert len(scene.watch.answers) == MAX_ANSWERS


@pytest.mark.rfc("9568", "7.3")
def test_the_virtual_mac_names_the_virtual_router() -> None:
    assert str(PARAMS.virtual_mac) == "00:00:5e:00:01:33"
    assert (PARAMS.priority("lb1"), PARAMS.priority("nobody")) == (150, 0)
