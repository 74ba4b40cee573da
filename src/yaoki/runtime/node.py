"""The node process: a Brain, its driver, links to speaker and check worker, the balancer plane, the control socket.

Two ways to end: `stop` releases what the node holds, `restart` leaves everything in the kernel and the speaker running
for the process that follows in this one's place. A mistake of ours (an exception that nobody expects) restarts, too.
"""

import asyncio
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from yaoki import __version__
from yaoki.core.codec import Codec
from yaoki.core.error import ActuatorError, YaokiError
from yaoki.core.event import Emit, EventBody, EventId
from yaoki.lb.service import Desired
from yaoki.linux.realtime import kernel_tick
from yaoki.node.brain import Brain
from yaoki.node.brain_events import (
    BrainCrashed,
    FlowsNotCounted,
    JournalUnreadable,
    LastGoodTaken,
    NodeStarted,
    Part,
    SiteRefused,
    SpeakerNotSucceeded,
)
from yaoki.node.brain_messages import (
    Answer,
    ApplyBalancer,
    BalancerFound,
    BrainEffect,
    BrainInput,
    CheckData,
    DataChecked,
    KeepDecisions,
    KeepEpoch,
    NewPlan,
    Note,
    Operate,
    PlanReason,
    RunHook,
    StopRequested,
    TakeOutServers,
    WatchNeighbours,
)
from yaoki.node.decisions import OperatorCommand
from yaoki.node.events import EVENT_KINDS
from yaoki.node.flow_messages import ChangeServices, ConfigureFlows, RepeatFlowStatus
from yaoki.node.lease_messages import ConfigureLeases, EndLeases, RepeatLeaseStatus
from yaoki.node.messages import (
    AdmitRouter,
    AnnounceRouter,
    ConfigureChecks,
    ConfigureRouters,
    GuardPrograms,
    MoveRouter,
    Published,
    ReleaseRouters,
    RepeatVerdicts,
    SetPriority,
)
from yaoki.node.snapshot import summary
from yaoki.node.wire_messages import AskWire, WatchWire
from yaoki.runtime.balancer import BalancerActuator, BalancerReader
from yaoki.runtime.driver import Driver, monotonic_now
from yaoki.runtime.epochs import Epochs
from yaoki.runtime.event_log import EventLog, LogForm
from yaoki.runtime.flow_counting import FlowCounting
from yaoki.runtime.hooks import HookRunner, run_program
from yaoki.runtime.journal_keeper import JournalKeeper
from yaoki.runtime.kernel import Kernel, ReachWatch, WireWatch
from yaoki.runtime.metrics import Tally
from yaoki.runtime.parts import SOCKETS, Parts
from yaoki.runtime.plan_source import Offer, PlanSource
from yaoki.runtime.plan_trial import InForce, PlanTrial
from yaoki.runtime.run_dir import take_run_dir
from yaoki.runtime.sd_notify import Notifier
from yaoki.site.allocation import collector_paused
from yaoki.vrrp.timing import leaving_limit

PROVEN_AFTER_S = 30.0
"""A plan under which the process has lived so long is the last good one from then on."""
STATUS_EVERY_S = 2.0
MAX_CRASHES = 3
"""Crashes in a row under one plan before the last good one is taken instead."""


class Server(Protocol):
    """Something that people or programs connect to while the node runs."""

    async def listen(self) -> None: ...

    def close(self) -> None: ...


class Ending(Enum):
    """How the node process ended."""

    STOPPED = "stopped"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class NodeOptions:
    """How a node process is run. `run_dir` holds its sockets, `state_dir` its journal."""

    node: str
    site: Path
    run_dir: Path
    state_dir: Path
    log: LogForm = LogForm.TEXT
    metrics: tuple[str, int] | None = None


class Node:
    """One node process. `speaker`, `worker`, `keeper` and `copier` are the command lines of its parts."""

    def __init__(
        self,
        options: NodeOptions,
        kernel: Kernel,
        *,
        speaker: Sequence[str],
        worker: Sequence[str],
        keeper: Sequence[str],
        copier: Sequence[str],
    ) -> None:
        self.options = options
        self.codec = Codec(EVENT_KINDS)
        self.source = PlanSource(options.site, options.node, kernel_tick())
        self.events = EventLog(self.codec, sys.stderr, form=options.log)
        self.journal = JournalKeeper(options.state_dir, self.note)
        self.kernel = kernel
        plane = kernel.balancer(dict(self.journal.content.sysctls), self._guard_programs)
        self.balancer = BalancerActuator(plane, tell=self.note)
        self.reader = BalancerReader(kernel.balancer({}, lambda: None))
        start = self.journal.content.starts + 1
        # The start's number keeps event ids of different lives apart.
        self.brain = Brain(f"{options.node}/brain.{start}", decisions=self.journal.content.decisions)
        self.driver: Driver[BrainInput, BrainEffect] = Driver(self.brain, self._perform)
        self.notifier = Notifier()
        self.tally = Tally()
        self.parts = Parts(
            options.run_dir,
            self.codec,
            {Part.SPEAKER: speaker, Part.CHECKS: worker, Part.LEASES: keeper, Part.FLOWS: copier},
            give=self.driver.give,
            note=self.note,
        )
        self.trial = PlanTrial(partial(self._put_in_force, reason=PlanReason.TAKEN_BACK), self.note)
        self._reach: ReachWatch | None = None
        self._wire: WireWatch | None = None
        self._hooks = HookRunner(self.note)
        self._epochs = Epochs(options.run_dir / "epochs")
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._requests = 0
        self._ending: asyncio.Future[Ending] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cleanup = False
        self._renewed: tuple[Part, ...] = ()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._counting = FlowCounting(
            self.balancer,
            spawn=self.spawn,
            paused=lambda: self.brain.decisions.paused,
            failed=lambda why: self.note(FlowsNotCounted(why)),
        )

    # --- life ---------------------------------------------------------------------------------------------------------

    async def run(self, servers: Sequence[Server]) -> Ending:
        """Serve until stopped or restarted, `servers` with it. Raises SiteError or UsageError if it cannot start."""
        loop = self._loop = asyncio.get_running_loop()
        self._ending = loop.create_future()
        lock = take_run_dir(self.options.run_dir)
        loop.add_signal_handler(signal.SIGTERM, lambda: self.stop("SIGTERM"))
        loop.add_signal_handler(signal.SIGINT, lambda: self.stop("SIGINT"))
        try:
            self.note(NodeStarted(__version__, self.journal.content.starts + 1))
            # The parts start while the site file is read: a VIP waits for them after a power cut.
            self.parts.start()
            try:
                offer = await loop.run_in_executor(None, self._first_plan)
            except YaokiError:
                await self.parts.give_up()
                raise
            loop.set_exception_handler(self._crashed)
            try:
                await self._start(offer)
                for server in servers:
                    await server.listen()
            except Exception as error:
                self._crashed(loop, {"exception": error})
            self.notifier.ready(summary(self.brain))
            ending = await self._ending
            for server in servers:
                server.close()
            await self._finish(ending)
        finally:
            os.close(lock)
        return ending

    def stop(self, why: str, *, cleanup: bool = False) -> None:
        """Release everything, then end."""
        self._cleanup = self._cleanup or cleanup
        self.driver.give(StopRequested(why, cleanup))
        self._end(Ending.STOPPED)

    def restart(self, parts: Sequence[Part] = ()) -> None:
        """End, leaving all as it is for the process that follows; `parts` are to be started anew by that."""
        self._renewed = tuple(parts)
        self._end(Ending.RESTART)

    def note(self, body: EventBody) -> None:
        """Report something that befell the process."""
        self.driver.give(Note(Emit(body)))

    def _first_plan(self) -> Offer:
        """The site file's plan, or the last good one. Raises SiteError if there is neither."""
        return self.source.first(self.journal.last_good, self.journal.crashes_of, MAX_CRASHES)

    async def _start(self, offer: Offer) -> None:
        loop = asyncio.get_running_loop()
        self.journal.started(offer.plan)
        for body in self._misfortunes(offer):
            self.note(body)
        self._reach = self.kernel.reach(self.driver.give)
        self._wire = self.kernel.wire(self.driver.give, self.note)
        self.driver.give(BalancerFound(await self._found()))
        reason = PlanReason.LAST_GOOD if offer.instead_of else PlanReason.START
        self._give(NewPlan(offer.plan, reason))
        self._prove_later(offer.plan.generation)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.spawn(self.reload()))
        self._keep_alive()
        self._tell_status()

    def _misfortunes(self, offer: Offer) -> list[EventBody]:
        bodies: list[EventBody] = []
        if self.journal.unreadable is not None:
            bodies.append(JournalUnreadable(self.journal.unreadable))
        if self.journal.crash is not None:
            bodies.append(BrainCrashed(self.journal.crash.why, self.journal.crash.times))
        if offer.problems:
            bodies.append(SiteRefused(str(self.source.path), offer.problems))
        if offer.instead_of is not None:
            bodies.append(LastGoodTaken(str(self.source.path), offer.instead_of))
        return bodies

    async def _found(self) -> Desired:
        try:
            return await self.balancer.found()
        except ActuatorError:
            # Applying will fail the same way, be told as an event, and be tried again.
            return Desired()

    async def _finish(self, ending: Ending) -> None:
        loop = asyncio.get_running_loop()
        for signal_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(signal_)
        self.notifier.stopping()
        self.trial.end()
        if ending is Ending.RESTART:
            if Part.SPEAKER in self._renewed and not await self.parts.succeed_speaker():
                # The older one goes on: nothing is lost but the newer version.
                self.note(SpeakerNotSucceeded())
            self.parts.leave(renewed=[part for part in self._renewed if part is not Part.SPEAKER])
        else:
            await self.parts.end(self._leaving())
        await self._hooks.close()
        if self._reach is not None:
            self._reach.close()
        if self._wire is not None:
            self._wire.close()
        self.driver.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._prove_now()
        if ending is Ending.STOPPED:
            await self._leave_nothing()
        self.balancer.close()
        self.reader.close()

    def _leaving(self) -> timedelta:
        """The longest that a router of this node waits to be relieved."""
        routers = () if self.brain.plan is None else self.brain.plan.routers
        limits = (leaving_limit(version=params.version, interval=params.interval) for params in routers)
        return max(limits, default=timedelta(0))

    async def _leave_nothing(self) -> None:
        """VIPs that a dead speaker left are taken away in any case; with --cleanup, everything of ours is."""
        plan = self.brain.plan
        interfaces = () if plan is None else tuple(dict.fromkeys(r.key.interface for r in plan.routers))
        self.kernel.release_addresses(interfaces)
        if not self._cleanup:
            return
        await self.balancer.cleanup()
        self.kernel.cleanup()
        self.journal.remove()
        for name in (*SOCKETS.values(), "lease-holder.sock", "lease.lock", "flows.lock", "control.sock", "lock"):
            (self.options.run_dir / name).unlink(missing_ok=True)
        self._epochs.remove()
        with suppress(OSError):
            self.options.run_dir.rmdir()

    def _end(self, ending: Ending) -> None:
        assert self._ending is not None
        if not self._ending.done():
            self._ending.set_result(ending)

    def _crashed(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Our own mistake: leave the kernel as it is, note it, and start anew."""
        error = context.get("exception")
        why = "".join(traceback.format_exception(error)) if isinstance(error, Exception) else str(context)
        print(why, file=sys.stderr, flush=True)  # noqa: T201 - the event log may be what has failed
        last_line = why.strip().rsplit("\n", 1)[-1]
        self.journal.crashed(last_line)
        self._end(Ending.RESTART)

    def _prove_later(self, generation: str) -> None:
        def prove() -> None:
            if self.brain.plan is not None and self.brain.plan.generation == generation:
                self.spawn(self.journal.prove_beside(self.brain.plan))

        asyncio.get_running_loop().call_later(PROVEN_AFTER_S, prove)

    def _prove_now(self) -> None:
        """A plan that served until somebody asked to stop or restart is good, however short that was."""
        if self.brain.plan is not None and not self.journal.crashing:
            self.journal.prove(self.brain.plan)

    def _tell_status(self) -> None:
        """One line for `systemctl status`, kept up to date."""
        if self.notifier.listens:
            self.notifier.status(summary(self.brain))
            asyncio.get_running_loop().call_later(STATUS_EVERY_S, self._tell_status)

    def _keep_alive(self) -> None:
        if self.notifier.watchdog_s is not None:
            self.notifier.alive()
            asyncio.get_running_loop().call_later(self.notifier.watchdog_s, self._keep_alive)

    def spawn(self, coroutine: Any) -> None:  # noqa: ANN401 - any coroutine
        """Run it beside the rest; it ends with the node."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._spawned_ended)

    def _spawned_ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            loop = asyncio.get_running_loop()
            loop.call_exception_handler({"message": "a task failed", "exception": task.exception()})

    # --- what the Brain wants -----------------------------------------------------------------------------------------

    def _perform(self, effect: BrainEffect) -> None:
        match effect:
            case Published():
                self.events.take(effect.event)
                self.tally.take(effect.event)
            case (
                ConfigureRouters() | SetPriority() | ReleaseRouters() | AdmitRouter() | MoveRouter() | AnnounceRouter()
            ):
                self.parts.tell_speaker(effect)
            case ConfigureChecks() | RepeatVerdicts():
                self.parts.tell_worker(effect)
            case ApplyBalancer() | TakeOutServers():
                self.spawn(self._bring(effect))
            case WatchNeighbours():
                assert self._reach is not None, "the watch is there before the plan"
                self._reach.watch(effect.addresses, effect.routed)
            case WatchWire() | AskWire():
                assert self._wire is not None, "the watch is there before the plan"
                self._wire.perform(effect)
            case (
                ConfigureLeases()
                | RepeatLeaseStatus()
                | EndLeases()
                | ConfigureFlows()
                | ChangeServices()
                | RepeatFlowStatus()
            ):
                self.parts.tell_on_demand(effect)
            case KeepDecisions():
                self.journal.keep(effect.decisions)
            case KeepEpoch():
                self._epochs.keep(effect.vip, effect.epoch)
            case RunHook() | CheckData():
                self._run_program(effect)
            case Answer():
                waiting = self._answers.pop(effect.request, None)
                if waiting is not None and not waiting.done():
                    waiting.set_result(effect)

    async def _bring(self, order: ApplyBalancer | TakeOutServers) -> None:
        if isinstance(order, TakeOutServers):
            await self.balancer.take_out(order.desired)
            return
        finished = await self.balancer.apply(order.desired)
        self.journal.keep_sysctls(self.balancer.sysctls)
        self.driver.give(finished)
        if any(service.counts_flows for service in order.desired.services):
            self._counting.begin()
        # Not awaited: whatever is to be applied next does not wait for it.
        self.spawn(self._remove_flows(order.because))

    async def _remove_flows(self, because: EventId | None) -> None:
        if (told := await self.balancer.remove_flows()) is not None:
            self.driver.give(Note(Emit(told, because)))

    def _guard_programs(self) -> None:
        """Called on the balancer's thread."""
        assert self._loop is not None, "the balancer is asked for nothing before the node runs"
        self._loop.call_soon_threadsafe(self.parts.tell_speaker, GuardPrograms())

    async def _check_data(self, order: CheckData) -> None:
        why = await run_program(order.check, dict(order.environment))
        self.driver.give(DataChecked(order.check.vip, order.run, why))

    def _run_program(self, order: RunHook | CheckData) -> None:
        if isinstance(order, CheckData):
            self.spawn(self._check_data(order))
            return
        plan = self.brain.plan
        for hook in () if plan is None else plan.hooks:
            if hook.name == order.hook:
                self._hooks.start(hook, order.environment)

    # --- what people ask ----------------------------------------------------------------------------------------------

    async def operate(self, command: OperatorCommand) -> Answer:
        """Have the Brain carry out a person's command."""
        self._requests += 1
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[self._requests] = waiting
        self.driver.give(Operate(self._requests, command))
        return await waiting

    async def compare(self, path: Path | None) -> Offer:
        """What reloading would do."""
        running = self.brain.plan
        return await asyncio.get_running_loop().run_in_executor(
            None, lambda: self.source.again(path, running=running, force=True)
        )

    async def reload(self, path: Path | None = None, *, force: bool = False, trial: timedelta | None = None) -> Offer:
        """Read the site file again (or another from now on) and put it in force, unless it is refused; with `trial`,
        until that has passed or it is kept."""
        self.notifier.reloading(monotonic_now().us)
        running = self.brain.plan
        offer = await asyncio.get_running_loop().run_in_executor(
            None, lambda: self.source.again(path, running=running, force=force)
        )
        if offer.problems:
            self.note(SiteRefused(str(path or self.source.path), offer.problems))
        else:
            assert self.brain.plan is not None, "a node that answers has a plan"
            former = InForce(self.brain.plan, self.source.path)
            self._put_in_force(InForce(offer.plan, path or self.source.path))
            if trial is None:
                self.trial.end()
            else:
                self.trial.begin(former, offer.plan.generation, trial)
        self.notifier.ready(summary(self.brain))
        return offer

    def _put_in_force(self, new: InForce, reason: PlanReason = PlanReason.RELOAD) -> None:
        self.source.path = new.path
        self.journal.on_trial(new.plan.generation)
        self._give(NewPlan(new.plan, reason))
        self._prove_later(new.plan.generation)

    def _give(self, new: NewPlan) -> None:
        with collector_paused():
            self.driver.give(new)
