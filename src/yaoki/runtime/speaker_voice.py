"""Whether an advertisement may still be sent, once the gate of its router has been refreshed for it.

A process can be stopped anywhere, also between deciding on an advertisement and sending it. It would send it when it
goes on: the new owner would give way to a router that steps down itself at its next turn, and for an
Active_Down_Interval nobody would own.

Invariants: what was decided longer ago than the gate stays open is not sent, nor is what the gate refused; a router
whose gate is not armed is never kept back.
"""

from datetime import timedelta

from yaoki.core.instant import Instant
from yaoki.node.messages import SendAdvertisement
from yaoki.runtime.select_loop import monotonic_now
from yaoki.vrrp.params import RouterKey

_VRID = 1
"""Where an advertisement has it, in every version."""


class SpeakerVoice:
    """Of all routers, for the effects of one input at a time."""

    def __init__(self) -> None:
        self._decided_at = Instant(0)
        self._until: dict[RouterKey, Instant] = {}

    def decided(self, now: Instant) -> None:
        """What comes from here on was decided now."""
        self._decided_at = now
        self._until.clear()

    def refresh(self, router: RouterKey, limit: timedelta) -> None:
        """The gate is to be kept open for `limit`. It is by this clock that a router finds whether it has overslept."""
        self._until[router] = self._decided_at + limit

    def refused(self, router: RouterKey) -> None:
        """The gate had shut."""
        self._until[router] = self._decided_at

    def may_send(self, advertisement: SendAdvertisement) -> bool:
        """To be asked right before it is sent."""
        if not self._until:
            return True
        router = RouterKey(advertisement.interface, advertisement.family, advertisement.payload[_VRID])
        until = self._until.get(router)
        return until is None or monotonic_now() < until
