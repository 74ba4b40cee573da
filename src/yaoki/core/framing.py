"""Messages longer than one datagram: cut for a SOCK_SEQPACKET socket and put together again.

The kernel takes at most about 200 kB in one datagram of a Unix socket; 20,000 checks are several megabytes. The first
octet of each datagram says whether the message ends with it. Order and completeness are the socket's own promise, so
nothing else is needed.

Between the datagrams of messages either side may send PING, which the other's loop answers with PONG: a process that is
stopped or stuck has a link that is up, but does not answer.

Invariants: `join` of `split` gives the message back; a joiner holds at most MAX_MESSAGE octets.
"""

from yaoki.core.error import YaokiError

MAX_DATAGRAM = 65536
"""Octets that a receiver must be ready to take at once."""
MAX_MESSAGE = 64 * 1024 * 1024
"""Longest message; 200,000 checks fit."""

PING = b"?"
PONG = b"!"
_LAST = b"."
_MORE = b"+"


class BadFrame(YaokiError):
    """A datagram that is not of this form, or a message that never ends: the link is to be closed."""


def split(message: bytes) -> list[bytes]:
    """The datagrams of one message, in the order of sending."""
    if len(message) > MAX_MESSAGE:
        raise BadFrame(f"a message of {len(message)} octets; at most {MAX_MESSAGE}")
    size = MAX_DATAGRAM - 1
    parts = [message[start : start + size] for start in range(0, len(message), size)] or [b""]
    return [_MORE + part for part in parts[:-1]] + [_LAST + parts[-1]]


class Joiner:
    """Puts the datagrams of one link together again."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0

    def join(self, datagram: bytes) -> bytes | None:
        """The whole message when `datagram` was its last, else None. Raises BadFrame."""
        mark, part = datagram[:1], datagram[1:]
        if mark not in (_LAST, _MORE):
            raise BadFrame(f"a datagram begins with {mark!r}")
        self._parts.append(part)
        self._length += len(part)
        if self._length > MAX_MESSAGE:
            raise BadFrame(f"a message is longer than {MAX_MESSAGE} octets")
        if mark == _MORE:
            return None
        message = b"".join(self._parts)
        self._parts, self._length = [], 0
        return message
