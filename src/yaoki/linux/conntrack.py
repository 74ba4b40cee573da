"""Entries of the kernel's connection tracking: delete those of a service's server, count those of every server.

Speaks ctnetlink itself. The kernel filters a dump by the server (CTA_FILTER, Linux 5.8), so that deleting
costs what the server's flows cost and not what all flows cost; an older kernel ignores the filter, and the rest is
passed over here. Entries are deleted in batches, each by the very tuple bytes that the dump gave.

Limits: BATCH deletions per message to the kernel, PASSES dumps per call, because new entries may appear between a dump
and its end; TIMEOUT_S of waiting for the kernel.
"""

import errno
import socket
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.connection import ConnectionState
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.attributes import attribute, attributes, find_attribute, message, messages, nest
from yaoki.linux.conntrack_kinds import kind_of

BATCH = 64
PASSES = 3
TIMEOUT_S = 5.0
_RECEIVE_OCTETS = 1 << 20

_NETLINK_NETFILTER = 12
_CT_GET = (1 << 8) | 1
_CT_DELETE = (1 << 8) | 2
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_FAMILY = {Family.IPV4: socket.AF_INET, Family.IPV6: socket.AF_INET6}

# linux/netfilter/nfnetlink_conntrack.h
_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOINFO, _TIMEOUT, _ID, _FILTER = 1, 2, 3, 4, 7, 12, 25
_SEEN_REPLY = 1 << 1
_PROTOINFO_TCP, _PROTOINFO_TCP_STATE = 1, 1
_TCP_ESTABLISHED = 3
"""States before it are those of a connection being opened, later ones of one being closed."""
_TCP_TIME_WAIT = 7
"""From this state on a connection is over; a SYN makes a new entry of it (tcp_conntracks, nf_conntrack_proto_tcp.c)."""
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SRC = {Family.IPV4: 1, Family.IPV6: 3}
_IP_DST = {Family.IPV4: 2, Family.IPV6: 4}
_PROTO_NUM, _PROTO_SRC_PORT, _PROTO_DST_PORT = 1, 2, 3
_FILTER_ORIG_FLAGS, _FILTER_REPLY_FLAGS = 1, 2
_FILTER_IP_SRC, _FILTER_PROTO_NUM, _FILTER_PROTO_SRC_PORT = 1 << 0, 1 << 3, 1 << 4


Placed = tuple[ServiceKey, IPAddress, int]
"""A server of a service: the service, the server's address and port."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One flow: the service it came to, and the server it was given. `tuple_` and `id` name it to the kernel.

    `live` is False for a TCP connection that has begun to close.
    """

    service: ServiceKey
    server: IPAddress
    port: int
    tuple_: bytes
    id: bytes
    live: bool

    @property
    def placed(self) -> Placed:
        return self.service, self.server, self.port


@dataclass(frozen=True, slots=True)
class Listed:
    """One flow for people: whose it is, what it came to and who has it, how far it is and when it expires."""

    client: IPAddress
    client_port: int
    placed: Placed
    state: ConnectionState
    expires: timedelta


class Conntrack:
    """A ctnetlink socket in the network namespace of the process that made it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def delete(self, doomed: Callable[[], Collection[Placed]], *, over: bool = False) -> int:
        """Delete the flows that these servers have of these services; how many there were. Raises ActuatorError.

        Who is doomed is asked again before anything is deleted: a server that has come back since has new flows.
        TCP connections that are over are left to their time-out unless `over`: most entries of a busy service are such,
        and the next packet of their kind is scheduled anew in any case.
        """
        deleted = 0
        for family in {service.family: None for service, _, _ in doomed()}:
            for _ in range(PASSES):
                wanted = frozenset(placed for placed in doomed() if placed[0].family is family)
                if not wanted:
                    break
                found = [flow for flow in self._dump(family, _filter(wanted), over=over) if flow.placed in wanted]
                still = frozenset(doomed()) if found else frozenset()
                found = [flow for flow in found if flow.placed in still]
                if not found:
                    break
                self._delete(family, found)
                deleted += len(found)
        return deleted

    def count(self, services: Iterable[ServiceKey], *, most: int) -> Mapping[Placed, int]:
        """Live flows of each server of these services, as far as they are among the first `most` entries of a
        family."""
        wanted = set(services)
        counts: Counter[Placed] = Counter()
        for family in sorted({service.family for service in wanted}, key=lambda family: family.value):
            kinds: Counter[bytes] = Counter()
            samples: dict[bytes, bytes] = {}
            self._send(_CT_GET, _REQUEST | _DUMP, family, b"")
            # To the end, even past `most`: a socket takes no second dump while one is under way.
            for seen, entry in enumerate(self._replies()):
                if seen < most:
                    kind = kind_of(entry)
                    kinds[kind] += 1
                    samples.setdefault(kind, entry)
            for kind, count in kinds.items():
                flow = _tracked(family, dict(attributes(samples[kind][4:])))
                if flow is not None and flow.live and flow.service in wanted:
                    counts[flow.placed] += count
        return counts

    def all(self, services: Collection[ServiceKey]) -> Iterator[Listed]:
        """Every flow of these services, to be read to the end. Raises ActuatorError."""
        for family in dict.fromkeys(service.family for service in services):
            self._send(_CT_GET, _REQUEST | _DUMP, family, b"")
            for reply in self._replies():
                found = dict(attributes(reply[4:]))
                flow = _tracked(family, found)
                if flow is None or flow.service not in services:
                    continue
                ip, proto = _split(found[_TUPLE_ORIG])
                seconds = int.from_bytes(found.get(_TIMEOUT, b""), "big")
                client, port = _address(ip[_IP_SRC[family]]), _port(proto[_PROTO_SRC_PORT])
                state = _state(flow.service.protocol, found)
                yield Listed(client, port, flow.placed, state, timedelta(seconds=seconds))

    def find(self, service: ServiceKey, source: IPAddress, port: int) -> tuple[IPAddress, int] | None:
        """The server that a client's flow to a service has; None if there is no such flow. Raises ActuatorError."""
        family = service.family
        addresses = nest(
            _TUPLE_IP, attribute(_IP_SRC[family], source.packed), attribute(_IP_DST[family], service.address.packed)
        )
        ports = nest(
            _TUPLE_PROTO,
            attribute(_PROTO_NUM, bytes((service.protocol.number,))),
            attribute(_PROTO_SRC_PORT, port.to_bytes(2, "big")),
            attribute(_PROTO_DST_PORT, service.port.to_bytes(2, "big")),
        )
        self._send(_CT_GET, _REQUEST, family, nest(_TUPLE_ORIG, addresses, ports))
        for kind, _, payload in self._receive():
            if kind == _ERROR and -struct.unpack_from("=i", payload)[0] != errno.ENOENT:
                raise _error("look up a flow", payload)
            flow = None if kind == _ERROR else _tracked(family, dict(attributes(payload[4:])))
            if flow is not None:
                return flow.server, flow.port
        return None

    def _dump(self, family: Family, body: bytes = b"", *, over: bool = True) -> Iterator[Tracked]:
        self._send(_CT_GET, _REQUEST | _DUMP, family, body)
        for reply in self._replies():
            if not over and _is_over(reply):
                continue
            flow = _tracked(family, dict(attributes(reply[4:])))
            if flow is not None:
                yield flow

    def _delete(self, family: Family, flows: list[Tracked]) -> None:
        for start in range(0, len(flows), BATCH):
            batch = flows[start : start + BATCH]
            for flow in batch:
                self._send(_CT_DELETE, _REQUEST | _ACK, family, flow.tuple_ + flow.id)
            for _ in batch:
                self._acknowledged()

    def _send(self, kind: int, flags: int, family: Family, body: bytes) -> None:
        self._sequence += 1
        payload = struct.pack("=BBH", _FAMILY[family], 0, 0) + body
        try:
            self._socket.send(message(kind, flags, self._sequence, payload))
        except OSError as error:
            raise _refused(error) from error

    def _replies(self) -> Iterator[bytes]:
        while True:
            for kind, sequence, payload in self._receive():
                if sequence != self._sequence:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise _error("list flows", payload)
                yield payload

    def _acknowledged(self) -> None:
        for kind, _, payload in self._receive():
            if kind == _ERROR:
                code = -struct.unpack_from("=i", payload)[0]
                if code not in {0, errno.ENOENT}:
                    raise _error("delete a flow", payload)

    def _receive(self) -> Iterator[tuple[int, int, bytes]]:
        try:
            data = self._socket.recv(_RECEIVE_OCTETS)
        except OSError as error:
            raise _refused(error) from error
        yield from messages(data)


def _filter(servers: Collection[Placed]) -> bytes:
    """Asks for flows whose replies come from these servers, as far as one filter can say it: by what is the same of
    all.

    The kernel's filter by IPv6 address keeps exactly those that it should pass over (ctnetlink_filter_match_tuple takes
    ipv6_addr_cmp for a test of equality), so addresses are asked for in IPv4 only.
    """
    flags = 0
    address = next(address for _, address, _ in servers)
    port = next(port for _, _, port in servers)
    protocol = next(service.protocol for service, _, _ in servers)
    if all(other == address for _, other, _ in servers) and address.version == 4:
        flags |= _FILTER_IP_SRC
    if all(service.protocol is protocol and other == port for service, _, other in servers):
        flags |= _FILTER_PROTO_NUM | _FILTER_PROTO_SRC_PORT
    if not flags:
        return b""
    ports = nest(
        _TUPLE_PROTO,
        attribute(_PROTO_NUM, bytes((protocol.number,))),
        attribute(_PROTO_SRC_PORT, port.to_bytes(2, "big")),
    )
    source = nest(_TUPLE_IP, attribute(_IP_SRC[Family.of(address)], address.packed))
    return nest(_TUPLE_REPLY, source, ports) + nest(
        _FILTER,
        attribute(_FILTER_ORIG_FLAGS, struct.pack("=I", 0)),
        attribute(_FILTER_REPLY_FLAGS, struct.pack("=I", flags)),
    )


def _tracked(family: Family, found: Mapping[int, bytes]) -> Tracked | None:
    original, reply = found.get(_TUPLE_ORIG), found.get(_TUPLE_REPLY)
    if original is None or reply is None:
        return None
    to_ip, to = _split(original)
    from_ip, from_ = _split(reply)
    protocol = next((p for p in Protocol if p.number == to.get(_PROTO_NUM, b"\0")[0]), None)
    if protocol is None:
        return None
    return Tracked(
        ServiceKey(_address(to_ip[_IP_DST[family]]), protocol, _port(to[_PROTO_DST_PORT])),
        _address(from_ip[_IP_SRC[family]]),
        _port(from_[_PROTO_SRC_PORT]),
        nest(_TUPLE_ORIG, original),
        attribute(_ID, found[_ID]) if _ID in found else b"",
        protocol is not Protocol.TCP or _tcp_state(found.get(_PROTOINFO, b"")) <= _TCP_ESTABLISHED,
    )


def _state(protocol: Protocol, found: Mapping[int, bytes]) -> ConnectionState:
    if protocol is Protocol.UDP:
        answered = int.from_bytes(found.get(_STATUS, b""), "big") & _SEEN_REPLY
        return ConnectionState.ESTABLISHED if answered else ConnectionState.OPENING
    state = _tcp_state(found.get(_PROTOINFO, b""))
    if state < _TCP_ESTABLISHED:
        return ConnectionState.OPENING
    return ConnectionState.ESTABLISHED if state == _TCP_ESTABLISHED else ConnectionState.CLOSING


def _is_over(reply: bytes) -> bool:
    """Whether a flow of a dump is a TCP connection that is over. Told without taking it apart: most of them are."""
    info = find_attribute(reply, _PROTOINFO, start=4)
    return bool(info) and _tcp_state(info) >= _TCP_TIME_WAIT


def _tcp_state(info: bytes) -> int:
    tcp = dict(attributes(dict(attributes(info)).get(_PROTOINFO_TCP, b"")))
    return tcp.get(_PROTOINFO_TCP_STATE, b"\0")[0]


def _split(tuple_: bytes) -> tuple[dict[int, bytes], dict[int, bytes]]:
    parts = dict(attributes(tuple_))
    return dict(attributes(parts.get(_TUPLE_IP, b""))), dict(attributes(parts.get(_TUPLE_PROTO, b"")))


def _address(octets: bytes) -> IPAddress:
    return IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets)


def _port(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _refused(error: OSError) -> ActuatorError:
    return ActuatorError("connection tracking", error.strerror or str(error), errno=error.errno)


def _error(doing: str, payload: bytes) -> ActuatorError:
    code = -struct.unpack_from("=i", payload)[0]
    return ActuatorError(doing, errno.errorcode.get(code, str(code)), errno=code)
