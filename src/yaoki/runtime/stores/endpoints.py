"""Which member of the store is asked next: the one that worked last, until it fails.

Invariants: a member that did not answer is not asked again before its pause is over, if there is another; if all have
failed, the one whose pause ends first is asked, so that somebody always is.
"""

from datetime import timedelta

from yaoki.core.instant import Instant
from yaoki.election.store import Endpoint

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(seconds=8)


class Endpoints:
    """The members of one store, in the order of the site file. `first` is the one to begin with."""

    def __init__(self, endpoints: tuple[Endpoint, ...], first: int = 0) -> None:
        self._endpoints = endpoints
        self._current = first % len(endpoints)
        self._pauses: dict[Endpoint, timedelta] = {}
        self._ejected_until: dict[Endpoint, Instant] = {}

    def choose(self, now: Instant) -> Endpoint:
        """Whom to ask."""
        turns = self._endpoints[self._current :] + self._endpoints[: self._current]
        free = [each for each in turns if self._free_at(each) <= now]
        chosen = free[0] if free else min(turns, key=lambda each: self._free_at(each).us)
        self._current = self._endpoints.index(chosen)
        return chosen

    def worked(self, endpoint: Endpoint) -> None:
        """It answered."""
        self._pauses.pop(endpoint, None)
        self._ejected_until.pop(endpoint, None)

    def refused(self, endpoint: Endpoint) -> None:
        """It answered, and could not do it, as a member without a leader: another may."""
        if self._endpoints[self._current] == endpoint:
            self._current = (self._current + 1) % len(self._endpoints)

    def silent(self, endpoint: Endpoint, now: Instant) -> None:
        """It did not answer. Each further silence doubles its pause."""
        pause = min(2 * self._pauses.get(endpoint, FIRST_PAUSE / 2), LONGEST_PAUSE)
        self._pauses[endpoint] = pause
        self._ejected_until[endpoint] = now + pause

    def _free_at(self, endpoint: Endpoint) -> Instant:
        return self._ejected_until.get(endpoint, Instant(0))
