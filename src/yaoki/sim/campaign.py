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
MAX_SHRINK_RUNS = 40
"""A run is made again at most so often to find fewer faults that fail it."""
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
    digest: str = ""
    trace: tuple[str, ...] = ()


def run_seed(
    topology: Topology,
    seed: int,
    *,
    until_us: int,
    chosen: tuple[int, ...] | None = None,
    digested: bool = False,
    traced: int = 0,
) -> Outcome:
    """One world from its beginning to `until_us`, or to what it breaks on. `traced` lines of its trace are kept."""
    mix, settle = mix_of(seed, topology), settling_us(topology)
    began = process_time()
    world = World(topology, seed, forwarding_untouched=mix.forwarding_untouched, digested=digested)
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


def shrink(topology: Topology, failed: Outcome) -> Outcome:
    """The same failure with as few faults as can be found in MAX_SHRINK_RUNS runs: first the latest alone, then without
    each in turn."""
    best, runs = failed, 0
    numbers = [fault.number for fault in failed.begun]
    until_us = failed.simulated_us

    def still_fails(chosen: Sequence[int]) -> Outcome | None:
        nonlocal runs
        runs += 1
        outcome = run_seed(topology, failed.seed, until_us=until_us, chosen=tuple(chosen))
        return outcome if _kind(outcome) == _kind(failed) else None

    count = 1
    while count < len(numbers) and runs < MAX_SHRINK_RUNS:
        fewer = still_fails(numbers[-count:])
        if fewer is not None:
            best, numbers = fewer, numbers[-count:]
            break
        count *= 2
    for number in tuple(numbers):
        if runs >= MAX_SHRINK_RUNS or len(numbers) == 1:
            break
        fewer = still_fails([each for each in numbers if each != number])
        if fewer is not None:
            best, numbers = fewer, [each for each in numbers if each != number]
    return best


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
