"""Flows of services with address translation in the kernel's connection tracking: followed, read, and put there.

Speaks ctnetlink itself (linux/netfilter/nfnetlink_conntrack.h). What this process puts there the kernel tells of as
well, under the id of the socket that put it: such news is no flow that came through this node.

A copy is put in one of two ways. One whose reply tuple (server to client) is there has the same server: its state and
its time are brought up to date. Else it is made anew, from the original tuple, the reply as it would be without
translation, and the translation, which the kernel then sets up as for a first packet; an entry of the same client's
port with another server, left from an earlier flow, is deleted first.

The kernel knows no window of a copy, and is told to be liberal about both sides.

Limits: BATCH entries in one message to the kernel; PART octets of a dump in one read; EVENTS_AT_ONCE messages in one
read of news; TIMEOUT_S of waiting for the kernel.
"""

import errno
import socket
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from yaoki.core.address import Family
from yaoki.core.error import ActuatorError
from yaoki.lb.flow import MAX_SECONDS, Flow, Stage
from yaoki.lb.flow_datagram import address
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.attributes import HEADER, attribute, attributes, message, messages, nest

BATCH = 64
PART = 32768
EVENTS_AT_ONCE = 256
EVENT_BUFFER = 4 << 20
"""Octets of news that the kernel keeps for us."""
TIMEOUT_S = 5.0

_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33
_NEW, _GET, _DELETE = 1 << 8, (1 << 8) | 1, (1 << 8) | 2
_REQUEST, _ACK, _DUMP, _EXCL, _CREATE = 0x1, 0x4, 0x300, 0x200, 0x400
_ERROR, _DONE = 2, 3
_GROUP_NEW, _GROUP_UPDATE = 1 << 0, 1 << 1

_TUPLE_ORIG, _TUPLE_REPLY, _STATUS, _PROTOINFO, _NAT_DST, _TIMEOUT = 1, 2, 3, 4, 13, 7
_TUPLE_IP, _TUPLE_PROTO = 1, 2
_IP_SRC = {4: 1, 6: 3}
_IP_DST = {4: 2, 6: 4}
_PROTO_NUM, _PROTO_SRC_PORT, _PROTO_DST_PORT = 1, 2, 3
_NAT_MIN, _NAT_MAX = {4: 1, 6: 4}, {4: 2, 6: 5}
_NAT_PROTO, _NAT_PORT_MIN, _NAT_PORT_MAX = 3, 1, 2
_TCP, _TCP_STATE, _TCP_FLAGS_ORIGINAL, _TCP_FLAGS_REPLY = 1, 1, 4, 5
_BE_LIBERAL = 0x8
_SEEN_REPLY, _ASSURED, _CONFIRMED, _DST_NAT = 1 << 1, 1 << 2, 1 << 3, 1 << 5

_AF = {4: socket.AF_INET, 6: socket.AF_INET6}
_SYN_SENT, _SYN_RECV, _ESTABLISHED, _FIN_WAIT, _CLOSE = 1, 2, 3, 4, 8
_PUT_STATE = {Stage.OPENING: _SYN_RECV, Stage.ESTABLISHED: _ESTABLISHED, Stage.CLOSING: _FIN_WAIT}
_NEWS = {_SYN_SENT: Stage.OPENING, _ESTABLISHED: Stage.ESTABLISHED, _FIN_WAIT: Stage.CLOSING, _CLOSE: Stage.CLOSING}
"""What the state that a TCP connection comes into says; the others in between say nothing new."""
_PROTOCOLS = {protocol.number: protocol for protocol in Protocol}
_PROC = Path("/proc/sys/net/netfilter")


class FlowNews:
    """What the kernel tells of flows as they come and change. `others` are ids of sockets whose doing is no news."""

    def __init__(self, others: Collection[int]) -> None:
        self._others = frozenset(others)
        self._socket = _open()
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, EVENT_BUFFER)
        self._socket.bind((0, _GROUP_NEW | _GROUP_UPDATE))
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self, services: Collection[ServiceKey]) -> tuple[list[Flow], bool]:
        """Flows of these services, and whether news were lost. Does not block."""
        flows: list[Flow] = []
        for _ in range(EVENTS_AT_ONCE):
            try:
                data = self._socket.recv(PART)
            except BlockingIOError:
                return flows, False
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return flows, True
            if HEADER.unpack_from(data)[4] in self._others:
                continue
            for _, _, body in messages(data):
                flow = _flow(body, services, news=True)
                if flow is not None:
                    flows.append(flow)
        return flows, False


class FlowReader:
    """Reads the whole table, a part at a time."""

    def __init__(self) -> None:
        self._socket: socket.socket | None = None
        self._families: list[Family] = []

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def begin(self, families: Iterable[Family]) -> None:
        """From the beginning, these families."""
        self.close()
        self._families = list(families)

    def read(self, services: Collection[ServiceKey]) -> tuple[list[Flow], bool]:
        """The next part: flows of these services, and whether that was the last. Raises ActuatorError."""
        if self._socket is None:
            if not self._families:
                return [], True
            self._socket = _open()
            self._socket.settimeout(TIMEOUT_S)
            self._socket.bind((0, 0))
            payload = struct.pack("=BBH", _AF[self._families.pop(0).value], 0, 0)
            _send(self._socket, message(_GET, _REQUEST | _DUMP, 1, payload))
        flows: list[Flow] = []
        for kind, _, body in messages(_receive(self._socket)):
            if kind in (_DONE, _ERROR):
                self.close()
                if kind == _ERROR:
                    raise _refused("list flows", body)
                return flows, not self._families
            flow = _flow(body, services, news=False)
            if flow is not None:
                flows.append(flow)
        return flows, False


class FlowWriter:
    """Puts copies into the kernel."""

    def __init__(self) -> None:
        self._socket = _open()
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)

    @property
    def id(self) -> int:
        """By which the kernel names what this socket does."""
        port: int = self._socket.getsockname()[0]
        return port

    def close(self) -> None:
        self._socket.close()

    def put(self, flows: Sequence[Flow], *, owned: bool) -> int:
        """Put them there; how many were refused. `owned`: only those of which there is nothing. Raises
        ActuatorError."""
        if owned:
            _, wrong = self._try(flows, _made, _NEW, _CREATE | _EXCL, errno.EEXIST)
            return len(wrong)
        missing, wrong = self._try(flows, _changed, _NEW, 0, errno.ENOENT)
        in_the_way, more = self._try(missing, _made, _NEW, _CREATE | _EXCL, errno.EEXIST)
        if in_the_way:
            self._try(in_the_way, _original, _DELETE, 0, errno.ENOENT)
            left, last = self._try(in_the_way, _made, _NEW, _CREATE | _EXCL, errno.EEXIST)
            more = [*more, *left, *last]
        return len(wrong) + len(more)

    def _try(
        self, flows: Sequence[Flow], form: Callable[[Flow], bytes], kind: int, flags: int, expected: int
    ) -> tuple[list[Flow], list[Flow]]:
        """Ask for each; those that the kernel answered with the error that is expected, and with any other."""
        as_expected: list[Flow] = []
        wrong: list[Flow] = []
        for start in range(0, len(flows), BATCH):
            batch = flows[start : start + BATCH]
            asked = (
                message(kind, _REQUEST | _ACK | flags, number, form(flow)) for number, flow in enumerate(batch, start=1)
            )
            _send(self._socket, b"".join(asked))
            answered = 0
            while answered < len(batch):
                for answer, number, body in messages(_receive(self._socket)):
                    if answer != _ERROR or not 1 <= number <= len(batch):
                        continue
                    answered += 1
                    code = -struct.unpack_from("=i", body)[0]
                    if code == expected:
                        as_expected.append(batch[number - 1])
                    elif code:
                        wrong.append(batch[number - 1])
        return as_expected, wrong


def established_s() -> int:
    """How long the kernel keeps an established TCP connection without a packet, in seconds."""
    return _number("nf_conntrack_tcp_timeout_established", 432_000)


def filled() -> float:
    """The share of the kernel's table that is in use: 0..1."""
    return _number("nf_conntrack_count", 0) / max(1, _number("nf_conntrack_max", 1 << 18))


def _original(flow: Flow) -> bytes:
    key = flow.service
    return _head(flow) + nest(
        _TUPLE_ORIG,
        _addresses(flow.client.packed, key.address.packed),
        _ports(key.protocol, flow.client_port, key.port),
    )


def _made(flow: Flow) -> bytes:
    key, version = flow.service, flow.client.version
    untranslated = nest(
        _TUPLE_REPLY,
        _addresses(key.address.packed, flow.client.packed),
        _ports(key.protocol, key.port, flow.client_port),
    )
    port = flow.port.to_bytes(2, "big")
    translation = nest(
        _NAT_DST,
        attribute(_NAT_MIN[version], flow.server.packed),
        attribute(_NAT_MAX[version], flow.server.packed),
        nest(_NAT_PROTO, attribute(_NAT_PORT_MIN, port), attribute(_NAT_PORT_MAX, port)),
    )
    return _original(flow) + untranslated + translation + _status(flow) + _standing(flow)


def _changed(flow: Flow) -> bytes:
    reply = nest(
        _TUPLE_REPLY,
        _addresses(flow.server.packed, flow.client.packed),
        _ports(flow.service.protocol, flow.port, flow.client_port),
    )
    # What is assured stays so: the kernel takes no bit of the status away.
    status = b"" if flow.stage is Stage.OPENING else _status(flow)
    return _head(flow) + reply + status + _standing(flow)


def _status(flow: Flow) -> bytes:
    status = _CONFIRMED | _SEEN_REPLY | (0 if flow.stage is Stage.OPENING else _ASSURED)
    return attribute(_STATUS, status.to_bytes(4, "big"))


def _standing(flow: Flow) -> bytes:
    parts = attribute(_TIMEOUT, max(1, min(flow.seconds, MAX_SECONDS)).to_bytes(4, "big"))
    if flow.service.protocol is Protocol.TCP:
        liberal = bytes((_BE_LIBERAL, _BE_LIBERAL))
        tcp = nest(
            _TCP,
            attribute(_TCP_STATE, bytes((_PUT_STATE[flow.stage],))),
            attribute(_TCP_FLAGS_ORIGINAL, liberal),
            attribute(_TCP_FLAGS_REPLY, liberal),
        )
        parts += nest(_PROTOINFO, tcp)
    return parts


def _head(flow: Flow) -> bytes:
    return struct.pack("=BBH", _AF[flow.client.version], 0, 0)


def _addresses(source: bytes, destination: bytes) -> bytes:
    version = 4 if len(source) == 4 else 6
    return nest(_TUPLE_IP, attribute(_IP_SRC[version], source), attribute(_IP_DST[version], destination))


def _ports(protocol: Protocol, source: int, destination: int) -> bytes:
    return nest(
        _TUPLE_PROTO,
        attribute(_PROTO_NUM, bytes((protocol.number,))),
        attribute(_PROTO_SRC_PORT, source.to_bytes(2, "big")),
        attribute(_PROTO_DST_PORT, destination.to_bytes(2, "big")),
    )


def _flow(body: bytes, services: Collection[ServiceKey], *, news: bool) -> Flow | None:
    """A flow of one of these services, translated at its destination only; None for any other, and for news that say
    nothing new."""
    found = dict(attributes(body[4:]))
    status = int.from_bytes(found.get(_STATUS, b""), "big")
    original, reply = found.get(_TUPLE_ORIG), found.get(_TUPLE_REPLY)
    if not status & _DST_NAT or original is None or reply is None:
        return None
    to_ip, to = _split(original)
    version = 4 if _IP_SRC[4] in to_ip else 6
    protocol = _PROTOCOLS.get(to[_PROTO_NUM][0]) if _PROTO_NUM in to else None
    if protocol is None:
        return None
    key = ServiceKey(address(to_ip[_IP_DST[version]]), protocol, _port(to[_PROTO_DST_PORT]))
    if key not in services:
        return None
    stage = _stage(protocol, found, status, news=news)
    client_ip, client_port = to_ip[_IP_SRC[version]], to[_PROTO_SRC_PORT]
    from_ip, from_ = _split(reply)
    if stage is None or from_ip[_IP_DST[version]] != client_ip or from_[_PROTO_DST_PORT] != client_port:
        return None
    server, port = address(from_ip[_IP_SRC[version]]), _port(from_[_PROTO_SRC_PORT])
    seconds = int.from_bytes(found.get(_TIMEOUT, b""), "big")
    return Flow(key, address(client_ip), _port(client_port), server, port, stage, min(seconds, MAX_SECONDS))


def _stage(protocol: Protocol, found: Mapping[int, bytes], status: int, *, news: bool) -> Stage | None:
    if protocol is Protocol.UDP:
        return Stage.ESTABLISHED if status & _SEEN_REPLY else Stage.OPENING
    tcp = dict(attributes(dict(attributes(found.get(_PROTOINFO, b""))).get(_TCP, b"")))
    state = tcp.get(_TCP_STATE, b"\0")[0]
    if news:
        return _NEWS.get(state)
    if state < _ESTABLISHED:
        return Stage.OPENING
    return Stage.ESTABLISHED if state == _ESTABLISHED else Stage.CLOSING


def _split(tuple_: bytes) -> tuple[dict[int, bytes], dict[int, bytes]]:
    parts = dict(attributes(tuple_))
    return dict(attributes(parts.get(_TUPLE_IP, b""))), dict(attributes(parts.get(_TUPLE_PROTO, b"")))


def _port(octets: bytes) -> int:
    return int.from_bytes(octets, "big")


def _number(name: str, otherwise: int) -> int:
    try:
        return int((_PROC / name).read_text())
    except (OSError, ValueError):
        return otherwise


def _open() -> socket.socket:
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)


def _send(sock: socket.socket, data: bytes) -> None:
    try:
        sock.send(data)
    except OSError as error:
        raise ActuatorError("connection tracking", error.strerror or str(error), errno=error.errno) from error


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(PART)
    except OSError as error:
        raise ActuatorError("connection tracking", error.strerror or str(error), errno=error.errno) from error


def _refused(doing: str, payload: bytes) -> ActuatorError:
    code = -struct.unpack_from("=i", payload)[0]
    return ActuatorError(doing, errno.errorcode.get(code, str(code)), errno=code)
