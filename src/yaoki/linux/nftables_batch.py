"""A batch of messages to nftables that takes effect as a whole or not at all (linux/netfilter/nfnetlink.h).

For changes of elements alone. nft, before it runs a command, reads the sets, chains and counters of the whole ruleset;
with a thousand services that takes far longer than the change itself. All else is written in nft's words
(nftables_session).

Limits: TIMEOUT_S of waiting for the kernel; ELEMENTS in one message, for a netlink attribute has 64 KiB at most.
"""

import os
import socket
import struct
from collections.abc import Iterable, Sequence

from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, message, messages, nest

TIMEOUT_S = 5.0
ELEMENTS = 512

_NETLINK_NETFILTER = 12
_ERROR = 2
_REQUEST, _ACK, _CREATE = 0x1, 0x4, 0x400
# linux/netfilter/nf_tables.h
_BATCH_BEGIN, _BATCH_END = 16, 17
NEW_ELEMENTS, DELETE_ELEMENTS = (10 << 8) | 12, (10 << 8) | 14
_FAMILIES = {"inet": 1, "netdev": 5}
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _DATA, _VALUE = 1, 1, 2, 1
_NFGENMSG = struct.Struct("!BBH")
_WRAPPED = _NFGENMSG.pack(0, 0, 10)
_BUFFER = 65536
_SO_SNDBUFFORCE = 32
_SEND_BUFFER = 4 << 20

Part = tuple[int, bytes]
"""One message: its kind and its body."""


class BatchWriter:
    """A socket for batches, in the network namespace of the process that made it. It stays open: see GateReader for
    what closing one costs."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _SEND_BUFFER)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)
        self._last = 0

    def close(self) -> None:
        self._socket.close()

    def run(self, parts: Sequence[Part], *, purpose: str) -> None:
        """Carry out these. Raises ActuatorError, and then nothing has changed."""
        refusal = self.tried(parts, purpose=purpose)
        if refusal:
            raise ActuatorError(purpose, os.strerror(refusal), errno=refusal)

    def tried(self, parts: Sequence[Part], *, purpose: str) -> int:
        """The same; the kernel's refusal is no error but the answer, 0 where there is none."""
        if not parts:
            return 0
        # Numbers go on from batch to batch: of one that is refused as a whole, more answers may come later.
        first = self._last + 1
        last = first + len(parts)
        sent = [message(_BATCH_BEGIN, _REQUEST, first, _WRAPPED)]
        for number, (kind, body) in enumerate(parts, start=first + 1):
            flags = _REQUEST | (_CREATE if kind == NEW_ELEMENTS else 0) | (_ACK if number == last else 0)
            sent.append(message(kind, flags, number, body))
        sent.append(message(_BATCH_END, _REQUEST, last + 1, _WRAPPED))
        self._last = last + 1
        refusal = 0
        try:
            self._socket.send(b"".join(sent))
            while True:
                for kind, number, body in messages(self._socket.recv(_BUFFER)):
                    if kind != _ERROR or number < first:
                        continue
                    refusal = refusal or -int(struct.unpack_from("=i", body)[0])
                    # Each refusal is told, in order; the last message is answered in any case, unless it is the first,
                    # which stands for the batch as a whole.
                    if number in (first, last):
                        return refusal
        except OSError as error:
            raise ActuatorError(purpose, error.strerror or str(error), errno=error.errno) from error


def put_elements(table: str, set_: str, elements: Sequence[tuple[bytes, bytes]]) -> Iterable[Part]:
    """Add elements, keys with values, to a map."""
    return _parts(
        NEW_ELEMENTS, table, set_, [_key(key) + nest(_DATA, attribute(_VALUE, value)) for key, value in elements]
    )


def delete_elements(table: str, set_: str, keys: Sequence[bytes]) -> Iterable[Part]:
    """Take elements away, which must be there."""
    return _parts(DELETE_ELEMENTS, table, set_, [_key(key) for key in keys])


def empty(table: str, set_: str) -> Part:
    """Take away all elements of a set."""
    return DELETE_ELEMENTS, head(table, set_)


def head(table: str, set_: str) -> bytes:
    """What a message about elements begins with."""
    family, name = table.split()
    return _NFGENMSG.pack(_FAMILIES[family], 0, 0) + _text(_LIST_TABLE, name) + _text(_LIST_SET, set_)


def _parts(kind: int, table: str, set_: str, elements: Sequence[bytes]) -> Iterable[Part]:
    for start in range(0, len(elements), ELEMENTS):
        some = (nest(_ELEMENT, element) for element in elements[start : start + ELEMENTS])
        yield kind, head(table, set_) + nest(_LIST_ELEMENTS, *some)


def _key(key: bytes) -> bytes:
    return nest(_KEY, attribute(_VALUE, key))


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")
