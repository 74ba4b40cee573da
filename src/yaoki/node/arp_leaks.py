"""Which real servers for direct return are not to get new flows, because they claim an address of a VIP themselves.

A server is caught by the wire observer (yaoki.vrrp.claim_watch), and let off when it was quiet for QUIET: questions
for the address were asked that long after its last claim, and it answered none. Time in which nobody could ask, or
answers may have been lost, proves nothing.

After a restart of this process a server that was found to get no new flows, though nothing else that is known then
explains it, is presumed to be caught still, for PRESUMED; so a restart does not send it new flows for a moment.

What this leads to is the policy's business (yaoki.pool.policy). Limit: one entry for each server and address of
services with `arp-leak: remove`; claimants that the observer does not tell apart (MAX_CLAIMANTS) are not caught.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.lb.service import Desired, Duty, Forward, VirtualService
from yaoki.node.decisions import Decisions
from yaoki.node.wire_observer import Watched
from yaoki.pool.member import AdminState
from yaoki.site.model import ArpLeak
from yaoki.site.node_plan import NodePlan, ServerPlan, ServicePlan

QUIET = timedelta(seconds=60)
"""Much longer than the pause between two questions (a second, more with many VIPs), so that a server which claims
now and then does not come and go with each claim."""
PRESUMED = timedelta(seconds=3)
"""A server that leaks answers each question."""


@dataclass(frozen=True, slots=True)
class Caught:
    """It claimed the address, last at `claimed_at`."""

    claimed_at: Instant


@dataclass(frozen=True, slots=True)
class Presumed:
    """It was found without new flows at `since`."""

    since: Instant


Leak = Caught | Presumed
_Place = tuple[IPAddress, str]
_NONE: frozenset[str] = frozenset()


class ArpLeaks:
    """The leaks of one plan's services; `server_of` names the real server for direct return that has a MAC."""

    def __init__(self, server_of: Callable[[MacAddress], str | None]) -> None:
        self._server_of = server_of
        self._minded: dict[IPAddress, frozenset[str]] = {}
        self._leaks: dict[_Place, Leak] = {}
        self._changed: dict[IPAddress, EventId | None] = {}

    def configure(self, plan: NodePlan) -> None:
        """Mind the servers of this plan's services that ask for it. Of those that were minded before, what is known
        stays."""
        minded: dict[IPAddress, set[str]] = {}
        for service in plan.services:
            minded.setdefault(service.key.address, set()).update(server.name for server in _minded(service))
        self._minded = {address: frozenset(names) for address, names in minded.items() if names}
        self._leaks = {place: leak for place, leak in self._leaks.items() if self._minds(place)}

    def adopt(self, now: Instant, plan: NodePlan, found: Desired, decisions: Decisions) -> None:
        """Start from what the kernel has; `configure` comes first."""
        by_key = {service.key: service for service in found.services}
        for service in plan.services:
            served = decisions.enabled(service.name, service.enabled)
            held = by_key.get(service.key) if served else None
            names = () if held is None else _presumable(service, held, decisions)
            self._leaks.update(((service.key.address, name), Presumed(now)) for name in names)

    def of(self, address: IPAddress) -> frozenset[str]:
        """The servers that leak an address, as far as a service there minds it."""
        if not self._leaks:
            return _NONE
        return frozenset(name for where, name in self._leaks if where == address)

    def look(self, watched: Watched, because: EventId | None) -> None:
        """The observer has seen something of an address, and told `because`."""
        address = watched.address
        if not self._minded or address not in self._minded:
            return
        for claimant in watched.claims.foreign:
            name = self._server_of(claimant.mac)
            if name is not None and self._minds((address, name)):
                self._claimed((address, name), claimant.claimed_at, because)
        asked_at = watched.answers.asked_at
        if asked_at is None or not self._leaks:
            return
        answered = {self._server_of(mac) for mac in watched.answers.answers}
        for name in self.of(address) - answered:
            if self._is_over(self._leaks[address, name], asked_at):
                del self._leaks[address, name]
                self._changed[address] = None

    def changes(self) -> tuple[tuple[IPAddress, EventId | None], ...]:
        """The addresses of which other servers leak than when this was asked last, each with its cause."""
        if not self._changed:
            return ()
        changes, self._changed = tuple(self._changed.items()), {}
        return changes

    def _minds(self, place: _Place) -> bool:
        address, name = place
        return name in self._minded.get(address, _NONE)

    def _claimed(self, place: _Place, at: Instant, because: EventId | None) -> None:
        leak = self._leaks.get(place)
        match leak:
            case None:
                self._leaks[place] = Caught(at)
                self._changed[place[0]] = because
            case Presumed():
                self._leaks[place] = Caught(at)
            case Caught(claimed_at):
                self._leaks[place] = Caught(max(claimed_at, at, key=lambda each: each.us))
            case _:
                assert_never(leak)

    def _is_over(self, leak: Leak, asked_at: Instant) -> bool:
        match leak:
            case Caught(claimed_at):
                return asked_at - claimed_at >= QUIET
            case Presumed(since):
                return asked_at - since >= PRESUMED
            case _:
                assert_never(leak)


def minds(service: ServicePlan, server: ServerPlan) -> bool:
    """Whether a service takes a server out that leaks."""
    return service.arp_leak is ArpLeak.REMOVE and server.forward is Forward.DIRECT


def _minded(service: ServicePlan) -> Iterable[ServerPlan]:
    return (server for server in service.servers if minds(service, server))


def _presumable(service: ServicePlan, held: VirtualService, decisions: Decisions) -> Iterable[str]:
    """Servers that are held without new flows, and neither by a person's decision nor because others come first."""
    duties = {(each.name, each.address, each.port): each.duty for each in held.servers}

    def has(server: ServerPlan, duty: Duty) -> bool:
        return duties.get((server.name, server.address, server.port)) is duty

    serving = max((s.priority for s in service.servers if not s.sorry and has(s, Duty.SERVE)), default=0)
    for server in _minded(service):
        ready = decisions.admin(server.name, service.name) is AdminState.READY
        weighs = decisions.weight(server.name, service.name, server.weight) > 0
        if ready and weighs and not server.sorry and server.priority >= serving and has(server, Duty.DRAIN):
            yield server.name
