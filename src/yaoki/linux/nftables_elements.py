"""Elements of the maps of flows, straight from the kernel: nft's own listing of many elements takes seconds.

Speaks nfnetlink (linux/netfilter/nf_tables.h): NFT_MSG_GETSETELEM for a whole map, or for one key.
"""

import errno
import socket
import struct
from collections import Counter
from collections.abc import Iterator

from yaoki.core.address import MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, attributes, message, messages, nest

TIMEOUT_S = 5.0
_RECEIVE_OCTETS = 1 << 20
_NETLINK_NETFILTER = 12
_NFPROTO_NETDEV = 5
_GET_ELEMENT = (10 << 8) | 13
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_ELEMENT, _KEY, _DATA, _VALUE = 1, 1, 2, 1


class DirectMaps:
    """Reads maps whose data are MACs, in a table of family netdev, in the network namespace of this process."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def count(self, map_: str) -> "Counter[MacAddress]":
        """How many elements each MAC has; none if there is no such map. Raises ActuatorError."""
        return Counter(mac for _, mac in self._ask(map_, _DUMP, b""))

    def find(self, map_: str, key: bytes) -> MacAddress | None:
        """The MAC under a key, which is given as it lies in registers. Raises ActuatorError."""
        wanted = nest(_LIST_ELEMENTS, nest(_ELEMENT, nest(_KEY, attribute(_VALUE, key))))
        return next((mac for _, mac in self._ask(map_, 0, wanted)), None)

    def _ask(self, map_: str, flags: int, extra: bytes) -> Iterator[tuple[bytes, MacAddress]]:
        self._sequence += 1
        body = struct.pack("=BBH", _NFPROTO_NETDEV, 0, 0)
        for kind, name in ((_LIST_TABLE, self._table), (_LIST_SET, map_)):
            body += attribute(kind, name.encode() + b"\0")
        self._socket.send(message(_GET_ELEMENT, _REQUEST | flags, self._sequence, body + extra))
        for found in self._answers(map_, many=bool(flags)):
            for kind, value in attributes(found[4:]):
                if kind == _LIST_ELEMENTS:
                    yield from _elements(value)

    def _answers(self, map_: str, *, many: bool) -> Iterator[bytes]:
        while True:
            try:
                data = self._socket.recv(_RECEIVE_OCTETS)
            except OSError as error:
                raise ActuatorError(f"list {map_}", error.strerror or str(error), errno=error.errno) from error
            for kind, sequence, body in messages(data):
                if sequence != self._sequence:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    code = -struct.unpack_from("=i", body)[0]
                    if code in {0, errno.ENOENT}:
                        return
                    raise ActuatorError(f"list {map_}", errno.errorcode.get(code, str(code)), errno=code)
                yield body
                if not many:
                    return


def _elements(data: bytes) -> Iterator[tuple[bytes, MacAddress]]:
    for _, element in attributes(data):
        parts = dict(attributes(element))
        key = dict(attributes(parts.get(_KEY, b""))).get(_VALUE)
        mac = dict(attributes(parts.get(_DATA, b""))).get(_VALUE)
        if key is not None and mac is not None and len(mac) >= 6:
            yield key, MacAddress(mac[:6])
