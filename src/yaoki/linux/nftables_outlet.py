"""Carries out what nftables_taking_out says: servers out of a service by elements alone, in a batch of their own."""

from collections.abc import Mapping
from dataclasses import replace

from yaoki.lb.plane import is_direct
from yaoki.lb.service import Duty, VirtualService
from yaoki.linux.nftables_batch import BatchWriter
from yaoki.linux.nftables_inventory import read_slots
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, slots_name
from yaoki.linux.nftables_objects import NOTHING, Objects
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.nftables_taking_out import live_place, take_out


class ElementOutlet:
    """Its sockets are in the network namespace of the process that made it, and stay open (see BatchWriter)."""

    def __init__(self) -> None:
        self._batches = BatchWriter()
        self._reader = NftablesReader()

    def take_out(
        self, before: VirtualService, after: VirtualService, objects: Mapping[str, Objects], *, anew: bool
    ) -> Mapping[str, Objects] | None:
        """From one form of a service to another: its objects by table afterwards; None if nobody takes less, or
        nothing can be done for it. `anew`: its elements may be others than `objects` says. Raises ActuatorError."""
        known = self._with_slots(before, objects, anew=anew)
        if anew:
            known = self._with_live(after, known)
        taking = take_out(before, after, known)
        if taking is None:
            return known if anew else None
        self._batches.run(taking.parts, purpose=f"take servers out of service {after.name} ({after.key})")
        return taking.objects

    def _with_slots(
        self, service: VirtualService, objects: Mapping[str, Objects], *, anew: bool
    ) -> Mapping[str, Objects]:
        """What is in the slots of a service that an earlier life has put there is read when it is wanted."""
        table = DIRECT if is_direct(service) else TRANSLATION
        name = slots_name(service.key)
        there = objects.get(table, NOTHING)
        if name not in there.sets or (there.sets[name].contents is not None and not anew):
            return objects
        slots = read_slots(self._reader, table, service.key)
        return {**objects, table: replace(there, sets={**there.sets, name: slots})}

    def _with_live(self, service: VirtualService, objects: Mapping[str, Objects]) -> Mapping[str, Objects]:
        """Without those of the servers that are out of which the kernel has no place."""
        there = objects.get(DIRECT, NOTHING)
        places = [live_place(service.key, s.mac) for s in service.servers if s.duty is Duty.OUT and s.mac is not None]
        gone = {
            place.words
            for place in places
            if place.words in there.elements and self._reader.element(DIRECT, place.map, place.octets) is None
        }
        if not gone:
            return objects
        elements = {place: element for place, element in there.elements.items() if place not in gone}
        return {**objects, DIRECT: replace(there, elements=elements)}
