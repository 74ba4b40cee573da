"""Runs worlds: one for each seed, for so many simulated hours, with the faults of the seed's mix.

A run that fails is made again with fewer and fewer of its faults, as long as it still fails the same way, and is then
named by its seed and the numbers of the faults left.

Invariant: the outcome of a seed depends on the site, the seed, the hours and the chosen faults only.
"""

import gc
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from time import process_time

from yaoki.sim.faults import Injection
from yaoki.sim.ledger import InvariantBroken
from yaoki.sim.schedule import Episode, episodes, mix_of
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Topology
from yaoki.sim.world import World

HOUR_US = 3600 * SECOND
TRACE_LINES = 120
MAX_SHRINK_RUNS = 60
"""A run is made again at most so often to find fewer faults that fail it."""
THROWS = 4
"""With fewer faults all that is left to chance falls otherwise, so several throws of the dice are tried."""
QUIET_TIMES = 2
"""Episodes of faults begin this many settling times apart, on average."""


@dataclass(frozen=True, slots=True)
class Broken:
    """What was wrong: an invariant's name, or "an engine raised"; at which time, and the newest records before it."""

    invariant: str
    what: str
    at_us: int
    trace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. `chosen` are the numbers of the faults that happened, if not all of the schedule did; `begun` are
    those that had begun when it ended; `digest` is of the whole trace and `trace` its end, if asked for."""

    seed: int
    mix: str
    simulated_us: int
    took_s: float
    happened: int
    kinds: tuple[tuple[str, int], ...]
    begun: tuple[Injection, ...]
    broken: Broken | None = None
    chosen: tuple[int, ...] | None = None
    throw: int = 0
    digest: str = ""
    trace: tuple[str, ...] = ()


def run_seed(
    topology: Topology,
    seed: int,
    *,
    until_us: int,
    chosen: tuple[int, ...] | None = None,
    throw: int = 0,
    digested: bool = False,
    traced: int = 0,
) -> Outcome:
    """One world from its beginning to `until_us`, or to what it breaks on. `traced` lines of its trace are kept."""
    mix, settle = mix_of(seed, topology), settling_us(topology)
    began = process_time()
    world = World(topology, seed, throw=throw, forwarding_untouched=mix.forwarding_untouched, digested=digested)
    begun: list[Injection] = []
    broken: Broken | None = None
    with _without_collection():
        try:
            world.timeline.at(settle, world.ledger.settled)
            every = QUIET_TIMES * settle
            for whole in episodes(seed, topology, begins=settle, until=until_us, settle=settle, every=every):
                episode = _only(whole, chosen)
                begun += episode.faults
                world.put_down(episode)
                world.run(episode.settled_at)
            world.run(max(until_us, world.timeline.now))
        except InvariantBroken as error:
            broken = Broken(error.name, error.what, world.timeline.now, tuple(world.trace.last(TRACE_LINES)))
        except Exception as error:
            # Here ends the world that raised it; the campaign reports its seed and goes on with the next.
            text = "".join(traceback.format_exception(error))
            broken = Broken("an engine raised", text, world.timeline.now, tuple(world.trace.last(TRACE_LINES)))
    return Outcome(
        seed,
        mix.name,
        world.timeline.now,
        process_time() - began,
        world.timeline.happened,
        tuple(sorted(world.injector.carried_out.items())),
        tuple(fault for fault in begun if fault.begins <= world.timeline.now),
        broken,
        chosen,
        throw,
        world.trace.digest(),
        tuple(world.trace.last(traced)) if traced else (),
    )


def run_seeds(topology: Topology, seeds: Sequence[int], *, until_us: int, jobs: int) -> Iterator[Outcome]:
    """One run for each seed, in order, in `jobs` processes at a time."""
    run = partial(run_seed, topology, until_us=until_us)
    if jobs == 1:
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(run, seeds)


def shrink(topology: Topology, failed: Outcome, *, until_us: int) -> Outcome:
    """The same failure of a run to `until_us` with as few faults as can be found in MAX_SHRINK_RUNS runs."""
    return _Shrinking(topology, failed, until_us).best


class _Shrinking:
    """First the latest faults alone, twice as many each time; then without each in turn."""

    def __init__(self, topology: Topology, failed: Outcome, until_us: int) -> None:
        self.best = failed
        self._topology = topology
        self._until_us = until_us
        self._runs = 0
        count = 1
        while count < len(failed.begun) and not self._still_fails(self._numbers[-count:]):
            count *= 2
        for number in self._numbers:
            if len(self.best.begun) > 1:
                self._still_fails([each for each in self._numbers if each != number])

    @property
    def _numbers(self) -> list[int]:
        return [fault.number for fault in self.best.begun]

    def _still_fails(self, chosen: Sequence[int]) -> bool:
        """Whether these faults fail the same way; then they are the best so far."""
        for throw in range(THROWS):
            if self._runs >= MAX_SHRINK_RUNS:
                return False
            self._runs += 1
            outcome = run_seed(
                self._topology, self.best.seed, until_us=self._until_us, chosen=tuple(chosen), throw=throw
            )
            if _kind(outcome) == _kind(self.best):
                self.best = outcome
                return True
        return False


def _kind(outcome: Outcome) -> str | None:
    return None if outcome.broken is None else outcome.broken.invariant


def _only(episode: Episode, chosen: tuple[int, ...] | None) -> Episode:
    if chosen is None:
        return episode
    return Episode(tuple(fault for fault in episode.faults if fault.number in chosen), episode.settled_at)


@contextmanager
def _without_collection() -> Iterator[None]:
    """A world makes no cycles worth collecting while it runs, and looking for them costs a fifth of its time. What was
    there before is not looked at when the world itself is collected."""
    collecting = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()
        if collecting:
            gc.enable()
