"""Telling flows of connection tracking apart by their server and not by their client, without taking each apart.

The kernel writes a tuple of TCP or UDP so, each value after a header of four octets:

    IP: source address, destination address | protocol: number, source port (2, filled up to 4), destination port (same)

What two flows of one service and one server differ in is the client: the source of the original tuple, the destination
of the reply. All other octets of the two are equal, headers included; and so are the first of what the kernel tells
of the protocol, which end with the state of a TCP connection.
"""

import struct

from yaoki.linux.attributes import find_attribute

_TUPLE_ORIG, _TUPLE_REPLY, _PROTOINFO = 1, 2, 4
_AFTER_HEADER = 4
_THROUGH_STATE = 9
"""Headers of the nested attribute and of the state, and the state."""


def _headers(ip: int, source: int, destination: int) -> bytes:
    """Of the client's address and port, in the original tuple and in the reply; kinds of attributes."""
    kinds = ((ip, source), (2, 2), (ip, destination), (2, 3))
    return b"".join(struct.pack("=HH", 4 + length, kind) for length, kind in kinds)


_LAYOUTS = {
    48: (4, 8, 16, 36, 44, _headers(4, 1, 2)),
    72: (16, 8, 28, 60, 68, _headers(16, 3, 4)),
}
"""By the length of a tuple: the length of an address, where the values of source and destination address, source and
destination port begin, and the headers of those that are the client's."""


def kind_of(entry: bytes) -> bytes:
    """Octets that are equal for flows of one service, one server and one state. Those of an entry that is laid out in
    another way are the entry itself."""
    original = find_attribute(entry, _TUPLE_ORIG, start=_AFTER_HEADER)
    reply = find_attribute(entry, _TUPLE_REPLY, start=_AFTER_HEADER)
    layout = _LAYOUTS.get(len(original))
    if layout is None or len(reply) != len(original):
        return entry
    ip, source, destination, source_port, destination_port, headers = layout
    of_client = (
        original[source - 4 : source]
        + original[source_port - 4 : source_port]
        + reply[destination - 4 : destination]
        + reply[destination_port - 4 : destination_port]
    )
    if of_client != headers:
        return entry
    return (
        original[:source]
        + original[source + ip : source_port]
        + original[source_port + 4 :]
        + reply[:destination]
        + reply[destination + ip : destination_port]
        + find_attribute(entry, _PROTOINFO, start=_AFTER_HEADER)[:_THROUGH_STATE]
    )
