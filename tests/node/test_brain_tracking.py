"""Checks that a VIP tracks, at the Brain: their verdicts change its priority, or bar the node, and are the cause."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from tests.node.scene import ROUTER, SCHEDULE, SECOND, Scene, found_with_duties, of, plan
from yaoki.checks.check import CheckId, CheckSpec, Finding, IcmpParams, Outcome
from yaoki.core.event import EventId
from yaoki.lb.service import Desired
from yaoki.node.brain_events import PriorityWanted
from yaoki.node.brain_messages import BrainEffect, Operate
from yaoki.node.decisions import AdmitVip, Decisions, MoveVip
from yaoki.node.messages import (
    ConfigureChecks,
    ConfigureRouters,
    Published,
    RouterState,
    RouterStatus,
    SetPriority,
    VerdictChanged,
)
from yaoki.pool.member import Duty, Health
from yaoki.site.node_plan import NodePlan, TrackedProbe, TrackPlan
from yaoki.vrrp.events import Reason
from yaoki.vrrp.standing import LEAST_PRIORITY

pytestmark = pytest.mark.req("B-24")

HOP = CheckId(IPv4Address("192.0.2.1"), IcmpParams())
PROBE = TrackedProbe(HOP, "ping on router")
FELL = EventId("lb1/checks", 7)


def tracking(weight: int | None, *, reverse: bool = False) -> NodePlan:
    before = plan(tracked="")
    return replace(
        before,
        checks=(*before.checks, CheckSpec(HOP, SCHEDULE, "ping on router")),
        tracks=(TrackPlan(ROUTER, PROBE, weight, reverse),),
    )


def hop(scene: Scene, health: Health) -> list[BrainEffect]:
    outcome = Outcome.PASSED if health is Health.UP else Outcome.TIMED_OUT
    return scene.give(VerdictChanged(HOP, health, Finding(outcome, "", timedelta(0)), scene.now, FELL))


def wanted(effects: list[BrainEffect]) -> list[PriorityWanted]:
    bodies = [effect.event.body for effect in effects if isinstance(effect, Published)]
    return [body for body in bodies if isinstance(body, PriorityWanted)]


def test_the_tracked_check_is_run_though_no_server_hangs_on_it() -> None:
    scene = Scene()
    scene.start(tracking(-60))
    assert HOP in [spec.id for spec in of(ConfigureChecks, scene.log)[-1].checks]


def test_its_fall_lowers_the_priority_and_is_the_cause() -> None:
    scene = Scene()
    scene.start(tracking(-60))
    scene.all_up()
    hop(scene, Health.UP)
    effects = hop(scene, Health.DOWN)
    assert wanted(effects) == [PriorityWanted("web-vip", ROUTER, "ping on router", 150, 90)]
    (event,) = [e.event for e in effects if isinstance(e, Published) and isinstance(e.event.body, PriorityWanted)]
    assert event.because == FELL
    assert of(SetPriority, effects) == [SetPriority(ROUTER, 90, event.id)]
    assert of(SetPriority, hop(scene, Health.UP))[0].priority == 150


def test_without_a_weight_the_node_may_not_own() -> None:
    scene = Scene()
    scene.start(tracking(None))
    scene.all_up()
    hop(scene, Health.UP)
    effects = hop(scene, Health.DOWN)
    assert [(order.priority, order.barred) for order in of(SetPriority, effects)] == [(150, True)]
    assert [(body.before, body.after) for body in wanted(effects)] == [(150, 0)]
    assert [(order.priority, order.barred) for order in of(SetPriority, hop(scene, Health.UP))] == [(150, False)]


@pytest.mark.parametrize(("health", "after"), [(Health.UP, 90), (Health.DOWN, 150)])
def test_reverse_counts_while_it_works(health: Health, after: int) -> None:
    scene = Scene()
    scene.start(tracking(-60, reverse=True))
    scene.all_up()
    hop(scene, health)
    assert of(SetPriority, scene.log)[-1].priority == after


def test_what_has_not_been_judged_yet_changes_nothing_and_is_waited_for() -> None:
    scene = Scene()
    scene.start(tracking(None))
    scene.all_up()
    assert of(ConfigureRouters, scene.log) == []
    assert wanted(scene.log) == []
    hop(scene, Health.DOWN)
    assert [order.barred for order in of(SetPriority, scene.log)] == [True], "it is barred before it could own"
    kinds = [type(effect) for effect in scene.log if isinstance(effect, ConfigureRouters | SetPriority)]
    assert kinds == [ConfigureRouters, SetPriority]


@pytest.mark.parametrize(
    "found", [Desired(), found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE)], ids=["cold", "warm"]
)
def test_a_restart_tells_no_priority_before_the_check_has_spoken(found: Desired) -> None:
    """A speaker that was told that its node is hindered outlives the Brain, and may not own by a restart of that."""
    scene = Scene(found=found)
    scene.start(tracking(None))
    scene.all_up()
    scene.pass_time(5 * SECOND)
    assert len(of(ConfigureRouters, scene.log)) == 1, "the hold is over"
    assert of(SetPriority, scene.log) == []
    hop(scene, Health.DOWN)
    assert [order.barred for order in of(SetPriority, scene.log)] == [True]


@pytest.mark.parametrize("reason", [Reason.BARRED, Reason.HINDERED, Reason.KEPT])
def test_a_bar_of_an_earlier_life_is_lifted_if_the_file_has_its_track_no_more(reason: Reason) -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    scene.start(plan(tracked=""))
    scene.pass_time(3 * SECOND)
    assert of(SetPriority, scene.log) == []
    status = RouterStatus(ROUTER, "web-vip", RouterState.BACKUP, scene.now, 0, reason.value)
    orders = of(SetPriority, scene.give(status))
    assert [(order.router, order.priority, order.barred) for order in orders] == [(ROUTER, 150, False)]
    assert of(SetPriority, scene.give(replace(status, reason=Reason.STARTED.value))) == []


def test_a_priority_that_an_earlier_life_lowered_is_restored_if_the_file_has_its_track_no_more() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    scene.start(plan(tracked=""))
    scene.pass_time(3 * SECOND)
    status = RouterStatus(ROUTER, "web-vip", RouterState.BACKUP, scene.now, 150, Reason.HIGHER_PRIORITY.value)
    assert of(SetPriority, scene.give(status)) == []
    orders = of(SetPriority, scene.give(replace(status, priority=90)))
    assert [(order.router, order.priority, order.barred) for order in orders] == [(ROUTER, 150, False)]
    assert of(SetPriority, scene.give(replace(status, priority=120))) == []


def test_what_an_operator_moved_away_waits_for_no_check() -> None:
    scene = Scene(decisions=Decisions(moved=("web-vip",)))
    scene.start(tracking(-60))
    scene.pass_time(3 * SECOND)
    assert [order.priority for order in of(SetPriority, scene.log)] == [LEAST_PRIORITY]


@pytest.mark.parametrize(("health", "barred"), [(Health.UP, False), (Health.DOWN, True)])
def test_of_what_an_operator_moved_away_only_the_priority_waits_for_no_check(health: Health, barred: bool) -> None:
    """A speaker that outlived the Brain and is barred stays so until its check has spoken."""
    scene = Scene(decisions=Decisions(moved=("web-vip",)))
    scene.start(tracking(None))
    scene.pass_time(3 * SECOND)
    assert [(order.priority, order.barred) for order in of(SetPriority, scene.log)] == [(LEAST_PRIORITY, None)]
    orders = of(SetPriority, hop(scene, health))
    assert [(order.priority, order.barred) for order in orders] == [(LEAST_PRIORITY, barred)]


def test_a_move_before_the_check_has_spoken_leaves_the_bar_as_it_was_told() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    scene.start(replace(tracking(None), routers=tuple(replace(r, others=(100,)) for r in tracking(None).routers)))
    scene.pass_time(3 * SECOND)
    orders = of(SetPriority, scene.give(Operate(1, MoveVip("web-vip"))))
    assert [(order.priority, order.barred) for order in orders] == [(LEAST_PRIORITY, None)]
    assert of(SetPriority, scene.give(Operate(2, AdmitVip("web-vip")))) == [], "the check has not spoken yet"
    assert [(order.priority, order.barred) for order in of(SetPriority, hop(scene, Health.UP))] == [(150, False)]


def test_a_check_without_a_verdict_unbars_nobody_whose_other_check_has_failed() -> None:
    site = tracking(None)
    second = TrackedProbe(CheckId(IPv4Address("192.0.2.3"), IcmpParams()), "ping on second")
    site = replace(
        site,
        checks=(*site.checks, CheckSpec(second.check, SCHEDULE, "ping on second")),
        tracks=(*site.tracks, TrackPlan(ROUTER, second, None)),
    )
    scene = Scene(decisions=Decisions(moved=("web-vip",)))
    scene.start(site)
    hop(scene, Health.DOWN)
    scene.pass_time(3 * SECOND)
    assert {(order.priority, order.barred) for order in of(SetPriority, scene.log)} == {(LEAST_PRIORITY, True)}


def test_a_new_plan_remembers_the_verdict() -> None:
    scene = Scene()
    scene.start(tracking(None))
    scene.all_up()
    hop(scene, Health.DOWN)
    scene.now += SECOND
    scene.start(replace(tracking(-30), generation="g2"))
    assert [(order.priority, order.barred) for order in of(SetPriority, scene.log)][-1] == (120, False)
