"""The packets of one connection in a recording, and what half of it tells.

Each segment of a client acknowledges what has come to it. So where its requests are recorded and the replies are not,
it is known that there were replies, how many octets they had at least, and where a new request begins.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from yaoki.lb.capture.scene import Frame
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.packet.tcp import TcpFlags

_HALF = 1 << 31
_WHOLE = 1 << 32

Sent = tuple[str, Frame]
"""A frame, and the machine that sent it or that it went to."""


@dataclass(slots=True)
class Flow:
    """One connection, or for UDP the datagrams between two ports.

    `asked` holds its requests by the machine at which they arrived. Replies are held by the place where they were seen:
    of several places the one that saw most counts, so that no packet counts twice. `sent_to` is the server that the
    balancer sent the latest packet to.
    """

    key: ServiceKey
    asked: dict[str, list[Frame]] = field(default_factory=dict)
    through: dict[str, list[Sent]] = field(default_factory=dict)
    straight: dict[str, list[Sent]] = field(default_factory=dict)
    sent_to: str | None = None

    @property
    def most_through(self) -> list[Sent]:
        """Its replies by way of the balancer, each with the balancer that sent it."""
        return max(self.through.values(), key=len, default=[])

    @property
    def most_straight(self) -> list[Sent]:
        """Its replies past the balancer, each with the server that sent it."""
        return max(self.straight.values(), key=len, default=[])

    @property
    def refused_by(self) -> str | None:
        """Who refused the connection: all its replies are resets."""
        replies = self.most_through + self.most_straight
        resets = [who for who, frame in replies if frame.headers.tcp and frame.headers.tcp.flags & TcpFlags.RST]
        return resets[0] if resets and len(resets) == len(replies) else None


def requests(protocol: Protocol, frames: Iterable[Frame]) -> int:
    """The number of requests. Of TCP one begins where a client speaks for the first time, or again after it was
    answered; of UDP every datagram is one."""
    if protocol is Protocol.UDP:
        return len(list(frames))
    count, answered = 0, None
    for frame in frames:
        segment = frame.headers.tcp
        if segment is None or not frame.headers.payload:
            continue
        if answered is None or 0 < (segment.acknowledgement - answered) % _WHOLE < _HALF:
            count += 1
            answered = segment.acknowledgement
    return count


def acknowledged(frames: Iterable[Frame]) -> int:
    """Octets of payload that a client has acknowledged, counted from its first acknowledgement. A close takes one
    number of the sequence, too, so of a client that closes one octet is not counted."""
    first, most, closed = None, 0, False
    for frame in frames:
        segment = frame.headers.tcp
        if segment is None or not segment.flags & TcpFlags.ACK or segment.flags & TcpFlags.RST:
            continue
        if first is None:
            first = segment.acknowledgement
        ahead = (segment.acknowledgement - first) % _WHOLE
        most = max(most, ahead) if ahead < _HALF else most
        closed |= bool(segment.flags & TcpFlags.FIN)
    return max(0, most - 1) if closed else most


def heard(frames: Iterable[Frame]) -> bool:
    """Whether a client has acknowledged anything at all."""
    segments = (frame.headers.tcp for frame in frames)
    return any(segment is not None and segment.flags & TcpFlags.ACK for segment in segments)
