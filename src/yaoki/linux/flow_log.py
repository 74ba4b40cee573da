"""Packets that the rules of direct return log, as the beginnings of flows: who, to which service, to which MAC.

Speaks nfnetlink_log (linux/netfilter/nfnetlink_log.h). The frame is logged with the server's MAC in it, just before it
is sent there.

Limits: OCTETS of a packet; AT_ONCE messages in one read; what the kernel has no room for is lost, and said to be.
"""

import errno
import socket
import struct
from dataclasses import dataclass

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.flow_datagram import address
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.attributes import attribute, attributes, message, messages

GROUP = 61113
OCTETS = 64
"""From the IP header on: what holds addresses and ports."""
AT_ONCE = 256
BUFFER = 4 << 20
"""Octets of news that the kernel keeps for us."""
TIMEOUT_S = 5.0

_NETLINK_NETFILTER = 12
_SO_RCVBUFFORCE = 33
_PACKET, _CONFIG = 4 << 8, (4 << 8) | 1
_REQUEST, _ACK, _ERROR = 0x1, 0x4, 2
_COMMAND, _MODE, _QUEUE = 1, 2, 5
_BIND, _COPY_PACKET = 1, 2
_PAYLOAD, _FRAME_HEADER = 9, 16
_RECEIVE = 1 << 16
_PROTOCOLS = {protocol.number: protocol for protocol in Protocol}


@dataclass(frozen=True, slots=True)
class LoggedPacket:
    """A client's packet to a service, and the MAC that it goes to."""

    service: ServiceKey
    client: IPAddress
    client_port: int
    mac: bytes


class FlowLog:
    """The listener. Raises ActuatorError: the kernel has no such thing, or somebody else listens."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
            self._socket.bind((0, 0))
            self._socket.settimeout(TIMEOUT_S)
            self._configure(attribute(_COMMAND, bytes((_BIND,))))
            self._configure(attribute(_MODE, struct.pack("!IBx", OCTETS, _COPY_PACKET)))
            # Each packet at once, not many together.
            self._configure(attribute(_QUEUE, struct.pack("!I", 1)))
        except (OSError, ActuatorError) as error:
            self._socket.close()
            if isinstance(error, ActuatorError):
                raise
            raise ActuatorError("listen for logged packets", error.strerror or str(error), errno=error.errno) from error
        self._socket.setblocking(False)

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> tuple[list[LoggedPacket], bool]:
        """What was logged, and whether something was lost. Does not block."""
        found: list[LoggedPacket] = []
        for _ in range(AT_ONCE):
            try:
                data = self._socket.recv(_RECEIVE)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                return found, True
            for kind, _, body in messages(data):
                packet = _packet(dict(attributes(body[4:]))) if kind == _PACKET else None
                if packet is not None:
                    found.append(packet)
        return found, False

    def _configure(self, what: bytes) -> None:
        self._socket.send(message(_CONFIG, _REQUEST | _ACK, 1, struct.pack("!BBH", 0, 0, GROUP) + what))
        for kind, _, body in messages(self._socket.recv(_RECEIVE)):
            code = -struct.unpack_from("=i", body)[0] if kind == _ERROR else 0
            if code:
                raise ActuatorError("listen for logged packets", errno.errorcode.get(code, str(code)), errno=code)


def _packet(found: dict[int, bytes]) -> LoggedPacket | None:
    """None of a packet without ports where they should be."""
    octets, frame = found.get(_PAYLOAD, b""), found.get(_FRAME_HEADER, b"")
    version = octets[0] >> 4 if octets else 0
    if version == 4 and len(octets) >= 20:
        number, length = octets[9], (octets[0] & 15) * 4
        source, destination = octets[12:16], octets[16:20]
    elif version == 6 and len(octets) >= 40:
        number, length = octets[6], 40
        source, destination = octets[8:24], octets[24:40]
    else:
        return None
    protocol = _PROTOCOLS.get(number)
    if protocol is None or len(octets) < length + 4 or len(frame) < 6:
        return None
    source_port, port = struct.unpack_from("!HH", octets, length)
    return LoggedPacket(ServiceKey(address(destination), protocol, port), address(source), source_port, frame[:6])
