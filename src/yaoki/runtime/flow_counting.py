"""Counting the flows of services whose servers are chosen by them: again and again, while there is such a service.

Where nftables carries such a service, its new flows go by the latest count, so the time between two counts is how old
that may be. Invariants: at most one count is under way, and counting takes at most a SHARE of the time; paused, nothing
is counted, and new flows go on as they went.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from yaoki.core.error import ActuatorError
from yaoki.runtime.balancer import BalancerActuator

INTERVAL_S = 1.0
SHARE = 0.05


class FlowCounting:
    """`spawn` runs a coroutine beside the rest; `failed` is told why a count failed, each reason once."""

    def __init__(
        self,
        balancer: BalancerActuator,
        *,
        spawn: Callable[[Any], None],
        paused: Callable[[], bool],
        failed: Callable[[str], None],
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._balancer = balancer
        self._spawn, self._paused, self._failed = spawn, paused, failed
        self._interval_s = interval_s
        self._runs = False
        self._reason: str | None = None

    def begin(self) -> None:
        """Count from now on, unless that is under way; it ends by itself."""
        if not self._runs:
            self._runs = True
            self._spawn(self._count())

    async def _count(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            asked = True
            while asked:
                began = loop.time()
                if not self._paused():
                    asked = await self._once()
                await asyncio.sleep(max(self._interval_s, (loop.time() - began) / SHARE))
        finally:
            self._runs = False

    async def _once(self) -> bool:
        """Whether a service asks for it."""
        try:
            asked = await self._balancer.recount()
        except ActuatorError as error:
            if str(error) != self._reason:
                self._reason = str(error)
                self._failed(self._reason)
            return True
        self._reason = None
        return asked
