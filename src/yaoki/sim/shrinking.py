"""Makes a failure small: the same invariant of the same seed, broken by as few faults as possible, each as short as
possible.

Delta debugging (Zeller and Hildebrandt, 2002) over the seed's schedule, which is data: whole parts of it are left out,
smaller and smaller ones, until no fault can be spared; then each that is left is made shorter. What happens between the
faults falls otherwise once one of them is gone, so every choice is tried with several throws of the dice.

Invariant: equal failures shrink equally, and what comes out fails by itself, in the same way.
"""

from itertools import pairwise
from typing import Protocol

from yaoki.sim.campaign import Chosen, Outcome, run_seed
from yaoki.sim.schedule import SHORTEST_FAULT_US, UNHURRIED, Pace
from yaoki.sim.settling import settling_us
from yaoki.sim.topology import Topology

MAX_RUNS = 150
"""A run is made again at most so often with each throw of the dice."""
THROWS = 4
HALVES = 2

Choice = tuple[Chosen, ...]


class Run(Protocol):
    """The failing run again, with these faults only; it may end at `leave_us`."""

    def __call__(self, chosen: Choice, throw: int, leave_us: int, /) -> Outcome: ...


def shrink(topology: Topology, failed: Outcome, *, until_us: int, pace: Pace = UNHURRIED) -> Outcome:
    """The same failure of a run to `until_us`, as small as it becomes in MAX_RUNS runs of each throw."""

    def run(chosen: Choice, throw: int, leave_us: int) -> Outcome:
        return run_seed(
            topology, failed.seed, until_us=until_us, pace=pace, chosen=chosen, throw=throw, leave_us=leave_us
        )

    return Shrinking(failed, run, settle_us=settling_us(topology)).smallest()


class Shrinking:
    """`best` is the smallest failure so far. What fails without a fault may show `settle_us` later."""

    def __init__(self, failed: Outcome, run: Run, *, settle_us: int) -> None:
        assert failed.broken is not None, "only a failure is made smaller"
        self.best = failed
        self._run = run
        self._invariant = failed.broken.invariant
        self._leave_us = failed.broken.at_us + settle_us
        self._settle_us = settle_us
        self._runs = 0

    def smallest(self) -> Outcome:
        """The smallest failure to be found; what one throw has left over is tried with the next."""
        for throw in range(THROWS):
            self._runs = 0
            self._leave_out(throw)
            self._shorten(throw)
        return self.best

    def _leave_out(self, throw: int) -> None:
        """ddmin: try parts of the faults alone, then without each part; then smaller parts."""
        if self._fails((), throw):
            return
        count = HALVES
        while len(faults := self._faults()) > 1:
            count = min(count, len(faults))
            parts = _parts(faults, count)
            rest = [tuple(fault for fault in faults if fault not in part) for part in parts]
            # The latest are the likeliest causes. Of two halves, each is all but the other.
            if any(self._fails(part, throw) for part in parts[::-1]):
                count = HALVES
            elif count > HALVES and any(self._fails(others, throw) for others in rest):
                count -= 1
            elif count < len(faults):
                count *= HALVES
            else:
                return

    def _shorten(self, throw: int) -> None:
        """Halve what each of the faults lasts for as long as it still fails."""
        for number in [fault.number for fault in self._faults()]:
            while (shorter := self._halved(number)) is not None and self._fails(shorter, throw):
                pass

    def _halved(self, number: int) -> Choice | None:
        lasting = next((fault.lasts for fault in self.best.begun if fault.number == number), 0)
        if lasting < HALVES * SHORTEST_FAULT_US:
            return None
        half = Chosen(number, lasting // HALVES)
        return tuple(half if fault.number == number else fault for fault in self._faults())

    def _faults(self) -> Choice:
        """Those that had begun when it failed, as they were."""
        known = {} if self.best.chosen is None else {each.number: each for each in self.best.chosen}
        return tuple(known.get(fault.number, Chosen(fault.number)) for fault in self.best.begun)

    def _fails(self, chosen: Choice, throw: int) -> bool:
        """Whether these faults fail the same way; then they are the best so far."""
        if self._runs >= MAX_RUNS:
            return False
        self._runs += 1
        outcome = self._run(chosen, throw, self._leave_us)
        if outcome.broken is None or outcome.broken.invariant != self._invariant:
            return False
        self.best = outcome
        self._leave_us = min(self._leave_us, outcome.broken.at_us + self._settle_us)
        return True


def _parts(faults: Choice, count: int) -> list[Choice]:
    """`faults` in `count` parts of about the same size, in order."""
    ends = [len(faults) * part // count for part in range(count + 1)]
    return [faults[start:end] for start, end in pairwise(ends)]
