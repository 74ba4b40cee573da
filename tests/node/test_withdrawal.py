"""VIPs whose services are all disabled: kept, or given up and taken again."""

from dataclasses import replace

import pytest

from tests.node.scene import Scene, bodies, of, plan, server, service
from yaoki.lb.service import Desired, WhenAllDown
from yaoki.node.brain_events import BalancerApplied, ServiceSwitched, VipWithdrawn
from yaoki.node.brain_messages import Answer, ApplyBalancer, BrainEffect, NewPlan, Operate, SpeakerBack
from yaoki.node.decisions import AdmitVip, Decisions, MoveVip, ServiceDecision, SetServiceEnabled
from yaoki.node.messages import ConfigureRouters, Published
from yaoki.node.router_wish import STARTUP_HOLD
from yaoki.node.snapshot import view
from yaoki.pool.member import Health
from yaoki.site.model import WhenDisabled
from yaoki.site.node_plan import NodePlan, ServicePlan
from yaoki.site.withdrawal import withdrawn

WEB, API = service(), service("api", port=8080)


def of_services(*services: ServicePlan, withdraw: bool = True, generation: str = "g1") -> NodePlan:
    return replace(plan(*services, generation=generation), withdrawable=("web-vip",) if withdraw else ())


def disabled(*names: str) -> Decisions:
    return Decisions(services=tuple(ServiceDecision(name, enabled=False) for name in names))


class Switched(Scene):
    """A Brain whose servers are up, and a person who switches services."""

    def __init__(self, plan_: NodePlan | None = None, *, decisions: Decisions = Decisions()) -> None:
        super().__init__(decisions=decisions)
        self.start(of_services(WEB, API) if plan_ is None else plan_)
        self.all_up()

    def switch(self, name: str, *, enabled: bool) -> list[BrainEffect]:
        return self.give(Operate(1, SetServiceEnabled(name, enabled)))

    def asked_for(self) -> int | None:
        """How many routers the speaker was asked for last; None: it was asked for nothing yet."""
        orders = of(ConfigureRouters, self.log)
        return len(orders[-1].routers) if orders else None


@pytest.mark.req("D-27")
@pytest.mark.parametrize(
    ("services", "decisions", "withdraw", "gone"),
    [
        ((WEB, API), Decisions(), True, False),
        ((WEB, API), disabled("web"), True, False),
        ((WEB, API), disabled("web", "api"), True, True),
        ((WEB, API), disabled("web", "api"), False, False),
        ((replace(WEB, enabled=False),), Decisions(), True, True),
        ((replace(WEB, enabled=False),), Decisions(services=(ServiceDecision("web", enabled=True),)), True, False),
        ((replace(WEB, enabled=False), API), disabled("api"), True, True),
        ((replace(WEB, vip="other"),), disabled("web"), True, False),  # no service is on it
    ],
)
def test_a_vip_is_withdrawn_while_every_service_on_it_is_disabled(
    services: tuple[ServicePlan, ...], decisions: Decisions, *, withdraw: bool, gone: bool
) -> None:
    found = withdrawn(of_services(*services, withdraw=withdraw), decisions.enabled)
    assert found == (frozenset({"web-vip"}) if gone else frozenset())


def test_it_is_given_up_with_the_last_service_and_the_decision_is_the_cause() -> None:
    scene = Switched()
    assert scene.asked_for() == 1
    assert of(ConfigureRouters, scene.switch("web", enabled=False)) == []
    effects = scene.switch("api", enabled=False)
    (order,) = of(ConfigureRouters, effects)
    events = [effect.event for effect in effects if isinstance(effect, Published)]
    assert [event.body for event in events][:2] == [
        ServiceSwitched("api", enabled=False),
        VipWithdrawn("web-vip", True),
    ]
    assert (order.routers, order.because, events[1].because) == ((), events[1].id, events[0].id)
    assert scene.applied[-1] == Desired()
    (router,) = view(scene.brain, scene.now).routers
    assert router.withdrawn


def test_it_is_taken_again_with_the_first_service_and_not_before_its_tables_are_there() -> None:
    scene = Switched(decisions=disabled("web", "api"))
    assert scene.asked_for() == 0
    effects = scene.switch("api", enabled=True)
    kinds = [type(effect) for effect in effects if isinstance(effect, ApplyBalancer | ConfigureRouters)]
    assert kinds == [ApplyBalancer, ConfigureRouters]
    assert [len(order.routers) for order in of(ConfigureRouters, effects)] == [1]
    assert VipWithdrawn("web-vip", withdrawn=False) in bodies(effects)
    assert not view(scene.brain, scene.now).routers[0].withdrawn


def test_tables_that_the_kernel_refuses_hold_it_back_for_a_while_only() -> None:
    scene = Switched(decisions=disabled("web", "api"))
    scene.refusal = "no"
    scene.switch("api", enabled=True)
    assert scene.asked_for() == 0
    scene.pass_time(STARTUP_HOLD)
    assert scene.asked_for() == 1


def test_a_start_with_all_services_disabled_never_asks_for_it() -> None:
    scene = Switched(of_services(replace(WEB, enabled=False)))
    scene.pass_time(2 * STARTUP_HOLD)
    assert scene.asked_for() == 0
    assert VipWithdrawn("web-vip", withdrawn=True) in bodies(scene.log)
    (repeated,) = of(ConfigureRouters, scene.give(SpeakerBack()))
    assert repeated.routers == ()


def test_the_file_may_switch_too() -> None:
    scene = Switched()
    off = tuple(replace(each, enabled=False) for each in (WEB, API))
    scene.give(NewPlan(of_services(*off, generation="g2")))
    assert scene.asked_for() == 0
    scene.give(NewPlan(of_services(*off, withdraw=False, generation="g3")))
    assert scene.asked_for() == 1


def test_unless_the_file_says_so_it_is_kept() -> None:
    scene = Switched(of_services(WEB, API, withdraw=False))
    for name in ("web", "api"):
        scene.switch(name, enabled=False)
    assert scene.asked_for() == 1
    assert of(VipWithdrawn, bodies(scene.log)) == []


@pytest.mark.parametrize("command", [MoveVip("web-vip"), AdmitVip("web-vip")])
def test_a_withdrawn_vip_can_be_neither_moved_nor_admitted(command: MoveVip | AdmitVip) -> None:
    scene = Switched(decisions=disabled("web", "api"))
    (answer,) = of(Answer, scene.give(Operate(7, command)))
    assert answer == Answer(7, "web-vip is withdrawn: its services are disabled", "yaoki service enable NAME")


# --- flows of a service that is disabled ------------------------------------------------------------------------------


@pytest.mark.req("D-27")
def test_flows_go_on_to_their_end_where_the_service_says_so_and_new_ones_are_refused() -> None:
    keeping = replace(WEB, when_disabled=WhenDisabled.DRAIN)
    scene = Switched(of_services(keeping, API, withdraw=False))
    effects = scene.switch("web", enabled=False)
    assert scene.duties() == ("drain", "drain", "drain")
    assert {server.weight for each in scene.applied[-1].services[:1] for server in each.servers} == {0}
    assert {type(body) for body in bodies(effects)} == {ServiceSwitched, BalancerApplied}, "it is no incident"
    (web, _) = view(scene.brain, scene.now).services
    assert (web.enabled, web.drains) == (False, True)
    scene.verdict(2, Health.DOWN)
    assert scene.duties() == ("drain", "out", "drain"), "those of a dead server are cut all the same"
    scene.switch("web", enabled=True)
    assert scene.duties() == ("serve", "out", "serve")
    assert not view(scene.brain, scene.now).services[0].drains


def test_unless_it_says_so_they_are_cut() -> None:
    scene = Switched()
    scene.switch("web", enabled=False)
    assert [each.name for each in scene.applied[-1].services] == ["api"]


def test_one_that_says_sorry_says_so_to_nobody_while_the_service_is_disabled() -> None:
    sorry = replace(server(3), sorry=True)
    whole = replace(service(servers=[server(1), server(2), sorry]), when_disabled=WhenDisabled.DRAIN)
    scene = Switched(of_services(replace(whole, when_all_down=WhenAllDown.SORRY), withdraw=False))
    for number in (1, 2):
        scene.verdict(number, Health.DOWN)
    assert scene.duties() == ("out", "out", "serve")
    scene.switch("web", enabled=False)
    assert scene.duties() == ("out", "out", "drain")
