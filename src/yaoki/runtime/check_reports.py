"""Asking the check worker how its checks are, and putting its answer, which comes in pages, together."""

import asyncio
from collections.abc import Callable

from yaoki.node.messages import AskCheckStatus, CheckStatus, CheckStatusReport

WAIT_S = 2.0
"""How long a worker may take to answer."""


class CheckReports:
    """Questions under way; `send` carries one to the worker."""

    def __init__(self, send: Callable[[AskCheckStatus], None]) -> None:
        self._send = send
        self._count = 0
        self._waiting: dict[int, tuple[list[CheckStatus], asyncio.Future[tuple[CheckStatus, ...]]]] = {}

    async def ask(self) -> tuple[CheckStatus, ...] | None:
        """Every check as its worker has it; None if the worker does not answer in time."""
        self._count += 1
        number = self._count
        whole: asyncio.Future[tuple[CheckStatus, ...]] = asyncio.get_running_loop().create_future()
        self._waiting[number] = ([], whole)
        self._send(AskCheckStatus(number))
        try:
            async with asyncio.timeout(WAIT_S):
                return await whole
        except TimeoutError:
            return None
        finally:
            del self._waiting[number]

    def take(self, report: CheckStatusReport) -> None:
        """One page; of an answer that nobody waits for any more, nothing is kept."""
        if report.number not in self._waiting:
            return
        gathered, whole = self._waiting[report.number]
        gathered += report.checks
        if not report.more and not whole.done():
            whole.set_result(tuple(gathered))
