"""Worlds of several sites in several processes, dealt so that every site gets the same share of the work.

A second of one site may cost fifty times as much as one of another, so it is not worlds that are counted but what
happened in them: the next world is of the site in which the least has happened so far.

Invariant: which worlds are run, and in which order their outcomes come, depends on sites, seeds, hours and pace only,
never on how fast anything was; nor on how many processes there are, up to FEWEST_AHEAD / AHEAD_PER_JOB of them.
"""

import signal
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from yaoki.sim.campaign import Outcome, run_seed
from yaoki.sim.schedule import UNHURRIED, Pace
from yaoki.sim.topology import Topology

FEWEST_AHEAD = 8
"""So many worlds at least are chosen before the first of them is looked at."""
AHEAD_PER_JOB = 2

Result = Callable[[], Outcome]


@dataclass(slots=True)
class _Share:
    """Of one site: its next seed and the end of its seeds, what has happened in `done` worlds, how many more there are
    under way."""

    number: int
    topology: Topology
    seed: int
    end: int | None
    happened: int = 0
    done: int = 0
    under_way: int = 0

    @property
    def worlds_left(self) -> bool:
        return self.end is None or self.seed < self.end

    def work(self) -> tuple[float, int]:
        """What has happened, and is about to by the experience so far; before there is any, how many have begun."""
        expected = self.under_way * self.happened / self.done if self.done else 0.0
        return self.happened + expected, self.done + self.under_way


def deal(
    topologies: Sequence[Topology],
    first: int,
    *,
    until_us: int,
    jobs: int,
    seeds: int | None = None,
    pace: Pace = UNHURRIED,
) -> Generator[tuple[int, Outcome], None, None]:
    """Outcomes with the numbers of their sites, `seeds` of each from `first` on (None: for ever), `jobs` at a time.
    Closing it ends what is under way."""
    end = None if seeds is None else first + seeds
    shares = [_Share(number, topology, first, end) for number, topology in enumerate(topologies)]
    ahead = max(FEWEST_AHEAD, AHEAD_PER_JOB * jobs)
    waiting: deque[tuple[_Share, Result]] = deque()
    with _processes(jobs) as submit:
        while True:
            while len(waiting) < ahead and (left := [share for share in shares if share.worlds_left]):
                share = min(left, key=_Share.work)
                world = partial(run_seed, share.topology, share.seed, until_us=until_us, pace=pace)
                waiting.append((share, submit(world)))
                share.seed += 1
                share.under_way += 1
            if not waiting:
                return
            share, result = waiting.popleft()
            outcome = result()
            share.under_way -= 1
            share.done += 1
            share.happened += outcome.happened
            yield share.number, outcome


@contextmanager
def _processes(jobs: int) -> Iterator[Callable[[Result], Result]]:
    """What takes a world and gives its result in time: with one job, by running it when it is asked for."""
    if jobs == 1:
        yield lambda world: world
        return
    # An interrupt is for the campaign, which has the others end what they are about.
    pool = ProcessPoolExecutor(jobs, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield lambda world: pool.submit(world).result
    finally:
        pool.shutdown(cancel_futures=True)
