"""The kernel of a simulated node: interfaces with carrier and addresses, the dead-man gate, the balancer's tables.

It outlives every process of the node and dies with the node's power.

Invariant: it does what it is told and tells what it has; claiming twice or releasing what is gone changes nothing.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.error import LocalError
from yaoki.lb.service import Desired
from yaoki.node.messages import ArmedAddress, GateFound, InterfaceFound
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline
from yaoki.sim.topology import Attachment

MAX_ADDRESSES = 10_000
ROUTE_US = 3 * MILLISECOND
"""After an IPv6 address was added, the kernel hears solicitations and takes packets for it only so much later."""
TICK_US = 4 * MILLISECOND
"""In which the kernel counts the gate's time-outs (HZ=250), from the tick before."""
_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class _Interface:
    """One interface. `carrier_faults` counts what holds its carrier down."""

    attachment: Attachment
    carrier_faults: int = 0
    carrier_changes: int = 0
    held: dict[IPInterface, None] = field(default_factory=dict)


@dataclass(slots=True)
class _Gate:
    """Of one armed address, open until `shut_at`."""

    interface: str
    shut_at: int


class Kernel:
    """The kernel of one node. `changed` is told the name of each interface whose addresses or carrier changed, and
    whether its speaker did that itself; `now` is the node's monotonic clock."""

    def __init__(
        self, attachments: tuple[Attachment, ...], timeline: Timeline, changed: Callable[[str, bool], None]
    ) -> None:
        self.table = Desired()
        self.refused: frozenset[IPAddress] = frozenset()
        """Addresses to which nothing is delivered."""
        self._timeline = timeline
        self._gates: dict[IPAddress, _Gate] = {}
        self._lifetimes: dict[tuple[str, IPInterface], int] = {}
        self._hushed: dict[IPAddress, None] = {}
        self._fresh: dict[tuple[str, IPAddress], int] = {}
        self._taken_away: dict[tuple[str, IPInterface], int] = {}
        self._gate_faults = 0
        self._frozen_at: int | None = None
        self._interfaces = {attachment.interface: _Interface(attachment) for attachment in attachments}
        self._changed = changed

    def claim(self, interface: str, address: IPInterface) -> None:
        """`ip address replace`."""
        held = self._interfaces[interface].held
        if address in held:
            return
        if len(held) >= MAX_ADDRESSES:
            raise LocalError(f"{interface} holds {MAX_ADDRESSES} addresses already")
        held[address] = None
        if address.version == 6:
            taken_at = self._fresh[interface, address.ip] = self._timeline.now + ROUTE_US
            self._timeline.at(taken_at, partial(self._changed, interface, True))
        self._changed(interface, True)

    def release(self, interface: str, address: IPInterface, *, by_speaker: bool = True) -> None:
        """`ip address del`."""
        if address in self._interfaces[interface].held:
            del self._interfaces[interface].held[address]
            self._lifetimes.pop((interface, address), None)
            self._changed(interface, by_speaker)

    def take_away(self, interface: str, address: IPInterface) -> None:
        """`ip address del`, by hand."""
        self._taken_away[interface, address] = self._timeline.now
        self.release(interface, address, by_speaker=False)

    def limit(self, interface: str, address: IPInterface, lifetime: timedelta | None) -> None:
        """`ip address change ... valid_lft`: without renewal the address is gone within a second after its lifetime."""
        if address not in self._interfaces[interface].held:
            return
        if lifetime is None:
            self._lifetimes.pop((interface, address), None)
            return
        ends_at = self._timeline.now + lifetime // _MICROSECOND + SECOND
        known = (interface, address) in self._lifetimes
        self._lifetimes[interface, address] = ends_at
        if not known:
            self._timeline.at(ends_at, partial(self._outlived, interface, address))

    def _outlived(self, interface: str, address: IPInterface) -> None:
        ends_at = self._lifetimes.get((interface, address))
        if ends_at is None or self._frozen_at is not None:
            return
        if ends_at > self._timeline.now:
            self._timeline.at(ends_at, partial(self._outlived, interface, address))
        else:
            self.release(interface, address, by_speaker=False)

    # --- the dead-man gate

    def arm(self, interface: str, addresses: Iterable[IPAddress], limit: timedelta) -> bool:
        """Silence these addresses unless they are opened; they are open now. Whether the kernel does so."""
        if self._gate_faults:
            return False
        for address in addresses:
            gate = self._gates[address] = _Gate(interface, 0)
            self._open(gate, limit)
            self._timeline.at(gate.shut_at, partial(self._timed_out, address, gate))
            self._changed(interface, True)
        return True

    def refresh(self, addresses: tuple[IPAddress, ...], limit: timedelta) -> bool:
        """Keep them open; whether all of them still were, else nothing changes."""
        if not all(address in self._gates and not self.silences(address) for address in addresses):
            return False
        for address in addresses:
            self._open(self._gates[address], limit)
        return True

    def guards(self, addresses: Iterable[IPAddress]) -> bool:
        """Whether all of them are armed, open or not."""
        return all(address in self._gates for address in addresses)

    def refuse_gates(self, faults: int) -> None:
        """Arm nothing while the count is above zero; what is armed stays so."""
        self._gate_faults += faults

    def disarm(self, addresses: Iterable[IPAddress]) -> None:
        """Silence them no more."""
        for address in addresses:
            gate = self._gates.pop(address, None)
            if gate is not None:
                self._changed(gate.interface, True)

    def hush(self, interface: str, addresses: Iterable[IPAddress]) -> None:
        """Answer no question for these addresses, but serve them."""
        self._hushed.update(dict.fromkeys(addresses))
        self._changed(interface, True)

    def answer_again(self, interface: str, addresses: Iterable[IPAddress]) -> None:
        """Take that back."""
        for address in addresses:
            self._hushed.pop(address, None)
        self._changed(interface, True)

    def forget_hushed(self) -> None:
        """A speaker that begins takes back what an earlier one has hushed."""
        if self._hushed:
            self._hushed.clear()
            for interface in self._interfaces:
                self._changed(interface, True)

    def hushes(self, address: IPAddress) -> bool:
        """Whether no question for an address is answered."""
        return address in self._hushed

    def silences(self, address: IPAddress, *, for_us: int = 0) -> bool:
        """Whether nothing passes from or to an address, and has not for so long."""
        gate = self._gates.get(address)
        return gate is not None and gate.shut_at <= self._timeline.now - for_us

    def is_armed(self, address: IPAddress) -> bool:
        """Whether the gate would silence an address in time."""
        return address in self._gates

    def gate_found(self) -> GateFound:
        """What a dump of the gate shows."""
        now = self._timeline.now
        return GateFound(
            tuple(
                ArmedAddress(address, max(gate.shut_at - now, 0) * _MICROSECOND)
                for address, gate in self._gates.items()
            )
        )

    def freeze(self) -> None:
        """The machine stands still, and its time-outs with it."""
        self._frozen_at = self._timeline.now

    def thaw(self) -> None:
        """By its own clock nothing has happened."""
        assert self._frozen_at is not None, "only what was frozen thaws"
        frozen_at, self._frozen_at = self._frozen_at, None
        lasted = self._timeline.now - frozen_at
        for address, gate in self._gates.items():
            if gate.shut_at > frozen_at:
                gate.shut_at += lasted
                self._timeline.at(gate.shut_at, partial(self._timed_out, address, gate))
        for place in self._lifetimes:
            self._lifetimes[place] += lasted
            self._timeline.at(self._lifetimes[place], partial(self._outlived, *place))

    def _open(self, gate: _Gate, limit: timedelta) -> None:
        gate.shut_at = self._timeline.now // TICK_US * TICK_US + limit // _MICROSECOND

    def _timed_out(self, address: IPAddress, gate: _Gate) -> None:
        """The time-out that was set has passed; it may have been put off since then, or stand still."""
        if self._gates.get(address) is not gate or self._frozen_at is not None:
            return
        if gate.shut_at > self._timeline.now:
            self._timeline.at(gate.shut_at, partial(self._timed_out, address, gate))
        else:
            self._changed(gate.interface, True)

    def holds(self, interface: str, address: IPInterface) -> bool:
        """Whether the address is there, carrier or not."""
        return address in self._interfaces[interface].held

    def taken_away_at(self, interface: str, address: IPInterface) -> int | None:
        """When the address was last deleted by hand; None: never."""
        return self._taken_away.get((interface, address))

    def answers(self, interface: str, address: IPAddress) -> bool:
        """Whether a question for this address is answered."""
        held = any(held.ip == address for held in self._interfaces[interface].held)
        return held and self.takes(interface, address) and not self.silences(address) and not self.hushes(address)

    def takes(self, interface: str, address: IPAddress) -> bool:
        """Whether packets for an address that is held are taken by now."""
        return self._fresh.get((interface, address), 0) <= self._timeline.now

    def has_carrier(self, interface: str) -> bool:
        """Whether frames can pass."""
        return self._interfaces[interface].carrier_faults == 0

    def lose_carrier(self, interface: str) -> None:
        """Somebody pulled the cable, or another one did already."""
        state = self._interfaces[interface]
        state.carrier_faults += 1
        state.carrier_changes += state.carrier_faults == 1
        self._changed(interface, False)

    def regain_carrier(self, interface: str) -> None:
        """Take one loss back."""
        state = self._interfaces[interface]
        state.carrier_faults -= 1
        state.carrier_changes += state.carrier_faults == 0
        self._changed(interface, False)

    def found(self, interface: str) -> InterfaceFound:
        """What a dump of the interface shows."""
        state = self._interfaces[interface]
        attachment = state.attachment
        return InterfaceFound(
            interface,
            state.carrier_faults == 0,
            attachment.ipv4,
            attachment.link_local,
            tuple(state.held),
            state.carrier_changes,
            () if attachment.ipv6 is None else (attachment.ipv6,),
        )

    @property
    def interfaces(self) -> tuple[str, ...]:
        return tuple(self._interfaces)

    def lose_power(self) -> None:
        """Everything that was only in memory is gone."""
        self.table = Desired()
        self.refused = frozenset()
        self._gates.clear()
        self._hushed.clear()
        self._fresh.clear()
        self._taken_away.clear()
        self._lifetimes.clear()
        for name, interface in self._interfaces.items():
            interface.held.clear()
            self._changed(name, False)
