"""Announcing an address only when the kernel takes packets for it.

Linux adds an IPv6 address at once, but hears solicitations for it and puts its local route in only later, from a work
queue: up to 11 ms were measured. Who announced it meanwhile would draw packets that the kernel still forwards or drops.
So announcements of a fresh IPv6 address wait until the driver has told that it is taken. Where an owner that lives is
relieved, advertisements that list the address wait as well: it serves until it hears one. Where nobody serves they do
not, for other Backups are about to take over, too.

Announcements of what is taken over hushed wait as well, until it is answered for (yaoki.node.speaker_hushing).

Invariants: what waits keeps its order, and waits for a fresh address for PATIENCE at most, whatever the driver tells or
not; nothing waits for an address that is not held any more; of one that was given up to another node nothing is
announced, and nothing leaves from its virtual MAC; at most MAX_WAITING effects wait.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from yaoki.core.address import IPAddress
from yaoki.core.event import EventBody
from yaoki.core.instant import Deadline, Instant
from yaoki.node.messages import AnnounceAddress, SendAdvertisement, SpeakerEffect
from yaoki.node.speaker_events import AddressNotTaken
from yaoki.node.speaker_hushing import SpeakerHushing

PATIENCE = timedelta(milliseconds=20)
"""Longer than what was measured, and no longer than a takeover may be put off where the kernel never tells."""
MAX_WAITING = 256

_Place = tuple[str, IPAddress]


class SpeakerAnnouncing:
    """What waits for which address."""

    def __init__(self, hushing: SpeakerHushing) -> None:
        self._hushing = hushing
        self._fresh: dict[_Place, Instant] = {}
        self._relieving: set[_Place] = set()
        self._waiting: list[AnnounceAddress | SendAdvertisement] = []

    def claimed(self, now: Instant, interface: str, address: IPAddress, *, relieving: bool = False) -> None:
        """The kernel is told to hold an address; `relieving`: another node serves until it hears an advertisement."""
        if address.version == 6:
            self._fresh.setdefault((interface, address), now)
            if relieving:
                self._relieving.add((interface, address))

    def released(self, interface: str, address: IPAddress) -> None:
        """It is told to hold it no more: what waits for it has come to nothing."""
        self.hushed(interface, (address,))
        if (interface, address) in self._fresh:
            self._waiting = [effect for effect in self._waiting if not _concerns(effect, interface, address)]
            self.taken(interface, address)

    def hushed(self, interface: str, addresses: Iterable[IPAddress]) -> None:
        """Another node has been heard to own them, or there is nothing here any more: they are not announced, at
        whatever MAC, and what is said of them comes from this node's own."""
        kept = self._waiting
        for address in addresses:
            kept = [_unowned(e, interface, address) for e in kept if not _announces(e, interface, address)]
        self._waiting = kept

    def taken(self, interface: str, address: IPAddress) -> None:
        """The kernel takes packets for it from now on."""
        self._fresh.pop((interface, address), None)
        self._relieving.discard((interface, address))

    def pass_time(self, now: Instant) -> list[EventBody]:
        """Wait no longer for what has been waited for long enough; what to tell of it."""
        late = [(place, now - since) for place, since in self._fresh.items() if now - since >= PATIENCE]
        for place, _ in late:
            self.taken(*place)
        return [AddressNotTaken(*place, waited) for place, waited in late]

    def sort(self, effects: list[SpeakerEffect]) -> list[SpeakerEffect]:
        """Of these, and of what waited before, what is to be done now, in order."""
        if not (self._fresh or self._waiting or self._hushing.waits):
            return effects
        now: list[SpeakerEffect] = []
        waiting: list[AnnounceAddress | SendAdvertisement] = []
        for effect in (*self._waiting, *effects):
            if isinstance(effect, AnnounceAddress | SendAdvertisement) and self._has_to_wait(effect):
                waiting.append(effect)
            else:
                now.append(effect)
        # The oldest have waited longest; beyond the limit they wait no more.
        self._waiting = waiting[-MAX_WAITING:]
        return [*waiting[:-MAX_WAITING], *now]

    @property
    def waits(self) -> bool:
        """Whether an address is not taken yet."""
        return bool(self._fresh)

    def deadline(self) -> Deadline | None:
        """When the first of them is waited for no longer."""
        first = min(self._fresh.values(), key=lambda since: since.us, default=None)
        return None if first is None else Deadline(first + PATIENCE, "fresh address")

    def must_wait(self, interface: str, address: IPAddress) -> bool:
        """Whether advertisements that list an address wait for it."""
        return (interface, address) in self._relieving

    def _has_to_wait(self, effect: AnnounceAddress | SendAdvertisement) -> bool:
        if isinstance(effect, AnnounceAddress):
            awaited = self._hushing.awaits_owner(effect.interface, effect.address)
            return awaited or (effect.interface, effect.address) in self._fresh
        return any(_concerns(effect, interface, address) for interface, address in self._relieving)


def _announces(effect: AnnounceAddress | SendAdvertisement, interface: str, address: IPAddress) -> bool:
    return isinstance(effect, AnnounceAddress) and _concerns(effect, interface, address)


def _unowned(
    effect: AnnounceAddress | SendAdvertisement, interface: str, address: IPAddress
) -> AnnounceAddress | SendAdvertisement:
    """An advertisement of this address from no virtual MAC: that is its owner's."""
    return replace(effect, mac=None) if _concerns(effect, interface, address) else effect


def _concerns(effect: AnnounceAddress | SendAdvertisement, interface: str, address: IPAddress) -> bool:
    if effect.interface != interface:
        return False
    # Whose advertisement it is, the addresses in it tell.
    return effect.address == address if isinstance(effect, AnnounceAddress) else address.packed in effect.payload
