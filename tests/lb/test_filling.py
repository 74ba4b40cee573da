"""When people are told that a table of flows fills."""

import pytest

from yaoki.core.event import Severity
from yaoki.lb.filling import Filled, Fillings
from yaoki.lb.flow_events import FlowTable, FlowTableFilling
from yaoki.node.wording import JAPANESE, sentence


def filled(entries: int, table: FlowTable = FlowTable.FLOWS, whose: str = "IPv4 on BPF") -> Filled:
    return Filled(table, whose, entries, 1000)


@pytest.mark.parametrize(("entries", "told"), [(0, False), (799, False), (800, True), (1000, True)])
def test_a_table_is_told_of_from_four_fifths_on(entries: int, told: bool) -> None:
    events = Fillings().heed([filled(entries)])
    assert events == ([FlowTableFilling(FlowTable.FLOWS, "IPv4 on BPF", entries, 1000)] if told else [])


def test_it_is_told_once_and_again_after_there_was_room() -> None:
    fillings = Fillings()
    counts = [850, 900, 750, 850, 699, 799, 801, 950]
    assert [bool(fillings.heed([filled(each)])) for each in counts] == [
        True, False, False, False, False, False, True, False,
    ]  # fmt: skip


def test_each_table_is_told_of_by_itself() -> None:
    fillings = Fillings()
    first, second = filled(900), filled(900, FlowTable.MAP, "tcp/192.0.2.50:80")
    assert len(fillings.heed([first])) == 1
    assert [event.whose for event in fillings.heed([first, second])] == ["tcp/192.0.2.50:80"]


def test_what_is_said() -> None:
    event = FlowTableFilling(FlowTable.FLOWS, "IPv4 on BPF", 210_000, 262_144)
    assert sentence(event) == (
        "IPv4 on BPF: 210000 of 262144 entries are in use of the table of flows; when it is full, those that were idle"
        " longest are forgotten, and scheduled anew"
    )
    assert sentence(event, JAPANESE).startswith("IPv4 on BPF: 262144 件中 210000 件を使用中のフロー表")
    assert event.SEVERITY is Severity.WARNING
