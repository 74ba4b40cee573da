"""Which services of a wish are others than in the wish before, told in no time.

Comparing a thousand services, or looking them up by their keys, takes longer than a server that has failed may stay in
the data plane. Whoever wishes keeps what has not changed as it is, so here only objects are told apart: a service that
is equal but another object counts as changed, which costs time and nothing else.
"""

from yaoki.lb.service import Desired, VirtualService


class ChangedServices:
    """Remembers the services of the last wish, and of one more where nothing has changed since."""

    def __init__(self) -> None:
        self._known: dict[int, VirtualService] = {}

    def of(self, desired: Desired) -> tuple[VirtualService, ...]:
        """Services that were not in the wish before. A part of that wish has none."""
        known = self._known
        changed = tuple(service for service in desired.services if id(service) not in known)
        if changed:
            # Held on to: the number of an object that is gone may be another's.
            self._known = {id(service): service for service in desired.services}
        return changed
