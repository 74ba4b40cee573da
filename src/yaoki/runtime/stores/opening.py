"""Opens the driver of a store by its kind."""

import asyncio
from datetime import timedelta

from yaoki.election.store import EtcdStore, LocalStore, StoreFailed, StoreRequest, StoreSpec
from yaoki.runtime.stores import OnAnswer, OnSeen, StoreDriver
from yaoki.runtime.stores.etcd import EtcdDriver
from yaoki.runtime.stores.in_process import InProcessDriver


def open_store(spec: StoreSpec, on_answer: OnAnswer, on_seen: OnSeen) -> StoreDriver:
    """The driver for this store. One that cannot be opened answers every request with the reason."""
    match spec:
        case LocalStore():
            return InProcessDriver(on_answer, on_seen)
        case EtcdStore():
            try:
                return EtcdDriver(spec, on_answer, on_seen)
            except OSError as error:
                files = error.filename or ", ".join(filter(None, (spec.ca, spec.certificate, spec.key)))
                return UnusableDriver(f"{files}: {error.strerror or error}", on_answer)


class UnusableDriver:
    """A store whose certificate or key cannot be read."""

    def __init__(self, why: str, on_answer: OnAnswer) -> None:
        self._why = why
        self._on_answer = on_answer

    def ask(self, request: StoreRequest, limit: timedelta) -> None:  # noqa: ARG002 - it fails at once
        """See StoreDriver."""
        asyncio.get_running_loop().call_soon(self._on_answer, request, StoreFailed(self._why))

    def watch(self, keys: tuple[str, ...], silence: timedelta) -> None:
        """See StoreDriver. There is nothing to hear."""

    async def close(self) -> None:
        """See StoreDriver."""
