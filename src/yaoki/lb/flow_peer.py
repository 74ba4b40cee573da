"""One peer of a flow copier: which of its datagrams are news, and how far it has told its flows.

A node that starts, and one that hears a peer again after a silence or in another life of it, asks that peer for all its
flows. It asks ASK_TRIES times, and gives up: a peer that is not there must not keep anybody from owning. A peer that is
telling is waited for, for BULK_LIMIT at most, and not beyond BULK_SILENCE without a sign of it.

Invariant: from being asked to the end of waiting no more than BULK_LIMIT passes; what is asked is asked at most once at
a time.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.instant import Instant
from yaoki.lb.flow_datagram import Ask, Coming, End, FlowDatagram, Hello, Told
from yaoki.lb.flow_events import NotCaughtUp

ASK_EVERY = timedelta(milliseconds=100)
ASK_TRIES = 4
BULK_SILENCE = timedelta(milliseconds=500)
BULK_LIMIT = timedelta(seconds=10)
HELLO_EVERY = timedelta(seconds=1)
PEER_SILENCE = 3 * HELLO_EVERY + timedelta(milliseconds=500)


@dataclass(frozen=True, slots=True)
class Silent:
    """Not heard, and not asked any more."""


@dataclass(frozen=True, slots=True)
class Asked:
    """It has been asked `tries` times, first at `since`, and has not answered."""

    request: int
    since: Instant
    again_at: Instant
    tries: int


@dataclass(frozen=True, slots=True)
class Copying:
    """It is telling its flows; `flows` have come."""

    request: int
    since: Instant
    silent_at: Instant
    flows: int = 0


@dataclass(frozen=True, slots=True)
class Following:
    """It has told all it had, or as much as it would."""


Phase = Silent | Asked | Copying | Following


@dataclass(frozen=True, slots=True)
class CaughtUp:
    """All was told: how many flows, and how long that took."""

    flows: int
    took: timedelta


Outcome = CaughtUp | NotCaughtUp | None


@dataclass(frozen=True, slots=True)
class FlowPeer:
    """A peer as it is known. `boot` and `sequence` are those of its latest datagram."""

    phase: Phase = Silent()
    boot: int | None = None
    sequence: int = -1
    heard: Instant | None = None
    lost: int = 0
    requests: int = 0

    @property
    def catching_up(self) -> bool:
        """Whether it is still to tell what it has."""
        return isinstance(self.phase, Asked | Copying)

    def deadline(self) -> Instant | None:
        """When time alone changes something."""
        match self.phase:
            case Asked(again_at=at):
                return at
            case Copying(since=since, silent_at=at):
                return min(at, since + BULK_LIMIT)
            case Following():
                return None if self.heard is None else self.heard + PEER_SILENCE
            case Silent():
                return None
            case _:
                assert_never(self.phase)


def ask(peer: FlowPeer, now: Instant) -> tuple[FlowPeer, Ask]:
    """Begin to ask."""
    request = peer.requests + 1
    asked = Asked(request, now, now + ASK_EVERY, 1)
    return replace(peer, phase=asked, requests=request), Ask(request)


def is_news(peer: FlowPeer, datagram: FlowDatagram) -> bool:
    """Whether a datagram is later than all before it: it comes on every path, and may come late."""
    return datagram.boot != peer.boot or datagram.sequence > peer.sequence


def hear(peer: FlowPeer, now: Instant, datagram: FlowDatagram) -> tuple[FlowPeer, Outcome, bool]:
    """A datagram that `is_news`; whether the peer is to be asked for all its flows."""
    reborn = datagram.boot != peer.boot
    gap = 0 if reborn else datagram.sequence - peer.sequence - 1
    after = replace(peer, boot=datagram.boot, sequence=datagram.sequence, heard=now, lost=peer.lost + gap)
    phase, outcome = _phase(peer.phase, now, datagram)
    unknown = isinstance(phase, Silent) or (reborn and peer.boot is not None and not peer.catching_up)
    return replace(after, phase=phase), outcome, unknown


def pass_time(peer: FlowPeer, now: Instant) -> tuple[FlowPeer, Outcome, Ask | None]:
    """What a deadline that has passed leads to."""
    at = peer.deadline()
    if at is None or now < at:
        return peer, None, None
    match peer.phase:
        case Asked(request, _, _, tries) if tries < ASK_TRIES:
            phase = replace(peer.phase, again_at=now + ASK_EVERY, tries=tries + 1)
            return replace(peer, phase=phase), None, Ask(request)
        case Asked():
            return replace(peer, phase=Silent()), NotCaughtUp.SILENT, None
        case Copying(since=since):
            why = NotCaughtUp.TOO_MANY if now >= since + BULK_LIMIT else NotCaughtUp.BROKEN_OFF
            return replace(peer, phase=Following()), why, None
        case Following() | Silent():
            return replace(peer, phase=Silent()), None, None
        case _:
            assert_never(peer.phase)


def _phase(phase: Phase, now: Instant, datagram: FlowDatagram) -> tuple[Phase, Outcome]:
    match datagram.message:
        case Coming(request) if isinstance(phase, Asked) and phase.request == request:
            return Copying(request, phase.since, now + BULK_SILENCE), None
        case Coming(request) if isinstance(phase, Copying) and phase.request == request:
            return replace(phase, silent_at=now + BULK_SILENCE), None
        case End(request, flows) if isinstance(phase, Asked | Copying) and phase.request == request:
            return Following(), CaughtUp(flows, now - phase.since)
        case Told(flows) if isinstance(phase, Copying):
            return replace(phase, silent_at=now + BULK_SILENCE, flows=phase.flows + len(flows)), None
        case Told() | Ask() | Coming() | End() | Hello():
            return phase, None
        case _:
            assert_never(datagram.message)
