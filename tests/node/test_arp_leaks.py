"""A real server that claims the VIP gets no new flows where the service says so, and comes back when it is quiet."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.scene import SECOND, VIP, Scene, address, mac, server, service, verdict
from tests.node.wire_scene import HERS, MINE, PEER, UP, claim, told, watched_plan
from yaoki.core.address import MacAddress
from yaoki.core.instant import Instant
from yaoki.lb.service import Desired, Forward, WhenAllDown
from yaoki.node.arp_leaks import PRESUMED, QUIET, ArpLeaks, Caught, Leak, Presumed
from yaoki.node.brain_events import ServerDutyChanged
from yaoki.node.brain_messages import BrainEffect, NeighbourFound, NewPlan, SpeakerBack, WorkerBack
from yaoki.node.decisions import Decisions, ServerDecision
from yaoki.node.messages import Published, RouterState, RouterStatus
from yaoki.node.snapshot import ServerView, view
from yaoki.packet.claim import Form
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.pool.policy import Reason
from yaoki.site.model import ArpLeak
from yaoki.site.node_plan import NodePlan, ServicePlan
from yaoki.vrrp.claim_watch import VERIFY_TIME, Foreign
from yaoki.vrrp.wire_events import ArpLeaked

WEB = tuple(mac(20 + number) for number in (1, 2, 3))
ASKED = SECOND
"""A question for the VIP in each."""


def pair(arp_leak: ArpLeak = ArpLeak.REMOVE, *, count: int = 2, forward: Forward = Forward.DIRECT) -> ServicePlan:
    servers = [server(number, forward=forward) for number in range(1, count + 1)]
    return replace(service(servers=servers, when_all_down=WhenAllDown.LAST_KNOWN), arp_leak=arp_leak)


def plan_of(*services: ServicePlan, generation: str = "g1") -> NodePlan:
    whole = watched_plan()
    checks = {c: replace(whole.checks[0], id=c) for s in services for each in s.servers for c in each.checks}
    return replace(whole, services=services, checks=tuple(checks.values()), generation=generation)


class LeakScene(Scene):
    """lb1 owns the VIP, all servers are up and their MACs known; `leaking` are those that answer for the VIP."""

    def __init__(
        self, plan: NodePlan | None = None, *, found: Desired = Desired(), decisions: Decisions = Decisions()
    ) -> None:
        super().__init__(found=found, decisions=decisions)
        self.leaking: set[MacAddress] = set()
        plan = plan_of(pair()) if plan is None else plan
        self.give(SpeakerBack(), WorkerBack(), NewPlan(plan), UP)
        status = RouterStatus(plan.routers[0].key, "web-vip", RouterState.ACTIVE, self.now, 150, "", None, None, None)
        self.give(status, claim(PEER, HERS, Form.QUESTION))
        self.give(*(NeighbourFound(address(number), WEB[number - 1]) for number in (1, 2, 3)))
        self.give(*(verdict(number, Health.UP, self.now) for number in (1, 2, 3)))

    def wait(self, duration: timedelta) -> list[BrainEffect]:
        """Let time pass; whoever leaks answers each question for the VIP."""
        effects: list[BrainEffect] = []
        until = self.now + duration
        while (deadline := self.brain.deadline()) is not None and deadline.at <= until:
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            effects += (new := self.pass_time(timedelta(0)))
            if any(getattr(effect, "address", None) == VIP for effect in new):
                answers = (claim(VIP, each, Form.ANSWER, to=MINE) for each in sorted(self.leaking, key=str))
                effects += self.give(*answers)
        self.now = until
        return effects

    def seen(self, name: str = "web1") -> ServerView:
        (found,) = (s for each in view(self.brain, self.now).services[:1] for s in each.servers if s.name == name)
        return found


@pytest.mark.req("D-09")
def test_a_server_that_is_caught_keeps_its_flows_and_gets_no_new_ones_and_the_claim_is_the_cause() -> None:
    scene = LeakScene()
    assert scene.duties() == ("serve", "serve")
    scene.leaking = {WEB[0]}
    effects = scene.wait(ASKED + VERIFY_TIME)
    assert scene.duties() == ("drain", "serve")
    assert (scene.seen().reason, scene.seen().health) == (Reason.LEAKS, Health.UP)
    events = [effect.event for effect in effects if isinstance(effect, Published)]
    (leaked,) = (event for event in events if isinstance(event.body, ArpLeaked))
    (changed,) = (event for event in events if isinstance(event.body, ServerDutyChanged))
    assert changed.because == leaked.id
    assert changed.body == ServerDutyChanged("web", VIP, "web1", Duty.DRAIN, Reason.LEAKS, "")


def test_unless_the_service_says_so_it_is_only_told() -> None:
    scene = LeakScene(plan_of(pair(ArpLeak.TELL)))
    scene.leaking = {WEB[0]}
    assert len(told(scene.wait(5 * ASKED), ArpLeaked)) == 1
    assert scene.duties() == ("serve", "serve")


def test_of_two_services_on_an_address_each_has_its_say_and_an_address_translated_server_is_no_leak() -> None:
    told_only = replace(pair(ArpLeak.TELL), name="told", key=replace(pair().key, port=81))
    translated = replace(pair(forward=Forward.NAT), name="translated", key=replace(pair().key, port=82))
    scene = LeakScene(plan_of(pair(), told_only, translated))
    scene.leaking = {WEB[0]}
    scene.wait(5 * ASKED)
    assert [scene.duties(name) for name in ("web", "told", "translated")] == [
        ("drain", "serve"),
        ("serve", "serve"),
        ("serve", "serve"),
    ]


def test_it_is_back_when_it_answered_no_question_for_the_whole_time() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(10 * SECOND)
    scene.leaking = set()
    scene.wait(QUIET - 2 * ASKED)
    assert scene.duties() == ("drain", "serve")
    effects = scene.wait(4 * ASKED)
    assert scene.duties() == ("serve", "serve")
    assert told(effects, ServerDutyChanged) == [ServerDutyChanged("web", VIP, "web1", Duty.SERVE, Reason.UP, "")]


def test_one_that_claims_now_and_then_does_not_come_and_go() -> None:
    scene = LeakScene()
    effects: list[BrainEffect] = []
    for _ in range(20):
        scene.leaking = {WEB[0]}
        effects += scene.wait(2 * ASKED)
        scene.leaking = set()
        effects += scene.wait(QUIET - 5 * ASKED)
    assert len(told(effects, ServerDutyChanged)) == 1


def test_silence_while_nobody_can_ask_proves_nothing() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(5 * SECOND)
    scene.leaking = set()
    scene.give(replace(UP, up=False))
    scene.wait(10 * QUIET)
    assert scene.duties() == ("drain", "serve")
    scene.give(UP)
    scene.wait(3 * ASKED)
    assert scene.duties() == ("serve", "serve"), "it was asked so long after its last claim, and said nothing"


def test_one_that_leaks_after_all_when_it_can_be_asked_again_stays_out() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(5 * SECOND)
    scene.give(replace(UP, up=False))
    scene.wait(10 * QUIET)
    scene.give(UP)
    assert told(scene.wait(10 * ASKED), ServerDutyChanged) == []


@pytest.mark.req("D-09")
def test_the_last_server_is_never_taken_and_one_that_leaks_stands_in_for_one_that_falls() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(2 * ASKED)
    assert scene.duties() == ("drain", "serve")
    scene.verdict(2, Health.DOWN)
    assert scene.duties() == ("serve", "out")
    assert scene.seen().reason is Reason.LEAK_BORNE
    scene.verdict(2, Health.UP)
    assert scene.duties() == ("drain", "serve")
    scene.leaking = {WEB[0], WEB[1]}
    scene.wait(2 * ASKED)
    assert scene.duties() == ("serve", "serve")


def test_a_reload_keeps_what_is_known_and_tell_lets_it_back_at_once() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(2 * ASKED)
    scene.give(NewPlan(plan_of(pair(count=3), generation="g2")))
    assert scene.duties()[:2] == ("drain", "serve")
    scene.give(NewPlan(plan_of(pair(ArpLeak.TELL), generation="g3")))
    assert scene.duties() == ("serve", "serve")


# --- a restart of the main process ------------------------------------------------------------------------------------


def restarted(scene: LeakScene, decisions: Decisions = Decisions(), plan: NodePlan | None = None) -> LeakScene:
    again = LeakScene(plan, found=scene.applied[-1], decisions=decisions)
    again.leaking = scene.leaking
    return again


def test_a_restart_sends_it_no_new_flows_while_it_leaks() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(2 * ASKED)
    again = restarted(scene)
    again.wait(10 * SECOND)
    assert {s.duty for each in again.applied for s in each.services[0].servers if s.name == "web1"} <= {Duty.DRAIN}
    again.leaking = set()
    again.wait(QUIET + 2 * ASKED)
    assert again.duties() == ("serve", "serve")


def test_one_that_was_mended_before_the_restart_is_back_after_a_few_questions() -> None:
    scene = LeakScene()
    scene.leaking = {WEB[0]}
    scene.wait(2 * ASKED)
    scene.leaking = set()
    again = restarted(scene)
    again.wait(PRESUMED - ASKED)
    assert again.seen().duty is Duty.DRAIN
    again.wait(3 * ASKED)
    assert again.duties() == ("serve", "serve")


def of_found(duties: tuple[Duty, ...], plan: NodePlan) -> Desired:
    (held,) = LeakScene(plan).brain.desired().services
    servers = zip(held.servers, duties, strict=True)
    return Desired((replace(held, servers=tuple(replace(s, duty=duty) for s, duty in servers)),))


@pytest.mark.parametrize(
    ("duties", "decisions", "priorities", "presumed"),
    [
        ((Duty.DRAIN, Duty.SERVE), Decisions(), (100, 100), {"web1"}),
        ((Duty.SERVE, Duty.SERVE), Decisions(), (100, 100), set()),
        ((Duty.OUT, Duty.SERVE), Decisions(), (100, 100), set()),  # presumed down is another matter
        ((Duty.DRAIN, Duty.DRAIN), Decisions(), (100, 100), {"web1", "web2"}),
        ((Duty.DRAIN, Duty.SERVE), Decisions((ServerDecision("web1", None, AdminState.DRAIN),)), (100, 100), set()),
        ((Duty.DRAIN, Duty.SERVE), Decisions((ServerDecision("web1", "web", weight=0),)), (100, 100), set()),
        ((Duty.DRAIN, Duty.SERVE), Decisions(), (50, 100), set()),  # it stands by
        ((Duty.DRAIN, Duty.SERVE), Decisions(), (100, 50), {"web1"}),
    ],
)
def test_who_is_presumed_to_leak_still(
    duties: tuple[Duty, ...], decisions: Decisions, priorities: tuple[int, int], presumed: set[str]
) -> None:
    servers = zip(pair().servers, priorities, strict=True)
    ranked = replace(pair(), servers=tuple(replace(each, priority=priority) for each, priority in servers))
    for arp_leak in ArpLeak:
        plan = plan_of(replace(ranked, arp_leak=arp_leak))
        leaks = ArpLeaks(lambda _: None)
        leaks.configure(plan)
        leaks.adopt(Instant(0), plan, of_found(duties, plan), decisions)
        assert leaks.of(VIP) == (presumed if arp_leak is ArpLeak.REMOVE else set())


# --- each state with each input ---------------------------------------------------------------------------------------

AT = Instant.of_seconds(2000)


@pytest.mark.parametrize("claimed", [False, True])
@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize(
    ("leak", "asked_after", "leaks_on"),
    [
        (None, timedelta(0), False),
        (Presumed(AT), PRESUMED - timedelta(microseconds=1), True),
        (Presumed(AT), PRESUMED, False),
        (Caught(AT), QUIET - timedelta(microseconds=1), True),
        (Caught(AT), QUIET, False),
    ],
)
def test_each_state_with_each_sight(
    leak: Leak | None, asked_after: timedelta, *, leaks_on: bool, answered: bool, claimed: bool
) -> None:
    scene = LeakScene()
    leaks = scene.brain.leaks
    if leak is not None:
        leaks._leaks[VIP, "web1"] = leak
    (watched,) = scene.brain.wire.of_router(scene.brain.plan.routers[0].key) if scene.brain.plan else ()
    asked_at = AT + asked_after
    watched.answers.asked_at, watched.answers.answers = asked_at, (WEB[0],) if answered else ()
    if claimed:
        watched.claims._claimants[WEB[0]] = Foreign(WEB[0], Form.ANSWER, 1, asked_at, asked_at)
    leaks.look(watched, None)
    assert ("web1" in leaks.of(VIP)) == (claimed or leaks_on or (leak is not None and answered))
    before, after = leak is not None, "web1" in leaks.of(VIP)
    assert leaks.changes() == (((VIP, None),) if before != after else ())


def test_who_is_not_minded_is_not_remembered() -> None:
    leaks = ArpLeaks(lambda _: "web9")
    leaks.configure(plan_of(pair()))
    scene = LeakScene()
    (watched,) = scene.brain.wire.of_router(plan_of(pair()).routers[0].key)
    watched.claims._claimants[WEB[2]] = Foreign(WEB[2], Form.ANSWER, 1, AT, AT)
    leaks.look(watched, None)
    assert leaks.of(VIP) == frozenset()
    assert leaks.changes() == ()
