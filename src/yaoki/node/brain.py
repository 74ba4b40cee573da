"""The Brain: what one node wants, from its plan, the verdicts of its checks and what people decided.

Every consequence names its cause: check fell -> server out -> service empty -> priority lowered is one chain of events.

First do no harm:
* it starts from what the kernel has (BalancerFound), so a restart changes nothing that was not to change;
* on a cold start VIPs are asked for only once the balancer's tables are there and the checks have spoken, or a hold has
  passed; a new plan gives up VIPs first, then changes tables, then takes VIPs (yaoki.node.router_wish);
* paused, nothing is applied; what was asked of the speaker before is repeated to a new one.

Invariants: at most one ApplyBalancer is under way, and the latest wish follows it, servers that take less by it at
once; a priority is sent only when it
differs from what the speaker was last told; equal inputs at equal times give equal effects.
"""

from collections.abc import Iterable
from typing import assert_never

from yaoki.checks.check import CheckId
from yaoki.core.address import MacAddress
from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.core.machine import TimerFired
from yaoki.lb.service import Desired
from yaoki.node.arp_leaks import ArpLeaks
from yaoki.node.balancer_wish import BalancerWish
from yaoki.node.brain_events import (
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
    CopierLost,
    CopierReached,
    DataChecked,
    KeepDecisions,
    KeeperLost,
    KeeperReached,
    NeighbourFound,
    NewPlan,
    Note,
    Operate,
    PartInput,
    RouteFound,
    SpeakerBack,
    SpeakerLost,
    StopRequested,
    WorkerBack,
    WorkerLost,
)
from yaoki.node.data_checks import DataChecks
from yaoki.node.decisions import (
    AdmitVip,
    Decisions,
    MoveVip,
    Pause,
    Refused,
    Resume,
    alone,
    decide,
    vips_with,
)
from yaoki.node.flow_messages import FlowStatus
from yaoki.node.flow_wish import FlowWish
from yaoki.node.hook_runs import questioned, with_hooks
from yaoki.node.lease_messages import LeaseStatus
from yaoki.node.lease_wish import LeaseWish
from yaoki.node.messages import (
    AdmitRouter,
    ConfigureChecks,
    MoveRouter,
    PeerStatus,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    RouterStatus,
    VerdictChanged,
)
from yaoki.node.narrate import decided, selected
from yaoki.node.reach import Reach
from yaoki.node.router_wish import RouterWish
from yaoki.node.service_pool import PoolKey, ServicePool
from yaoki.node.service_pools import ServicePools, is_served
from yaoki.node.track_health import TrackHealth
from yaoki.node.wire_messages import ClaimsSeen, FramesDropped, WireInterface
from yaoki.node.wire_observer import WireObserver
from yaoki.node.withdrawal import Withdrawal
from yaoki.pool.health import Verdict
from yaoki.pool.member import Health
from yaoki.pool.policy import Outlook
from yaoki.site.model import TrackedService
from yaoki.site.node_plan import NodePlan, Tracked
from yaoki.vrrp.params import RouterKey

_WIRE_INPUTS = (WireInterface, ClaimsSeen, FramesDropped)


class Brain:
    """The machine of `yaoki node`. `source` names it in events; `decisions` are those of the journal."""

    def __init__(self, source: str, *, decisions: Decisions = Decisions()) -> None:
        self._numbering = EventNumbering(source)
        self.decisions = decisions
        self.plan: NodePlan | None = None
        self.plan_since: Instant | None = None
        self.pools = ServicePools()
        self.verdicts: dict[CheckId, VerdictChanged] = {}
        self.statuses: dict[RouterKey, RouterStatus] = {}
        self.peers: dict[str, PeerStatus] = {}
        self.reach = Reach()
        self.parts: dict[Part, tuple[bool, Instant, str]] = {}
        self.stopping = False
        self.balancer = BalancerWish()
        self.routers = RouterWish(decisions.moved)
        self.leaks = ArpLeaks(self._server_at)
        self.wire = WireObserver(self._event, self._server_at, self.leaks.look)
        self.tracks = TrackHealth()
        self.leases = LeaseWish()
        self.flows = FlowWish()
        self.withdrawal = Withdrawal()
        self.data = DataChecks(self._event)
        self._found: Desired | None = None
        self._agenda: Agenda[PoolKey] = Agenda()
        self._checked: frozenset[CheckId] = frozenset()
        self._unspoken: set[PoolKey] = set()
        self._desired = Desired()
        self._changed = False
        self._followed = False

    # --- the machine --------------------------------------------------------------------------------------------------

    def deadline(self) -> Deadline | None:
        """The next step of a slow start, try of a refused apply or data check, the end of the hold at a cold start."""
        if self.stopping:
            return None
        if self.decisions.paused:
            return earliest(self._agenda.next(), self.wire.deadline())
        return earliest(self._agenda.next(), self._next_of_wishes, self.wire.deadline())

    @property
    def _next_of_wishes(self) -> Deadline | None:
        wishes = (self.balancer, self.routers, self.flows, self.data)
        return earliest(*(wish.deadline() for wish in wishes))

    def handle(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        """See yaoki.core.machine.Machine."""
        if self.stopping:
            return self._while_stopping(now, input_)
        # What is seen on the wire changes no wish, nor does the time to look there again, but for a server that leaks.
        routine = isinstance(input_, _WIRE_INPUTS) or (isinstance(input_, TimerFired) and self._only_wire_waits(now))
        effects = self._take(now, input_)
        for address, because in self.leaks.changes():
            effects += self._decide(now, self.pools.minding_leaks_of(address), because)
        if not routine or self._changed:
            effects += self._apply(now)
        return self._with_hooks(effects)

    def _only_wire_waits(self, now: Instant) -> bool:
        """Whether nothing else is due, or will be."""
        pool = self._agenda.next()
        pools_wait = pool is not None and pool.at <= now
        return not pools_wait and self._next_of_wishes is None

    def _take(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        match input_:
            case (
                SpeakerBack()
                | SpeakerLost()
                | WorkerBack()
                | WorkerLost()
                | KeeperReached()
                | KeeperLost()
                | LeaseStatus()
                | CopierReached()
                | CopierLost()
                | FlowStatus()
                | RouterStatus()
                | PeerStatus()
                | Published()
            ):
                return self._take_from_part(now, input_)
            case VerdictChanged():
                return self._verdict(now, input_)
            case NeighbourFound() | RouteFound():
                return self._reached(now, input_)
            case WireInterface() | ClaimsSeen() | FramesDropped():
                return list(self.wire.handle(now, input_))
            case ApplyFinished() | DataChecked():
                return self._ended(now, input_)
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

    def _ended(self, now: Instant, input_: ApplyFinished | DataChecked) -> list[BrainEffect]:
        """What was begun elsewhere."""
        if isinstance(input_, ApplyFinished):
            return [self._event(now, emit) for emit in self.balancer.finished(now, input_)]
        return [] if self.plan is None else [*self.data.ended(now, self.plan, self.statuses.values(), input_)]

    def _take_from_part(self, now: Instant, input_: PartInput) -> list[BrainEffect]:
        match input_:
            case RouterStatus():
                return self._router_status(input_)
            case PeerStatus():
                self.peers[input_.node] = input_
                return []
            case Published():
                return [input_]
            case SpeakerBack():
                return [self._part(now, Part.SPEAKER, None), *self.routers.repeat()]
            case SpeakerLost():
                self.wire.speaker_lost(now)
                return [self._part(now, Part.SPEAKER, input_.why)]
            case WorkerBack():
                return [self._part(now, Part.CHECKS, None), *self._configure_checks(None), RepeatVerdicts()]
            case WorkerLost():
                return [self._part(now, Part.CHECKS, input_.why)]
            case KeeperReached():
                return [self._part(now, Part.LEASES, None), *self.leases.repeat()]
            case KeeperLost():
                return [self._part(now, Part.LEASES, input_.why)]
            case LeaseStatus():
                self.leases.note(input_)
                return []
            case CopierReached() | CopierLost() | FlowStatus():
                return self._take_from_copier(now, input_)
            case _:
                assert_never(input_)

    def _take_from_copier(self, now: Instant, input_: CopierReached | CopierLost | FlowStatus) -> list[BrainEffect]:
        match input_:
            case CopierReached():
                return [self._part(now, Part.FLOWS, None), *self.flows.repeat()]
            case CopierLost():
                self.flows.lost()
                return [self._part(now, Part.FLOWS, input_.why)]
            case FlowStatus():
                self.flows.note(input_)
                return []

    def _router_status(self, status: RouterStatus) -> list[BrainEffect]:
        self.statuses[status.router] = status
        self.wire.status(status)
        epoch = self.leases.new_epoch(status.vip, self.statuses.values())
        return [] if epoch is None else [epoch]

    def _balancer_found(self, found: BalancerFound) -> list[BrainEffect]:
        self._found = found.found
        self.reach.adopt(found.found)
        self.routers.found_tables(bool(found.found.services))
        return []

    def _while_stopping(self, now: Instant, input_: BrainInput) -> list[BrainEffect]:
        """Nothing is wanted any more; events are still told, and a speaker that comes back is told to release."""
        match input_:
            case Published() | Note():
                return self._with_hooks(self._take(now, input_))
            case RouterStatus():
                return self._router_status(input_)
            case PeerStatus():
                self.peers[input_.node] = input_
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
        self.leaks.configure(plan)
        before, self.pools = self.pools, ServicePools(plan)
        self.pools.inherit(before)
        if first and self._found is not None:
            self.pools.adopt(self._found, now)
            self.leaks.adopt(now, plan, self._found, self.decisions)
        self.tracks = TrackHealth(plan)
        wanted = {params.key for params in plan.routers}
        self.statuses = {key: status for key, status in self.statuses.items() if key in wanted}
        known = {peer.node for peer in plan.heartbeat.peers}
        self.peers = {node: status for node, status in self.peers.items() if node in known}
        effects: list[BrainEffect] = [adopted]
        effects += [self._event(now, Emit(body, because)) for body in questioned(plan)]
        effects += [*self._configure_checks(because), *self.reach.watch(self.pools.neighbours())]
        effects += self.wire.configure(now, plan.wires)
        for gone in (pool.key for pool in before if pool.key not in self.pools):
            self._agenda.set(gone, None)
            self._unspoken.discard(gone)
        self.balancer.because(because)
        self.routers.new_plan(now, plan, because)
        effects += self._withdraw(now, because)
        self._changed, self._followed = True, False
        effects += self._decide(now, self.pools, because)
        return effects

    def _configure_checks(self, because: EventId | None) -> list[BrainEffect]:
        if self.plan is None:
            return []
        specs = self.pools.checks(self.decisions)
        self._checked = frozenset(spec.id for spec in specs)
        self.verdicts = {check: verdict for check, verdict in self.verdicts.items() if check in self._checked}
        return [ConfigureChecks(specs, because)]

    # --- what changes a decision --------------------------------------------------------------------------------------

    def _verdict(self, now: Instant, verdict: VerdictChanged) -> list[BrainEffect]:
        if self.plan is None:
            # A worker that outlived an earlier Brain is quicker than the site file: what it knows counts.
            self.verdicts[verdict.check] = verdict
            return []
        pools, probes = self.pools.of_check(verdict.check), self.tracks.of_check(verdict.check)
        # A verdict may be on its way while its check is given up: a server in maintenance begins anew when it is back.
        wanted = (pools or probes) and verdict.check in self._checked
        if not wanted or verdict.health is Health.UNKNOWN:
            return []
        self.verdicts[verdict.check] = verdict
        return self._decide(now, pools, verdict.because, verdict.finding.evidence, touched=verdict.check)

    def _reached(self, now: Instant, found: NeighbourFound | RouteFound) -> list[BrainEffect]:
        body = self.reach.hear(found)
        if body is None:
            return []
        told = self._event(now, Emit(body))
        return [told, *self._decide(now, self.pools.reached_at(found.address), told.event.id)]

    def _server_at(self, mac: MacAddress) -> str | None:
        """The real server for direct return that has this MAC."""
        return next((name for address, name in self.pools.direct() if self.reach.macs.get(address) == mac), None)

    def _operate(self, now: Instant, operate: Operate) -> list[BrainEffect]:
        if self.plan is None:
            return [Answer(operate.request, "the node has no plan yet", "try again in a moment")]
        command = operate.command
        refused = self.withdrawal.refuses(command) or alone(self.plan, self.peers, command)
        result = refused or decide(self.decisions, self.plan, command)
        if isinstance(result, Refused):
            return [Answer(operate.request, result.why, result.cure)]
        if result == self.decisions and not isinstance(command, AdmitVip | MoveVip):
            return [Answer(operate.request)]
        told = self._event(now, Emit(decided(command)))
        because = told.event.id
        kept = [KeepDecisions(result)] if result != self.decisions else []
        self.decisions, self.routers.moved = result, result.moved
        effects: list[BrainEffect] = [*kept, told]
        if isinstance(command, AdmitVip | MoveVip):
            order = AdmitRouter if isinstance(command, AdmitVip) else MoveRouter
            moving = vips_with(self.plan, command.vip)
            effects += [order(router.key, because) for router in self.plan.routers if router.vip in moving]
        effects.append(Answer(operate.request, event=because))
        if not isinstance(command, Pause | Resume | AdmitVip | MoveVip):
            self._changed = True
            effects += [*self._withdraw(now, because), *self._configure_checks(because)]
            effects += self._decide(now, self.pools, because)
        return effects

    def _withdraw(self, now: Instant, because: EventId) -> list[BrainEffect]:
        """Give up the VIPs whose services are all disabled, and want those again of which one is enabled."""
        assert self.plan is not None, "a plan comes first"
        changes = [Emit(body, because) for body in self.withdrawal.follow(self.plan, self.decisions)]
        events = [self._event(now, change) for change in changes]
        self.routers.withdraw(now, self.withdrawal.vips, events[0].event.id if events else because)
        return [*events]

    def _timer_fired(self, now: Instant) -> list[BrainEffect]:
        due = [pool for key in self._agenda.due(now) if (pool := self.pools.get(key)) is not None]
        return [*self.wire.due(now), *(self._decide(now, due, None) if due else [])]

    # --- deciding -----------------------------------------------------------------------------------------------------

    def _decide(
        self,
        now: Instant,
        pools: Iterable[ServicePool],
        because: EventId | None,
        evidence: str = "",
        *,
        touched: CheckId | None = None,
    ) -> list[BrainEffect]:
        """Decide on some pools anew; tell what changed, down to the priorities that follow from it."""
        effects: list[BrainEffect] = []
        causes: dict[Tracked, EventId | None] = {}
        if touched is not None:
            causes.update(dict.fromkeys(self.tracks.of_check(touched), because))
        services: set[str] = set()
        for pool in pools:
            key = pool.key
            services.add(key.service)
            before = pool.selection
            leaks = self.leaks.of(key.key.address)
            selection = pool.decide(now, self.verdict_of, self.decisions, touched=touched, leaking=leaks)
            self._agenda.set(key, selection.deadline)
            if selection.outlook is Outlook.UNPROVEN and is_served(pool, self.decisions):
                self._unspoken.add(key)
            else:
                self._unspoken.discard(key)
            if touched is None or before is None or selection.members != before.members:
                self._changed = pool.render(self.reach) or self._changed
            cause = because
            for body in selected(pool.plan, before, selection, evidence):
                event = self._event(now, Emit(body, cause))
                effects.append(event)
                cause = event.event.id
            if cause != because:
                self.balancer.because(cause)
                causes[TrackedService(key.service)] = cause
        return effects + self._follow(now, causes, services)

    def _follow(self, now: Instant, causes: dict[Tracked, EventId | None], services: set[str]) -> list[BrainEffect]:
        """Let the priorities follow what has failed or works again."""
        changed = self.tracks.note_services(services, self.pools, self.decisions)
        self.tracks.note_verdicts(self.verdicts)
        if not causes and not changed and self._followed:
            return []
        self._followed = True
        events: list[BrainEffect] = []
        for wanted in self.routers.tracked(self.tracks.works, causes):
            event = self._event(now, wanted)
            self.routers.announced(wanted, event.event.id)
            events.append(event)
        return events

    def verdict_of(self, check: CheckId) -> Verdict:
        """What is known of a check; nothing before its first verdict."""
        verdict = self.verdicts.get(check)
        return Verdict() if verdict is None else Verdict(verdict.health, verdict.at)

    def desired(self) -> Desired:
        """What the balancer plane shall have."""
        if self._changed:
            self._desired, self._changed = self.pools.desired(self.decisions), False
        return self._desired

    # --- applying -----------------------------------------------------------------------------------------------------

    def _apply(self, now: Instant) -> list[BrainEffect]:
        if self.plan is None or self.decisions.paused or self.stopping:
            return []
        effects: list[BrainEffect] = [*self.leases.apply(self.plan)]
        # The copier first: what a server had that is dead now is not to come back while its flows are deleted.
        wanted, has = self.desired(), self.balancer.has
        effects += [*self.flows.apply(now, self.plan, wanted, has), *self.balancer.apply(now, wanted)]
        self.routers.held_back = self.flows.held_back(self.plan, self.statuses.values())
        self.routers.reported(self.statuses.values())
        spoken = not self._unspoken and self.tracks.spoken
        effects += self.data.look(now, self.plan, self.statuses.values(), self.leases.epochs)
        effects += self.routers.apply(now, tables_ready=self.balancer.settled, checks_spoken=spoken)
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
        return with_hooks(self.plan, effects)
