"""How a failing run is made small: by leaving faults out and making them shorter."""

from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from yaoki.sim.campaign import Broken, Outcome
from yaoki.sim.faults import Injection, Reloaded
from yaoki.sim.schedule import SHORTEST_FAULT_US
from yaoki.sim.shrinking import MAX_RUNS, THROWS, Choice, Shrinking
from yaoki.sim.timeline import SECOND

SETTLE_US = 10 * SECOND
FAULTS = tuple(Injection(number, number * SECOND, 8 * SECOND, Reloaded("lb1")) for number in range(1, 41))


def outcome(chosen: Choice | None, throw: int, *, invariant: str | None) -> Outcome:
    lasting = {each.number: each.lasts_us for each in chosen or ()}
    begun = tuple(
        Injection(fault.number, fault.begins, lasting.get(fault.number) or fault.lasts, fault.fault)
        for fault in FAULTS
        if chosen is None or fault.number in lasting
    )
    broken = None if invariant is None else Broken(invariant, "", 50 * SECOND, ())
    return Outcome(7, "mix", 50 * SECOND, 0.0, 0, (), begun, broken, chosen, throw)


@dataclass(slots=True)
class Runs:
    """Fails where `fails` says so, with the chosen faults and the throw; remembers how often it was asked."""

    fails: Callable[[dict[int, int | None], int], str | None]
    asked: list[Choice] = field(default_factory=list)

    def __call__(self, chosen: Choice, throw: int, leave_us: int, /) -> Outcome:
        assert leave_us <= 50 * SECOND + SETTLE_US
        self.asked.append(chosen)
        return outcome(chosen, throw, invariant=self.fails({each.number: each.lasts_us for each in chosen}, throw))


def shrunk(fails: Callable[[dict[int, int | None], int], str | None]) -> tuple[Outcome, Runs]:
    runs = Runs(fails)
    return Shrinking(outcome(None, 0, invariant="one owner"), runs, settle_us=SETTLE_US).smallest(), runs


@given(st.sets(st.integers(1, 40), min_size=1, max_size=3))
def test_exactly_the_faults_that_are_needed_are_left(needed: set[int]) -> None:
    best, runs = shrunk(lambda faults, _: "one owner" if needed <= faults.keys() else None)
    assert {fault.number for fault in best.begun} == needed
    assert len(runs.asked) <= MAX_RUNS * THROWS


def test_a_failure_that_needs_no_fault_has_none() -> None:
    best, _ = shrunk(lambda _, __: "one owner")
    assert (best.begun, best.chosen) == ((), ())


def test_a_fault_that_is_left_is_made_as_short_as_still_fails() -> None:
    def fails(faults: dict[int, int | None], _: int) -> str | None:
        lasts = faults.get(5, 0)
        return "one owner" if lasts is None or lasts >= SECOND else None

    best, _ = shrunk(fails)
    assert [(fault.number, fault.lasts) for fault in best.begun] == [(5, SECOND)]


def test_none_becomes_shorter_than_the_shortest_fault() -> None:
    best, _ = shrunk(lambda faults, _: "one owner" if 5 in faults else None)
    assert SHORTEST_FAULT_US <= best.begun[0].lasts < 2 * SHORTEST_FAULT_US


def test_another_failure_is_not_the_same() -> None:
    """With few faults another invariant breaks; that would be a different finding."""
    best, _ = shrunk(lambda faults, _: "one owner" if len(faults) >= 20 else "gates armed")
    assert len(best.begun) == 20


def test_every_choice_has_several_throws_of_the_dice() -> None:
    best, _ = shrunk(lambda faults, throw: "one owner" if 5 in faults and throw == THROWS - 1 else None)
    assert [fault.number for fault in best.begun] == [5]
    assert best.throw == THROWS - 1


def test_what_does_not_come_again_stays_as_it_was() -> None:
    best, runs = shrunk(lambda _, __: None)
    assert best.chosen is None
    assert len(runs.asked) <= MAX_RUNS * THROWS


def test_equal_failures_shrink_equally() -> None:
    def fails(faults: dict[int, int | None], _: int) -> str | None:
        return "one owner" if {3, 17} <= faults.keys() or {5, 30} <= faults.keys() else None

    (first, runs), (second, again) = shrunk(fails), shrunk(fails)
    assert first == second
    assert runs.asked == again.asked
