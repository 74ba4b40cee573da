"""The Brain: what one node wants, from its plan, the verdicts of its checks and what people decided.

Every consequence names its cause: check fell -> server out -> service empty -> priority lowered is one chain of events.

First do no harm:
* it starts from what the kernel has (BalancerFound), so a restart changes nothing that was not to change;
* on a cold start VIPs are asked for only once the balancer's tables are there and the checks have spoken, or a hold has
  passed; a new plan gives up VIPs first, then changes tables, then takes VIPs (yaoki.node.router_wish);
* paused, nothing is applied; what was asked of the speaker before is repeated to a new one.

Invariants: at most one ApplyBalancer is under way, and the latest wish follows it; a priority is sent only when it
differs from what the speaker was last told; equal inputs at equal times give equal effects.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import assert_never

from yaoki.checks.check import CheckId
from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.core.machine import TimerFired
from yaoki.lb.service import Desired, Forward
from yaoki.node.balancer_wish import BalancerWish
from yaoki.node.brain_events import (
    NeighbourResolved,
    NodeStopping,
    Part,
    PartLost,
    PartReached,
    PlanAdopted,
)
from yaoki.node.brain_messages import (
    Answer,
    ApplyFinished,
    BalancerFound,
    BrainEffect,
    BrainInput,
    KeepDecisions,
    NeighbourFound,
    NewPlan,
    Note,
    Operate,
    RunHook,
    SpeakerBack,
    SpeakerLost,
    StopRequested,
    WatchNeighbours,
    WorkerBack,
    WorkerLost,
)
from yaoki.node.decisions import AdmitVip, Decisions, Pause, Refused, Resume, decide
from yaoki.node.hook_environment import hook_environment, kind_of
from yaoki.node.messages import (
    AdmitRouter,
    ConfigureChecks,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    RouterStatus,
    VerdictChanged,
)
from yaoki.node.narrate import decided, selected
from yaoki.node.router_wish import RouterWish
from yaoki.node.service_pool import PoolKey, ServicePool, rule_of
from yaoki.pool.health import Verdict
from yaoki.pool.member import AdminState, Health
from yaoki.pool.policy import Outlook
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.params import RouterKey


class Brain:
    """The machine of `yaoki node`. `source` names it in events; `decisions` are those of the journal."""

    def __init__(self, source: str, *, decisions: Decisions = Decisions()) -> None:
        self._numbering = EventNumbering(source)
        self.decisions = decisions
        self.plan: NodePlan | None = None
        self.plan_since: Instant | None = None
        self.pools: dict[PoolKey, ServicePool] = {}
        self.verdicts: dict[CheckId, VerdictChanged] = {}
        self.statuses: dict[RouterKey, RouterStatus] = {}
        self.macs: dict[IPAddress, MacAddress] = {}
        self.parts: dict[Part, tuple[bool, Instant, str]] = {}
        self.stopping = False
        self.balancer = BalancerWish()
        self.routers = RouterWish()
        self._found: Desired | None = None
        self._pools_of: dict[CheckId, tuple[PoolKey, ...]] = {}
        self._watched: tuple[tuple[str, IPAddress], ...] = ()
        self._agenda: Agenda[PoolKey] = Agenda()
        self._pools_by_service: dict[str, tuple[ServicePool, ...]] = {}
        self._failed: set[str] = set()
        self._unspoken: set[PoolKey] = set()
        self._desired = Desired()
        self._changed = False
        self._followed = False

    # --- the machine --------------------------------------------------------------------------------------------------

    def deadline(self) -> Deadline | None:
        """The next step of a slow start, the next try of a refused apply, the end of the hold at a cold start."""
        if self.stopping:
            return None
        if self.decisions.paused:
            return self._agenda.next()
        return earliest(self._agenda.next(), self.balancer.deadline(), self.routers.deadline())

    def handle(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        """See yaoki.core.machine.Machine."""
        if self.stopping:
            return self._while_stopping(now, input_)
        effects = self._take(now, input_)
        effects += self._apply(now)
        return self._with_hooks(effects)

    def _take(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        match input_:
            case SpeakerBack() | SpeakerLost() | WorkerBack() | WorkerLost() | RouterStatus() | Published():
                return self._take_from_part(now, input_)
            case VerdictChanged():
                return self._verdict(now, input_)
            case NeighbourFound():
                return self._neighbour(now, input_)
            case ApplyFinished():
                return [self._event(now, emit) for emit in self.balancer.finished(now, input_)]
            case NewPlan():
                return self._new_plan(now, input_)
            case BalancerFound():
                return self._balancer_found(input_)
            case Operate():
                return self._operate(now, input_)
            case StopRequested():
                return self._stop(now, input_)
            case Note():
                return [self._event(now, input_.emit)]
            case TimerFired():
                return self._timer_fired(now)
            case _:
                assert_never(input_)

    def _take_from_part(
        self,
        now: Instant,
        input_: SpeakerBack | SpeakerLost | WorkerBack | WorkerLost | RouterStatus | Published,
    ) -> list[BrainEffect]:
        match input_:
            case RouterStatus():
                self.statuses[input_.router] = input_
                return []
            case Published():
                return [input_]
            case SpeakerBack():
                return [self._part(now, Part.SPEAKER, None), *self.routers.repeat()]
            case SpeakerLost():
                return [self._part(now, Part.SPEAKER, input_.why)]
            case WorkerBack():
                return [self._part(now, Part.CHECKS, None), *self._configure_checks(None), RepeatVerdicts()]
            case WorkerLost():
                return [self._part(now, Part.CHECKS, input_.why)]
            case _:
                assert_never(input_)

    def _balancer_found(self, found: BalancerFound) -> list[BrainEffect]:
        self._found = found.found
        self.macs = {s.address: s.mac for v in found.found.services for s in v.servers if s.mac is not None}
        self.routers.found_tables(bool(found.found.services))
        return []

    def _while_stopping(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        """Nothing is wanted any more; events are still told, and a speaker that comes back is told to release."""
        match input_:
            case Published() | Note():
                return self._with_hooks(self._take(now, input_))
            case RouterStatus():
                self.statuses[input_.router] = input_
                return []
            case SpeakerBack():
                return [ReleaseRouters()]
            case Operate():
                return [Answer(input_.request, "the node is stopping", "start it again first")]
            case _:
                return []

    # --- plans --------------------------------------------------------------------------------------------------------

    def _new_plan(self, now: Instant, new: NewPlan) -> list[BrainEffect]:
        plan = new.plan
        first = self.plan is None
        adopted = self._event(now, Emit(PlanAdopted(plan.generation, new.reason.value), new.because))
        because = adopted.event.id
        self.plan, self.plan_since = plan, now
        self.pools, before = self._make_pools(plan), self.pools
        for key, pool in self.pools.items():
            if key in before:
                pool.succeed(before[key])
        if first and self._found is not None:
            self._adopt(now, self._found)
        self._index_checks()
        wanted = {params.key for params in plan.routers}
        self.statuses = {key: status for key, status in self.statuses.items() if key in wanted}
        effects: list[BrainEffect] = [adopted, *self._configure_checks(because), *self._watch()]
        for key in before.keys() - self.pools.keys():
            self._agenda.set(key, None)
            self._unspoken.discard(key)
        self.balancer.because(because)
        self.routers.new_plan(now, plan, because)
        self._changed, self._followed = True, False
        effects += self._decide(now, self.pools, because)
        return effects

    def _make_pools(self, plan: NodePlan) -> dict[PoolKey, ServicePool]:
        detections = {spec.id: spec.schedule.longest_detection for spec in plan.checks}
        pools = [ServicePool(s, rule_of(s, lambda c: detections.get(c, timedelta(seconds=1)))) for s in plan.services]
        return {pool.key: pool for pool in pools}

    def _adopt(self, now: Instant, found: Desired) -> None:
        by_key = {service.key: service for service in found.services}
        for pool in self.pools.values():
            if pool.plan.key in by_key:
                pool.adopt(by_key[pool.plan.key], now)

    def _index_checks(self) -> None:
        index: dict[CheckId, dict[PoolKey, None]] = {}
        for key, pool in self.pools.items():
            for server in pool.plan.servers:
                for check in server.checks:
                    index.setdefault(check, {})[key] = None
        self._pools_of = {check: tuple(keys) for check, keys in index.items()}
        by_service: dict[str, list[ServicePool]] = {}
        for pool in self.pools.values():
            by_service.setdefault(pool.plan.name, []).append(pool)
        self._pools_by_service = {name: tuple(pools) for name, pools in by_service.items()}
        self._failed &= by_service.keys()
        self.verdicts = {check: v for check, v in self.verdicts.items() if check in self._pools_of}

    def _configure_checks(self, because: EventId | None) -> list[BrainEffect]:
        """A server in maintenance is not checked, unless another service that it still serves wants the same check."""
        if self.plan is None:
            return []
        wanted = {
            check
            for pool in self.pools.values()
            for server in pool.plan.servers
            if self.decisions.admin(server.name, pool.plan.name) is not AdminState.MAINT
            for check in server.checks
        }
        self.verdicts = {check: verdict for check, verdict in self.verdicts.items() if check in wanted}
        return [ConfigureChecks(tuple(spec for spec in self.plan.checks if spec.id in wanted), because)]

    def _watch(self) -> list[BrainEffect]:
        wanted = {
            (pool.plan.interface, server.address): None
            for pool in self.pools.values()
            for server in pool.plan.servers
            if server.forward is Forward.DIRECT
        }
        if tuple(wanted) == self._watched:
            return []
        self._watched = tuple(wanted)
        return [WatchNeighbours(self._watched)]

    # --- what changes a decision --------------------------------------------------------------------------------------

    def _verdict(self, now: Instant, verdict: VerdictChanged) -> list[BrainEffect]:
        if self.plan is None:
            # A worker that outlived an earlier Brain is quicker than the site file: what it knows counts.
            self.verdicts[verdict.check] = verdict
            return []
        keys = self._pools_of.get(verdict.check, ())
        if not keys or verdict.health is Health.UNKNOWN:
            return []
        self.verdicts[verdict.check] = verdict
        evidence = verdict.finding.evidence
        pools = {key: self.pools[key] for key in keys}
        return self._decide(now, pools, verdict.because, evidence, touched=verdict.check)

    def _neighbour(self, now: Instant, found: NeighbourFound) -> list[BrainEffect]:
        """A MAC that is gone is kept: whether the server lives is for its checks to say."""
        before = self.macs.get(found.address)
        if found.mac is None or found.mac == before:
            return []
        self.macs[found.address] = found.mac
        resolved = self._event(now, Emit(NeighbourResolved(found.address, found.mac, before)))
        touched = {
            key: pool
            for key, pool in self.pools.items()
            if any(s.address == found.address and s.forward is Forward.DIRECT for s in pool.plan.servers)
        }
        return [resolved, *self._decide(now, touched, resolved.event.id)]

    def _operate(self, now: Instant, operate: Operate) -> list[BrainEffect]:
        if self.plan is None:
            return [Answer(operate.request, "the node has no plan yet", "try again in a moment")]
        result = decide(self.decisions, self.plan, operate.command)
        if isinstance(result, Refused):
            return [Answer(operate.request, result.why, result.cure)]
        command = operate.command
        if result == self.decisions and not isinstance(command, AdmitVip):
            return [Answer(operate.request)]
        told = self._event(now, Emit(decided(command)))
        because = told.event.id
        if isinstance(command, AdmitVip):
            keys = [router.key for router in self.plan.routers if router.vip == command.vip]
            admitted = [AdmitRouter(key, because) for key in keys]
            return [told, *admitted, Answer(operate.request, event=because)]
        self.decisions = result
        effects: list[BrainEffect] = [KeepDecisions(result), told, Answer(operate.request, event=because)]
        if not isinstance(command, Pause | Resume):
            self._changed = True
            effects += self._configure_checks(because)
            effects += self._decide(now, self.pools, because)
        return effects

    def _timer_fired(self, now: Instant) -> list[BrainEffect]:
        due = {key: self.pools[key] for key in self._agenda.due(now) if key in self.pools}
        return self._decide(now, due, None) if due else []

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _decide(
        self,
        now: Instant,
        pools: dict[PoolKey, ServicePool],
        because: EventId | None,
        evidence: str = "",
        *,
        touched: CheckId | None = None,
    ) -> list[BrainEffect]:
        """Decide on some pools anew; tell what changed, down to the priorities that follow from it."""
        effects: list[BrainEffect] = []
        causes: dict[str, EventId | None] = {}
        for key, pool in pools.items():
            before = pool.selection
            selection = pool.decide(now, self.verdict_of, self.decisions, touched=touched)
            self._agenda.set(key, selection.deadline)
            if selection.outlook is Outlook.UNPROVEN and self._is_served(pool):
                self._unspoken.add(key)
            else:
                self._unspoken.discard(key)
            if touched is None or before is None or selection.members != before.members:
                self._changed = pool.render(self.macs.get) or self._changed
            cause = because
            for body in selected(pool.plan, before, selection, evidence):
                event = self._event(now, Emit(body, cause))
                effects.append(event)
                cause = event.event.id
            if cause != because:
                self.balancer.because(cause)
                causes[key.service] = cause
        return effects + self._follow(now, causes, {key.service for key in pools})

    def _follow(self, now: Instant, causes: dict[str, EventId | None], services: set[str]) -> list[BrainEffect]:
        """Let the priorities follow the services that have failed or work again."""
        failed = {name for name in services if self._has_failed(name)}
        if not causes and failed == self._failed & services and self._followed:
            return []
        self._failed = (self._failed - services) | failed
        self._followed = True
        events: list[BrainEffect] = []
        for wanted in self.routers.tracked(self._failed, causes):
            event = self._event(now, wanted)
            self.routers.announced(wanted, event.event.id)
            events.append(event)
        return events

    def _has_failed(self, service: str) -> bool:
        """Whether a service is to be served and has no server up on any address."""
        pools = [pool for pool in self._pools_by_service.get(service, ()) if self._is_served(pool)]
        return bool(pools) and all(pool.selection is not None and pool.selection.failed for pool in pools)

    def verdict_of(self, check: CheckId) -> Verdict:
        """What is known of a check; nothing before its first verdict."""
        verdict = self.verdicts.get(check)
        return Verdict() if verdict is None else Verdict(verdict.health, verdict.at)

    def _is_served(self, pool: ServicePool) -> bool:
        return self.decisions.enabled(pool.plan.name, pool.plan.enabled)

    def _served(self) -> Iterable[ServicePool]:
        return filter(self._is_served, self.pools.values())

    def desired(self) -> Desired:
        """What the balancer plane shall have."""
        if self._changed:
            self._desired = Desired(tuple(pool.service for pool in self._served() if pool.service is not None))
            self._changed = False
        return self._desired

    # --- applying -----------------------------------------------------------------------------------------------------

    def _apply(self, now: Instant) -> list[BrainEffect]:
        if self.plan is None or self.decisions.paused or self.stopping:
            return []
        effects: list[BrainEffect] = [*self.balancer.apply(now, self.desired())]
        effects += self.routers.apply(now, tables_ready=self.balancer.settled, checks_spoken=not self._unspoken)
        return effects

    def _stop(self, now: Instant, request: StopRequested) -> list[BrainEffect]:
        self.stopping = True
        event = self._event(now, Emit(NodeStopping(request.why, request.cleanup)))
        return [event, ReleaseRouters(event.event.id)]

    # --- events and hooks ---------------------------------------------------------------------------------------------

    def _event(self, now: Instant, emit: Emit) -> Published:
        return Published(self._numbering.event(now, emit))

    def _part(self, now: Instant, part: Part, why: str | None) -> Published:
        self.parts[part] = (why is None, now, why or "")
        body: EventBody = PartReached(part) if why is None else PartLost(part, why)
        return self._event(now, Emit(body))

    def _with_hooks(self, effects: list[BrainEffect]) -> list[BrainEffect]:
        if self.plan is None or not self.plan.hooks or self.decisions.paused:
            return effects
        result: list[BrainEffect] = []
        for effect in effects:
            result.append(effect)
            if isinstance(effect, Published):
                kind = kind_of(effect.event.body)
                environment = hook_environment(self.plan, effect.event)
                result += [RunHook(hook.name, environment) for hook in self.plan.hooks if kind in hook.on]
        return result
