"""Seeds that once failed, as what failed them: a site, a seed of its packets, and faults. They are replayed for ever.

`yaoki sim` names the faults of a failing seed; they are written down here as values, because the schedule of a seed
changes whenever a kind of fault is added.
"""

from dataclasses import dataclass

from yaoki.sim.faults import Fault, Part, Paused


@dataclass(frozen=True, slots=True)
class OnceFailed:
    """One of them. `faults` are (begins at, lasts, fault) in seconds."""

    name: str
    site: str
    seed: int
    faults: tuple[tuple[float, float, Fault], ...]


ONCE_FAILED = (
    OnceFailed(
        # A Backup of higher priority, stopped for longer than its socket's buffer lasts, took a sticky VIP on waking.
        "a stopped Backup wakes to a full buffer",
        "three-nodes",
        111,
        ((234.286, 39.895, Paused("lb1", Part.SPEAKER)),),
    ),
)
