"""The speaker's VIPs at virtual MACs: on interfaces of their own, beside the VIPs on the interface itself.

Those interfaces are made when routers are configured, so that a takeover has only to raise one, and removed when no
router is left that wants them.

Invariants: an address is at one MAC, whatever it was at before; one of these interfaces is up only while it holds an
address, and so while its router owns.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial

from yaoki.core.address import Family, IPInterface, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.frame_sender import FrameSender
from yaoki.linux.interface_watch import InterfaceState, InterfaceWatch
from yaoki.linux.mac_rules import MacRules, Place, remove_mac_rules
from yaoki.linux.vip_addresses import VipAddresses
from yaoki.linux.virtual_macs import VirtualMacs
from yaoki.node.messages import SendAdvertisement
from yaoki.vrrp.params import RouterParams

Seat = tuple[str, MacAddress]
"""An interface, and a virtual MAC on it."""


class SpeakerMacs:
    """`refused` is told what the kernel refuses on an interface."""

    def __init__(
        self, watch: InterfaceWatch, addresses: VipAddresses, refused: Callable[[str, ActuatorError], None]
    ) -> None:
        self._watch = watch
        self._addresses = addresses
        self._refused = refused
        self._macs = VirtualMacs()
        self._rules = MacRules()
        self._frames: FrameSender | None = None
        self._routers: dict[Seat, RouterParams] = {}
        self._leaving: set[Seat] = set()
        """Those that are not wanted any more, but may own until somebody relieves them."""
        self._seen: set[int] = set()

    def close(self) -> None:
        """Leave all as it is."""
        self._macs.close()
        self._rules.close()
        if self._frames is not None:
            self._frames.close()

    # --- what there is to be

    def want(self, routers: Iterable[RouterParams]) -> None:
        """Have what these routers need, besides what there is."""
        wanted = {(each.key.interface, each.mac): each for each in routers if each.mac is not None}
        self._leaving = {seat for seat in self._routers if seat not in wanted}
        self._routers.update(wanted)
        self.prepare()

    def prepare(self, *, anew: bool = False) -> None:
        """Have what is wanted, where its interface is there; `anew` also what somebody may have taken away unseen."""
        for seat in list(self._routers):
            self._trying(seat[0], partial(self._interface_of, seat))
        interfaces = ", ".join(sorted({interface for interface, _ in self._routers}))
        self._trying(interfaces, partial(self._write_rules, anew=anew))

    def drop_others(self) -> None:
        """Remove the interfaces that no router wants any more and that hold nothing."""
        for seat in sorted(self._leaving, key=str):
            index = self._macs.known(seat[0], seat[1])
            if index is None or self._watch.bears_none(index):
                self._leaving.discard(seat)
                del self._routers[seat]
        kept = {self._macs.known(*seat) for seat in self._routers}
        self._trying("", partial(self._macs.keep, {index for index in kept if index is not None}))
        self._trying("", partial(self._write_rules, anew=False))

    def remove(self) -> None:
        """Nothing is held any more: leave nothing."""
        if self._routers:
            self._routers.clear()
            self._macs.keep(())
            remove_mac_rules()

    def restore(self, state: InterfaceState) -> None:
        """An interface as it is now: what holds addresses and somebody took down is raised again."""
        for seat, params in self._routers.items():
            index = self._macs.known(*seat)
            if seat[0] == state.name and state.up and index in state.lowered:
                self._trying(state.name, partial(self._macs.raise_, state.name, index, params.key.family))

    # --- addresses

    def bearer(self, interface: str, index: int, address: IPInterface, mac: MacAddress | None) -> int:
        """The interface that is to hold an address at `mac`: `interface`, or that of the MAC, up. Raises
        ActuatorError."""
        if mac is None:
            return index
        bearer = self._interface_of((interface, mac))
        if bearer is None:
            raise ActuatorError(f"add {address}", f"{interface} is not there")
        self._macs.raise_(interface, bearer, Family.of(address))
        return bearer

    def settle(self, interface: str, address: IPInterface, bearer: int) -> None:
        """An address is held by `bearer` now, and by no other. Raises ActuatorError."""
        other = self._watch.bearer(interface, address, but=bearer)
        if other is not None and self._addresses.release(other, address, marked=True):
            self._watch.note_released(other, address)
            self.rest(interface)

    def rest(self, interface: str) -> None:
        """An address is not there any more: where it was the last, nobody takes frames for its virtual MAC. Raises
        ActuatorError."""
        for seat in self._routers:
            index = self._macs.known(*seat) if seat[0] == interface else None
            if index in self._macs.raised and self._watch.bears_none(index):
                self._macs.lower(index)
        if self._leaving:
            self.drop_others()

    def send(self, effect: SendAdvertisement, payload: bytes, mac: MacAddress) -> None:
        """Advertise from a virtual MAC. Raises ActuatorError."""
        self._frames = self._frames or FrameSender()
        self._frames.send(effect.interface, mac, effect.source, effect.destination, payload)

    # --- inside

    def _interface_of(self, seat: Seat) -> int | None:
        params, state = self._routers[seat], self._watch.state(seat[0])
        if state is None:
            return None
        index = self._macs.have(state.name, state.index, params.key.family, params.key.vrid, seat[1])
        if index not in self._seen:
            self._seen.add(index)
            self._addresses.set_apart(index)
            # What is done with it from now on is noted of an interface that is known.
            self._watch.catch_up()
            self.rest(state.name)
        return index

    def _write_rules(self, *, anew: bool) -> None:
        places = tuple(self._places())
        if places:
            self._rules.apply(places, anew=anew)
            return
        # What an earlier life left; a kernel without such tables has none to take away.
        with suppress(ActuatorError):
            self._rules.apply(())

    def _places(self) -> Iterator[Place]:
        for name in dict.fromkeys(interface for interface, _ in self._routers):
            state = self._watch.state(name)
            if state is not None:
                here = [params for (interface, _), params in self._routers.items() if interface == name]
                addresses = dict.fromkeys(address.ip for params in here for address in params.addresses)
                yield Place(name, state.index, state.ipv4, tuple(addresses))

    def _trying(self, interface: str, work: Callable[[], object]) -> None:
        try:
            work()
        except ActuatorError as error:
            self._refused(interface, error)
