"""Machines asked, by ARP and neighbour discovery, whether they are there: before one of them is declared dead.

Whoever has an address answers, whatever runs there. Each is asked several times, for a question or its answer may be
lost; what is not heard proves nothing about a machine behind a router, so only machines on a link of ours are asked.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import CheckId, CheckSpec, Finding, NeighbourParams, Outcome, Schedule
from yaoki.runtime.probes import neighbour
from yaoki.runtime.probes.loop import Job, ProbeLoop
from yaoki.vrrp.peer_params import PeerPath

TIMES = 3
TIMEOUT = timedelta(milliseconds=500)
_SCHEDULE = Schedule(interval=TIMEOUT, timeout=TIMEOUT)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of asking one machine on one path: the answer, or why none came the last time."""

    node: str
    path: PeerPath
    finding: Finding

    @property
    def answers(self) -> bool:
        return self.finding.passed

    @property
    def asked(self) -> bool:
        """Whether the question went out at all."""
        return self.finding.outcome in (Outcome.PASSED, Outcome.TIMED_OUT, Outcome.WRONG_ANSWER)


def ask(places: Sequence[tuple[str, PeerPath]]) -> tuple[Asked, ...]:
    """Ask all at once, and those that are silent again. Lasts TIMES * TIMEOUT at most."""
    found: dict[int, Finding] = {}
    for _ in range(TIMES):
        silent = [number for number in range(len(places)) if number not in found or not found[number].passed]
        found |= _ask_once({number: places[number][1] for number in silent})
    return tuple(Asked(node, path, found[number]) for number, (node, path) in enumerate(places))


def _ask_once(paths: dict[int, PeerPath]) -> dict[int, Finding]:
    found: dict[int, Finding] = {}
    loop = ProbeLoop(found.__setitem__)
    try:
        for number, path in paths.items():
            spec = CheckSpec(CheckId(path.peer, NeighbourParams(), path.own), _SCHEDULE, str(path.peer))
            job = Job(number, spec, time.monotonic_ns())
            loop.start(job, neighbour.probe(job))
        while loop:
            loop.turn(None)
    finally:
        loop.close()
    return found
