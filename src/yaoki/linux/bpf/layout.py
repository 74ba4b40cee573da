"""The entries of the balancer's maps, as values and as octets: the mirror of tables.h.

Numbers are in the machine's byte order, addresses and ports in the network's. `LAYOUT` names this set of structures:
maps that were pinned under another name are not for this program.
"""

import struct
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address
from typing import Self

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.lb.why import Flow

LAYOUT = "4"
NOBODY = 0
"""The number of no server."""
UNGATED = 0
"""The number of no address's deadline."""
TICK_NS = 1 << 26

_SERVICE_KEY = {Family.IPV4: struct.Struct("=4s2sBx"), Family.IPV6: struct.Struct("=16s2sBx")}
_SERVICE = struct.Struct("=II6sBBIIIII16s")
_SERVER = struct.Struct("=6sHII")
_TUNNEL = struct.Struct("=16s16sI6s2sH2x")
_RING = struct.Struct("=II")
_FLOW_KEY = {Family.IPV4: struct.Struct("=4s4s2s2sB3x"), Family.IPV6: struct.Struct("=16s16s2s2sB3x")}
_FLOW = struct.Struct("=IIII")
_SOURCE_KEY = {Family.IPV4: struct.Struct("=I4s"), Family.IPV6: struct.Struct("=I16s")}
_COUNT = struct.Struct("=QQQ")
_NUMBER = struct.Struct("=I")
_CAPACITY = struct.Struct("=II")
_LOAD = struct.Struct("=i")
_LONG = struct.Struct("=Q")


class RingSize(IntEnum):
    """enum ring_size."""

    NONE = 0
    SMALL = 1
    MEDIUM = 2
    LARGE = 3


CAPACITY = {RingSize.SMALL: 1021, RingSize.MEDIUM: 8191, RingSize.LARGE: 65521}
"""Slots that a ring of each size holds: those of the Maglev tables (yaoki.pool.maglev)."""


class ServiceFlag(IntFlag):
    """enum service_flags."""

    BY_SOURCE = 1
    LAZY = 2
    COUNTED = 4
    LIMITED = 8
    LEAST = 16
    LESS_OF_TWO = 32
    BY_FLOW = 64


class ServerFlag(IntFlag):
    """enum server_flags."""

    KEEPS = 1
    TAKES = 2
    TUNNELLED = 4


class FlowState(IntEnum):
    """enum flow_state."""

    OPENING = 0
    ESTABLISHED = 1
    CLOSING = 2


Reason = PacketReason
"""enum reason."""


def index(number: int) -> bytes:
    """The key of an array."""
    return _NUMBER.pack(number)


def read_index(octets: bytes) -> int:
    """The other way."""
    number: int = _NUMBER.unpack(octets)[0]
    return number


def nanoseconds(value: int) -> bytes:
    """A deadline."""
    return _LONG.pack(value)


def read_nanoseconds(octets: bytes) -> int:
    """The other way."""
    number: int = _LONG.unpack(octets)[0]
    return number


def tick() -> int:
    """Now, as the program counts time."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // TICK_NS & 0xFFFFFFFF


def ticks(duration: timedelta) -> int:
    """How the program counts idle time; at least one."""
    return max(1, int(duration.total_seconds() * 1_000_000_000) // TICK_NS)


# --- services


@dataclass(frozen=True, slots=True)
class Service:
    """struct service; the time-outs in ticks."""

    id: int
    interface: int
    mac: MacAddress
    ring: RingSize
    flags: ServiceFlag
    gate: int
    opening: int
    established: int
    closing: int
    persistence: int = 0
    source_mask: bytes = bytes(16)

    def pack(self) -> bytes:
        return _SERVICE.pack(
            self.id, self.interface, self.mac.octets, self.ring, self.flags,
            self.gate, self.opening, self.established, self.closing, self.persistence, self.source_mask,
        )  # fmt: skip

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        number, interface, mac, ring, flags, *rest = _SERVICE.unpack(octets)
        return cls(number, interface, MacAddress(mac), RingSize(ring), ServiceFlag(flags), *rest)


def service_key(key: ServiceKey) -> bytes:
    """struct service_key4 or service_key6."""
    return _SERVICE_KEY[key.family].pack(key.address.packed, key.port.to_bytes(2, "big"), key.protocol.number)


def read_service_key(family: Family, octets: bytes) -> ServiceKey:
    """The other way."""
    address, port, number = _SERVICE_KEY[family].unpack(octets)
    protocol = next(protocol for protocol in Protocol if protocol.number == number)
    return ServiceKey(read_address(address), protocol, int.from_bytes(port, "big"))


# --- servers and slots


@dataclass(frozen=True, slots=True)
class Server:
    """struct server. `stamp` is never given to another server; `mac` is the next hop's where it is TUNNELLED; `service`
    is its service's id."""

    mac: MacAddress
    flags: ServerFlag
    stamp: int
    service: int

    def pack(self) -> bytes:
        return _SERVER.pack(self.mac.octets, self.flags, self.stamp, self.service)

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        mac, flags, stamp, service = _SERVER.unpack(octets)
        return cls(MacAddress(mac), ServerFlag(flags), stamp, service)


@dataclass(frozen=True, slots=True)
class TunnelEntry:
    """struct tunnel. `port` 0 is IP in IP; `room` is for the packet without its outer headers."""

    source: IPAddress
    destination: IPAddress
    interface: int
    mac: MacAddress
    port: int
    room: int

    def pack(self) -> bytes:
        port = self.port.to_bytes(2, "big")
        return _TUNNEL.pack(
            self.source.packed, self.destination.packed, self.interface, self.mac.octets, port, self.room
        )

    @classmethod
    def unpack(cls, octets: bytes, family: Family) -> Self:
        source, destination, interface, mac, port, room = _TUNNEL.unpack(octets)
        length = family.bits // 8
        return cls(
            read_address(source[:length]), read_address(destination[:length]), interface, MacAddress(mac),
            int.from_bytes(port, "big"), room,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Capacity:
    """struct capacity. `weight` is above 0; a `limit` of 0 is none."""

    weight: int
    limit: int = 0

    def pack(self) -> bytes:
        return _CAPACITY.pack(self.weight, self.limit)

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        return cls(*_CAPACITY.unpack(octets))


def load(flows: int) -> bytes:
    """How many flows a server has open."""
    return _LOAD.pack(flows)


def read_load(octets: bytes) -> int:
    """The other way; it may be below zero for a while."""
    number: int = _LOAD.unpack(octets)[0]
    return number


def ring_size(slots: int) -> RingSize:
    """The smallest ring that holds so many slots. Raises ValueError beyond the largest."""
    if not slots:
        return RingSize.NONE
    for size, capacity in CAPACITY.items():
        if slots <= capacity:
            return size
    raise ValueError(f"{slots} slots; a ring holds {CAPACITY[RingSize.LARGE]} at most")


def ring(slots: Sequence[int], size: RingSize, turn: int = 0) -> bytes:
    """struct ring: the server's number of each slot. `turn` is the first, or where a hash finds the slot, the tick at
    which the ring is put."""
    return (_RING.pack(len(slots), turn) + array("I", slots).tobytes()).ljust(ring_length(size), b"\0")


def ring_length(size: RingSize) -> int:
    """Octets of a ring."""
    return _RING.size + 4 * CAPACITY[size]


def read_ring(octets: bytes) -> tuple[int, ...]:
    """The server's number of each slot."""
    slots, _ = _RING.unpack_from(octets)
    return struct.unpack_from(f"={slots}I", octets, _RING.size)


# --- flows


@dataclass(frozen=True, slots=True)
class FlowEntry:
    """struct flow."""

    server: int
    stamp: int
    seen: int
    state: FlowState

    def pack(self) -> bytes:
        return _FLOW.pack(self.server, self.stamp, self.seen, self.state)

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        server, stamp, seen, state = _FLOW.unpack(octets)
        return cls(server, stamp, seen, FlowState(state))


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """struct source."""

    server: int
    stamp: int
    seen: int

    def pack(self) -> bytes:
        return _FLOW.pack(self.server, self.stamp, self.seen, 0)

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        return cls(*_FLOW.unpack(octets)[:3])


def flow_words(octets: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Server, stamp, seen and state of many entries; ten times as fast as FlowEntry."""
    return _FLOW.iter_unpack(octets)


def flow_key(key: ServiceKey, flow: Flow) -> bytes:
    """struct flow_key4 or flow_key6."""
    return flow_key_of(key, flow.source, flow.port)


def flow_key_of(key: ServiceKey, client: IPAddress, port: int) -> bytes:
    """The same, by the client's address and port."""
    ports = port.to_bytes(2, "big"), key.port.to_bytes(2, "big")
    return _FLOW_KEY[key.family].pack(client.packed, key.address.packed, *ports, key.protocol.number)


def read_client(family: Family, octets: bytes) -> tuple[bytes, int]:
    """Of a flow's key: its client's address and port."""
    source, _, port, _, _ = _FLOW_KEY[family].unpack(octets)
    return source, int.from_bytes(port, "big")


def read_news(octets: bytes) -> tuple[FlowEntry, bytes]:
    """struct news4 or news6: the entry and the key of a flow."""
    return FlowEntry.unpack(octets[: _FLOW.size]), octets[_FLOW.size :]


def source_key(family: Family, service: int, masked: bytes) -> bytes:
    """struct source_key4 or source_key6."""
    return _SOURCE_KEY[family].pack(service, masked)


def read_source_key(family: Family, octets: bytes) -> tuple[int, IPAddress]:
    """The other way."""
    service, source = _SOURCE_KEY[family].unpack(octets)
    return service, read_address(source)


def masked(source: IPAddress, mask: bytes) -> bytes:
    """A source under a service's mask."""
    return bytes(octet & bit for octet, bit in zip(source.packed, mask, strict=False))


def mask_of(prefix_length: int) -> bytes:
    """A service's mask."""
    return ((1 << 128) - (1 << 128 - prefix_length)).to_bytes(16, "big")


# --- counters


@dataclass(frozen=True, slots=True)
class Count:
    """struct count, of all processors together."""

    packets: int = 0
    octets: int = 0
    flows: int = 0

    @classmethod
    def unpack(cls, octets: bytes) -> Self:
        packets, length, flows = (sum(column) for column in zip(*_COUNT.iter_unpack(octets), strict=True))
        return cls(packets, length, flows)


def total(octets: bytes) -> int:
    """A plain counter, of all processors together."""
    return sum(value for (value,) in _LONG.iter_unpack(octets))


def read_address(octets: bytes) -> IPAddress:
    """Of either family, by its length."""
    return IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)
