"""Servers that are taken out by one thread while another changes the plane, and what follows from that.

A change is rendered from what was wished when it began. A server that fails after that is taken out of what is there
at once; of services that the change is about that has to be done again when it has ended, for it may have put the
server back.

Invariant: a service of which servers were taken out, and which no change has put as it shall be since, counts as not
intact: whatever is wished next is written.
"""

from collections.abc import Iterable
from dataclasses import replace
from threading import RLock

from yaoki.lb.plan import Actual
from yaoki.lb.service import ServiceKey, VirtualService


class Overtaking:
    """What both threads know. `lock` is held by whoever takes servers out, and at the beginning and end of a change,
    never while it lasts; all methods want it held."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._unsettled: set[ServiceKey] = set()
        self._changing: frozenset[ServiceKey] = frozenset()
        self._since: dict[ServiceKey, VirtualService] = {}

    def wish(self) -> None:
        """Everything is wished anew: whoever was taken out before may be back."""
        self._since = {}

    def begin(self, changing: Iterable[ServiceKey]) -> None:
        """A change of these services begins."""
        self._changing = frozenset(changing)

    def is_changing(self, key: ServiceKey) -> bool:
        """Whether a change is about this service."""
        return key in self._changing

    def note(self, service: VirtualService) -> None:
        """Servers were taken out as this wish for the service has it."""
        self._unsettled.add(service.key)
        self._since[service.key] = service

    @property
    def since(self) -> tuple[VirtualService, ...]:
        """Wishes by which servers were taken out since all was wished anew."""
        return tuple(self._since.values())

    def end(self, settled: Iterable[ServiceKey]) -> None:
        """The change has ended, and these services are as it wanted them."""
        self._unsettled -= set(settled) - self._since.keys()
        self._changing = frozenset()

    def to_plan_from(self, actual: Actual) -> Actual:
        """With services that are to be written anew as not intact."""
        if not self._unsettled:
            return actual
        services = (replace(s, intact=False) if s.key in self._unsettled else s for s in actual.services)
        return replace(actual, services=tuple(services))
