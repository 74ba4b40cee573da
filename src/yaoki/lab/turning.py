"""Detection and switch of a row, from the nodes' events and what the observer heard. Pure.

Detection ends with the last verdict that the fault caused (a takeover, a check's fall); the switch ends with the last
effect in the kernel that followed it: the balancer's tables, or the first announcement of each address by its new
owner. Where the nodes tell nothing, the new owner's first advertisement stands for the verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from yaoki.lab.events import LabEvent, Turn
from yaoki.lab.measure import Heard

SAME_MOMENT_US = 2_000
"""An effect may be seen by the observer this much before the node has stamped its verdict."""


@dataclass(frozen=True, slots=True)
class Turning:
    """Milliseconds from the fault to the verdict, and from there to the last effect; None where there was none."""

    detection_ms: float | None = None
    switch_ms: float | None = None


def turning(
    fault_us: int,
    until_us: int,
    *,
    owners_before: frozenset[str],
    events: Sequence[LabEvent],
    heard: Sequence[tuple[str, Heard]],
) -> Turning:
    """What happened between two moments. `heard` has the name of the machine that was heard.

    Verdicts of servers count on the nodes that owned a VIP before, takeovers on the others.
    """
    within = [event for event in events if fault_us <= event.at_us <= until_us]
    takeovers = [event.at_us for event in within if event.turn is Turn.TOOK_OVER and event.node not in owners_before]
    # A node that is cut off sees every server fall; where somebody takes over, that is the verdict.
    verdicts = takeovers or [
        event.at_us for event in within if event.turn is Turn.SERVER_FELL and event.node in owners_before
    ]
    announced = _first_announcements(fault_us, until_us, owners_before, heard)
    if not verdicts:
        adverts = [
            h.at_us
            for machine, h in heard
            if h.kind == "advert" and machine not in owners_before and fault_us <= h.at_us <= until_us
        ]
        verdicts = adverts[:1] if announced else []
    if not verdicts:
        return Turning()
    verdict = max(verdicts)
    applied = [event.at_us for event in within if event.turn is Turn.APPLIED and event.node in owners_before]
    effects = [] if takeovers else applied
    last_effect = max([at for at in (*effects, *announced) if at >= verdict - SAME_MOMENT_US], default=None)
    return Turning(
        round((verdict - fault_us) / 1000, 1),
        None if last_effect is None else round(max(0, last_effect - verdict) / 1000, 1),
    )


def _first_announcements(
    fault_us: int, until_us: int, owners_before: frozenset[str], heard: Sequence[tuple[str, Heard]]
) -> list[int]:
    """When each address was first announced by somebody who did not own it before."""
    first: dict[str, int] = {}
    for machine, item in heard:
        if item.kind == "gratuitous" and machine not in owners_before and fault_us <= item.at_us <= until_us:
            first.setdefault(item.detail, item.at_us)
    return list(first.values())
