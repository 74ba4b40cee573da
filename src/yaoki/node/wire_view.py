"""What readers see of the wire: for each address of a VIP who has it, by which evidence, and how old that is."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.instant import Instant
from yaoki.node.wire_observer import Watched, WireObserver
from yaoki.vrrp.answer_watch import Owning
from yaoki.vrrp.params import RouterKey

STALE_QUESTIONS = 3
"""A picture that is older than this many questions is grey."""


class Evidence(StrEnum):
    """What a view of an address rests on."""

    UNASKED = "not asked yet"
    ALONE = "owned here, nobody else answers"
    NOT_ALONE = "owned here, and others answer, too"
    ANSWERED = "answered"
    CONTESTED = "several answer"
    NOBODY = "nobody answers"


@dataclass(frozen=True, slots=True)
class SeenView:
    """Who has an address of a VIP. `member` is None for a MAC that is no member's; `answers` counts the MACs, beside
    this node's, that answered the latest question; `foreign` are those that claim it lately and are no members."""

    address: IPAddress
    evidence: Evidence
    member: str | None = None
    mac: MacAddress | None = None
    age: timedelta | None = None
    answers: int = 0
    foreign: tuple[MacAddress, ...] = ()
    stale: bool = False


@dataclass(frozen=True, slots=True)
class WireView:
    """An interface that is watched: how many frames about VIPs were dropped unseen."""

    interface: str
    dropped: int


def seen(observer: WireObserver, key: RouterKey, now: Instant) -> tuple[SeenView, ...]:
    """The addresses of one virtual router."""
    return tuple(_seen(observer, watched, now) for watched in observer.of_router(key))


def wires(observer: WireObserver) -> tuple[WireView, ...]:
    """The interfaces."""
    return tuple(WireView(interface, dropped) for interface, dropped in observer.dropped().items())


def _seen(observer: WireObserver, watched: Watched, now: Instant) -> SeenView:
    answers, key = watched.answers, watched.params.router
    owning, macs = isinstance(answers.role, Owning), answers.answers
    foreign = tuple(claimant.mac for claimant in watched.claims.foreign)
    if answers.asked_at is None:
        return SeenView(watched.address, Evidence.UNASKED, foreign=foreign, stale=not observer.listens(key))
    age = now - answers.asked_at
    mac = observer.mac_of(key.interface) if owning else next(iter(macs), None)
    return SeenView(
        watched.address,
        _evidence(owning, len(macs)),
        member=watched.params.here if owning else None if mac is None else answers.node_of(mac),
        mac=mac,
        age=age,
        answers=len(macs),
        foreign=foreign,
        stale=age > STALE_QUESTIONS * watched.params.ask_every or not observer.listens(key),
    )


def _evidence(owning: bool, answers: int) -> Evidence:
    if owning:
        return Evidence.NOT_ALONE if answers else Evidence.ALONE
    if answers > 1:
        return Evidence.CONTESTED
    return Evidence.ANSWERED if answers else Evidence.NOBODY
