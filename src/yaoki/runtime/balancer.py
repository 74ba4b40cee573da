"""The balancer plane beside the event loop: one thread, one call at a time, errors as values.

The plane itself is the kernel's (yaoki.linux); here is only what it must offer and how it is called.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Protocol, TypeVar

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.lb.connection import ConnectionList
from yaoki.lb.filling import Filled, Fillings
from yaoki.lb.load import Load
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.plan import Actual
from yaoki.lb.plane import PlaneChoice
from yaoki.lb.service import Desired, RealServer, ServiceKey, VirtualService
from yaoki.lb.why import Flow
from yaoki.node.brain_events import FlowsNotRemoved, FlowsRemoved
from yaoki.node.brain_messages import ApplyFinished
from yaoki.node.snapshot import Count, Counts, ServiceTotal
from yaoki.pool.plan import Plan
from yaoki.site.allocation import collector_paused

ResultT = TypeVar("ResultT")

REMOVAL_PAUSES_S = (0.2, 1.0, 5.0)
"""Between attempts to remove flows."""


class ServerCount(Protocol):
    """What the plane counted for one server of one service."""

    @property
    def service(self) -> ServiceKey: ...
    @property
    def server(self) -> IPAddress: ...
    @property
    def port(self) -> int: ...
    @property
    def packets(self) -> int: ...
    @property
    def octets(self) -> int: ...


class ServiceCount(Protocol):
    """What the plane counted for one service; `opened` flows were given a server, None where nobody counts that."""

    @property
    def service(self) -> ServiceKey: ...
    @property
    def packets(self) -> int: ...
    @property
    def octets(self) -> int: ...
    @property
    def opened(self) -> int | None: ...


class PlaneCounts(Protocol):
    """Everything that a plane counts."""

    @property
    def servers(self) -> Iterable[ServerCount]: ...
    @property
    def services(self) -> Iterable[ServiceCount]: ...
    @property
    def unsent(self) -> Mapping[PacketReason, int]:
        """Packets that the program on BPF sent to no server."""
        ...


class Originals(Protocol):
    """The kernel's parameters as they were before the plane changed them."""

    @property
    def originals(self) -> Mapping[str, str]: ...


class Recount(Protocol):
    """One count of flows, to be carried out. Both methods may raise ActuatorError."""

    def count(self) -> None:
        """Look at all flows; may last, and may be called while the plane is busy in its thread."""
        ...

    def heed(self) -> bool:
        """In the plane's thread: give new flows out by a part of what was counted; whether there is more."""
        ...

    @property
    def filled(self) -> Sequence[Filled]:
        """How full the tables of flows were that were looked at."""
        ...


class BalancerPlane(Protocol):
    """A plane for virtual services; every method may block and may raise ActuatorError."""

    @property
    def sysctls(self) -> Originals: ...

    def observe(self) -> Actual: ...

    @property
    def choices(self) -> Mapping[ServiceKey, PlaneChoice]:
        """Which plane carries each service, and why."""
        ...

    def converge(self, desired: Desired, /) -> Plan[Any]: ...

    def begin(self, desired: Desired, /) -> None:
        """Of `converge`, which has to follow, what cannot wait."""
        ...

    def take_out(self, desired: Desired, /) -> None:
        """The same of a later wish, while `converge` is about to begin or under way in its thread."""
        ...

    def remove_flows(self) -> int:
        """Remove the flows that `converge` has let go of; may be called while that is under way in its thread."""
        ...

    def counts(self) -> PlaneCounts: ...

    def flows(self) -> Mapping[tuple[ServiceKey, IPAddress, int], int]: ...

    def recount(self) -> Recount | None:
        """A count of the flows of services whose servers are chosen by them; None if there is no such service."""
        ...

    def find(self, key: ServiceKey, flow: Flow, /) -> RealServer | None: ...

    def connections(self, keys: Collection[ServiceKey], limit: int, /) -> ConnectionList: ...

    def cleanup(self) -> None: ...


class BalancerActuator:
    """Calls a plane from its own thread, and from three more to take out servers that fail meanwhile, to remove flows
    and to count them: that may last, and nobody must wait for it. `tell` is told of tables that fill."""

    def __init__(self, plane: BalancerPlane, *, tell: Callable[[EventBody], None] = lambda _: None) -> None:
        self._plane = plane
        self._tell = tell
        self._fillings = Fillings()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="balancer")
        self._taking_out = ThreadPoolExecutor(1, thread_name_prefix="balancer-out")
        self._removing = ThreadPoolExecutor(1, thread_name_prefix="balancer-flows")
        self._counting = ThreadPoolExecutor(1, thread_name_prefix="balancer-count")

    @property
    def sysctls(self) -> tuple[tuple[str, str], ...]:
        """Originals of what the plane has changed, for the journal."""
        return tuple(self._plane.sysctls.originals.items())

    async def found(self) -> Desired:
        """What the kernel holds. Raises ActuatorError."""
        return (await self._call(self._plane.observe)).desired

    async def apply(self, desired: Desired) -> ApplyFinished:
        """Bring the kernel to `desired`."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            # One after the other in one thread: who was to be taken out before may be back by this wish.
            await _in(self._taking_out, lambda: self._plane.begin(desired))
            done = await self._call(lambda: self._converge(desired))
        except ActuatorError as error:
            return ApplyFinished(error=str(error))
        changes = tuple(_described(change.action.value, change.subject, change.details) for change in done.changes)
        planes = tuple(self._plane.choices.items())
        return ApplyFinished(changes, timedelta(seconds=loop.time() - begun), planes=planes)

    def _converge(self, desired: Desired) -> Plan[Any]:
        with collector_paused():
            return self._plane.converge(desired)

    async def take_out(self, desired: Desired) -> None:
        """Servers that take less by `desired` get nothing more, while an `apply` is under way; another has to
        follow."""
        await _in(self._taking_out, lambda: self._plane.take_out(desired))

    async def remove_flows(self) -> EventBody | None:
        """Remove the flows that are let go of; what is to be told of it. Tried again some times, and what fails for
        good with the next call."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for pause_s in (*REMOVAL_PAUSES_S, None):
            try:
                removed = await _in(self._removing, self._plane.remove_flows)
            except ActuatorError as error:
                if pause_s is None:
                    return FlowsNotRemoved(str(error))
                await asyncio.sleep(pause_s)
                continue
            return FlowsRemoved(removed, timedelta(seconds=loop.time() - begun)) if removed else None
        return None

    async def recount(self) -> bool:
        """Count the flows of services whose servers are chosen by them; whether there is such a service. Raises
        ActuatorError."""
        recount = await self._call(self._plane.recount)
        if recount is None:
            return False
        await _in(self._counting, recount.count)
        for event in self._fillings.heed(recount.filled):
            self._tell(event)
        while await self._call(recount.heed):
            pass
        return True

    async def cleanup(self) -> None:
        """Take away all that is the plane's. Raises ActuatorError."""
        await self._call(self._plane.cleanup)

    def close(self) -> None:
        """End the threads, after what they are doing."""
        for thread in (self._thread, self._taking_out, self._removing, self._counting):
            thread.shutdown(wait=True, cancel_futures=True)

    async def _call(self, function: Callable[[], ResultT]) -> ResultT:
        return await _in(self._thread, function)


class BalancerReader:
    """Looks at what a plane of its own finds, in a thread of its own: counting never holds up applying."""

    def __init__(self, plane: BalancerPlane) -> None:
        self._plane = plane
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="balancer-reader")

    async def counts(self, *, flows: bool) -> Counts:
        """What every server and service was sent, with the flows that it has if asked for. Raises ActuatorError."""
        return await _in(self._thread, lambda: self._count(flows=flows))

    async def find(self, key: ServiceKey, flow: Flow) -> RealServer | None:
        """The server that a flow has now. Raises ActuatorError."""
        return await _in(self._thread, lambda: self._find(key, flow))

    async def connections(self, keys: Collection[ServiceKey], limit: int) -> ConnectionList:
        """Connections of services and sources that they remember, so many at most. Raises ActuatorError."""
        return await _in(self._thread, lambda: self._connections(keys, limit))

    async def load(self, service: VirtualService) -> Load:
        """The flows that a service's servers have. Raises ActuatorError."""
        return await _in(self._thread, lambda: self._load(service))

    def close(self) -> None:
        """End the thread, after what it is doing."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _load(self, service: VirtualService) -> Load:
        self._plane.observe()
        flows = self._plane.flows()
        places = ((server.address, server.port) for server in service.servers)
        return Load({place: flows.get((service.key, *place), 0) for place in places})

    def _count(self, *, flows: bool) -> Counts:
        held: Mapping[tuple[ServiceKey, IPAddress, int], int] = {}
        if flows:
            self._plane.observe()
            held = self._plane.flows()
        found = self._plane.counts()
        counted = {(each.service, each.server, each.port): each for each in found.servers}
        return Counts(
            {
                place: Count(each.packets, each.octets, held.get(place, 0) if flows else None)
                for place, each in counted.items()
            },
            {each.service: ServiceTotal(each.packets, each.octets, each.opened) for each in found.services},
            found.unsent,
        )

    def _connections(self, keys: Collection[ServiceKey], limit: int) -> ConnectionList:
        self._plane.observe()
        return self._plane.connections(keys, limit)

    def _find(self, key: ServiceKey, flow: Flow) -> RealServer | None:
        self._plane.observe()
        return self._plane.find(key, flow)


async def _in(thread: ThreadPoolExecutor, function: Callable[[], ResultT]) -> ResultT:
    return await asyncio.get_running_loop().run_in_executor(thread, function)


def _described(action: str, subject: str, details: tuple[str, ...]) -> str:
    shown = "; ".join(details[:3]) + (" ..." if len(details) > 3 else "")
    return f"{action} {subject}" + (f": {shown}" if shown else "")
