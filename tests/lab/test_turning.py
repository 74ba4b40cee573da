"""Detection and switch, reckoned from events and from what was heard."""

from collections.abc import Sequence

import pytest

from yaoki.lab.events import LabEvent, Turn
from yaoki.lab.measure import Heard
from yaoki.lab.turning import Turning, turning

FAULT = 1_000_000
OWNER = frozenset({"lb1"})


def event(ms: float, node: str, turn: Turn) -> LabEvent:
    return LabEvent(FAULT + round(ms * 1000), node, turn)


def heard(ms: float, machine: str, kind: str, detail: str = "192.0.2.50") -> tuple[str, Heard]:
    return machine, Heard(FAULT + round(ms * 1000), kind, f"mac of {machine}", detail)


@pytest.mark.parametrize(
    ("events", "wire", "expected"),
    [
        ([], [], Turning(None, None)),
        # A takeover: the verdicts of both families, then the first announcement of each address.
        (
            [event(300, "lb2", Turn.TOOK_OVER), event(310, "lb2", Turn.TOOK_OVER)],
            [
                heard(301, "lb2", "gratuitous"),
                heard(311, "lb2", "gratuitous", "2001:db8:1::50"),
                heard(500, "lb2", "gratuitous"),
            ],
            Turning(310.0, 1.0),
        ),
        # The owner's own return is not the takeover, and what it announces is not the switch.
        ([event(300, "lb1", Turn.TOOK_OVER)], [heard(301, "lb1", "gratuitous")], Turning(None, None)),
        # A server falls: the owner's verdict counts, the other node's does not.
        (
            [
                event(900, "lb1", Turn.SERVER_FELL),
                event(905, "lb1", Turn.APPLIED),
                event(1200, "lb2", Turn.SERVER_FELL),
                event(1205, "lb2", Turn.APPLIED),
            ],
            [],
            Turning(900.0, 5.0),
        ),
        # Verdicts of two families, each applied: detection ends with the second.
        (
            [
                event(900, "lb1", Turn.SERVER_FELL),
                event(904, "lb1", Turn.APPLIED),
                event(950, "lb1", Turn.SERVER_FELL),
                event(957, "lb1", Turn.APPLIED),
            ],
            [],
            Turning(950.0, 7.0),
        ),
        # The cut-off owner sees its servers fall; the takeover is the verdict.
        (
            [
                event(300, "lb2", Turn.TOOK_OVER),
                event(900, "lb1", Turn.SERVER_FELL),
                event(905, "lb1", Turn.APPLIED),
            ],
            [heard(301, "lb2", "gratuitous")],
            Turning(300.0, 1.0),
        ),
        # A verdict without an effect.
        ([event(900, "lb1", Turn.SERVER_FELL)], [], Turning(900.0, None)),
        # Nodes that tell nothing: the new owner's first advertisement is the verdict.
        (
            [],
            [heard(10, "lb1", "advert"), heard(290, "lb2", "advert", "51/100/4"), heard(292, "lb2", "gratuitous")],
            Turning(290.0, 2.0),
        ),
        # What was before the fault does not count.
        ([event(-5, "lb2", Turn.TOOK_OVER)], [], Turning(None, None)),
    ],
)
def test_the_turn_of_a_row(events: Sequence[LabEvent], wire: Sequence[tuple[str, Heard]], expected: Turning) -> None:
    assert turning(FAULT, FAULT + 2_000_000, owners_before=OWNER, events=events, heard=wire) == expected


def test_what_comes_after_the_end_of_the_fault_is_not_its_doing() -> None:
    events = [event(300, "lb2", Turn.TOOK_OVER), event(6500, "lb3", Turn.TOOK_OVER)]
    assert turning(FAULT, FAULT + 6_000_000, owners_before=OWNER, events=events, heard=()) == Turning(300.0, None)
