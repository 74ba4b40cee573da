"""From what the probes recorded to figures: outage, longest gap, losses, owners. Pure.

An outage lasts from the beginning of the first failed item until none fails any more: to the beginning of the first
item after the last failed one, or to the end of the record. A fault that is over while the record still runs
disturbs twice, when it comes and when what it hit comes back: if nothing failed for BETWEEN_US before that, each has an
outage of its own, and the longer one counts. The longest gap is the longest run of failed items, measured the same way.
Two owners: two MAC addresses answered one request, or one that two machines have answered it twice; each such request
stands for the time to the next one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from yaoki.core.address import Family
from yaoki.lab.probes.targets import Target

BETWEEN_US = 1_000_000
"""For so long nothing has failed when a fault ends, if its outage was over before."""


@dataclass(frozen=True, slots=True)
class ProbeRecord:
    """What one probe did: when each item was begun, in microseconds of the lab's clock, and whether it succeeded.

    `failures` are the kinds of failure that there were.
    """

    target: Target
    at_us: Sequence[int]
    ok: Sequence[int]
    streams_cut: int = 0
    failures: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OwnerRecord:
    """Who answered for one VIP address: for each request its time and the MAC addresses that answered it."""

    vip: str
    family: Family
    at_us: Sequence[int]
    answered_by: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the observer heard unasked: kind ("gratuitous", "advert"), the sender's MAC address, and the detail:
    the address announced, or "VRID/priority/IP version"."""

    at_us: int
    kind: str
    mac: str
    detail: str


@dataclass(frozen=True, slots=True)
class Outage:
    """The figures of one probe: of its longer outage if there were two, but for `lost`, which counts all, and
    `recovered`, whether items succeeded after the last failed one. `began_us`, `ended_us` and `last_failed_us` (when
    the last failed item was begun) are None without an outage."""

    outage_ms: float = 0.0
    longest_gap_ms: float = 0.0
    lost: int = 0
    began_us: int | None = None
    ended_us: int | None = None
    recovered: bool = True
    last_failed_us: int | None = None


def outage(record: ProbeRecord, *, mended_us: int | None = None) -> Outage:
    """The figures of a probe's record; `mended_us` is when the fault ended, if it did before the record."""
    at, ok = record.at_us, record.ok
    failed = [index for index, success in enumerate(ok) if not success]
    if not failed:
        return Outage()
    end = at[-1] + record.target.period_us

    def begin_after(index: int) -> int:
        return at[index + 1] if index + 1 < len(at) else end

    def lasted(disturbance: Sequence[int]) -> int:
        return begin_after(disturbance[-1]) - at[disturbance[0]]

    longer = max(_disturbances(failed, at, mended_us), key=lasted)
    return Outage(
        outage_ms=_ms(lasted(longer)),
        longest_gap_ms=_ms(max(_runs(failed, at, begin_after))),
        lost=len(failed),
        began_us=at[longer[0]],
        ended_us=begin_after(longer[-1]),
        recovered=failed[-1] + 1 < len(at),
        last_failed_us=at[failed[-1]],
    )


def lost_before(record: ProbeRecord, at_us: int) -> int:
    """How many items failed that were begun before a moment: with any, the lab had not settled."""
    return sum(1 for at, success in zip(record.at_us, record.ok, strict=True) if at < at_us and not success)


def since(record: OwnerRecord, at_us: int) -> OwnerRecord:
    """The part of a record from a moment on."""
    first = next((index for index, at in enumerate(record.at_us) if at >= at_us), len(record.at_us))
    return replace(record, at_us=record.at_us[first:], answered_by=record.answered_by[first:])


def two_owners_ms(record: OwnerRecord) -> float:
    """For how long two MAC addresses answered."""
    return _ms(sum(span for span, by in zip(_spans(record.at_us), record.answered_by, strict=True) if len(by) > 1))


def last_owner(record: OwnerRecord) -> str | None:
    """The MAC address in the last answer; None if nobody answers in the end. Of two owners the first to answer."""
    tail = [by[0] for by in record.answered_by[-_TAIL:] if by]
    return tail[-1] if tail else None


def first_heard(heard: Sequence[Heard], kind: str, *, after_us: int, macs: frozenset[str]) -> Heard | None:
    """The first thing of a kind heard from one of these senders after a moment."""
    return next((h for h in heard if h.kind == kind and h.at_us >= after_us and h.mac in macs), None)


_TAIL = 20
"""Requests looked at to tell the last owner: an answer may be lost on a busy machine."""


def _disturbances(failed: Sequence[int], at: Sequence[int], mended_us: int | None) -> list[Sequence[int]]:
    """The failed items that the fault is to blame for, and those of its end; all together if they are not apart."""
    if mended_us is None:
        return [failed]
    late = sum(at[index] < mended_us for index in failed)
    if late in (0, len(failed)) or mended_us - at[failed[late - 1]] < BETWEEN_US:
        return [failed]
    return [failed[:late], failed[late:]]


def _runs(failed: Sequence[int], at: Sequence[int], begin_after: Callable[[int], int]) -> list[int]:
    """The durations of all runs of consecutive failed items."""
    durations = []
    first = failed[0]
    for index, following in zip(failed, [*failed[1:], -1], strict=True):
        if following != index + 1:
            durations.append(begin_after(index) - at[first])
            first = following
    return durations


def _spans(at: Sequence[int]) -> list[int]:
    """The time from each request to the next; the last one stands for as long as the one before it."""
    spans = [later - earlier for earlier, later in pairwise(at)]
    return [*spans, spans[-1] if spans else 0][: len(at)]


def _ms(us: int) -> float:
    return round(us / 1000, 1)
