"""The heartbeat: what speakers that share VIPs tell each other, because a VRRP Backup is silent (RFC 9568, 6.4.2).

UDP from and to PORT, unicast between the nodes' own addresses, one on each path (a network that both are on), sent with
TTL or hop limit 255 and refused with less, as advertisements are: it cannot come from beyond the link.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------------------------------+---------------+---------------+
     |         0x5948 ("YH")         |   version 1   |R| router count|
     +---------------+---------------+---------------+---------------+
     | length of node| of generation |         interval (ms)         |
     +---------------+---------------+-------------------------------+
     |  boot id (64 bit): another for each life of the speaker       |
     +---------------------------------------------------------------+
     |  sequence (64 bit): grows with each heartbeat of a life       |
     +---------------------------------------------------------------+
     |  node, then generation of the configuration: UTF-8
     +---------------------------------------------------------------+
     |  routers, 8 octets each:                 CRC-32 of the VIP    |
     |  family (4, 6)|     role      |   priority    |Y| 0, ignored  |
     +---------------------------------------------------------------+

Where a VIP that both share is signed, a trailer follows (yaoki.vrrp.heartbeat_signature).

R: by the sender's site file another node has taken the receiver's place.
Y: the sender has heard the next owner, and answers for the addresses no more, though it holds them for a moment.

A heartbeat elects nobody: VRRP does. Invariant: what decodes is in range; no two routers of one heartbeat are the same.
"""

import struct
import zlib
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, StrEnum
from functools import lru_cache

from yaoki.core.address import Family
from yaoki.packet.malformed import Malformed

PORT = 61112
"""In the dynamic range (RFC 6335), above what Linux gives out by itself (up to 60999)."""
HOP_LIMIT = 255
MAX_ROUTERS = 100
"""In one heartbeat, so that it fits an IPv6 packet of 1280 octets; a node with more sends several."""
MAX_NAME = 255
BODIES_REMEMBERED = 64
"""Of heartbeats that were decoded lately."""

_MAGIC = 0x5948
_VERSION = 1
_REPLACED = 0x80
_YIELDS = 0x80
_HEADER = struct.Struct("!HBBBBHQQ")
_ROUTER = struct.Struct("!IBBBB")
_MILLISECOND = timedelta(milliseconds=1)


class Role(IntEnum):
    """The state of a router (RFC 9568, 6.4), or leaving while it still holds the addresses."""

    INITIALIZE = 0
    BACKUP = 1
    ACTIVE = 2
    LEAVING = 3


class HeartbeatFlaw(StrEnum):
    """Why a datagram is not taken for a heartbeat of a peer."""

    HOP_LIMIT = "hop limit is not 255"
    TRUNCATED = "truncated"
    NOT_A_HEARTBEAT = "no heartbeat"
    VERSION = "wrong version"
    TEXT = "a name that is no text"
    INTERVAL = "interval is zero"
    ROUTER = "a router that cannot be"
    TRAILING = "more than it should hold"
    WRONG_NODE = "another node than the one at this address"
    UNSIGNED = "not signed"
    TRAILER = "authentication trailer that cannot be"
    UNKNOWN_KEY = "signed with an unknown key"
    WRONG_HMAC = "wrong HMAC"
    STALE = "signed too long ago, or by another clock"
    REPLAYED = "signed, and heard before"


@dataclass(frozen=True, slots=True)
class RouterKeyOnWire:
    """Which virtual router is meant; equal on all nodes of a site."""

    vip_crc: int
    family: Family

    def __hash__(self) -> int:
        return self.vip_crc * 2 + (self.family is Family.IPV6)

    @classmethod
    def of(cls, vip: str, family: Family) -> "RouterKeyOnWire":
        """That of a VIP by name."""
        return cls(zlib.crc32(vip.encode()), family)


@dataclass(frozen=True, slots=True)
class RouterWord:
    """What a node says of itself in one virtual router. `priority` is the effective one; 0: it cannot own now.
    `yields`: it has heard the next owner, and answers for the addresses no more."""

    key: RouterKeyOnWire
    role: Role
    priority: int
    yields: bool = False


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """One heartbeat. `interval` (1 ms to 65.535 s) is after what time the next one comes at the latest. `replaced`: the
    receiver was replaced by another node, and is to own nothing."""

    node: str
    generation: str
    boot: int
    sequence: int
    interval: timedelta
    routers: tuple[RouterWord, ...] = ()
    replaced: bool = False

    def __post_init__(self) -> None:
        if len(self.routers) > MAX_ROUTERS:
            raise ValueError(f"a heartbeat has at most {MAX_ROUTERS} routers, not {len(self.routers)}")
        if max(len(self.node.encode()), len(self.generation.encode())) > MAX_NAME:
            raise ValueError(f"names in a heartbeat have at most {MAX_NAME} octets")
        if not 1 <= self.interval // _MILLISECOND <= 0xFFFF:
            raise ValueError(f"interval {self.interval} does not fit a heartbeat")

    def encode(self) -> bytes:
        """The UDP payload."""
        node, generation = self.node.encode(), self.generation.encode()
        lengths = len(node), len(generation)
        timing = self.interval // _MILLISECOND
        count = len(self.routers) | (_REPLACED if self.replaced else 0)
        head = _HEADER.pack(_MAGIC, _VERSION, count, *lengths, timing, self.boot, self.sequence)
        words = [
            _ROUTER.pack(w.key.vip_crc, w.key.family.value, w.role, w.priority, _YIELDS if w.yields else 0)
            for w in self.routers
        ]
        return b"".join((head, node, generation, *words))


def length_of(data: bytes) -> int | None:
    """How long the heartbeat at the beginning of these octets is by its header; None where there is no header."""
    if len(data) < _HEADER.size:
        return None
    routers, node_length, generation_length = data[3] & ~_REPLACED, data[4], data[5]
    return _HEADER.size + node_length + generation_length + routers * _ROUTER.size


def decode(data: bytes, *, hop_limit: int) -> Heartbeat | Malformed[HeartbeatFlaw]:
    """The heartbeat in a UDP payload. Whether the node is the one expected at that address is for the reader."""
    # As RFC 9568 5.1.1.3 for advertisements: less than 255 has crossed a router.
    if hop_limit != HOP_LIMIT:
        return Malformed(HeartbeatFlaw.HOP_LIMIT, 0)
    if len(data) < _HEADER.size:
        return Malformed(HeartbeatFlaw.TRUNCATED, len(data))
    magic, version, head, node_length, generation_length, timing, boot, sequence = _HEADER.unpack_from(data)
    replaced, count = bool(head & _REPLACED), head & ~_REPLACED
    if magic != _MAGIC:
        return Malformed(HeartbeatFlaw.NOT_A_HEARTBEAT, 0)
    if version != _VERSION:
        return Malformed(HeartbeatFlaw.VERSION, 2)
    if count > MAX_ROUTERS:
        return Malformed(HeartbeatFlaw.ROUTER, 3)
    if not timing:
        return Malformed(HeartbeatFlaw.INTERVAL, 6)
    names_end = _HEADER.size + node_length + generation_length
    end = names_end + count * _ROUTER.size
    if len(data) != end:
        return Malformed(HeartbeatFlaw.TRUNCATED if len(data) < end else HeartbeatFlaw.TRAILING, min(len(data), end))
    body = _body(data[_HEADER.size :], node_length, generation_length)
    if isinstance(body, Malformed):
        return body
    node, generation, routers = body
    return Heartbeat(node, generation, boot, sequence, timing * _MILLISECOND, routers, replaced)


@lru_cache(maxsize=BODIES_REMEMBERED)
def _body(
    body: bytes, node_length: int, generation_length: int
) -> tuple[str, str, tuple[RouterWord, ...]] | Malformed[HeartbeatFlaw]:
    """What follows the header. One heartbeat says nearly always what the one before it said."""
    names_end = node_length + generation_length
    try:
        node, generation = body[:node_length].decode(), body[node_length:names_end].decode()
    except UnicodeDecodeError:
        return Malformed(HeartbeatFlaw.TEXT, _HEADER.size)
    routers = _routers(body, names_end)
    return routers if isinstance(routers, Malformed) else (node, generation, routers)


def _routers(body: bytes, start: int) -> tuple[RouterWord, ...] | Malformed[HeartbeatFlaw]:
    found: dict[RouterKeyOnWire, RouterWord] = {}
    for offset in range(start, len(body), _ROUTER.size):
        crc, family, role, priority, flags = _ROUTER.unpack_from(body, offset)
        if family not in (Family.IPV4.value, Family.IPV6.value) or role > Role.LEAVING:
            return Malformed(HeartbeatFlaw.ROUTER, _HEADER.size + offset + 4)
        key = RouterKeyOnWire(crc, Family(family))
        if key in found:
            return Malformed(HeartbeatFlaw.ROUTER, _HEADER.size + offset)
        found[key] = RouterWord(key, Role(role), priority, bool(flags & _YIELDS))
    return tuple(found.values())
