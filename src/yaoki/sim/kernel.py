"""The kernel of a simulated node: its interfaces with carrier and addresses, and the balancer plane's tables.

It outlives every process of the node and dies with the node's power.

Invariant: it does what it is told and tells what it has; claiming twice or releasing what is gone changes nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.error import LocalError
from yaoki.lb.service import Desired
from yaoki.node.messages import InterfaceFound
from yaoki.sim.topology import Attachment

MAX_ADDRESSES = 10_000


@dataclass(slots=True)
class _Interface:
    """One interface. `carrier_faults` counts what holds its carrier down."""

    attachment: Attachment
    carrier_faults: int = 0
    carrier_changes: int = 0
    held: dict[IPInterface, None] = field(default_factory=dict)


class Kernel:
    """The kernel of one node. `changed` is told the name of each interface whose addresses or carrier changed, and
    whether its speaker did that itself."""

    def __init__(self, attachments: tuple[Attachment, ...], changed: Callable[[str, bool], None]) -> None:
        self.table = Desired()
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
        self._changed(interface, True)

    def release(self, interface: str, address: IPInterface, *, by_speaker: bool = True) -> None:
        """`ip address del`."""
        if address in self._interfaces[interface].held:
            del self._interfaces[interface].held[address]
            self._changed(interface, by_speaker)

    def holds(self, interface: str, address: IPInterface) -> bool:
        """Whether the address is there, carrier or not."""
        return address in self._interfaces[interface].held

    def answers(self, interface: str, address: IPAddress) -> bool:
        """Whether a question for this address is answered."""
        return any(held.ip == address for held in self._interfaces[interface].held)

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
        for name, interface in self._interfaces.items():
            interface.held.clear()
            self._changed(name, False)
