"""A small node for tests of the Brain: one VIP, a service in front of three servers, a driver by hand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

from yaoki.checks.check import CheckId, CheckSpec, Finding, Outcome, Schedule, TcpParams
from yaoki.core.address import Family, MacAddress
from yaoki.core.event import EventBody, EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.lb.service import Desired, Forward, Protocol, Scheduler, ServiceKey, WhenAllDown
from yaoki.node.brain import Brain
from yaoki.node.brain_messages import (
    ApplyBalancer,
    ApplyFinished,
    BalancerFound,
    BrainEffect,
    BrainInput,
    NewPlan,
    SpeakerBack,
    WorkerBack,
)
from yaoki.node.decisions import Decisions
from yaoki.node.messages import Published, VerdictChanged
from yaoki.pool.member import Duty, Health
from yaoki.site.model import TrackedService
from yaoki.site.node_plan import NodePlan, ServerPlan, ServicePlan, TrackPlan
from yaoki.vrrp.params import RouterKey, RouterParams

SECOND = timedelta(seconds=1)
VIP = IPv4Address("192.0.2.50")
ROUTER = RouterKey("eth0", Family.IPV4, 51)
SCHEDULE = Schedule(interval=SECOND, timeout=timedelta(milliseconds=500), fall=3, rise=2)
ValueT = TypeVar("ValueT")


def address(number: int) -> IPv4Address:
    return IPv4Address(f"192.0.2.{20 + number}")


def mac(number: int) -> MacAddress:
    return MacAddress(bytes([2, 0, 0, 0, 0, number]))


def check(number: int, port: int = 80) -> CheckId:
    return CheckId(address(number), TcpParams(port))


def server(number: int, *, forward: Forward = Forward.NAT, checked: bool = True, port: int = 80) -> ServerPlan:
    checks = (check(number, port),) if checked else ()
    return ServerPlan(f"web{number}", address(number), port, forward, 1000, checks)


def service(
    name: str = "web",
    servers: Iterable[ServerPlan] | None = None,
    *,
    port: int = 80,
    slow_start: timedelta = timedelta(0),
    panic_threshold: float = 0.0,
    when_all_down: WhenAllDown = WhenAllDown.REFUSE,
) -> ServicePlan:
    return ServicePlan(
        name,
        "web-vip",
        key=ServiceKey(VIP, Protocol.TCP, port),
        interface="eth0",
        scheduler=Scheduler.WEIGHTED_ROUND_ROBIN,
        servers=tuple(servers) if servers is not None else (server(1), server(2), server(3)),
        slow_start=slow_start,
        panic_threshold=panic_threshold,
        when_all_down=when_all_down,
    )


def plan(
    *services: ServicePlan, generation: str = "g1", priority: int = 150, tracked: str = "web", weight: int = -60
) -> NodePlan:
    services = services or (service(),)
    checks = {c: CheckSpec(c, SCHEDULE, f"check of {c.target}") for s in services for m in s.servers for c in m.checks}
    router = RouterParams("web-vip", ROUTER, priority, SECOND, (IPv4Interface("192.0.2.50/24"),))
    return NodePlan(
        "tokyo",
        "lb1",
        generation,
        routers=(router,),
        services=services,
        checks=tuple(checks.values()),
        tracks=(TrackPlan(ROUTER, TrackedService(tracked), weight),) if tracked else (),
    )


def verdict(number: int, health: Health, at: Instant, *, port: int = 80, because: int | None = None) -> VerdictChanged:
    outcome = Outcome.PASSED if health is Health.UP else Outcome.TIMED_OUT
    finding = Finding(outcome, "connected" if health is Health.UP else "no answer", timedelta(milliseconds=1))
    event = None if because is None else EventId("lb1/checks", because)
    return VerdictChanged(check(number, port), health, finding, at, event)


class Scene:
    """A Brain with a clock and an obedient (or refusing) balancer plane. `effects` are those of the latest input."""

    def __init__(self, *, decisions: Decisions = Decisions(), found: Desired = Desired()) -> None:
        self.brain = Brain("lb1/brain", decisions=decisions)
        self.now = Instant.of_seconds(1000)
        self.log: list[BrainEffect] = []
        self.applied: list[Desired] = []
        self.refusal: str | None = None
        self.give(BalancerFound(found))

    def give(self, *inputs: BrainInput) -> list[BrainEffect]:
        """Hand over inputs, answering each ApplyBalancer at once; all effects in order."""
        effects: list[BrainEffect] = []
        waiting = list(inputs)
        while waiting:
            answer = self.brain.handle(self.now, waiting.pop(0))
            effects += answer
            for effect in answer:
                if isinstance(effect, ApplyBalancer):
                    if self.refusal is None:
                        self.applied.append(effect.desired)
                    waiting.append(ApplyFinished(("changed",) if self.refusal is None else (), error=self.refusal))
        self.log += effects
        return effects

    def start(self, plan_: NodePlan) -> list[BrainEffect]:
        """Links up, plan given."""
        return self.give(SpeakerBack(), WorkerBack(), NewPlan(plan_))

    def pass_time(self, duration: timedelta) -> list[BrainEffect]:
        """Let time pass, firing the timers that come due on the way."""
        end = self.now + duration
        effects: list[BrainEffect] = []
        for _ in range(1000):
            deadline = self.brain.deadline()
            if deadline is None or deadline.at > end:
                self.now = end
                return effects
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            effects += self.give(TimerFired())
        raise AssertionError("the Brain asks for the past again and again")

    def verdict(self, number: int, health: Health, *, because: int | None = None) -> list[BrainEffect]:
        return self.give(verdict(number, health, self.now, because=because))

    def all_up(self, count: int = 3) -> None:
        for number in range(1, count + 1):
            self.verdict(number, Health.UP)

    def serving(self, name: str = "web") -> tuple[str, ...]:
        """Who serves in the kernel."""
        found = next(s for s in self.applied[-1].services if s.name == name)
        return tuple(s.name for s in found.servers if s.duty is Duty.SERVE)

    def duties(self, name: str = "web") -> tuple[str, ...]:
        found = next(s for s in self.applied[-1].services if s.name == name)
        return tuple(s.duty.value for s in found.servers)


def bodies(effects: Iterable[BrainEffect]) -> list[EventBody]:
    return [effect.event.body for effect in effects if isinstance(effect, Published)]


def of(kind: type[ValueT], values: Iterable[object]) -> list[ValueT]:
    return [value for value in values if isinstance(value, kind)]


def found_with_duties(*duties: Duty) -> Desired:
    """What the kernel has after an earlier Brain decided so about web1, web2 ..."""
    scene = Scene()
    scene.start(plan())
    (held,) = scene.brain.desired().services
    servers = tuple(
        replace(s, duty=duty, weight=s.weight if duty is Duty.SERVE else 0)
        for s, duty in zip(held.servers, duties, strict=True)
    )
    return Desired((replace(held, servers=servers),))
