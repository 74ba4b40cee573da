"""Figures from records, as exact tables."""

from collections.abc import Sequence
from ipaddress import IPv4Address

import pytest

from yaoki.core.address import Family
from yaoki.lab.measure import (
    Heard,
    Outage,
    OwnerRecord,
    ProbeRecord,
    first_heard,
    last_owner,
    lost_before,
    outage,
    since,
    two_owners_ms,
)
from yaoki.lab.probes.targets import ProbeKind, Target

TARGET = Target(ProbeKind.UDP, "alice", IPv4Address("192.0.2.50"), 7, 10_000, "web-vip", "echo")


def record(pattern: str, *, step_us: int = 10_000) -> ProbeRecord:
    """Items 10 ms apart from 1 s on: "." succeeded, "x" failed."""
    at = [1_000_000 + index * step_us for index in range(len(pattern))]
    return ProbeRecord(TARGET, at, [int(item == ".") for item in pattern])


@pytest.mark.parametrize(
    ("pattern", "outage_ms", "longest_ms", "lost", "recovered"),
    [
        ("", 0, 0, 0, True),
        (".....", 0, 0, 0, True),
        ("..x..", 10, 10, 1, True),
        ("..xxx..", 30, 30, 3, True),
        ("..x.xx.x..", 60, 20, 4, True),
        ("..xx.......x..", 100, 20, 3, True),
        ("...xx", 20, 20, 2, False),
        ("xxxxx", 50, 50, 5, False),
        ("x....", 10, 10, 1, True),
        ("....x", 10, 10, 1, False),
        ("xx.xxx", 60, 30, 5, False),
    ],
)
def test_an_outage_lasts_from_the_first_failed_item_until_none_fails(
    pattern: str, outage_ms: float, longest_ms: float, lost: int, recovered: bool
) -> None:
    found = outage(record(pattern))
    assert (found.outage_ms, found.longest_gap_ms, found.lost, found.recovered) == (
        outage_ms,
        longest_ms,
        lost,
        recovered,
    )


@pytest.mark.parametrize(
    ("pattern", "mended", "outage_ms", "lost"),
    [
        ("xxx" + "." * 300 + "x...", 200, 30, 4),
        ("x" + "." * 300 + "xxx...", 200, 30, 4),
        ("xxx" + "." * 300 + "x...", None, 3040, 4),
        ("xxx" + "." * 90 + "x...", 92, 940, 4),
        ("x" * 250 + "...", 200, 2500, 250),
        ("x" + "." * 150 + "x" + "." * 300 + "x...", 300, 1520, 3),
        ("." * 300 + "x.x...", 200, 30, 2),
        ("x.x..." + "." * 300, 200, 30, 2),
    ],
    ids=["fault longer", "end longer", "no end", "too soon", "all the time", "twice before", "end only", "fault only"],
)
def test_a_fault_that_ends_meanwhile_has_two_outages_if_the_first_was_over(
    pattern: str, mended: int | None, outage_ms: float, lost: int
) -> None:
    found = outage(record(pattern), mended_us=None if mended is None else 1_000_000 + mended * 10_000)
    assert (found.outage_ms, found.lost) == (outage_ms, lost)


def test_an_outage_knows_when_it_began_and_ended() -> None:
    found = outage(record("..xx.."))
    assert (found.began_us, found.ended_us) == (1_020_000, 1_040_000)


def test_items_that_the_probe_began_late_count_by_their_real_times() -> None:
    late = ProbeRecord(TARGET, [0, 1_000, 9_500, 10_000], [1, 0, 0, 1])
    assert outage(late) == Outage(9.0, 9.0, 2, 1_000, 10_000, last_failed_us=9_500)


@pytest.mark.parametrize(("pattern", "before"), [("..xx..", 0), ("x.xx..", 1), ("xx....", 2), ("......", 0)])
def test_losses_before_the_fault_are_counted_apart(pattern: str, before: int) -> None:
    assert lost_before(record(pattern), 1_020_000) == before


@pytest.mark.parametrize(("pattern", "last"), [("..x.x.", 1_040_000), ("......", None), ("x.....", 1_000_000)])
def test_the_last_failed_item_is_known(pattern: str, last: int | None) -> None:
    assert outage(record(pattern)).last_failed_us == last


def owners(*answered_by: str, step_us: int = 10_000) -> OwnerRecord:
    """Requests 10 ms apart; each word has the letters of those who answered."""
    at = [index * step_us for index in range(len(answered_by))]
    return OwnerRecord("web-vip", Family.IPV4, at, [list(by) for by in answered_by])


@pytest.mark.parametrize(
    ("answers", "ms"),
    [
        (("a", "a", "b"), 0),
        (("a", "ab", "b"), 10),
        (("a", "ab", "ab", "b"), 20),
        (("a", "", "b"), 0),
        (("ab", "ab", "ab"), 30),
        (("ab",), 0),
        ((), 0),
    ],
)
def test_two_owners_are_two_answers_to_one_request(answers: Sequence[str], ms: float) -> None:
    assert two_owners_ms(owners(*answers)) == ms


@pytest.mark.parametrize(
    ("answers", "owner"), [(("a", "b"), "b"), (("a", ""), "a"), (("", ""), None), (("a", "ba"), "b")]
)
def test_the_last_owner_is_who_answered_last(answers: Sequence[str], owner: str | None) -> None:
    assert last_owner(owners(*answers)) == owner


def test_nobody_owns_a_vip_that_was_not_answered_for_in_the_last_requests() -> None:
    assert last_owner(owners("a", *[""] * 20)) is None


def test_a_record_can_be_looked_at_from_a_moment_on() -> None:
    assert since(owners("a", "ab", "b"), 10_000) == OwnerRecord(
        "web-vip", Family.IPV4, [10_000, 20_000], [["a", "b"], ["b"]]
    )
    assert since(owners("a"), 99_000).at_us == []


def test_the_first_announcement_of_a_sender_is_found() -> None:
    heard = (Heard(5, "advert", "m1", "51/150/4"), Heard(7, "gratuitous", "m1", "x"), Heard(9, "gratuitous", "m2", "x"))
    assert first_heard(heard, "gratuitous", after_us=0, macs=frozenset({"m2"})) == heard[2]
    assert first_heard(heard, "gratuitous", after_us=8, macs=frozenset({"m1"})) is None
