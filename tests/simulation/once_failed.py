"""Seeds that once failed, as what failed them: a site, a seed of its packets, and faults. They are replayed for ever.

`yaoki sim` names the faults of a failing seed; they are written down here as values, because the schedule of a seed
changes whenever a kind of fault is added.
"""

from dataclasses import dataclass

from yaoki.sim.faults import (
    Alteration,
    Between,
    Drained,
    Fault,
    Frozen,
    Killed,
    LinkStalled,
    Moved,
    Part,
    Partition,
    Paused,
    PlaneRefuses,
    PowerLost,
    Reconfigured,
    ServerFault,
    Stopped,
    StoreAway,
    StoreSlow,
)
from yaoki.sim.servers import Condition


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
    OnceFailed(
        # Its buffer had been full for a moment less than it waits, so it took the VIP as if it had been awake.
        "a stopped Backup wakes to a buffer that has just been full",
        "three-nodes",
        111,
        ((60.0, 15.0, Killed("lb1", Part.SPEAKER)), (160.3377, 8.4966, Paused("lb1", Part.SPEAKER))),
    ),
    OnceFailed(
        # Reached by its keeper before it was told what to want, it wanted nothing: the lease was free at once, and its
        # kernel still answered.
        "a speaker that begins anew gives its lease away",
        "leased",
        1,
        ((60.0, 0.169, Killed("lb1", Part.SPEAKER)),),
    ),
    OnceFailed(
        # The world put the time-out of a gate off that had passed long before.
        "a machine is frozen after its gate has shut",
        "fast",
        1,
        ((30.0, 8.0, Killed("lb1", Part.SPEAKER)), (35.0, 1.0, Frozen("lb1"))),
    ),
    OnceFailed(
        # The invariant counted the results of probes whose check was taken out and put back meanwhile.
        "a check is taken out and put back while its probe is under way",
        "three-nodes",
        1,
        (
            (60.0, 20.0, ServerFault("app2", Condition.DEAD)),
            (61.5, 0.3, Reconfigured("lb3", Alteration.SERVICE)),
            (62.3, 0.3, Reconfigured("lb3", Alteration.SERVICE)),
        ),
    ),
    OnceFailed(
        # The invariant took the store to answer as soon as it was quick again, while news that had been slow on its way
        # had yet to arrive, and kept back those that came later.
        "news of a slow store arrive when it is quick again",
        "stateful",
        30,
        ((40.0, 6.389, StoreSlow("lb2", 2_000_000)), (41.304, 4.283, StoreAway(None))),
    ),
    OnceFailed(
        # Its keeper went on renewing for as long as the owner's last wish counted, which the invariant did not know of.
        "an owner that gives way cannot tell its keeper",
        "leased",
        1,
        ((35.899, 10.0, PowerLost("lb1")), (48.94, 8.0, LinkStalled("lb2", Between.HOLDER))),
    ),
    OnceFailed(
        # Each waited for somebody to relieve it, and the invariant took the one that gave up first for somebody.
        "an operator stops every node at once",
        "three-nodes",
        2,
        (
            (40.0, 6.0, Stopped("lb2")),
            (42.0, 8.184, Frozen("lb1")),
            (49.862, 6.0, Stopped("lb1")),
            (50.0, 3.27, Stopped("lb3")),
        ),
    ),
    OnceFailed(
        # It takes an IPv6 address a moment after it speaks, and the invariant expected that of those only who had heard
        # an owner before.
        "a node that boots and hears nobody is heard by the owner",
        "three-nodes",
        1,
        ((40.0, 8.0, PowerLost("lb1")), (45.0, 12.0, Partition("front", ("lb2", "lb3"), one_way=True))),
    ),
    OnceFailed(
        # The invariant took a node that was told to leave before it was asked for anything for no relief.
        "a node is told to leave in the moment in which it takes over",
        "one-second",
        1,
        ((40.0, 0.042, Moved("lb1", "vip")), (40.002, 7.369, Moved("lb2", "vip"))),
    ),
    OnceFailed(
        # The invariant did not know of the pause that a node makes before it asks once more for what was refused.
        "the kernel takes tables again while a node pauses",
        "three-nodes",
        1,
        (
            (60.0, 15.0, PlaneRefuses("lb1")),
            (61.0, 40.0, Drained("app3")),
            (75.5, 0.1, Drained("app2")),
        ),
    ),
    OnceFailed(
        # Its successor, not believed yet, was told to stop: each served, and waited for the other to relieve it.
        "two that serve beside each other are told to leave",
        "one-second",
        1,
        ((40.0, 5.0, Moved("lb1", "vip")), (40.02, 5.0, Moved("lb2", "vip")), (40.3, 5.0, Stopped("lb1"))),
    ),
)
