"""What can be asked of a node by its control socket. Results are dataclasses as yaoki.core.codec writes them.

To add a request: a method here, a line in `answers` or `streams`, and a command in yaoki.cli.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from yaoki import __version__
from yaoki.core.address import IPAddress
from yaoki.core.codec import Undecodable
from yaoki.core.error import ActuatorError
from yaoki.lb.connection import MOST_LISTED
from yaoki.lb.load import NOTHING_KNOWN
from yaoki.lb.service import ServiceKey
from yaoki.lb.why import Flow, Placing, why
from yaoki.node.brain_events import Part, SubscriberDropped
from yaoki.node.decisions import OperatorCommand
from yaoki.node.diagnosis_events import DiagnosisEvent
from yaoki.node.messages import CheckStatus
from yaoki.node.neighbour_view import neighbours
from yaoki.node.snapshot import NodeView, RouterView, ServiceView, view, with_counts
from yaoki.runtime.control import Answerer, Refusal, Result, Streamer
from yaoki.runtime.driver import monotonic_now
from yaoki.runtime.event_log import MAX_BEHIND, MAX_FOLLOWERS, LoggedEvent
from yaoki.runtime.metrics import Picture
from yaoki.runtime.node import Node
from yaoki.runtime.plan_source import Offer
from yaoki.runtime.plan_trial import LONGEST, SHORTEST
from yaoki.site.diff import SiteChange
from yaoki.site.units import duration_text


@dataclass(frozen=True, slots=True)
class Done:
    """A command was carried out; `event` is what was told of it, None if it stood already."""

    event: str | None = None


@dataclass(frozen=True, slots=True)
class Checks:
    """All checks of a node; `fresh` is False when the worker did not answer."""

    checks: tuple[CheckStatus, ...]
    at_us: int
    fresh: bool = True


@dataclass(frozen=True, slots=True)
class Life:
    """Which process answers: its version, and the number of its start."""

    node: str
    version: str
    start: int
    pid: int


@dataclass(frozen=True, slots=True)
class PlanAnswer:
    """A plan that was, or would be, put in force: its difference to what runs, or why it is refused."""

    generation: str
    problems: tuple[str, ...]
    changes: tuple[SiteChange, ...] = ()
    costs: tuple[str, ...] = ()
    unsafe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WhyFlow:
    """Where does a flow go? Without `port`, a new one from this client."""

    key: ServiceKey
    client: IPAddress
    port: int | None = None


@dataclass(frozen=True, slots=True)
class ListConnections:
    """Which connections does a service have, or all services? `limit` of them are told, 1..MOST_LISTED."""

    service: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class WhyAnswer:
    """Who owns the address, which service takes the flow, and where it places it. None: there is no such thing here."""

    owner: RouterView | None
    service: ServiceView | None
    placing: Placing | None


class Requests:
    """Answers for one node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def answers(self) -> Mapping[str, Answerer]:
        """One result each."""
        return {
            "status": self._status,
            "checks": self._checks,
            "neighbours": self._neighbours,
            "why": self._why,
            "connections": self._connections,
            "operate": self._operate,
            "apply": self._apply,
            "keep": self._keep,
            "record": self._record,
            "plan": self._plan,
            "life": self._life,
            "stop": self._stop,
            "restart": self._restart,
        }

    def streams(self) -> Mapping[str, Streamer]:
        """Many results each."""
        return {"events": self._events}

    async def _status(self, request: Mapping[str, Any]) -> Result:
        return self._node.codec.plain(
            await self.status(counted=bool(request.get("counted", True)), flows=bool(request.get("flows")))
        )

    async def status(self, *, counted: bool, flows: bool = False) -> NodeView:
        """The node as it is now; with the kernel's counters, and with the number of flows, if asked for."""
        if self._node.brain.plan is None:
            raise Refusal("the node has no plan yet", "try again in a moment")
        now = view(self._node.brain, monotonic_now())
        if not counted:
            return now
        try:
            return with_counts(now, await self._node.reader.counts(flows=flows))
        except ActuatorError:
            return now  # counters are missing on show; why the plane fails is told as an event

    async def picture(self) -> Picture:
        """What metrics are made of."""
        return Picture(await self.status(counted=True), await self._node.parts.checks.ask())

    async def _why(self, request: Mapping[str, Any]) -> Result:
        try:
            question: WhyFlow = self._node.codec.value(request.get("flow", {}), WhyFlow)
        except Undecodable as error:
            raise Refusal(str(error), "the node may be of another version than this command") from error
        node = await self.status(counted=False)
        owner = next((r for r in node.routers if any(a.ip == question.key.address for a in r.addresses)), None)
        service = next((s for s in self._node.brain.desired().services if s.key == question.key), None)
        if service is None:
            return self._node.codec.plain(WhyAnswer(owner, None, None))
        held, load = None, NOTHING_KNOWN
        try:
            if question.port is not None:
                held = await self._node.reader.find(question.key, Flow(question.client, question.port))
            if service.counts_flows:
                load = await self._node.reader.load(service)
        except ActuatorError as error:
            raise Refusal(str(error)) from error
        placing = why(service, Flow(question.client, question.port or 0), held=held, load=load)
        seen = next((s for s in node.services if s.key == question.key), None)
        return self._node.codec.plain(WhyAnswer(owner, seen, placing))

    async def _connections(self, request: Mapping[str, Any]) -> Result:
        try:
            wish: ListConnections = self._node.codec.value(request.get("wish", {}), ListConnections)
        except Undecodable as error:
            raise Refusal(str(error), "the node may be of another version than this command") from error
        if not 1 <= wish.limit <= MOST_LISTED:
            raise Refusal(f"a limit of {wish.limit} is outside 1..{MOST_LISTED}")
        services = self._node.brain.desired().services
        keys = {s.key: None for s in services if wish.service in (None, s.name)}
        try:
            found = await self._node.reader.connections(keys, wish.limit)
        except ActuatorError as error:
            raise Refusal(str(error)) from error
        # There may be thousands, and the node has other things to do meanwhile.
        return await asyncio.to_thread(self._node.codec.plain, found)

    async def _checks(self, _: Mapping[str, Any]) -> Result:
        found = await self._node.parts.checks.ask()
        return self._node.codec.plain(Checks(found or (), monotonic_now().us, found is not None))

    async def _neighbours(self, _: Mapping[str, Any]) -> Result:
        plan = self._node.brain.plan
        if plan is None:
            raise Refusal("the node has no plan yet", "try again in a moment")
        interfaces = tuple(dict.fromkeys(wire.router.interface for wire in plan.wires))
        try:
            cache = await asyncio.to_thread(self._node.kernel.neighbour_cache, interfaces)
        except ActuatorError as error:
            raise Refusal(str(error)) from error
        return self._node.codec.plain(neighbours(plan, cache))

    async def _operate(self, request: Mapping[str, Any]) -> Result:
        try:
            command: OperatorCommand = self._node.codec.value(request.get("command", {}), OperatorCommand)
        except Undecodable as error:
            raise Refusal(str(error), "the node may be of another version than this command") from error
        answer = await self._node.operate(command)
        if answer.why is not None:
            raise Refusal(answer.why, answer.cure)
        return self._node.codec.plain(Done(None if answer.event is None else str(answer.event)))

    async def _apply(self, request: Mapping[str, Any]) -> Result:
        file = request.get("file")
        trial = None if request.get("trial_s") is None else timedelta(seconds=float(request["trial_s"]))
        if trial is not None and not SHORTEST <= trial <= LONGEST:
            raise Refusal(
                f"a trial of {duration_text(trial)} is outside {duration_text(SHORTEST)}..{duration_text(LONGEST)}"
            )
        path = Path(str(file)) if file else None
        offer = await self._node.reload(path, force=bool(request.get("force")), trial=trial)
        return self._node.codec.plain(_answer(offer))

    async def _keep(self, _: Mapping[str, Any]) -> Result:
        if not self._node.trial.keep():
            raise Refusal("no plan is on trial", "`yaoki events` tells what became of it")
        return self._node.codec.plain(Done())

    async def _record(self, request: Mapping[str, Any]) -> Result:
        """What was done beside the node, by `yaoki shell`."""
        try:
            told: DiagnosisEvent = self._node.codec.value(request.get("told", {}), DiagnosisEvent)
        except Undecodable as error:
            raise Refusal(str(error), "the node may be of another version than this command") from error
        self._node.note(told)
        return self._node.codec.plain(Done())

    async def _plan(self, request: Mapping[str, Any]) -> Result:
        file = request.get("file")
        offer = await self._node.compare(Path(str(file)) if file else None)
        return self._node.codec.plain(_answer(offer))

    async def _stop(self, request: Mapping[str, Any]) -> Result:
        self._node.stop("yaoki stop", cleanup=bool(request.get("cleanup")))
        return self._node.codec.plain(Done())

    async def _life(self, _: Mapping[str, Any]) -> Result:
        return self._node.codec.plain(
            Life(self._node.options.node, __version__, self._node.journal.content.starts, os.getpid())
        )

    async def _restart(self, request: Mapping[str, Any]) -> Result:
        try:
            parts = tuple(Part(name) for name in request.get("parts", ()))
        except ValueError as error:
            raise Refusal(str(error), f"parts are: {', '.join(Part)}") from error
        self._node.restart(parts)
        return self._node.codec.plain(Done())

    async def _events(self, request: Mapping[str, Any]) -> AsyncIterator[Result]:
        log = self._node.events
        follower = log.follow() if request.get("follow") else None
        if request.get("follow") and follower is None:
            raise Refusal(f"{MAX_FOLLOWERS} readers follow the events already")
        try:
            for logged in log.latest(int(request.get("last", 100))):
                yield self._logged(logged)
            while follower is not None:
                following = await follower.next()
                if following is None:
                    self._node.note(SubscriberDropped(MAX_BEHIND))
                    raise Refusal(f"this reader fell {MAX_BEHIND} events behind")
                yield self._logged(following)
        finally:
            if follower is not None:
                log.unfollow(follower)

    def _logged(self, logged: LoggedEvent) -> Result:
        return self._node.codec.plain(logged)


def _answer(offer: Offer) -> PlanAnswer:
    change = offer.change
    if change is None:
        return PlanAnswer(offer.plan.generation, offer.problems)
    return PlanAnswer(offer.plan.generation, offer.problems, change.changes, change.costs, change.unsafe)
