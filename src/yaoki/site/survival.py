"""What a VIP can and cannot survive, by its election: the smallest losses that end it, and what a cut network does.

A leased VIP needs two things alive: one of its members, and a majority of the store. A VIP elected by VRRP needs one
member, and members that hear each other: when they do not, each of them owns, but for those that a gateway bars.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from yaoki.site.model import Election, Site, Store, StoreKind, TrackedCheck, Vip
from yaoki.vrrp.timing import active_down_interval


@dataclass(frozen=True, slots=True)
class Survival:
    """What one VIP stands. `losses` is the number of machines, any ones at all, that may fail and leave an owner;
    `fatal` holds the fewest machines whose failure leaves none: all members, and where the VIP is owned by lease those
    that take the store's majority. `two_owners`: whether a network that is cut in two can make two owners."""

    vip: str
    election: Election
    losses: int
    fatal: tuple[tuple[str, ...], ...]
    two_owners: bool


@dataclass(frozen=True, slots=True)
class Gateway:
    """What each member must reach to take a VIP over (a tracked check without a weight). A member that is cut off knows
    it after `detection` at worst; it would take over after `takeover` at the earliest, and is hindered only if it knows
    before that."""

    check: str
    target: str
    detection: timedelta
    takeover: timedelta

    @property
    def in_time(self) -> bool:
        return self.detection < self.takeover


def gateways(site: Site, vip: Vip) -> tuple[Gateway, ...]:
    """The gateways of a VIP that is elected by VRRP and has several members."""
    if vip.election is not Election.VRRP or len(vip.members) < 2:
        return ()
    second = sorted(member.priority for member in vip.members)[-2]
    # The owner may be cut off just before its next advertisement was due.
    takeover = active_down_interval(version=vip.version, priority=second, interval=vip.advertise) - vip.advertise
    members = {member.node for member in vip.members}
    return tuple(
        Gateway(tracked.check, str(tracked.target), site.check(tracked.check).schedule.longest_detection, takeover)
        for track in vip.track
        if isinstance(tracked := track.tracked, TrackedCheck) and track.weight is None and not track.reverse
        if tracked.target not in members
    )


def survival(site: Site, vip: Vip) -> Survival:
    """What a VIP stands."""
    members = tuple(member.node for member in vip.members)
    mute = _store_loss(site.store, members, ()) if vip.election is Election.LEASE else None
    fatal = [members] if mute is None else [members, mute]
    fatal = [loss for loss in fatal if not any(set(other) < set(loss) for other in fatal)]
    return Survival(
        vip.name,
        vip.election,
        losses=min(len(loss) for loss in fatal) - 1,
        fatal=tuple(dict.fromkeys(fatal)),
        two_owners=vip.election is Election.VRRP and len(members) > 1,
    )


def store_answers(store: Store | None, failed: Collection[str]) -> bool:
    """Whether a store works without these machines. Members at an address that is no machine's of the site live."""
    if store is None:
        return False
    if store.kind is StoreKind.IN_PROCESS:
        return True
    return sum(member.machine not in failed for member in store.members) >= store.majority


def loss_that_mutes(site: Site, vip: Vip) -> tuple[str, ...] | None:
    """The fewest machines, with as many of the VIP's members as can be, that take the store's majority while another
    member lives on; None if there are no such."""
    members = tuple(member.node for member in vip.members)
    # The member of least priority is the last to be left alive, as its operator would think of it.
    found = [_store_loss(site.store, members, (alive,)) for alive in reversed(members)]
    losses = [loss for loss in found if loss is not None]
    return min(losses, key=lambda loss: (len(loss), -sum(node in members for node in loss)), default=None)


def _store_loss(store: Store | None, members: Collection[str], spared: Collection[str]) -> tuple[str, ...] | None:
    """The fewest machines whose failure takes the store's majority, members of the VIP first."""
    if store is None or store.kind is StoreKind.IN_PROCESS:
        return None
    votes = Counter(member.machine for member in store.members if member.machine is not None)
    order = sorted(votes, key=lambda machine: (-votes[machine], machine not in members))
    lost: list[str] = []
    for machine in order:
        if not store_answers(store, lost):
            break
        if machine not in spared:
            lost.append(machine)
    return None if store_answers(store, lost) else tuple(lost)
