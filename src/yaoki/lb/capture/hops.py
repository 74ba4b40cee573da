"""The hops of one connection: between which machines its first packet and the answer to it went, by IP and MAC.

A balancer changes addresses and MACs on the way, and never the sequence number with which a connection opens: by that
the same packet is found again at each hop. The connection that was seen at most hops is shown.

Deliberately absent: UDP, whose datagrams bear no number; and connections behind a balancer that makes them itself.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.capture.scene import Frame, Scene
from yaoki.packet.tcp import TcpFlags

MOST_CONNECTIONS = 10_000
"""Looked at, the first of a recording."""
_WHOLE = 1 << 32


@dataclass(frozen=True, slots=True)
class End:
    """One end of a hop; `machine` is whose MAC it is, empty if nobody knows."""

    address: IPAddress
    port: int
    mac: MacAddress
    machine: str


@dataclass(frozen=True, slots=True)
class Hop:
    """One step; `reply`: of the answer. `seen_at`: the interfaces that recorded it. `inside`: source and destination of
    the packet that it was inside, in a tunnel."""

    step: int
    reply: bool
    source: End
    destination: End
    hop_limit: int
    seen_at: tuple[str, ...]
    inside: tuple[IPAddress, IPAddress] | None = None


@dataclass(slots=True)
class _Connection:
    asked: list[Frame]
    replied: list[Frame]


def hops_of(scene: Scene, frames: Iterable[Frame]) -> tuple[Hop, ...]:
    """The hops, requests before replies, each in the order of time; empty if no connection was opened."""
    connections: dict[int, _Connection] = {}
    vips = {(key.address, key.port) for key in scene.keys}
    frames = tuple(frames)
    for frame in frames:
        number = _opened(frame)
        if number is None or number in connections or len(connections) >= MOST_CONNECTIONS:
            continue
        if (frame.headers.destination, frame.headers.destination_port) in vips:
            connections[number] = _Connection([], [])
    for frame in frames:
        if (number := _opened(frame)) in connections and number is not None:
            connections[number].asked.append(frame)
        elif (number := _accepted(frame)) in connections and number is not None:
            connections[number].replied.append(frame)
    found = [_hops(scene, connection) for connection in connections.values()]
    return max(found, key=len, default=())


def _opened(frame: Frame) -> int | None:
    """The sequence number of a SYN."""
    segment = frame.headers.tcp
    if segment is None or segment.flags & (TcpFlags.SYN | TcpFlags.ACK) != TcpFlags.SYN:
        return None
    return segment.sequence


def _accepted(frame: Frame) -> int | None:
    """The sequence number of the SYN that is answered."""
    segment = frame.headers.tcp
    both = TcpFlags.SYN | TcpFlags.ACK
    if segment is None or segment.flags & both != both:
        return None
    return (segment.acknowledgement - 1) % _WHOLE


def _hops(scene: Scene, connection: _Connection) -> tuple[Hop, ...]:
    steps: dict[tuple[bool, End, End], list[Frame]] = {}
    for reply, frames in ((False, connection.asked), (True, connection.replied)):
        for frame in frames:
            steps.setdefault((reply, *_ends(scene, frame)), []).append(frame)
    return tuple(
        Hop(
            number,
            reply,
            source,
            destination,
            frames[0].headers.hop_limit,
            tuple(dict.fromkeys(frame.place for frame in frames)),
            None if (outer := frames[0].outer) is None else (outer.source, outer.destination),
        )
        for number, ((reply, source, destination), frames) in enumerate(steps.items(), 1)
    )


def _ends(scene: Scene, frame: Frame) -> tuple[End, End]:
    seen = frame.headers
    return (
        _end(scene, seen.source, seen.source_port, seen.source_mac),
        _end(scene, seen.destination, seen.destination_port, seen.destination_mac),
    )


def _end(scene: Scene, address: IPAddress, port: int, mac: MacAddress) -> End:
    party = scene.of_mac(mac)
    return End(address, port, mac, "" if party is None else party.name)
