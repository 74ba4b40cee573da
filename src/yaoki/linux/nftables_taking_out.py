"""A server that takes less than before gets nothing more from the first small batch on, before all else is put right.

A transaction in nft's words lasts as long as nft reads the whole ruleset: a quarter of a second and more with a
thousand services. What a server that has failed would get meanwhile is ended by elements alone:

* slots of one that takes no new flows are given to those that go on, in turn;
* under direct return one that is out is not among the live ones any more, so its flows are scheduled anew;
* under address translation the sources that persistence keeps with one that takes no new flows are forgotten.

The transaction that follows makes shares exact. Pure: what comes out are messages, and what is there after them.

Invariant: slots are given only to servers that take new flows before and after. Where there is none, or one server had
all slots (it stands in a rule then), that is left to the transaction.
"""

import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import cycle

from yaoki.core.address import MacAddress
from yaoki.lb.plane import is_direct
from yaoki.lb.service import Duty, RealServer, ServiceKey, VirtualService
from yaoki.lb.taking_out import is_out, pairs, refuses
from yaoki.linux.nftables_batch import Part, delete_elements, empty, put_elements
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, pin_name, slots_name
from yaoki.linux.nftables_objects import NOTHING, Objects

_SLOT = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class TakingOut:
    """The messages for one service, and its objects by table once these are carried out."""

    key: ServiceKey
    parts: tuple[Part, ...]
    objects: Mapping[str, Objects]


def take_out(before: VirtualService, after: VirtualService, objects: Mapping[str, Objects]) -> TakingOut | None:
    """From one form of a service to another; None if nobody takes less, or nothing can be done for it."""
    if is_direct(before) != is_direct(after):
        return None
    both = list(pairs(before, after))
    refusing = [was for was, now in both if refuses(was, now)]
    out = [now for was, now in both if is_out(was, now)]
    table = DIRECT if is_direct(before) else TRANSLATION
    elements = _Elements(table, before.key, objects.get(table, NOTHING))
    if refusing:
        elements.give_slots_away(refusing, [now for was, now in both if was.eligible and now.eligible])
    if table == DIRECT:
        elements.pass_no_flows(out, {server.mac for server in after.servers if server.duty is not Duty.OUT})
    else:
        elements.forget_sources(refusing)
    if not elements.parts:
        return None
    return TakingOut(before.key, tuple(elements.parts), {**objects, table: elements.there})


def in_words(table: str, server: RealServer) -> str:
    """How a server stands in a slot, as `render` writes it."""
    return str(server.mac) if table == DIRECT else f"{server.address} . {server.port}"


def in_octets(table: str, server: RealServer) -> bytes:
    """The same as it lies in registers; empty for one whose MAC is not known."""
    if table == DIRECT:
        return b"" if server.mac is None else server.mac.octets
    return server.address.packed + _padded(server.port.to_bytes(2, "big"))


@dataclass(frozen=True, slots=True)
class LivePlace:
    """Where a server with flows is entered under direct return: map and key, this as it lies in registers, and both in
    nft's words."""

    map: str
    octets: bytes
    words: tuple[str, str]


def live_place(key: ServiceKey, mac: MacAddress) -> LivePlace:
    """Of one of a service's servers."""
    map_ = f"live_{key.protocol}{key.family.value}"
    octets = key.address.packed + _padded(key.port.to_bytes(2, "big")) + _padded(mac.octets)
    return LivePlace(map_, octets, (map_, f"{key.address} . {key.port} . {mac}"))


class _Elements:
    """A service's elements in one table, `there`, and the messages that have led to them."""

    def __init__(self, table: str, key: ServiceKey, there: Objects) -> None:
        self._table = table
        self._key = key
        self.there = there
        self.parts: list[Part] = []

    def give_slots_away(self, refusing: Iterable[RealServer], staying: Iterable[RealServer]) -> None:
        """To those who stay and have slots: who is full has none."""
        name = slots_name(self._key)
        slots = self.there.sets.get(name)
        if slots is None or slots.contents is None:
            return
        contents = [content.partition(" : ")[::2] for content in slots.contents]
        having = {server for _, server in contents}
        heirs = {in_words(self._table, server): in_octets(self._table, server) for server in staying}
        heirs = {words: octets for words, octets in heirs.items() if words in having}
        # Two servers on one machine are one by its MAC.
        refused = {in_words(self._table, server) for server in refusing} - heirs.keys()
        if not heirs:
            return
        next_heir = cycle(heirs.items())
        given: list[tuple[bytes, bytes]] = []
        for index, (slot, server) in enumerate(contents):
            if server in refused:
                words, octets = next(next_heir)
                contents[index] = (slot, words)
                given.append((_SLOT.pack(int(slot)), octets))
        self.parts += delete_elements(self._table, name, [slot for slot, _ in given])
        self.parts += put_elements(self._table, name, given)
        put = replace(slots, contents=tuple(map(" : ".join, contents)))
        self.there = replace(self.there, sets={**self.there.sets, name: put})

    def pass_no_flows(self, out: Iterable[RealServer], live: Collection[MacAddress | None]) -> None:
        """Under direct return; a MAC that a `live` server has, too, is left."""
        elements = dict(self.there.elements)
        for server in out:
            if server.mac is None or server.mac in live:
                continue
            place = live_place(self._key, server.mac)
            if elements.pop(place.words, None) is not None:
                self.parts += delete_elements(self._table, place.map, [place.octets])
        self.there = replace(self.there, elements=elements)

    def forget_sources(self, refusing: Iterable[RealServer]) -> None:
        """Under address translation; they are scheduled as if never seen."""
        pins = (pin_name(self._key, server.address, server.port) for server in refusing)
        self.parts += (empty(self._table, pin) for pin in pins if pin in self.there.sets)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
