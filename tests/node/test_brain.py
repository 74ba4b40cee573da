"""The Brain: what is wanted, in which order, and why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.scene import (
    ROUTER,
    SECOND,
    VIP,
    Scene,
    address,
    bodies,
    check,
    found_with_duties,
    mac,
    of,
    plan,
    server,
    service,
    verdict,
)
from yaoki.core.event import EventId
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason
from yaoki.lb.service import Forward, Tunnel, Way, WhenAllDown
from yaoki.node.balancer_wish import BalancerWish
from yaoki.node.brain_events import (
    BalancerApplied,
    BalancerRefused,
    HookNeverRuns,
    PanicBegan,
    PanicEnded,
    PlanAdopted,
    PriorityWanted,
    ServerDutyChanged,
    ServiceCarried,
    ServiceEmpty,
    ServiceNotCarried,
    ServiceServing,
    WayFound,
)
from yaoki.node.brain_messages import (
    Answer,
    ApplyBalancer,
    ApplyFinished,
    BalancerFound,
    KeepDecisions,
    NeighbourFound,
    NewPlan,
    Operate,
    PlanReason,
    RouteFound,
    RunHook,
    SpeakerBack,
    SpeakerLost,
    StopRequested,
    TakeOutServers,
    WatchNeighbours,
    WorkerBack,
)
from yaoki.node.decisions import (
    AdmitVip,
    Decisions,
    Pause,
    Resume,
    ServerDecision,
    SetServerAdmin,
    SetServerWeight,
    SetServiceEnabled,
)
from yaoki.node.messages import (
    AdmitRouter,
    ConfigureChecks,
    ConfigureRouters,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    SetPriority,
)
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.pool.policy import Outlook, Reason
from yaoki.site.model import Hook


def test_a_cold_start_brings_tables_first_and_asks_for_vips_once_checks_have_spoken() -> None:
    scene = Scene()
    effects = scene.start(plan())
    assert of(ApplyBalancer, effects)
    assert of(ConfigureRouters, effects) == []
    assert scene.serving() == ("web1", "web2", "web3"), "without a verdict all of them serve"
    effects = scene.verdict(2, Health.UP)
    assert [len(order.routers) for order in of(ConfigureRouters, effects)] == [1]


def test_a_cold_start_does_not_wait_for_verdicts_for_ever() -> None:
    scene = Scene()
    scene.start(plan())
    assert of(ConfigureRouters, scene.pass_time(timedelta(milliseconds=1999))) == []
    assert len(of(ConfigureRouters, scene.pass_time(timedelta(milliseconds=2)))) == 1


@pytest.mark.req("Z-02")
def test_a_chain_of_events_leads_from_the_check_to_the_priority() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    scene.verdict(1, Health.DOWN, because=7)
    scene.verdict(2, Health.DOWN, because=8)
    effects = scene.verdict(3, Health.DOWN, because=9)
    events = {type(e.event.body): e.event for e in of(Published, effects)}
    assert events[ServerDutyChanged].because == EventId("lb1/checks", 9)
    assert events[ServiceEmpty].because == events[ServerDutyChanged].id
    assert events[PriorityWanted].because == events[ServiceEmpty].id
    assert of(SetPriority, effects) == [SetPriority(ROUTER, 90, events[PriorityWanted].id)]
    assert of(ApplyBalancer, effects)[0].because == events[ServiceEmpty].id
    assert events[BalancerApplied].because == events[ServiceEmpty].id


def test_a_dead_server_goes_out_and_comes_back() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    effects = scene.verdict(2, Health.DOWN)
    assert bodies(effects)[0] == ServerDutyChanged("web", VIP, "web2", Duty.OUT, Reason.DOWN, "no answer")
    assert scene.duties() == ("serve", "out", "serve")
    scene.verdict(2, Health.UP)
    assert scene.duties() == ("serve", "serve", "serve")


def test_the_priority_comes_back_with_the_service() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    effects = scene.verdict(2, Health.UP)
    assert ServiceServing in [type(b) for b in bodies(effects)]
    assert [order.priority for order in of(SetPriority, effects)] == [150]
    assert scene.serving() == ("web2",)


@pytest.mark.parametrize(("base", "weight", "expected"), [(150, -60, 90), (20, -60, 1), (250, 60, 254), (254, -253, 1)])
def test_a_lowered_priority_stays_inside_what_may_be_advertised(base: int, weight: int, expected: int) -> None:
    scene = Scene()
    scene.start(plan(priority=base, weight=weight))
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    assert scene.brain.plan is not None
    assert scene.brain.routers.wanted_priority(scene.brain.plan.routers[0]) == expected
    assert of(SetPriority, scene.log)[-1].priority == base + weight, "the speaker adds its own weights to it"


def test_the_owner_of_the_addresses_keeps_its_priority() -> None:
    scene = Scene()
    scene.start(plan(priority=255))
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    assert of(SetPriority, scene.log) == []


# --- restarts ---------------------------------------------------------------------------------------------------------


def test_after_a_restart_a_server_found_out_stays_out_until_its_check_speaks() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.OUT, Duty.SERVE))
    scene.start(plan())
    assert scene.duties() == ("serve", "out", "serve")
    scene.verdict(2, Health.UP)
    assert scene.duties() == ("serve", "serve", "serve")


def test_after_a_restart_a_drained_server_keeps_its_flows() -> None:
    drained = Decisions((ServerDecision("web2", None, AdminState.DRAIN),))
    scene = Scene(decisions=drained, found=found_with_duties(Duty.SERVE, Duty.DRAIN, Duty.SERVE))
    scene.start(plan())
    assert {tuple(s.duty.value for s in d.services[0].servers) for d in scene.applied} == {("serve", "drain", "serve")}


def test_after_a_restart_verdicts_that_come_before_the_plan_count() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    scene.verdict(2, Health.DOWN)
    scene.start(plan())
    assert scene.duties() == ("serve", "out", "serve")


def test_after_a_restart_nothing_is_told_the_kernel_that_it_does_not_have() -> None:
    found = found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE)
    scene = Scene(found=found)
    scene.start(plan(service(slow_start=10 * SECOND)))
    assert scene.applied == [found], "full weights at once: these servers have served all along"


def test_after_a_restart_vips_are_asked_for_without_waiting_for_verdicts() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    assert len(of(ConfigureRouters, scene.start(plan()))) == 1


def test_after_a_restart_a_service_found_empty_keeps_the_priority_low() -> None:
    scene = Scene(found=found_with_duties(Duty.OUT, Duty.OUT, Duty.OUT))
    effects = scene.start(plan())
    assert scene.serving() == ()
    assert [order.priority for order in of(SetPriority, effects)] == [90]


def test_a_speaker_older_than_the_brain_is_told_the_priority_even_if_it_is_the_configured_one() -> None:
    scene = Scene(found=found_with_duties(Duty.SERVE, Duty.SERVE, Duty.SERVE))
    assert [order.priority for order in of(SetPriority, scene.start(plan()))] == [150]


def test_a_speaker_that_comes_back_is_told_everything_again() -> None:
    scene = Scene()
    scene.start(plan())
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    scene.give(SpeakerLost("it died"))
    effects = scene.give(SpeakerBack())
    assert len(of(ConfigureRouters, effects)) == 1
    assert [order.priority for order in of(SetPriority, effects)] == [90]


def test_a_worker_that_comes_back_gets_its_checks_and_is_asked_for_its_verdicts() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    effects = scene.give(WorkerBack())
    assert [len(order.checks) for order in of(ConfigureChecks, effects)] == [3]
    assert len(of(RepeatVerdicts, effects)) == 1
    assert scene.serving() == ("web1", "web2", "web3")


# --- plans ------------------------------------------------------------------------------------------------------------


def test_a_new_plan_touches_only_what_changed() -> None:
    scene = Scene()
    other = service("api", [server(3)], port=8080)
    scene.start(plan(service(servers=[server(1), server(2)]), other))
    scene.all_up()
    before = scene.applied[-1].services
    scene.give(NewPlan(plan(service(servers=[server(1)]), other, generation="g2"), PlanReason.RELOAD))
    after = scene.applied[-1].services
    assert after[1] is before[1]
    assert [s.name for s in after[0].servers] == ["web1"]


def test_the_same_plan_again_changes_nothing() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    effects = scene.give(NewPlan(plan(), PlanReason.RELOAD))
    assert of(ApplyBalancer, effects) == []
    assert of(ConfigureRouters, effects) == []
    assert bodies(effects) == [PlanAdopted("g1", "reload")]


def test_a_server_added_under_load_gets_no_flows_before_its_check_has_passed() -> None:
    scene = Scene()
    scene.start(plan(service(servers=[server(1), server(2)])))
    scene.all_up(2)
    scene.give(NewPlan(plan(generation="g2"), PlanReason.RELOAD))
    assert scene.serving() == ("web1", "web2")
    scene.verdict(3, Health.UP)
    assert scene.serving() == ("web1", "web2", "web3")


def test_a_vip_that_left_the_plan_is_released_before_its_tables_go_and_a_new_one_asked_for_after() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    without = NewPlan(plan(generation="g2").__class__("tokyo", "lb1", "g2"), PlanReason.RELOAD)
    order = [type(effect) for effect in scene.give(without) if isinstance(effect, ConfigureRouters | ApplyBalancer)]
    assert order[-1] is ConfigureRouters
    assert of(ConfigureRouters, scene.log)[-1].routers == ()
    order = [type(e) for e in scene.give(NewPlan(plan())) if isinstance(e, ConfigureRouters | ApplyBalancer)]
    assert order == [ApplyBalancer, ConfigureRouters]


# --- the plane says no ------------------------------------------------------------------------------------------------


def test_a_refused_apply_is_told_once_and_tried_again_with_back_off() -> None:
    scene = Scene()
    scene.refusal = "nft: permission denied"
    scene.start(plan())
    scene.pass_time(30 * SECOND)
    refused = of(BalancerRefused, bodies(scene.log))
    assert [r.why for r in refused] == ["nft: permission denied"]
    assert len(of(ApplyBalancer, scene.log)) == 8, "after 0.2, 0.4, 0.8 ... 10 seconds"
    scene.refusal = None
    scene.pass_time(10 * SECOND)
    assert scene.serving() == ("web1", "web2", "web3")


def test_one_apply_at_a_time_and_the_latest_wish_follows() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    brain, now = scene.brain, scene.now
    first = of(ApplyBalancer, brain.handle(now, verdict(1, Health.DOWN, now)))
    second = of(ApplyBalancer, brain.handle(now, verdict(2, Health.DOWN, now)))
    assert (len(first), len(second)) == (1, 0)
    third = of(ApplyBalancer, brain.handle(now, ApplyFinished()))
    assert [duties(order) for order in third] == [["out", "out", "serve"]]


def duties(order: ApplyBalancer | TakeOutServers) -> list[str]:
    return [server.duty.value for server in order.desired.services[0].servers]


def test_a_server_that_fails_while_an_apply_is_under_way_is_taken_out_at_once() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    brain, now = scene.brain, scene.now
    brain.handle(now, verdict(1, Health.DOWN, now))
    (overtaking,) = of(TakeOutServers, brain.handle(now, verdict(2, Health.DOWN, now)))
    assert duties(overtaking) == ["out", "out", "serve"]
    assert of(TakeOutServers, brain.handle(now, verdict(2, Health.UP, now))) == [], "what comes back waits"
    (again,) = of(ApplyBalancer, brain.handle(now, ApplyFinished()))
    assert duties(again) == ["out", "serve", "serve"], "asked once more, for the plane may lack the second"
    assert of(ApplyBalancer, brain.handle(now, ApplyFinished())) == []


def test_a_server_that_fails_while_a_refused_apply_waits_is_taken_out_at_once() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    brain, now = scene.brain, scene.now
    assert of(ApplyBalancer, brain.handle(now, verdict(1, Health.DOWN, now)))
    brain.handle(now, ApplyFinished(error="no"))
    effects = brain.handle(now, verdict(2, Health.DOWN, now))
    assert [duties(order) for order in of(TakeOutServers, effects)] == [["out", "out", "serve"]]
    assert of(ApplyBalancer, effects) == []


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-12")
def test_when_too_many_fail_at_once_the_checker_is_suspected() -> None:
    scene = Scene()
    scene.start(plan(service(panic_threshold=0.5)))
    scene.all_up()
    scene.verdict(1, Health.DOWN)
    assert scene.duties() == ("out", "serve", "serve")
    effects = scene.verdict(2, Health.DOWN)
    assert PanicBegan in [type(b) for b in bodies(effects)]
    assert scene.serving() == ("web1", "web2", "web3")
    scene.verdict(1, Health.UP)
    assert PanicEnded in [type(b) for b in bodies(scene.log)]
    assert scene.duties() == ("serve", "out", "serve")


@pytest.mark.req("B-22")
def test_a_server_that_comes_back_gets_its_weight_in_steps() -> None:
    scene = Scene()
    scene.start(plan(service(slow_start=10 * SECOND)))
    scene.all_up()
    scene.pass_time(20 * SECOND)
    scene.verdict(2, Health.DOWN)
    scene.pass_time(SECOND)
    scene.verdict(2, Health.UP)
    applied = len(scene.applied)
    weights = [scene.applied[-1].services[0].servers[1].weight]
    scene.pass_time(20 * SECOND)
    weights += [desired.services[0].servers[1].weight for desired in scene.applied[applied:]]
    assert weights == [90, 181, 272, 363, 454, 545, 636, 727, 818, 909, 1000]


def test_with_last_known_the_last_to_serve_are_kept() -> None:
    scene = Scene()
    scene.start(plan(service(when_all_down=WhenAllDown.LAST_KNOWN)))
    scene.all_up()
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    assert scene.serving() == ("web3",)
    assert of(SetPriority, scene.log)[-1].priority == 90, "nobody is known to work, so a peer may be better"


@pytest.mark.req("D-30")
def test_backups_serve_while_nobody_of_a_higher_priority_can_and_keep_their_flows_after() -> None:
    scene = Scene()
    scene.start(plan(service(servers=[replace(server(1), priority=150), server(2), server(3)])))
    scene.all_up()
    assert scene.duties() == ("serve", "drain", "drain")
    told = bodies(scene.verdict(1, Health.DOWN))
    assert scene.duties() == ("out", "serve", "serve")
    assert ServerDutyChanged("web", VIP, "web2", Duty.SERVE, Reason.STANDS_IN, "") in told
    assert not any(isinstance(body, ServiceEmpty) for body in told)
    scene.verdict(1, Health.UP)
    assert scene.duties() == ("serve", "drain", "drain")


def test_a_restart_leaves_backups_as_they_are() -> None:
    ranked = plan(service(servers=[replace(server(1), priority=150), server(2), server(3)]))
    before = Scene()
    before.start(ranked)
    before.all_up()
    before.verdict(1, Health.DOWN)
    scene = Scene(found=before.applied[-1])
    scene.start(ranked)
    assert scene.applied == [before.applied[-1]]


def test_the_sorry_server_answers_when_nobody_else_can_and_the_service_has_failed_all_the_same() -> None:
    scene = Scene()
    scene.start(plan(service(servers=[server(1), server(2), replace(server(3), sorry=True)])))
    scene.all_up()
    assert scene.duties() == ("serve", "serve", "drain")
    scene.verdict(1, Health.DOWN)
    told = bodies(scene.verdict(2, Health.DOWN))
    assert scene.duties() == ("out", "out", "serve")
    assert ServiceEmpty("web", VIP, Outlook.SORRY) in told
    assert of(SetPriority, scene.log)[-1].priority == 90
    scene.verdict(3, Health.DOWN)
    assert scene.duties() == ("out", "out", "out")
    scene.verdict(2, Health.UP)
    assert scene.duties() == ("out", "serve", "out")


def test_a_direct_server_is_served_as_soon_as_its_mac_is_known_and_keeps_it() -> None:
    scene = Scene()
    effects = scene.start(plan(service(servers=[server(1, forward=Forward.DIRECT), server(2)])))
    assert of(WatchNeighbours, effects) == [WatchNeighbours((("eth0", address(1)),))]
    assert [s.name for s in scene.applied[-1].services[0].eligible] == ["web2"]
    scene.give(NeighbourFound(address(1), mac(1)))
    assert scene.applied[-1].services[0].servers[0].mac == mac(1)
    count = len(scene.applied)
    scene.give(NeighbourFound(address(1), None))
    assert len(scene.applied) == count


@pytest.mark.req("D-05")
def test_a_server_behind_a_tunnel_is_served_as_soon_as_the_way_is_known_and_follows_it() -> None:
    scene = Scene()
    behind = replace(server(1, forward=Forward.TUNNEL), tunnel=Tunnel())
    effects = scene.start(plan(service(servers=[behind, server(2, forward=Forward.DIRECT)])))
    assert of(WatchNeighbours, effects) == [WatchNeighbours((("eth0", address(2)),), (address(1),))]
    assert scene.applied[-1].services[0].eligible == ()
    way = Way("eth1", mac(9), address(9), mac(1), address(8), 1500)
    effects = scene.give(RouteFound(address(1), way))
    assert bodies(effects)[0] == WayFound(address(1), "eth1", address(9), mac(1), address(8), 1500)
    found = scene.applied[-1].services[0].servers[0]
    assert (found.tunnel, found.way, found.mac, found.eligible) == (Tunnel(), way, None, True)
    narrower = replace(way, mtu=1400)
    scene.give(RouteFound(address(1), narrower))
    assert scene.applied[-1].services[0].servers[0].way == narrower
    again = Scene(found=scene.applied[-1])
    again.start(plan(service(servers=[behind, server(2, forward=Forward.DIRECT)])))
    assert again.applied == [scene.applied[-1]]


def test_a_service_that_nobody_carries_is_told_once_and_that_it_is_carried_again() -> None:
    scene = Scene()
    scene.start(plan())
    key = scene.applied[-1].services[0].key
    nobody = PlaneChoice(Plane.NONE, PlaneReason.UNABLE, "no clang")
    wish = BalancerWish()
    for choice, told in (
        (nobody, [ServiceNotCarried(key, "no clang")]),
        (nobody, []),
        (PlaneChoice(Plane.BPF, PlaneReason.TUNNEL), [ServiceCarried(key)]),
        (PlaneChoice(Plane.BPF, PlaneReason.TUNNEL), []),
    ):
        wish.apply(scene.now, scene.applied[-1])
        ended = wish.finished(scene.now, ApplyFinished(planes=((key, choice),)))
        assert [emit.body for emit in ended] == told


def test_macs_found_in_the_kernel_are_used_at_once_after_a_restart() -> None:
    direct = plan(service(servers=[server(1, forward=Forward.DIRECT)]))
    before = Scene()
    before.start(direct)
    before.give(NeighbourFound(address(1), mac(1)))
    scene = Scene(found=before.applied[-1])
    scene.start(direct)
    assert scene.applied == [before.applied[-1]]


# --- people -----------------------------------------------------------------------------------------------------------


def test_a_drained_server_keeps_its_flows_and_a_server_in_maintenance_is_out_and_unchecked() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    effects = scene.give(Operate(1, SetServerAdmin("web1", AdminState.DRAIN)))
    assert scene.duties() == ("drain", "serve", "serve")
    assert [type(e) for e in effects][:1] == [KeepDecisions], "on disk before it is done"
    assert [(a.request, a.why) for a in of(Answer, effects)] == [(1, None)]
    effects = scene.give(Operate(2, SetServerAdmin("web1", AdminState.MAINT)))
    assert scene.duties() == ("out", "serve", "serve")
    assert [c.id for c in of(ConfigureChecks, effects)[-1].checks] == [check(2), check(3)]
    scene.give(Operate(3, SetServerAdmin("web1", AdminState.READY)))
    assert scene.duties() == ("drain", "serve", "serve"), "no new flows before its check has passed again"
    scene.verdict(1, Health.UP)
    assert scene.duties() == ("serve", "serve", "serve")


def test_a_verdict_that_comes_late_for_a_server_in_maintenance_counts_for_nothing_afterwards() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    scene.give(Operate(1, SetServerAdmin("web1", AdminState.MAINT)))
    scene.verdict(1, Health.DOWN)
    assert check(1) not in scene.brain.verdicts
    scene.give(WorkerBack())
    scene.give(Operate(2, SetServerAdmin("web1", AdminState.READY)))
    assert scene.duties() == ("drain", "serve", "serve"), "as for one that was never spoken of"


def test_a_command_about_what_does_not_exist_is_answered_with_what_does() -> None:
    scene = Scene()
    scene.start(plan())
    (answer,) = of(Answer, scene.give(Operate(1, SetServerAdmin("web9", AdminState.DRAIN))))
    assert answer.why == 'there is no server "web9" on this node'
    assert answer.cure == "there are: web1, web2, web3"


def test_a_weight_and_a_switched_off_service_are_applied() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    scene.give(Operate(1, SetServerWeight("web1", 10, "web")))
    assert scene.applied[-1].services[0].servers[0].weight == 10
    scene.give(Operate(2, SetServiceEnabled("web", enabled=False)))
    assert scene.applied[-1].services == ()
    scene.give(Operate(3, SetServiceEnabled("web", enabled=True)))
    assert scene.serving() == ("web1", "web2", "web3")


def test_a_service_that_is_switched_off_lowers_no_priority() -> None:
    scene = Scene()
    scene.start(plan())
    scene.give(Operate(2, SetServiceEnabled("web", enabled=False)))
    for number in (1, 2, 3):
        scene.verdict(number, Health.DOWN)
    assert {order.priority for order in of(SetPriority, scene.log)} == {150}


def test_paused_nothing_is_applied_and_afterwards_everything_is() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    scene.give(Operate(1, Pause()))
    applied = len(scene.applied)
    for number in (1, 2, 3):
        effects = scene.verdict(number, Health.DOWN)
        assert of(SetPriority, effects) == []
    effects = scene.give(NewPlan(plan(generation="g2", priority=100), PlanReason.RELOAD))
    assert of(ConfigureRouters, effects) == []
    assert scene.pass_time(60 * SECOND) == []
    assert len(scene.applied) == applied
    effects = scene.give(Operate(2, Resume()))
    assert scene.serving() == ()
    assert [order.priority for order in of(SetPriority, effects)][-1] == 40


def test_stop_releases_and_then_nothing_more_is_wanted() -> None:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    effects = scene.give(StopRequested("SIGTERM"))
    assert len(of(ReleaseRouters, effects)) == 1
    assert scene.verdict(1, Health.DOWN) == []
    assert scene.brain.deadline() is None
    assert scene.give(SpeakerBack()) == [ReleaseRouters()]


def test_a_hook_runs_on_the_events_that_it_names() -> None:
    hooked = replace(plan(), hooks=(Hook("mail", ("server-duty-changed",), ("/bin/true",)),))
    scene = Scene()
    scene.start(hooked)
    scene.all_up()
    (hook,) = of(RunHook, scene.verdict(1, Health.DOWN, because=4))
    environment = dict(hook.environment)
    assert environment["YAOKI_EVENT"] == "server-duty-changed"
    assert environment["YAOKI_SERVER"] == "web1"
    assert environment["YAOKI_DUTY"] == "out"
    assert environment["YAOKI_BECAUSE"] == "lb1/checks:4"


@pytest.mark.parametrize(("vips", "runs"), [((), True), (("web-vip",), True), (("mail-vip",), False)])
def test_a_hook_that_names_vips_runs_on_events_of_these_only(vips: tuple[str, ...], runs: bool) -> None:
    hooked = replace(plan(), hooks=(Hook("mail", ("vip-admitted",), ("/bin/true",), vips=vips),))
    scene = Scene()
    scene.start(hooked)
    assert bool(of(RunHook, scene.give(Operate(1, AdmitVip("web-vip"))))) is runs


def test_a_hook_for_events_that_there_are_none_of_is_told() -> None:
    scene = Scene()
    hooked = replace(plan(), hooks=(Hook("mail", ("became-master", "became-active"), ("/bin/true",)),))
    assert HookNeverRuns("mail", ("became-master",)) in bodies(scene.start(hooked))


def test_the_tables_found_are_only_a_starting_point() -> None:
    scene = Scene()
    assert scene.give(BalancerFound(found_with_duties(Duty.OUT, Duty.SERVE, Duty.SERVE))) == []


def test_a_vip_held_out_is_admitted_by_a_person() -> None:
    scene = Scene()
    scene.start(plan())
    effects = scene.give(Operate(1, AdmitVip("web-vip")))
    assert [order.router for order in of(AdmitRouter, effects)] == [ROUTER]
    (answer,) = of(Answer, scene.give(Operate(2, AdmitVip("mail-vip"))))
    assert answer.why == 'there is no VIP "mail-vip" on this node'
