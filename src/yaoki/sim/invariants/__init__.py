"""What must hold in every simulated world, whatever goes wrong. To add one: a class, and its line in INVARIANTS."""

from yaoki.sim.invariants.acceptance import TakesNothing
from yaoki.sim.invariants.claims import AlarmsTrue, ClaimsTold
from yaoki.sim.invariants.conduct import CausesExist, NoStorm, StopReleases
from yaoki.sim.invariants.copies import CopiesFindPlaces
from yaoki.sim.invariants.disabling import DisabledAsDeclared
from yaoki.sim.invariants.gates import ArmedWithPeers, SilencedFirst
from yaoki.sim.invariants.groups import GroupTogether
from yaoki.sim.invariants.health import SickRelieved
from yaoki.sim.invariants.hindrance import UnbarredByAnswer
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.leaks import LeakersOut
from yaoki.sim.invariants.leases import LeaseTakenInTime, NeverTwoOwners
from yaoki.sim.invariants.macs import VirtualMacOfOwner
from yaoki.sim.invariants.moves import PlannedMoves
from yaoki.sim.invariants.ownership import (
    HeldIsActive,
    KeptUntilTaken,
    NeighboursFollow,
    NothingMoves,
    OneOwner,
    OwnerlessBounded,
    RightOwner,
    TwoOwnersBounded,
)
from yaoki.sim.invariants.peers import PeersKnown
from yaoki.sim.invariants.replacement import ReplacedOwnsNothing
from yaoki.sim.invariants.stateful import QuarantineKept
from yaoki.sim.invariants.succession import AnsweredByOne
from yaoki.sim.invariants.tables import OwnerHasTables, TablesKept, TablesTrue, VerdictsEarned

INVARIANTS: tuple[type[Invariant], ...] = (
    OneOwner,
    RightOwner,
    GroupTogether,
    HeldIsActive,
    TakesNothing,
    KeptUntilTaken,
    PlannedMoves,
    AnsweredByOne,
    OwnerlessBounded,
    TwoOwnersBounded,
    SilencedFirst,
    ArmedWithPeers,
    NeverTwoOwners,
    LeaseTakenInTime,
    QuarantineKept,
    ReplacedOwnsNothing,
    VirtualMacOfOwner,
    NeighboursFollow,
    ClaimsTold,
    AlarmsTrue,
    NothingMoves,
    PeersKnown,
    SickRelieved,
    UnbarredByAnswer,
    TablesTrue,
    TablesKept,
    OwnerHasTables,
    LeakersOut,
    DisabledAsDeclared,
    VerdictsEarned,
    CopiesFindPlaces,
    StopReleases,
    NoStorm,
    CausesExist,
)

__all__ = ["INVARIANTS", "Invariant"]
