"""Whether an advertisement may still be sent, and when the gate of its router is refreshed: right after.

A process can be stopped anywhere. Stopped between deciding on an advertisement and sending it, it would send it when it
goes on: the new owner would give way to a router that steps down itself at its next turn, and for an
Active_Down_Interval nobody would own. Stopped, or killed, between a refresh and its advertisement, it would answer for
longer than the others wait, who have not heard that one.

Invariants: nothing is sent of a router whose gate has shut since it was refreshed last, or that decided on it longer
ago than the gate stays open; no gate is open for longer after the last advertisement sent than the gate's limit; a
router whose gate is not armed is never kept back.
"""

from collections.abc import Iterable

from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.node.messages import RefreshGate, SendAdvertisement
from yaoki.runtime.select_loop import monotonic_now
from yaoki.vrrp.params import RouterKey

_VRID = 1
"""Where an advertisement has it, in every version."""


class SpeakerVoice:
    """Of all routers, for the effects of one input at a time."""

    def __init__(self) -> None:
        self._decided_at = Instant(0)
        self._held_back: dict[RouterKey, RefreshGate] = {}
        self._open_until: dict[RouterKey, tuple[Instant, tuple[IPAddress, ...]]] = {}

    def decided(self, now: Instant) -> None:
        """What comes from here on was decided now."""
        self._decided_at = now

    def hold_back(self, refresh: RefreshGate) -> None:
        """The gate is to be refreshed when the advertisement that is about to come has been sent."""
        self._held_back[refresh.router] = refresh

    def may_send(self, advertisement: SendAdvertisement) -> bool:
        """To be asked right before it is sent."""
        if not self._held_back:
            return True
        router = RouterKey(advertisement.interface, advertisement.family, advertisement.payload[_VRID])
        refresh = self._held_back.get(router)
        if refresh is None:
            return True
        # It is by this clock that a router finds whether it has overslept.
        until, _ = self._open_until.get(router, (self._decided_at + refresh.limit, ()))
        return monotonic_now() < until

    def due(self) -> tuple[RefreshGate, ...]:
        """What was held back; it is to be carried out now."""
        if not self._held_back:
            return ()
        due = tuple(self._held_back.values())
        self._held_back.clear()
        return due

    def refreshed(self, refresh: RefreshGate) -> None:
        """The gate is open for its limit again."""
        self._open_until[refresh.router] = (self._decided_at + refresh.limit, refresh.addresses)

    def changed(self, addresses: Iterable[IPAddress]) -> None:
        """Gates of these were armed or disarmed: how long they were to be open before is of no concern."""
        if self._open_until:
            gone = set(addresses)
            self._open_until = {key: kept for key, kept in self._open_until.items() if gone.isdisjoint(kept[1])}
