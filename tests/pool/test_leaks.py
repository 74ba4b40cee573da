"""Members that claim the service's address on the wire: who gets no new flows for it, and who is kept all the same."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pool.test_policy import MEMBERS, RULES
from yaoki.core.instant import Instant
from yaoki.pool.member import AdminState, Duty, Health, Member
from yaoki.pool.policy import Effective, Outlook, PoolRule, Reason, select

NOW, EARLIER = Instant.of_seconds(1000), Instant.of_seconds(900)
UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN


def members(*words: str) -> tuple[Member, ...]:
    """Members a, b, c ... from words: "up", "down", "unknown", with "!" if they leak, "-" as backups, "?" if they do
    not serve yet."""
    made = []
    for name, word in zip("abcdefgh", words, strict=False):
        health, begun = Health(word.strip("!-?")), None if "?" in word else EARLIER
        since = None if health is UNKNOWN else EARLIER
        priority = 50 if "-" in word else 100
        leaks = "!" in word
        made.append(Member(name, 10, health, since=since, serving_since=begun, priority=priority, leaks=leaks))
    return tuple(made)


@pytest.mark.req("D-09")
@pytest.mark.parametrize(
    ("words", "threshold", "reasons", "outlook"),
    [
        (("up", "up"), 0.0, ("up", "up"), Outlook.PROVEN),
        (("up!", "up"), 0.0, ("leaks", "up"), Outlook.PROVEN),
        (("up!", "up!", "up"), 0.0, ("leaks", "leaks", "up"), Outlook.PROVEN),
        # never the last
        (("up!",), 0.0, ("leak-borne",), Outlook.PROVEN),
        (("up!", "up!"), 0.0, ("leak-borne", "leak-borne"), Outlook.PROVEN),
        (("up!", "down"), 0.0, ("leak-borne", "down"), Outlook.PROVEN),
        (("up!", "unknown?"), 0.0, ("leak-borne", "awaiting-proof"), Outlook.PROVEN),
        (("unknown!", "unknown?"), 0.0, ("unproven", "unproven"), Outlook.UNPROVEN),
        # one that serves without a verdict is not the worse for it: so it is after a restart
        (("up!", "unknown"), 0.0, ("leaks", "unproven"), Outlook.PROVEN),
        (("unknown!", "unknown"), 0.0, ("leaks", "unproven"), Outlook.UNPROVEN),
        # as a failed check would have it, otherwise
        (("unknown!", "up"), 0.0, ("leaks", "up"), Outlook.PROVEN),
        (("down!", "up"), 0.0, ("down", "up"), Outlook.PROVEN),
        (("down!", "down!"), 0.0, ("down", "down"), Outlook.NOBODY),
        # a backup is better than a server that leaks, and one that leaks than none
        (("up!", "up-"), 0.0, ("leaks", "stands-in"), Outlook.BACKUP),
        (("up!", "up!-"), 0.0, ("leak-borne", "stands-by"), Outlook.PROVEN),
        (("down", "up!-"), 0.0, ("down", "stands-in"), Outlook.BACKUP),
        (("up", "up!-"), 0.0, ("up", "leaks"), Outlook.PROVEN),
        # more than the panic threshold are not believed, or at least not obeyed; one alone is never too many
        (("up!", "up!", "up"), 0.5, ("leak-borne", "leak-borne", "up"), Outlook.PROVEN),
        (("up!", "up!", "up", "up"), 0.5, ("leaks", "leaks", "up", "up"), Outlook.PROVEN),
        (("up!", "up"), 0.1, ("leaks", "up"), Outlook.PROVEN),
    ],
)
def test_one_that_leaks_gives_way_only_to_one_that_is_up_and_does_not(
    words: tuple[str, ...], threshold: float, reasons: tuple[str, ...], outlook: Outlook
) -> None:
    selection = select(PoolRule(panic_threshold=threshold), members(*words), NOW)
    assert tuple(member.reason.value for member in selection.members) == reasons
    assert selection.outlook is outlook


def test_it_keeps_the_flows_that_it_has_and_starts_slowly_when_it_is_back() -> None:
    leaking, other = members("up!", "up")
    rule = PoolRule(slow_start=timedelta(seconds=10))
    gone = select(rule, (leaking, other), NOW).of("a")
    assert gone == Effective("a", Duty.DRAIN, 0, Reason.LEAKS)
    quiet = replace(leaking, leaks=False, serving_since=gone.serving_since)
    assert select(rule, (quiet, other), NOW).of("a") == Effective("a", Duty.SERVE, 1, Reason.SLOW_START, NOW)


@pytest.mark.parametrize(
    ("admin", "weight", "duty", "reason"),
    [
        (AdminState.DRAIN, 10, Duty.DRAIN, Reason.DRAINED),
        (AdminState.MAINT, 10, Duty.OUT, Reason.MAINTENANCE),
        (AdminState.READY, 0, Duty.DRAIN, Reason.ZERO_WEIGHT),
    ],
)
def test_what_a_person_decided_stands_above_it(admin: AdminState, weight: int, duty: Duty, reason: Reason) -> None:
    leaking, other = members("up!", "up")
    decided = select(PoolRule(), (replace(leaking, admin=admin, weight=weight), other), NOW)
    assert decided.of("a") == Effective("a", duty, 0, reason)


@given(rule=RULES, plain=MEMBERS, leaking=st.sets(st.integers(0, 7)))
def test_leaks_never_take_the_last_nor_touch_those_who_do_not(
    rule: PoolRule, plain: tuple[Member, ...], leaking: set[int]
) -> None:
    with_leaks = tuple(replace(member, leaks=place in leaking) for place, member in enumerate(plain))
    before, after = select(rule, plain, NOW), select(rule, with_leaks, NOW)
    serving = [e for e in after.members if e.duty is Duty.SERVE]
    assert bool(serving) == any(e.duty is Duty.SERVE for e in before.members)
    assert (before.failed, before.outlook is Outlook.SORRY) == (after.failed, after.outlook is Outlook.SORRY)
    for member, was, now in zip(with_leaks, before.members, after.members, strict=True):
        if now.reason is Reason.LEAKS:
            assert member.leaks
            assert now.duty is Duty.DRAIN
            others = [m for m in with_leaks if after.of(m.name).duty is Duty.SERVE and not m.sorry]
            assert any(m.health is not DOWN and not m.leaks for m in others)
        elif not member.leaks and was.duty is Duty.SERVE:
            assert now.duty is Duty.SERVE
        assert (was.duty is Duty.OUT) == (now.duty is Duty.OUT)
