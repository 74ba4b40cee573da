"""Records on several sockets at once until a bound is reached or somebody says stop.

All sockets are read by one process, so one clock stamps every packet, whichever network namespace it passed in.
"""

import select
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from yaoki.linux.capture_socket import CaptureSocket, Seen
from yaoki.packet.recording import CapturedPacket, CaptureInterface, Recording
from yaoki.runtime.signals import readable_on

# What may be asked for at most: a recording is held in memory until it ends.
LONGEST_TIME = timedelta(hours=1)
MOST_PACKETS = 1_000_000
MOST_OCTETS = 256 * 1024 * 1024
_AT_ONCE = 256
"""Packets read from one socket before the others have their turn."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a recording ends: after `time`, `packets` or `octets` kept, whatever comes first. `snap`: octets that are
    kept of a packet."""

    time: timedelta = timedelta(seconds=10)
    packets: int = 100_000
    octets: int = 64 * 1024 * 1024
    snap: int = 65_535


class End(StrEnum):
    """Why a recording ended."""

    TIME = "time"
    PACKETS = "packets"
    OCTETS = "octets"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Post:
    """A socket, and whose interface it is on."""

    socket: CaptureSocket
    interface: CaptureInterface


def record(posts: Sequence[Post], bounds: Bounds, *, wanted: Callable[[Seen], bool]) -> tuple[Recording, End]:
    """Record what is `wanted` of what the sockets see. SIGINT or SIGTERM ends it like a bound, with what has passed
    until then. To be called in the main thread; sockets stay open."""
    recorder = _Recorder(posts, bounds, wanted)
    with readable_on(signal.SIGINT, signal.SIGTERM) as stop:
        end = recorder.run(stop)
    packets = sorted(recorder.packets, key=lambda packet: packet.at_ns)
    interfaces = tuple(replace(post.interface, lost=post.socket.lost()) for post in posts)
    return Recording(interfaces, tuple(packets)), end


class _Recorder:
    """`packets` are those that are kept, as they were read."""

    def __init__(self, posts: Sequence[Post], bounds: Bounds, wanted: Callable[[Seen], bool]) -> None:
        self.packets: list[CapturedPacket] = []
        self._posts = posts
        self._bounds = bounds
        self._wanted = wanted
        self._octets = 0

    def run(self, stop: socket.socket) -> End:
        """Until a bound is reached, or `stop` is readable."""
        poll = select.poll()
        numbers = {post.socket.fileno(): number for number, post in enumerate(self._posts)}
        for descriptor in (stop.fileno(), *numbers):
            poll.register(descriptor, select.POLLIN)
        until = time.monotonic() + self._bounds.time.total_seconds()
        while (left := until - time.monotonic()) > 0:
            ready = [descriptor for descriptor, _ in poll.poll(left * 1000)]
            for descriptor in ready:
                full = self._read(numbers[descriptor], _AT_ONCE) if descriptor in numbers else None
                if full is not None:
                    return full
            if stop.fileno() in ready:
                return self._rest() or End.STOPPED
        return self._rest() or End.TIME

    def _rest(self) -> End | None:
        """What has passed and is not read yet."""
        for number in range(len(self._posts)):
            full = self._read(number, MOST_PACKETS)
            if full is not None:
                return full
        return None

    def _read(self, number: int, most: int) -> End | None:
        """At most so many packets of one socket; the bound that is reached."""
        for _ in range(most):
            seen = self._posts[number].socket.read()
            if seen is None:
                return None
            if not self._wanted(seen):
                continue
            self.packets.append(CapturedPacket(number, seen.at_ns, seen.length, seen.octets, seen.direction))
            self._octets += len(seen.octets)
            if len(self.packets) >= self._bounds.packets:
                return End.PACKETS
            if self._octets >= self._bounds.octets:
                return End.OCTETS
        return None
