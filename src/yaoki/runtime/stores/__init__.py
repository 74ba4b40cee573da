"""Drivers of the stores of leases: what yaoki.election.store describes as values, done.

Invariant: every request is answered within its limit, if only by StoreFailed, unless a later one of the same key takes
its place; `on_seen` reports the writes of a watched key in their order, and may leave some out.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from yaoki.election.store import KeyState, StoreRequest, StoreResult

OnAnswer = Callable[[StoreRequest, StoreResult], None]
OnSeen = Callable[[str, KeyState], None]


class StoreDriver(Protocol):
    """One store, open until closed."""

    def ask(self, request: StoreRequest, limit: timedelta) -> None:
        """Carry it out; the answer goes to `on_answer`, never before this has returned."""
        ...

    def watch(self, keys: tuple[str, ...], silence: timedelta) -> None:
        """Report the writes of these keys, and of no others, to `on_seen`. Where nothing was heard for `silence`, the
        source is to be doubted."""
        ...

    async def close(self) -> None:
        """Answer nothing any more."""
        ...
