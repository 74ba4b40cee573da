"""One request to the kernel by netlink(7), its answers, and its own words where it refuses.

    nlmsgerr: error number, the request's header | attributes: the words, if whoever refused has any

For what is asked seldom: each request has a socket of its own. The words are often a driver's, and say what no error
number does ("Peer MTU is too large to set XDP").
"""

import os
import socket
import struct

from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import HEADER, attributes, message, messages

_SOL_NETLINK, _CAP_ACK, _EXT_ACK = 270, 10, 11
_ERROR, _DONE = 2, 3
_F_REQUEST, _F_ACK, _F_DUMP = 0x1, 0x4, 0x300
_WORDS = 1
"""NLMSGERR_ATTR_MSG"""
_BUFFER = 65_536
_SEQUENCE = 1


def ask(protocol: int, kind: int, body: bytes, *, change: str, all_of_them: bool = False) -> list[bytes]:
    """The bodies of the answers, none where something was only to be changed; `all_of_them` asks for a dump. Raises
    ActuatorError."""
    answers: list[bytes] = []
    flags = _F_REQUEST | (_F_DUMP if all_of_them else _F_ACK)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as asked:
        asked.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
        asked.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        asked.bind((0, 0))
        asked.send(message(kind, flags, _SEQUENCE, body))
        while True:
            for answer, sequence, data in messages(asked.recv(_BUFFER)):
                if sequence != _SEQUENCE:
                    continue
                if answer in (_ERROR, _DONE):
                    _raise_refusal(data, change)
                    return answers
                answers.append(data)


def _raise_refusal(body: bytes, change: str) -> None:
    number = -struct.unpack_from("=i", body)[0] if len(body) >= 4 else 0
    if number:
        words = dict(attributes(body[4 + HEADER.size :])).get(_WORDS, b"").rstrip(b"\0").decode(errors="replace")
        raise ActuatorError(change, f"{os.strerror(number)}: {words}" if words else os.strerror(number), errno=number)
