"""The states, inputs and effects of a virtual router. What they lead to is in virtual_router.py.

Invariant: each state holds only its own timers, so a timer of another state cannot fire.
"""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import RouterParams

# --- states -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Initialize:
    """Section 6.4.1: takes no part. `current`: it stood by until now, out of quarantine, so going on is no return."""

    reason: Reason = Reason.CONFIGURED
    current: bool = False


@dataclass(frozen=True, slots=True)
class Backup:
    """Section 6.4.2: listening; takes over when active_down_at passes.

    `outlook` is the reason that taking over would have. `joining` until the first Active router is heard after a start.
    A router `held_out` lets the timer pass and is `alone` then. `roused` after the timer was found to have passed long
    ago, until an Active router is heard. `followed` is the Active router whose silence the timer measures, if any was
    heard, and `active_priority` what it last advertised; `lower_since` is since when only lower ones have been heard,
    while failback is delayed.
    """

    active_down_at: Instant
    active_adver_interval: timedelta
    outlook: Reason
    joining: bool = False
    held_out: bool = False
    alone: bool = False
    roused: bool = False
    followed: IPAddress | None = None
    active_priority: int | None = None
    lower_since: Instant | None = None


@dataclass(frozen=True, slots=True)
class Active:
    """Section 6.4.3: owns the addresses; advertises and announces. `announcements` counts those of this schedule."""

    since: Instant
    advertise_at: Instant
    advertised_at: Instant
    announce_at: Instant
    announced_at: Instant
    announcements: int
    suspected_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Leaving:
    """Beyond section 6.4: gave up with priority zero, and owns on until another router is heard to be Active.

    The others are told again at `advertise_at`. At `give_up_at` nobody has come: the addresses are released all the
    same, or, if this router `stays` as a Backup afterwards, it is Active again; so it is at once when it hears that an
    owner beside it leaves as well. Until `doubts_until` the owner before may have its last word, which is of the least
    priority.
    """

    reason: Reason
    since: Instant
    advertise_at: Instant
    give_up_at: Instant
    stays: bool = False
    doubts_until: Instant | None = None


@dataclass(frozen=True, slots=True)
class Yielding:
    """Beyond section 6.4: `peer` is Active and was heard; the addresses are held until `release_at`, because it may
    advertise before it has them. `then` is what this router is afterwards."""

    release_at: Instant
    then: Backup | Initialize
    reason: Reason
    peer: IPAddress
    peer_priority: int


State = Initialize | Backup | Active | Leaving | Yielding
Owning = Active | Leaving | Yielding
"""The states in which the addresses are held."""

# --- inputs, besides TimerFired ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Startup:
    """The interface is there. `held`: the kernel already holds our addresses, marked as ours."""

    held: bool = False


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Give up, telling the others, and take no part any more."""

    reason: Reason = Reason.STOPPED


@dataclass(frozen=True, slots=True)
class StepAside:
    """Give the addresses to another router, and stand by from then on."""

    reason: Reason = Reason.MOVED


@dataclass(frozen=True, slots=True)
class InterfaceLost:
    """The interface is down or has no address to send from: nobody can be told."""

    reason: Reason = Reason.INTERFACE_DOWN


@dataclass(frozen=True, slots=True)
class LinkRenewed:
    """The neighbours may look elsewhere: the interface was down unseen, or hangs on another switch now, or somebody
    else has claimed the addresses."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A valid advertisement for this router. `at` is when the kernel received it, never after `now`. `peak` is the
    highest priority that `source` has advertised since this router last became Backup, 0 if that is not known."""

    advertisement: Advertisement
    source: IPAddress
    at: Instant
    peak: int = 0


@dataclass(frozen=True, slots=True)
class ActiveGone:
    """The Active router has said elsewhere, at `at`, that it owns no more: it lost its interface here, so no priority
    zero can come. `next_in_line`: no other member would take over before us."""

    at: Instant
    next_in_line: bool


@dataclass(frozen=True, slots=True)
class Admit:
    """A person, or a check of its data, lets a router that is held out or in quarantine own again."""


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """Other parameters under the same key, taken without leaving the state; tracking changes the priority by it."""

    params: RouterParams


Input = (
    TimerFired | Heard | Startup | Shutdown | StepAside | InterfaceLost | ActiveGone | LinkRenewed | Admit | Reconfigure
)

# --- effects ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Advertise:
    """Send an advertisement with this priority."""

    priority: int


@dataclass(frozen=True, slots=True)
class ClaimAddresses:
    """Hold these addresses, and answer for them."""

    addresses: tuple[IPInterface, ...]


@dataclass(frozen=True, slots=True)
class ReleaseAddresses:
    """Hold these addresses no longer."""

    addresses: tuple[IPInterface, ...]


@dataclass(frozen=True, slots=True)
class AnnounceAddresses:
    """Tell the neighbours that these addresses are here."""

    addresses: tuple[IPInterface, ...]


@dataclass(frozen=True, slots=True)
class HushAddresses:
    """Answer no more where these addresses are, for another router does, but take and serve what still comes. They are
    answered for again when they are claimed, and when they are released that is over as well."""

    addresses: tuple[IPInterface, ...]


Effect = Advertise | ClaimAddresses | ReleaseAddresses | AnnounceAddresses | HushAddresses | Emit

Outcome = tuple[State, list[Effect]]
"""The state after an input, and what is to be done, in order."""
