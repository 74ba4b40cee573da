"""Reads tables, chains, sets, counters and elements from the kernel, over nfnetlink (linux/netfilter/nf_tables.h).

nft's own listings take seconds where there are thousands of sets, and its JSON of 1.0.6 writes to standard error about
rules that it cannot render. Commands are nft's (nftables_session); only reading is done here.

Limits: TIMEOUT_S of waiting for the kernel.
"""

import errno
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, attributes, message, messages, nest

TIMEOUT_S = 10.0
_RECEIVE_OCTETS = 1 << 20
_NETLINK_NETFILTER = 12
_FAMILIES = {"inet": 1, "netdev": 5}
_SUBSYSTEM = 10 << 8
_GET_TABLE, _GET_CHAIN, _GET_RULE, _GET_SET, _GET_ELEMENT, _GET_OBJECT = 1, 4, 7, 10, 13, 19
_REQUEST, _DUMP = 0x1, 0x300
_ERROR, _DONE = 2, 3

# Every object has its table under 1; its own name comes under 2, a chain's under 3, a table's under 1.
_OF_TABLE, _NAME, _CHAIN_NAME = 1, 2, 3
_SET_FLAGS = 3
_ANONYMOUS, _MAP, _OBJECT_MAP = 0x1, 0x8, 0x40
_OBJECT_TYPE, _OBJECT_DATA, _COUNTER = 3, 4, 1
_COUNTER_OCTETS, _COUNTER_PACKETS = 1, 2
_ELEMENTS, _ELEMENT = 3, 1
_KEY, _DATA, _EXPIRATION, _USERDATA, _OBJECT_REFERENCE = 1, 2, 5, 6, 9
_VALUE, _VERDICT, _VERDICT_CHAIN = 1, 2, 2
_COMMENT = 0
"""libnftnl's type of a comment among an element's user data: type, length, value, one octet each for the first two."""


@dataclass(frozen=True, slots=True)
class RawElement:
    """An element as the kernel has it: `key` and `value` as they lie in registers; `chain` of a verdict, `object` of a
    reference to one."""

    key: bytes
    value: bytes = b""
    chain: str = ""
    object: str = ""
    comment: str = ""
    left_ms: int | None = None
    """Milliseconds until it goes; None: it stays."""


class NftablesReader:
    """A socket in the network namespace of the process that made it. Tables are named as nft names them: "inet x"."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))
        self._socket.settimeout(TIMEOUT_S)
        self._sequence = 0

    def close(self) -> None:
        self._socket.close()

    def has_table(self, table: str) -> bool:
        """Whether there is such a table. Raises ActuatorError, as everything here."""
        _, name = table.split()
        return any(_text(found.get(_OF_TABLE, b"")) == name for found in self._objects(_GET_TABLE, table))

    def chains(self, table: str) -> list[str]:
        """Names of a table's chains."""
        return [_text(found[_CHAIN_NAME]) for found in self._objects(_GET_CHAIN, table, of_table=True)]

    def has_rules(self, table: str, chain: str) -> bool:
        """Whether there is such a chain with rules in it."""
        named = attribute(_OF_TABLE, _octets(table.split()[1])) + attribute(_NAME, _octets(chain))
        found = list(self._ask(_GET_RULE, _DUMP, table, named))
        return any(_text(each.get(_NAME, b"")) == chain for each in found)

    def sets(self, table: str) -> Iterator[tuple[str, str]]:
        """A table's named sets and maps: "set" or "map", and the name."""
        for found in self._objects(_GET_SET, table, of_table=True):
            flags = int.from_bytes(found.get(_SET_FLAGS, b""), "big")
            if not flags & _ANONYMOUS:
                yield "map" if flags & (_MAP | _OBJECT_MAP) else "set", _text(found[_NAME])

    def counters(self, table: str) -> Iterator[tuple[str, int, int]]:
        """Name, packets and octets of a table's named counters."""
        for found in self._objects(_GET_OBJECT, table, of_table=True):
            if int.from_bytes(found.get(_OBJECT_TYPE, b""), "big") == _COUNTER:
                data = dict(attributes(found.get(_OBJECT_DATA, b"")))
                yield _text(found[_NAME]), _number(data, _COUNTER_PACKETS), _number(data, _COUNTER_OCTETS)

    def elements(self, table: str, set_: str) -> Iterator[RawElement]:
        """Every element of a set or map; none if there is no such set."""
        yield from self._elements(table, set_, _DUMP, b"")

    def element(self, table: str, set_: str, key: bytes) -> RawElement | None:
        """The element under a key; None if there is none."""
        wanted = nest(_ELEMENTS, nest(_ELEMENT, nest(_KEY, attribute(_VALUE, key))))
        return next(self._elements(table, set_, 0, wanted), None)

    def _elements(self, table: str, set_: str, flags: int, extra: bytes) -> Iterator[RawElement]:
        named = attribute(_OF_TABLE, _octets(table.split()[1])) + attribute(_NAME, _octets(set_))
        for found in self._ask(_GET_ELEMENT, flags, table, named + extra):
            for _, element in attributes(found.get(_ELEMENTS, b"")):
                yield _element(dict(attributes(element)))

    def _objects(self, kind: int, table: str, *, of_table: bool = False) -> Iterator[dict[int, bytes]]:
        wanted = _octets(table.split()[1])
        for found in self._ask(kind, _DUMP, table, attribute(_OF_TABLE, wanted) if of_table else b""):
            # Not every kernel heeds the filter.
            if not of_table or found.get(_OF_TABLE) == wanted:
                yield found

    def _ask(self, kind: int, flags: int, table: str, body: bytes) -> Iterator[dict[int, bytes]]:
        self._sequence += 1
        header = struct.pack("=BBH", _FAMILIES[table.split(maxsplit=1)[0]], 0, 0)
        self._socket.send(message(_SUBSYSTEM | kind, _REQUEST | flags, self._sequence, header + body))
        while True:
            for answer, sequence, payload in self._receive(table):
                if sequence != self._sequence:
                    continue
                if answer == _DONE:
                    return
                if answer == _ERROR:
                    code = -struct.unpack_from("=i", payload)[0]
                    if code in {0, errno.ENOENT}:
                        return
                    raise ActuatorError(f"read table {table}", errno.errorcode.get(code, str(code)), errno=code)
                yield dict(attributes(payload[4:]))
                if not flags:
                    return

    def _receive(self, table: str) -> Iterator[tuple[int, int, bytes]]:
        try:
            data = self._socket.recv(_RECEIVE_OCTETS)
        except OSError as error:
            raise ActuatorError(f"read table {table}", error.strerror or str(error), errno=error.errno) from error
        return messages(data)


def _element(parts: dict[int, bytes]) -> RawElement:
    data = dict(attributes(parts.get(_DATA, b"")))
    verdict = dict(attributes(data.get(_VERDICT, b"")))
    return RawElement(
        dict(attributes(parts.get(_KEY, b""))).get(_VALUE, b""),
        data.get(_VALUE, b""),
        _text(verdict.get(_VERDICT_CHAIN, b"")),
        _text(parts.get(_OBJECT_REFERENCE, b"")),
        comment_of(parts.get(_USERDATA, b"")),
        _number(parts, _EXPIRATION) if _EXPIRATION in parts else None,
    )


def comment_of(userdata: bytes) -> str:
    """The comment among an element's user data; empty if there is none."""
    while len(userdata) >= 2:
        kind, length = userdata[0], userdata[1]
        if kind == _COMMENT:
            return _text(userdata[2 : 2 + length])
        userdata = userdata[2 + length :]
    return ""


def _number(data: dict[int, bytes], kind: int) -> int:
    return int.from_bytes(data.get(kind, b""), "big")


def _octets(name: str) -> bytes:
    return name.encode() + b"\0"


def _text(octets: bytes) -> str:
    return octets.rstrip(b"\0").decode(errors="replace")
