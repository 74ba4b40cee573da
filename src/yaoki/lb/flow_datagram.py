"""What flow copiers tell each other: UDP from and to PORT, between the nodes' own addresses, one on each network that
both are on, sent with TTL or hop limit 255 and refused with less, as heartbeats are.

      0                   1                   2                   3
      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
     +-------------------------------+---------------+---------------+
     |         0x5946 ("YF")         | version 1, 2  |     kind      |
     +-------------------------------+---------------+---------------+
     |  boot id (64 bit): another for each life of the copier        |
     +---------------------------------------------------------------+
     |  sequence (64 bit): grows with each datagram of a life        |
     +---------------------------------------------------------------+

kind 1, flows: one record after another, of IPv4 26 octets, of IPv6 62:

     | family (4, 6) | protocol      | stage         | 0, ignored    |
     |  seconds that its owner's kernel keeps it (32 bit)            |
     |  address and port of the client, the service, the server      |

kinds 2 ask, 3 coming, 4 end: the number of the request (64 bit); at the end, how many flows were sent (32 bit) as well.
kind 5, hello: nothing.

Version 2 is the same with a trailer behind it, where a VIP that both share is signed (yaoki.lb.flow_signature): who
knows nothing of trailers refuses it by its version.

Each datagram is complete in itself, and says how things are and not what has changed: one that is lost, doubled or out
of order does no harm that the next does not mend. Invariant: what decodes is in range.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.lb.flow import MAX_SECONDS, Flow, Stage
from yaoki.lb.service import Protocol, ServiceKey

PORT = 61113
"""Beside the heartbeats' 61112."""
HOP_LIMIT = 255
MAX_OCTETS = 1200
"""Of one datagram, so that it fits an IPv6 packet of 1280 octets."""
ADDRESSES_REMEMBERED = 8192
VERSION, SIGNED_VERSION = 1, 2

_MAGIC = 0x5946
_HEADER = struct.Struct("!HBBQQ")
HEADER_OCTETS = _HEADER.size
_REQUEST = struct.Struct("!Q")
_END = struct.Struct("!QI")
_RECORD = {4: struct.Struct("!BBBxI4sH4sH4sH"), 6: struct.Struct("!BBBxI16sH16sH16sH")}
_FLOWS, _ASK, _COMING, _END_KIND, _HELLO = 1, 2, 3, 4, 5
_PROTOCOLS = {protocol.number: protocol for protocol in Protocol}
_STAGES = {stage.value: stage for stage in Stage}


class DatagramFlaw(StrEnum):
    """Why a datagram is not taken for one of a peer's flow copier."""

    HOP_LIMIT = "hop limit is not 255"
    TRUNCATED = "truncated"
    FOREIGN = "not of a flow copier"
    VERSION = "another version"
    RECORD = "a flow that cannot be"
    NO_KEY = "signed, and no key for it here"
    UNSIGNED = "not signed"
    TRAILER = "authentication trailer that cannot be"
    UNKNOWN_KEY = "signed with an unknown key"
    WRONG_HMAC = "wrong HMAC"
    STALE = "signed too long ago, or by another clock"
    REPLAYED = "signed, and heard before"


@dataclass(frozen=True, slots=True)
class Told:
    """These flows there are."""

    flows: tuple[Flow, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Tell me all flows of the VIPs that you own."""

    request: int


@dataclass(frozen=True, slots=True)
class Coming:
    """They are being told; there is nothing to tell for the moment."""

    request: int


@dataclass(frozen=True, slots=True)
class End:
    """That was all: so many flows."""

    request: int
    flows: int


@dataclass(frozen=True, slots=True)
class Hello:
    """I am here."""


Message = Told | Ask | Coming | End | Hello


@dataclass(frozen=True, slots=True)
class FlowDatagram:
    """One datagram."""

    boot: int
    sequence: int
    message: Message


def encode(datagram: FlowDatagram) -> bytes:
    """As it goes on the wire, unsigned. The flows of a Told must fit: see `portions`."""
    match datagram.message:
        case Told(flows):
            kind, body = _FLOWS, b"".join(map(_record, flows))
        case Ask(request):
            kind, body = _ASK, _REQUEST.pack(request)
        case Coming(request):
            kind, body = _COMING, _REQUEST.pack(request)
        case End(request, count):
            kind, body = _END_KIND, _END.pack(request, count)
        case Hello():
            kind, body = _HELLO, b""
        case _:
            assert_never(datagram.message)
    return _HEADER.pack(_MAGIC, VERSION, kind, datagram.boot, datagram.sequence) + body


def decode(payload: bytes) -> FlowDatagram | DatagramFlaw:
    """From the wire, once its trailer, if there was one, is judged and taken off."""
    if len(payload) < _HEADER.size:
        return DatagramFlaw.TRUNCATED
    magic, version, kind, boot, sequence = _HEADER.unpack_from(payload)
    if magic != _MAGIC:
        return DatagramFlaw.FOREIGN
    if version != VERSION:
        return DatagramFlaw.NO_KEY if version == SIGNED_VERSION else DatagramFlaw.VERSION
    message = _message(kind, payload[_HEADER.size :])
    return message if isinstance(message, DatagramFlaw) else FlowDatagram(boot, sequence, message)


def portions(flows: Iterable[Flow]) -> Iterator[Told]:
    """The flows in as many parts as they need datagrams."""
    room, part = MAX_OCTETS - _HEADER.size, list[Flow]()
    for flow in flows:
        size = _RECORD[flow.client.version].size
        if size > room:
            yield Told(tuple(part))
            room, part = MAX_OCTETS - _HEADER.size, []
        room -= size
        part.append(flow)
    if part:
        yield Told(tuple(part))


def _message(kind: int, body: bytes) -> Message | DatagramFlaw:
    if kind == _FLOWS:
        flows = _flows(body)
        return flows if isinstance(flows, DatagramFlaw) else Told(flows)
    if kind == _HELLO:
        return Hello() if not body else DatagramFlaw.TRUNCATED
    form = {_ASK: _REQUEST, _COMING: _REQUEST, _END_KIND: _END}.get(kind)
    if form is None:
        return DatagramFlaw.FOREIGN
    if len(body) != form.size:
        return DatagramFlaw.TRUNCATED
    if kind == _END_KIND:
        return End(*_END.unpack(body))
    (request,) = _REQUEST.unpack(body)
    return Ask(request) if kind == _ASK else Coming(request)


def _flows(body: bytes) -> tuple[Flow, ...] | DatagramFlaw:
    flows: list[Flow] = []
    offset = 0
    while offset < len(body):
        form = _RECORD.get(body[offset])
        if form is None:
            return DatagramFlaw.RECORD
        if offset + form.size > len(body):
            return DatagramFlaw.TRUNCATED
        flow = _flow(form.unpack_from(body, offset))
        if flow is None:
            return DatagramFlaw.RECORD
        flows.append(flow)
        offset += form.size
    return tuple(flows) if flows else DatagramFlaw.TRUNCATED


def _flow(record: tuple[int, int, int, int, bytes, int, bytes, int, bytes, int]) -> Flow | None:
    _, number, stage_number, seconds, client, client_port, vip, vip_port, server, port = record
    protocol, stage = _PROTOCOLS.get(number), _STAGES.get(stage_number)
    if protocol is None or stage is None or seconds > MAX_SECONDS:
        return None
    if protocol is Protocol.UDP and stage is Stage.CLOSING:
        return None
    return Flow(
        ServiceKey(address(vip), protocol, vip_port),
        address(client),
        client_port,
        address(server),
        port,
        stage,
        seconds,
    )


def _record(flow: Flow) -> bytes:
    version = flow.client.version
    return _RECORD[version].pack(
        version,
        flow.service.protocol.number,
        flow.stage,
        flow.seconds,
        flow.client.packed,
        flow.client_port,
        flow.service.address.packed,
        flow.service.port,
        flow.server.packed,
        flow.port,
    )


@lru_cache(ADDRESSES_REMEMBERED)
def address(octets: bytes) -> IPAddress:
    """Of 4 or 16 octets; the same few come again and again."""
    return IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)
