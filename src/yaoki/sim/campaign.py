"""Runs a world of a seed for so many simulated hours, with the faults of the seed's mix.

Invariant: the outcome of a seed depends on the site, the seed, the hours, the pace and the chosen faults only.
"""

import gc
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import process_time

from yaoki.sim.faults import Injection
from yaoki.sim.ledger import InvariantBroken
from yaoki.sim.schedule import UNHURRIED, Episode, Pace, episodes, mix_of
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Topology
from yaoki.sim.world import World

HOUR_US = 3600 * SECOND
TRACE_LINES = 120


@dataclass(frozen=True, slots=True)
class Chosen:
    """One fault of a seed's schedule by its number, that happens; `lasts_us`, if it is to be over sooner."""

    number: int
    lasts_us: int | None = None


@dataclass(frozen=True, slots=True)
class Broken:
    """What was wrong: an invariant's name, or "an engine raised"; at which time, and the newest records before it."""

    invariant: str
    what: str
    at_us: int
    trace: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one run. `chosen` are the faults that happened, if not all of the schedule did; `begun` are those that had
    begun when it ended; `digest` is of the whole trace and `trace` its end, if asked for."""

    seed: int
    mix: str
    simulated_us: int
    took_s: float
    happened: int
    kinds: tuple[tuple[str, int], ...]
    begun: tuple[Injection, ...]
    broken: Broken | None = None
    chosen: tuple[Chosen, ...] | None = None
    throw: int = 0
    digest: str = ""
    trace: tuple[str, ...] = ()


def run_seed(
    topology: Topology,
    seed: int,
    *,
    until_us: int,
    pace: Pace = UNHURRIED,
    chosen: tuple[Chosen, ...] | None = None,
    throw: int = 0,
    leave_us: int | None = None,
    digested: bool = False,
    traced: int = 0,
) -> Outcome:
    """One world from its beginning to `until_us`, or to what it breaks on. At `leave_us` it is looked at no further;
    `traced` lines of its trace are kept."""
    mix, settle = mix_of(seed, topology), settling_us(topology)
    began = process_time()
    world = World(topology, seed, throw=throw, forwarding_untouched=mix.forwarding_untouched, digested=digested)
    begun: list[Injection] = []
    broken: Broken | None = None
    with _without_collection():
        try:
            world.timeline.at(settle, world.ledger.settled)
            leave = until_us if leave_us is None else leave_us
            for whole in episodes(seed, topology, begins=settle, until=until_us, settle=settle, pace=pace):
                if world.timeline.now >= leave:
                    break
                episode = _only(whole, chosen)
                begun += episode.faults
                world.put_down(episode)
                world.run(episode.settled_at if leave_us is None else min(episode.settled_at, leave))
            world.run(max(leave, world.timeline.now))
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


def _only(episode: Episode, chosen: tuple[Chosen, ...] | None) -> Episode:
    if chosen is None:
        return episode
    lasts = {each.number: each.lasts_us for each in chosen}
    faults = tuple(_shortened(fault, lasts[fault.number]) for fault in episode.faults if fault.number in lasts)
    return Episode(faults, episode.settled_at)


def _shortened(fault: Injection, lasts_us: int | None) -> Injection:
    return fault if lasts_us is None else replace(fault, lasts=min(lasts_us, fault.lasts))


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
