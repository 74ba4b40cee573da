"""Sources that persistence keeps with a server under address translation, written as a copied flow tells of them.

The rules write them with every packet (nftables_nat); on a node through which no packet comes, this does. A set that is
not there belongs to a server that takes no new flows, or to a service that the plane has not made yet: its sources are
left out.

Invariants: one batch for each set, which takes effect as a whole; the time-out of a source that is there begins anew.
Limits: BATCH sources in one batch; TIMEOUT_S of waiting for the kernel.
"""

import errno
import os
import socket
import struct
from collections.abc import Collection, Sequence

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import ServiceKey
from yaoki.linux.attributes import attribute, message, messages, nest
from yaoki.linux.nftables_names import TRANSLATION, pin_name

BATCH = 256
TIMEOUT_S = 5.0

_NETLINK_NETFILTER = 12
_ERROR = 2
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
# linux/netfilter/nfnetlink.h, nf_tables.h
_BATCH_BEGIN, _BATCH_END = 16, 17
_NEWSETELEM, _DELSETELEM = (10 << 8) | 12, (10 << 8) | 14
_NFPROTO_INET = 1
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _TIMEOUT, _VALUE = 1, 1, 4, 1
_NFGENMSG = struct.Struct("!BBH")
_MS = struct.Struct("!Q")
_WRAPPED = _NFGENMSG.pack(0, 0, 10)
_TABLE = TRANSLATION.split()[1]
_BUFFER = 65536


class PinWriter:
    """A socket for it. It stays open: see GateReader for what closing one costs."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)

    def close(self) -> None:
        self._socket.close()

    def put(self, key: ServiceKey, server: IPAddress, port: int, sources: Sequence[bytes], seconds: int) -> int:
        """Remember these sources (masked, as octets) with a server of a service for so long; how many there was no
        place for. Raises ActuatorError."""
        left_out = 0
        for start in range(0, len(sources), BATCH):
            part = sources[start : start + BATCH]
            refusal = self._run(pin_name(key, server, port), part, seconds * 1000)
            # ENFILE: as many sources as a set has room for are there.
            if refusal in (errno.ENOENT, errno.ENFILE):
                left_out += len(part)
            elif refusal:
                raise ActuatorError(f"remember sources of {key}", os.strerror(refusal), errno=refusal)
        return left_out

    def _run(self, name: str, sources: Collection[bytes], timeout_ms: int) -> int:
        # Added, which is no error if it is there; deleted, and added with the whole time: kernels before 6.12 know no
        # other way to put a time-out off.
        changes = ((_NEWSETELEM, timeout_ms), (_DELSETELEM, None), (_NEWSETELEM, timeout_ms))
        sent = [message(_BATCH_BEGIN, _REQUEST, 1, _WRAPPED)]
        for number, (kind, timeout) in enumerate(changes, start=2):
            flags = _REQUEST | _ACK | (_CREATE if kind == _NEWSETELEM else 0)
            sent.append(message(kind, flags, number, _body(name, sources, timeout)))
        sent.append(message(_BATCH_END, _REQUEST, len(changes) + 2, _WRAPPED))
        refusal = answered = 0
        try:
            self._socket.send(b"".join(sent))
            while answered < len(changes):
                for kind, number, body in messages(self._socket.recv(_BUFFER)):
                    if kind == _ERROR:
                        code = -int(struct.unpack_from("=i", body)[0])
                        refusal = refusal or code
                        # A refusal of the batch as a whole is the only answer there is.
                        answered += len(changes) if number == 1 else 1
        except OSError as error:
            raise ActuatorError("remember sources", error.strerror or str(error), errno=error.errno) from error
        return refusal


def _body(name: str, sources: Collection[bytes], timeout_ms: int | None) -> bytes:
    head = _NFGENMSG.pack(_NFPROTO_INET, 0, 0) + _text(_LIST_TABLE, _TABLE) + _text(_LIST_SET, name)
    timeout = b"" if timeout_ms is None else attribute(_TIMEOUT, _MS.pack(timeout_ms))
    elements = (nest(_ELEMENT, nest(_KEY, attribute(_VALUE, source)), timeout) for source in sources)
    return head + nest(_LIST_ELEMENTS, *elements)


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")
