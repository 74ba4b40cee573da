"""Who serves and why: exact decisions, and what must hold for any pool."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yaoki.core.instant import Deadline, Instant
from yaoki.pool.member import AdminState, Duty, Health, Member
from yaoki.pool.policy import Effective, Outlook, PoolRule, Reason, select, suspicious_falls

NOW = Instant.of_seconds(1000)
EARLIER = Instant.of_seconds(900)
UP, DOWN, UNKNOWN = Health.UP, Health.DOWN, Health.UNKNOWN
READY, DRAIN, MAINT = AdminState.READY, AdminState.DRAIN, AdminState.MAINT
SERVE, OUT = Duty.SERVE, Duty.OUT

LONE_DECISIONS = [
    # health, admin, weight, serves already, somebody else is up -> duty, reason
    (UP, READY, 1000, False, False, Duty.SERVE, Reason.UP),
    (UP, READY, 1000, True, True, Duty.SERVE, Reason.UP),
    (UP, READY, 0, True, True, Duty.DRAIN, Reason.ZERO_WEIGHT),
    (UP, DRAIN, 1000, True, False, Duty.DRAIN, Reason.DRAINED),
    (UP, DRAIN, 0, True, False, Duty.DRAIN, Reason.DRAINED),
    (UP, MAINT, 1000, True, False, Duty.OUT, Reason.MAINTENANCE),
    (UNKNOWN, READY, 1000, False, False, Duty.SERVE, Reason.UNPROVEN),
    (UNKNOWN, READY, 1000, True, False, Duty.SERVE, Reason.UNPROVEN),
    (UNKNOWN, READY, 1000, True, True, Duty.SERVE, Reason.UNPROVEN),
    (UNKNOWN, READY, 1000, False, True, Duty.DRAIN, Reason.AWAITING_PROOF),
    (UNKNOWN, READY, 0, False, True, Duty.DRAIN, Reason.ZERO_WEIGHT),
    (UNKNOWN, DRAIN, 1000, True, True, Duty.DRAIN, Reason.DRAINED),
    (UNKNOWN, MAINT, 1000, True, True, Duty.OUT, Reason.MAINTENANCE),
    (DOWN, READY, 1000, True, True, Duty.OUT, Reason.DOWN),
    (DOWN, READY, 1000, True, False, Duty.OUT, Reason.DOWN),
    (DOWN, READY, 0, True, True, Duty.OUT, Reason.DOWN),
    (DOWN, DRAIN, 1000, True, True, Duty.OUT, Reason.DOWN),
    (DOWN, MAINT, 1000, True, True, Duty.OUT, Reason.MAINTENANCE),
]


def pool(*letters: str, fell: tuple[float, ...] = (), serving: bool = True) -> tuple[Member, ...]:
    """Members a, b, c ... from words: "up", "down", "unknown"; `fell` gives when the downs fell, in seconds."""
    falls = iter(fell)
    made = []
    for name, word in zip("abcdefghij", letters, strict=False):
        health = Health(word)
        since = Instant.of_seconds(next(falls, 900)) if health is DOWN else EARLIER if health is UP else None
        made.append(Member(name, 1000, health, since=since, serving_since=EARLIER if serving else None))
    return tuple(made)


def ranked(*letters: str) -> tuple[Member, ...]:
    """Members a, b, c ... of falling priority. None serves yet, unless all are down: then all did."""
    serving = set(letters) == {"down"}
    return tuple(
        replace(member, priority=200 - 10 * place) for place, member in enumerate(pool(*letters, serving=serving))
    )


def sorry(health: Health, admin: AdminState = READY) -> Member:
    """The member z, which says sorry."""
    return Member("z", 1000, health, admin, since=None if health is UNKNOWN else EARLIER, sorry=True)


@pytest.mark.parametrize(("health", "admin", "weight", "serves", "better", "duty", "reason"), LONE_DECISIONS)
def test_each_kind_of_member_gets_its_duty(
    health: Health, admin: AdminState, weight: int, *, serves: bool, better: bool, duty: Duty, reason: Reason
) -> None:
    since = None if health is UNKNOWN else EARLIER
    member = Member("web1", weight, health, admin, since=since, serving_since=EARLIER if serves else None)
    others = (Member("web2", 1000, UP, since=EARLIER),) if better else ()
    chosen = select(PoolRule(), (member, *others), NOW).of("web1")
    began = (EARLIER if serves else NOW) if duty is SERVE else None
    assert chosen == Effective("web1", duty, weight if duty is SERVE else 0, reason, began)


@pytest.mark.parametrize(
    ("members", "keep_last", "serving", "outlook", "failed"),
    [
        (pool("up", "up"), False, "ab", Outlook.PROVEN, False),
        (pool("up", "down"), False, "a", Outlook.PROVEN, False),
        (pool("up", "down"), True, "a", Outlook.PROVEN, False),
        (pool("unknown", "unknown"), False, "ab", Outlook.UNPROVEN, False),
        (pool("unknown", "down"), True, "a", Outlook.UNPROVEN, False),
        (pool("down", "down"), False, "", Outlook.NOBODY, True),
        (pool("down", "down"), True, "ab", Outlook.NOWHERE_BETTER, True),
        (pool("down", "down", serving=False), True, "", Outlook.NOBODY, True),
        ((), True, "", Outlook.NOBODY, True),
        ((Member("a", 1000, UP, DRAIN), Member("b", 1000, DOWN)), False, "", Outlook.NOBODY, True),
        ((Member("a", 1000, UP, MAINT),), True, "", Outlook.NOBODY, True),
        # by priority: the highest that can serve does
        (ranked("up", "up", "up"), False, "a", Outlook.PROVEN, False),
        (ranked("down", "up", "up"), False, "b", Outlook.BACKUP, False),
        (ranked("down", "down", "up"), False, "c", Outlook.BACKUP, False),
        (ranked("down", "down", "down"), False, "", Outlook.NOBODY, True),
        (ranked("down", "down", "down"), True, "a", Outlook.NOWHERE_BETTER, True),
        (ranked("unknown", "unknown"), False, "a", Outlook.UNPROVEN, False),
        (ranked("down", "unknown"), False, "b", Outlook.UNPROVEN, False),
        (ranked("unknown", "up"), False, "b", Outlook.BACKUP, False),
        # a sorry member serves when nobody else does, and proves nothing
        ((*pool("up"), sorry(UP)), False, "a", Outlook.PROVEN, False),
        ((*pool("unknown"), sorry(UP)), False, "a", Outlook.UNPROVEN, False),
        ((*pool("down"), sorry(UP)), False, "z", Outlook.SORRY, True),
        ((*pool("down"), sorry(UNKNOWN)), False, "z", Outlook.SORRY, True),
        ((*pool("down"), sorry(DOWN)), False, "", Outlook.NOBODY, True),
        ((Member("a", 1000, UP, MAINT), sorry(UP)), False, "z", Outlook.SORRY, True),
        ((Member("a", 1000, DOWN), sorry(UP, MAINT)), False, "", Outlook.NOBODY, True),
        ((Member("a", 1000, DOWN), sorry(UP, DRAIN)), False, "", Outlook.NOBODY, True),
    ],
)
def test_a_failing_check_gives_way_only_if_there_is_somewhere_better(
    members: tuple[Member, ...], *, keep_last: bool, serving: str, outlook: Outlook, failed: bool
) -> None:
    selection = select(PoolRule(keep_last=keep_last), members, NOW)
    assert "".join(member.name for member in selection.members if member.duty is SERVE) == serving
    assert (selection.outlook, selection.failed) == (outlook, failed)


def test_the_last_to_serve_is_kept_and_the_long_dead_are_not_called_back() -> None:
    long_dead = Member("a", 1000, DOWN, since=EARLIER)
    just_fell = Member("b", 1000, DOWN, since=NOW, serving_since=EARLIER)
    selection = select(PoolRule(keep_last=True), (long_dead, just_fell), NOW)
    assert selection.of("a") == Effective("a", OUT, 0, Reason.DOWN)
    assert selection.of("b") == Effective("b", SERVE, 1000, Reason.NOWHERE_BETTER, EARLIER)


@pytest.mark.req("B-12")
@pytest.mark.parametrize(
    ("threshold", "window_s", "fell", "of", "suspected"),
    [
        (0.0, 1, (10, 10, 10, 10), 4, ""),  # off
        (0.5, 1, (10, 10.5), 4, ""),  # half is not more than half
        (0.5, 1, (10, 10.5, 11), 4, "abc"),
        (0.5, 1, (10, 10.5, 11.000001), 4, ""),  # too far apart
        (0.5, 1, (1, 10, 10.5, 11), 4, "bcd"),  # one was dead long before
        (0.5, 1, (10, 10, 10, 10), 4, "abcd"),
        (0.4, 1, (10,), 2, ""),  # one alone is never suspicious
        (0.4, 1, (10,), 1, ""),
        (0.4, 1, (10, 10), 2, "ab"),
        (0.25, 1, (1, 1.5, 10, 10.5), 5, "abcd"),  # two blows
        (0.0001, 0, (10, 10, 11), 9, "ab"),
        (1.0, 60, (10, 11, 12), 3, ""),  # more than all is never reached
    ],
)
def test_many_falls_at_once_throw_suspicion_on_the_checker(
    threshold: float, window_s: float, *, fell: tuple[float, ...], of: int, suspected: str
) -> None:
    members = pool(*["down"] * len(fell), *["up"] * (of - len(fell)), fell=fell)
    rule = PoolRule(panic_threshold=threshold, panic_window=timedelta(seconds=window_s))
    assert "".join(members[place].name for place in sorted(suspicious_falls(rule, members))) == suspected
    selection = select(rule, members, NOW)
    kept = "".join(m.name for m in selection.members if m.reason is Reason.CHECKER_SUSPECTED)
    assert kept == suspected
    assert all(selection.of(name).duty is SERVE for name in suspected)
    assert (selection.outlook is Outlook.CHECKER_SUSPECTED) == bool(suspected)


def test_a_share_is_counted_exactly_however_the_float_falls() -> None:
    members = tuple(Member(str(n), 1, DOWN if n < 29 else UP, since=EARLIER) for n in range(100))
    assert suspicious_falls(PoolRule(panic_threshold=0.29), members) == frozenset()


def test_two_members_of_one_name_are_two_members() -> None:
    """One server on two ports: the fall of one is not the fall of the other."""
    fell = [Member("web1", 1, DOWN, since=NOW), Member("web2", 1, DOWN, since=NOW)]
    members = (*fell, Member("web1", 1, DOWN, since=EARLIER), Member("web3", 1, UP, since=EARLIER))
    decided = select(PoolRule(panic_threshold=0.4), members, NOW).members
    assert [member.duty for member in decided] == [SERVE, SERVE, OUT, SERVE]


def test_suspicion_ends_when_enough_have_risen_and_the_rest_look_dead() -> None:
    rule = PoolRule(panic_threshold=0.5)
    risen = pool("up", "down", "up", "down", fell=(10, 10))
    selection = select(rule, risen, NOW)
    assert selection.outlook is Outlook.PROVEN
    assert [m.duty for m in selection.members] == [SERVE, OUT, SERVE, OUT]


@pytest.mark.req("B-12")
def test_the_checkers_own_uplink_cut_does_not_empty_the_pool() -> None:
    everyone = pool(*["down"] * 5, fell=(10, 10.1, 10.2, 10.3, 10.4))
    selection = select(PoolRule(panic_threshold=0.6), everyone, NOW)
    assert all(member.duty is SERVE for member in selection.members)
    assert selection.failed  # and yet a tracking VIP may look for a node that sees better


@pytest.mark.req("B-14")
def test_a_server_added_under_load_waits_for_proof_and_then_starts_slowly() -> None:
    rule = PoolRule(slow_start=timedelta(seconds=10))
    old = Member("old", 1000, UP, since=EARLIER, serving_since=EARLIER)
    waiting = select(rule, (old, Member("new", 1000)), NOW)
    assert waiting.of("new") == Effective("new", Duty.DRAIN, 0, Reason.AWAITING_PROOF)
    proven = select(rule, (old, Member("new", 1000, UP, since=NOW)), NOW)
    assert proven.of("new") == Effective("new", SERVE, 90, Reason.SLOW_START, NOW)
    assert proven.deadline == Deadline(NOW + timedelta(seconds=1), "slow start")
    later = NOW + timedelta(seconds=10)
    done = select(rule, (old, Member("new", 1000, UP, since=NOW, serving_since=NOW)), later)
    assert done.of("new") == Effective("new", SERVE, 1000, Reason.UP, NOW)
    assert done.deadline is None


def test_a_member_kept_by_suspicion_does_not_start_slowly_when_it_rises() -> None:
    rule = PoolRule(panic_threshold=0.4, slow_start=timedelta(seconds=60))
    kept = select(rule, pool("down", "down", "up", fell=(10, 10)), NOW).of("a")
    risen = Member("a", 1000, UP, since=NOW, serving_since=kept.serving_since)
    assert select(rule, (risen,), NOW).of("a").weight == 1000


@pytest.mark.parametrize("threshold", [-0.1, 1.1])
def test_a_panic_threshold_outside_its_range_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        PoolRule(panic_threshold=threshold)


def instants() -> st.SearchStrategy[Instant]:
    return st.integers(900, 1000).map(Instant.of_seconds)


MEMBERS = st.lists(
    st.builds(
        Member,
        name=st.just(""),
        weight=st.sampled_from([0, 1, 1000]),
        health=st.sampled_from(Health),
        admin=st.sampled_from(AdminState),
        since=st.none() | instants(),
        serving_since=st.none() | instants(),
        priority=st.sampled_from([100, 100, 50]),
        sorry=st.sampled_from([False, False, False, True]),
    ),
    max_size=8,
).map(lambda made: tuple(_named(number, member) for number, member in enumerate(made)))
RULES = st.builds(
    PoolRule,
    panic_threshold=st.sampled_from([0.0, 0.2, 0.5, 1.0]),
    panic_window=st.sampled_from([timedelta(seconds=1), timedelta(seconds=200)]),
    slow_start=st.sampled_from([timedelta(0), timedelta(seconds=30)]),
    keep_last=st.booleans(),
)


def _named(number: int, member: Member) -> Member:
    return Member(
        str(number),
        member.weight,
        member.health,
        member.admin,
        since=None if member.health is UNKNOWN else member.since,
        serving_since=member.serving_since,
        priority=member.priority,
        sorry=member.sorry,
    )


@given(rule=RULES, members=MEMBERS)
def test_for_any_pool_the_promises_of_a_policy_hold(rule: PoolRule, members: tuple[Member, ...]) -> None:
    selection = select(rule, members, NOW)
    assert [effective.name for effective in selection.members] == [member.name for member in members]
    for member, effective in zip(members, selection.members, strict=True):
        assert (effective.weight > 0) == (effective.duty is SERVE) == (effective.serving_since is not None)
        assert effective.weight <= member.weight
        if member.admin is not READY:
            assert effective.duty is not SERVE
        if member.admin is MAINT:
            assert effective.duty is OUT
        if member.health is UP and member.admin is READY and member.weight:
            assert effective.duty is SERVE or effective.reason is Reason.STANDS_BY
        if member.health is not DOWN and member.admin is not MAINT:
            assert effective.duty is not OUT
    serves = [effective for effective in selection.members if effective.duty is SERVE]
    nobody = selection.outlook is Outlook.NOBODY
    assert nobody == (not serves)
    serving = {(member.priority, False) if not member.sorry else (0, True) for member in members_of(members, serves)}
    assert len(serving) <= 1
    standing_by = [e for e in selection.members if e.reason is Reason.STANDS_BY]
    assert not standing_by or serves, "whoever stands by does so for somebody"
    for member in members_of(members, standing_by):
        assert member.sorry or all(other.priority > member.priority for other in members_of(members, serves))


def members_of(members: tuple[Member, ...], chosen: list[Effective]) -> list[Member]:
    names = {effective.name for effective in chosen}
    return [member for member in members if member.name in names]


@given(rule=RULES, members=MEMBERS)
def test_nobody_who_serves_stops_serving_unless_a_person_or_a_better_member_says_so(
    rule: PoolRule, members: tuple[Member, ...]
) -> None:
    keeping = PoolRule(rule.panic_threshold, rule.panic_window, rule.slow_start, keep_last=True)
    selection = select(keeping, members, NOW)
    candidates = [m for m in members if m.admin is READY and m.weight and not m.sorry]
    highest = max((m.priority for m in candidates if m.serving_since is not None), default=0)
    better = any(member.health is not DOWN for member in candidates) or selection.outlook is Outlook.CHECKER_SUSPECTED
    for member in candidates:
        if member.serving_since is not None and member.priority == highest and not better:
            assert selection.of(member.name).duty is SERVE


@given(rule=RULES, members=MEMBERS)
def test_the_order_of_members_changes_nothing_but_the_order(rule: PoolRule, members: tuple[Member, ...]) -> None:
    one, other = select(rule, members, NOW), select(rule, reversed(members), NOW)
    assert one.members == tuple(reversed(other.members))
    assert (one.outlook, one.failed, one.deadline) == (other.outlook, other.failed, other.deadline)


@given(rule=RULES, members=MEMBERS)
@example(
    rule=PoolRule(),
    members=(
        Member("proven", 1000, health=Health.UP),
        Member("had-served", 1000, health=Health.UNKNOWN, serving_since=NOW, priority=50),
    ),
)
@example(
    rule=PoolRule(keep_last=True),
    members=(
        Member("first", 1000, health=Health.DOWN, serving_since=NOW),
        Member("second", 1000, health=Health.DOWN, serving_since=NOW, priority=50),
    ),
)
def test_deciding_again_at_once_changes_nothing(rule: PoolRule, members: tuple[Member, ...]) -> None:
    first = select(rule, members, NOW)
    again = tuple(replace(m, serving_since=e.serving_since) for m, e in zip(members, first.members, strict=True))
    assert select(rule, again, NOW) == first
