"""A whole rehearsal: the lab goes up, the scenarios are run, the lab goes down, whatever happens.

A janitor outlives the rehearsal if it is killed, and removes the lab then.
"""

import os
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from yaoki.lab.catalogue import Scenario
from yaoki.lab.crew import Crew
from yaoki.lab.injector import Injector
from yaoki.lab.janitor import Janitor
from yaoki.lab.lab import Lab
from yaoki.lab.rehearsal import RECOVERY_LIMIT, RETRIES, Phase, Rehearsal, Watcher
from yaoki.lab.row import Row
from yaoki.lab.software import NodeSoftware
from yaoki.lab.software_yaoki import Yaoki
from yaoki.lab.state import BASE
from yaoki.site.model import Site


class Unwatched:
    """A watcher that looks away."""

    def begins(self, *_: object) -> None: ...

    def void(self, _: Row) -> None: ...

    def ended(self, _: Row) -> None: ...


def rehearse(
    site: Site,
    file: Path,
    scenarios: Sequence[Scenario],
    *,
    software: Callable[[Lab], NodeSoftware] = Yaoki,
    watcher: Watcher | None = None,
    prepare: Callable[[Lab], None] = lambda _: None,
    injector: Callable[[Lab, NodeSoftware], Injector] = Injector,
    patience: timedelta = RECOVERY_LIMIT,
    phase: Phase | None = None,
    retries: int = RETRIES,
    base: Path = BASE,
) -> tuple[Row, ...]:
    """The rows of these scenarios. `prepare` is called when the lab is built, before its nodes start; `injector`
    breaks and mends; `patience` is how long a survivable outage is watched until it ends; `phase` is that of the fault
    within the advertisement interval; a void row is repeated at most `retries` times."""
    lab = Lab(site, file, base=base)
    janitor = Janitor(base=base, site=site.name)
    try:
        lab.up(holder=os.getpid())
        try:
            prepare(lab)
            nodes = software(lab)
            for node in site.nodes:
                nodes.start(node.name)
            crew = Crew(lab)
            try:
                breaking = injector(lab, nodes)
                rehearsal = Rehearsal(
                    lab, nodes, crew, injector=breaking, patience=patience, phase=phase, retries=retries
                )
                return rehearsal.run(scenarios, watcher or Unwatched())
            finally:
                crew.close()
        finally:
            lab.down()
    finally:
        janitor.dismiss()
