"""A recording: packets of several interfaces on one time line, as a capture file holds it."""

from dataclasses import dataclass, field
from enum import Enum

from yaoki.core.address import IPAddress, IPInterface, MacAddress

LONGEST_PACKET = 262_144
"""What tcpdump and Wireshark take for a packet at most."""


class Direction(Enum):
    """Which way a packet passed its interface; the values are those of pcapng's epb_flags."""

    IN = 1
    OUT = 2


@dataclass(frozen=True, slots=True)
class CaptureInterface:
    """An interface that was recorded. `lost`: packets that the recorder was too slow for."""

    node: str
    name: str
    mac: MacAddress | None = None
    addresses: tuple[IPInterface, ...] = ()
    lost: int = 0

    def __str__(self) -> str:
        return f"{self.node}/{self.name}" if self.name else self.node


@dataclass(frozen=True, slots=True)
class CapturedPacket:
    """One packet at one interface, by its place in the recording's `interfaces`.

    `at_ns` is wall time since 1970 by the clock of the machine that recorded it; `length` what the packet had on the
    wire, of which `octets` may be the beginning. `direction` None: the file does not say.
    """

    interface: int
    at_ns: int
    length: int
    octets: bytes
    direction: Direction | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Packets in the order of their times. `names` of addresses and of MACs: which machine has it."""

    interfaces: tuple[CaptureInterface, ...]
    packets: tuple[CapturedPacket, ...]
    names: tuple[tuple[IPAddress | MacAddress, str], ...] = ()
    comment: str = field(default="", compare=False)

    @property
    def lost(self) -> int:
        """Packets lost on all interfaces."""
        return sum(interface.lost for interface in self.interfaces)


def merged(recordings: tuple[Recording, ...]) -> Recording:
    """All of them on one time line; of equal times the order of the recordings decides."""
    interfaces: list[CaptureInterface] = []
    packets: list[CapturedPacket] = []
    names: dict[tuple[IPAddress | MacAddress, str], None] = {}
    for recording in recordings:
        first = len(interfaces)
        interfaces += recording.interfaces
        packets += [
            CapturedPacket(first + one.interface, one.at_ns, one.length, one.octets, one.direction)
            for one in recording.packets
        ]
        names.update(dict.fromkeys(recording.names))
    packets.sort(key=lambda packet: packet.at_ns)
    comment = next((recording.comment for recording in recordings if recording.comment), "")
    return Recording(tuple(interfaces), tuple(packets), tuple(names), comment)
