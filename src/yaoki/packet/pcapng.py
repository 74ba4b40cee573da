"""Capture files in pcapng (draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump read.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +---------------------------------------------------------------+
     |                          block type                           |
     |                      block total length                       |
     /          body, padded to 32 bits; options at its end          /
     |                      block total length                       |
     +---------------------------------------------------------------+

Written: a section header; one interface description each (4.2: name, description, addresses, resolution of times); one
name resolution block (4.5) with the names of addresses and MACs; the packets (4.3) with their directions; interface
statistics (4.6) with what was lost. Read: the same from any program, of Ethernet interfaces, in either byte order, in
one section or several; unknown blocks and options are passed over, as the draft demands.

Limits: a block is at most MOST_BLOCK octets, a file has MOST_INTERFACES.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface

from yaoki.core.address import IPAddress, IPInterface, MacAddress
from yaoki.packet.malformed import Malformed
from yaoki.packet.recording import LONGEST_PACKET, CapturedPacket, CaptureInterface, Direction, Recording, merged

MOST_BLOCK = 16 * 1024 * 1024
MOST_INTERFACES = 1024
LINKTYPE_ETHERNET = 1

_MAGIC = 0x1A2B3C4D
_UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF
_NANOSECONDS = 9
_MICROSECONDS = 6
_END_OF_OPTIONS = 0


class Block(IntEnum):
    """Block types that are written or understood."""

    SECTION = 0x0A0D0D0A
    INTERFACE = 1
    SIMPLE_PACKET = 3
    NAMES = 4
    STATISTICS = 5
    PACKET = 6


class Option(IntEnum):
    """Options; the same number means another thing in each block."""

    COMMENT = 1
    IF_NAME = 2
    IF_DESCRIPTION = 3
    IF_IPV4 = 4
    IF_IPV6 = 5
    IF_MAC = 6
    IF_RESOLUTION = 9
    IF_OFFSET = 14
    PACKET_FLAGS = 2
    SECTION_PROGRAM = 4
    STATISTICS_DROPPED = 5


class Name(IntEnum):
    """Records of a name resolution block."""

    END = 0
    IPV4 = 1
    IPV6 = 2
    MAC = 3


class PcapngFlaw(StrEnum):
    """Why a file was refused."""

    NOT_PCAPNG = "not a pcapng file"
    TRUNCATED = "it ends in the middle of a block"
    LENGTH = "a length that does not fit"
    LINK = "an interface that is not Ethernet: record one by its name, not `any`"
    INTERFACE = "a packet of an interface that is not described"
    TIME = "a resolution of times that is not understood"


def encode(recording: Recording, program: str) -> bytes:
    """The file; `program` is the name of who wrote it."""
    section = _option(Option.COMMENT, recording.comment.encode()) if recording.comment else b""
    section += _option(Option.SECTION_PROGRAM, program.encode())
    blocks = [_block(Block.SECTION, struct.pack("<IHHQ", _MAGIC, 1, 0, _UNKNOWN_LENGTH) + _options(section))]
    blocks += [_interface(interface) for interface in recording.interfaces]
    if recording.names:
        blocks.append(_names(recording))
    blocks += [_packet(packet) for packet in recording.packets]
    last = recording.packets[-1].at_ns if recording.packets else 0
    for number, interface in enumerate(recording.interfaces):
        dropped = _option(Option.STATISTICS_DROPPED, struct.pack("<Q", interface.lost))
        body = struct.pack("<III", number, last >> 32, last & 0xFFFFFFFF)
        blocks.append(_block(Block.STATISTICS, body + _options(dropped)))
    return b"".join(blocks)


def decode(data: bytes, node: str = "") -> Recording | Malformed[PcapngFlaw]:
    """The recording in a file. `node` is whose interfaces they are where the file does not say "NODE/INTERFACE"."""
    if data[:4] != Block.SECTION.to_bytes(4, "big"):
        return Malformed(PcapngFlaw.NOT_PCAPNG, 0)
    sections: list[_Section] = []
    offset = 0
    while offset < len(data):
        found = _next_block(data, offset, sections)
        if isinstance(found, Malformed):
            return found
        kind, body, after = found
        flaw = None if kind == Block.SECTION else sections[-1].take(kind, body, node)
        if flaw is not None:
            return Malformed(flaw, offset)
        offset = after
    return merged(tuple(section.recording() for section in sections))


# --- writing


def _interface(interface: CaptureInterface) -> bytes:
    options = _option(Option.IF_NAME, str(interface).encode())
    options += _option(Option.IF_DESCRIPTION, f"{interface.name} of {interface.node}".encode())
    for address in interface.addresses:
        if isinstance(address, IPv4Interface):
            options += _option(Option.IF_IPV4, address.ip.packed + address.netmask.packed)
        else:
            options += _option(Option.IF_IPV6, address.ip.packed + bytes((address.network.prefixlen,)))
    if interface.mac is not None:
        options += _option(Option.IF_MAC, interface.mac.octets)
    options += _option(Option.IF_RESOLUTION, bytes((_NANOSECONDS,)))
    return _block(Block.INTERFACE, struct.pack("<HHI", LINKTYPE_ETHERNET, 0, LONGEST_PACKET) + _options(options))


def _names(recording: Recording) -> bytes:
    body = b""
    for what, name in recording.names:
        if isinstance(what, MacAddress):
            kind, octets = Name.MAC, what.octets
        else:
            kind, octets = (Name.IPV4 if what.version == 4 else Name.IPV6), what.packed
        body += _option(kind, octets + name.encode() + b"\0")
    return _block(Block.NAMES, _options(body))


def _packet(packet: CapturedPacket) -> bytes:
    head = struct.pack(
        "<IIIII", packet.interface, packet.at_ns >> 32, packet.at_ns & 0xFFFFFFFF, len(packet.octets), packet.length
    )
    options = b""
    if packet.direction is not None:
        options = _options(_option(Option.PACKET_FLAGS, struct.pack("<I", packet.direction.value)))
    return _block(Block.PACKET, head + _padded(packet.octets) + options)


def _block(kind: Block, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _options(options: bytes) -> bytes:
    return options + struct.pack("<HH", _END_OF_OPTIONS, 0) if options else b""


def _option(kind: int, value: bytes) -> bytes:
    return struct.pack("<HH", kind, len(value)) + _padded(value)


def _padded(value: bytes) -> bytes:
    return value + bytes(-len(value) % 4)


# --- reading


@dataclass(slots=True)
class _Described:
    """An interface of a section; times count in units of 10**-9 s times `scale`, from `offset_s`."""

    interface: CaptureInterface
    numerator: int
    denominator: int
    offset_s: int

    def at_ns(self, high: int, low: int) -> int:
        ticks = high << 32 | low
        return ticks * self.numerator // self.denominator + self.offset_s * 1_000_000_000


@dataclass(slots=True)
class _Section:
    """One section while it is read; `order` is its byte order."""

    order: str
    comment: str = ""
    described: list[_Described] = field(default_factory=list)
    packets: list[CapturedPacket] = field(default_factory=list)
    names: list[tuple[IPAddress | MacAddress, str]] = field(default_factory=list)

    def recording(self) -> Recording:
        interfaces = tuple(one.interface for one in self.described)
        return Recording(interfaces, tuple(self.packets), tuple(self.names), self.comment)

    def take(self, kind: int, body: bytes, node: str) -> PcapngFlaw | None:
        """One block."""
        try:
            match kind:
                case Block.INTERFACE:
                    return self._describe(body, node)
                case Block.PACKET:
                    return self._packet(body)
                case Block.NAMES:
                    self.names += self._names(body)
                case Block.STATISTICS:
                    self._count(body)
                case _:
                    pass
        except (struct.error, ValueError):
            return PcapngFlaw.LENGTH
        return None

    def _describe(self, body: bytes, node: str) -> PcapngFlaw | None:
        link, _, _ = struct.unpack_from(self.order + "HHI", body)
        if link != LINKTYPE_ETHERNET:
            return PcapngFlaw.LINK
        if len(self.described) >= MOST_INTERFACES:
            return PcapngFlaw.LENGTH
        name, mac, resolution, offset_s = "", None, _MICROSECONDS, 0
        addresses: list[IPInterface] = []
        for kind, value in _records(body[8:], self.order):
            match kind:
                case Option.IF_NAME:
                    name = value.decode(errors="replace")
                case Option.IF_IPV4:
                    addresses.append(ip_interface(f"{IPv4Address(value[:4])}/{IPv4Address(value[4:8])}"))
                case Option.IF_IPV6:
                    addresses.append(IPv6Interface(struct.unpack("16sB", value)))
                case Option.IF_MAC:
                    mac = MacAddress(value)
                case Option.IF_RESOLUTION:
                    (resolution,) = value
                case Option.IF_OFFSET:
                    (offset_s,) = struct.unpack(self.order + "q", value)
                case _:
                    pass
        whose, slash, own = name.partition("/")
        interface = CaptureInterface(*((whose, own) if slash else (node, name)), mac, tuple(addresses))
        # The highest bit says that the rest is an exponent of 2, not of 10.
        exponent = resolution & 0x7F
        if exponent > 64:
            return PcapngFlaw.TIME
        base = 2 if resolution & 0x80 else 10
        self.described.append(_Described(interface, 10**9, base**exponent, offset_s))
        return None

    def _packet(self, body: bytes) -> PcapngFlaw | None:
        number, high, low, kept, length = struct.unpack_from(self.order + "IIIII", body)
        if number >= len(self.described):
            return PcapngFlaw.INTERFACE
        octets = body[20 : 20 + kept]
        if len(octets) < kept:
            return PcapngFlaw.LENGTH
        direction = None
        for kind, value in _records(body[20 + kept + -kept % 4 :], self.order):
            if kind == Option.PACKET_FLAGS:
                flags = struct.unpack(self.order + "I", value)[0] & 3
                direction = Direction(flags) if flags in (1, 2) else None
        at_ns = self.described[number].at_ns(high, low)
        self.packets.append(CapturedPacket(number, at_ns, length, octets, direction))
        return None

    def _names(self, body: bytes) -> Iterator[tuple[IPAddress | MacAddress, str]]:
        for kind, value in _records(body, self.order):
            what: IPAddress | MacAddress
            match kind:
                case Name.IPV4:
                    what, names = IPv4Address(value[:4]), value[4:]
                case Name.IPV6:
                    what, names = IPv6Address(value[:16]), value[16:]
                case Name.MAC:
                    what, names = MacAddress(value[:6]), value[6:]
                case _:
                    continue
            yield what, names.partition(b"\0")[0].decode(errors="replace")

    def _count(self, body: bytes) -> None:
        (number,) = struct.unpack_from(self.order + "I", body)
        for kind, value in _records(body[12:], self.order):
            if kind == Option.STATISTICS_DROPPED and number < len(self.described):
                described = self.described[number]
                (lost,) = struct.unpack(self.order + "Q", value)
                described.interface = replace(described.interface, lost=lost)


def _next_block(data: bytes, offset: int, sections: list[_Section]) -> tuple[int, bytes, int] | Malformed[PcapngFlaw]:
    """Type and body of the block at `offset`, and where the next one is; a section header begins a section."""
    if len(data) < offset + 12:
        return Malformed(PcapngFlaw.TRUNCATED, offset)
    if data[offset : offset + 4] == Block.SECTION.to_bytes(4, "big"):
        order = {_MAGIC.to_bytes(4, "little"): "<", _MAGIC.to_bytes(4, "big"): ">"}.get(data[offset + 8 : offset + 12])
        if order is None:
            return Malformed(PcapngFlaw.NOT_PCAPNG, offset)
        sections.append(_Section(order))
    section = sections[-1]
    kind, length = struct.unpack_from(section.order + "II", data, offset)
    if length < 12 or length % 4 or length > MOST_BLOCK:
        return Malformed(PcapngFlaw.LENGTH, offset + 4)
    if len(data) < offset + length:
        return Malformed(PcapngFlaw.TRUNCATED, offset)
    body = data[offset + 8 : offset + length - 4]
    if kind == Block.SECTION:
        for option, value in _records(body[16:], section.order):
            if option == Option.COMMENT:
                section.comment = value.decode(errors="replace")
    return kind, body, offset + length


def _records(data: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    """Options, or records of names, up to their end."""
    offset = 0
    while len(data) >= offset + 4:
        kind, length = struct.unpack_from(order + "HH", data, offset)
        if kind == _END_OF_OPTIONS:
            return
        value = data[offset + 4 : offset + 4 + length]
        if len(value) == length:
            yield kind, value
        offset += 4 + length + -length % 4
