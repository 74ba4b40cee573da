"""Who takes what when machines fail: the owner of each VIP and the share of each server, before and after.

The same rules as the running site: the highest priority that is alive owns, a tie goes to the greater address (RFC 9568
6.4.3), VIPs of a sync group have the standing of the least of them, a service without servers lowers the priorities
that track it, servers share by weight.

Invariants: as long as one member of a VIP is alive, and the store's majority where it is owned by lease, it has exactly
one owner, which is alive; shares of a service with a living server add up to one.
"""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from typing import assert_never

from yaoki.core.address import Family
from yaoki.site.model import (
    Election,
    Service,
    Site,
    Track,
    TrackedCheck,
    TrackedInterface,
    TrackedRoute,
    TrackedService,
    Vip,
    VipMember,
)
from yaoki.site.survival import store_answers
from yaoki.vrrp.standing import standing


@dataclass(frozen=True, slots=True)
class VipOutcome:
    """The node that owns a VIP, before and after; None: nobody."""

    vip: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class ServerShare:
    """The share of a service's new flows that a server gets, 0..1."""

    host: str
    before: Fraction
    after: Fraction


@dataclass(frozen=True, slots=True)
class ServiceOutcome:
    """How a service is shared. `growth` is how many times its load a server gets at worst; None: nobody serves, or
    only backups, which had no load."""

    service: str
    shares: tuple[ServerShare, ...]

    @property
    def serving(self) -> tuple[str, ...]:
        """The servers that get new flows after it; empty: nobody serves."""
        return tuple(share.host for share in self.shares if share.after > 0)

    @property
    def growth(self) -> Fraction | None:
        grown = [share.after / share.before for share in self.shares if share.after > 0 and share.before > 0]
        return max(grown, default=None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a failure leads to."""

    vips: tuple[VipOutcome, ...]
    services: tuple[ServiceOutcome, ...]


def what_if(site: Site, failed: Collection[str]) -> Outcome:
    """What happens when these machines (nodes or hosts) fail together."""
    return Outcome(
        tuple(VipOutcome(vip.name, owner(site, vip, ()), owner(site, vip, failed)) for vip in site.vips),
        tuple(_service(service, failed) for service in site.services if service.enabled),
    )


def owner(site: Site, vip: Vip, failed: Collection[str], *, away: str | None = None) -> str | None:
    """The node that owns a VIP once all has settled; None if every member has failed, or the store that would say who
    may. `away` lives, but is left out."""
    alive = [member for member in vip.members if member.node not in failed and member.node != away]
    if not alive or (vip.election is Election.LEASE and not store_answers(site.store, failed)):
        return None
    together = vips_with(site, vip)
    first = min(together, key=lambda one: one.name)
    return max(alive, key=lambda member: (_least(site, together, member, failed), _address(site, first, member))).node


def vips_with(site: Site, vip: Vip) -> tuple[Vip, ...]:
    """The VIPs that are owned together with one: itself, and those of its sync group."""
    group = site.sync_group_of(vip.name)
    return (vip,) if group is None else tuple(site.vip(name) for name in group.vips)


def _least(site: Site, vips: Collection[Vip], member: VipMember, failed: Collection[str]) -> int:
    """The standing that VIPs which are owned together leave a member."""
    return min(_priority(site, vip, member, failed) for vip in vips)


def _priority(site: Site, vip: Vip, member: VipMember, failed: Collection[str]) -> int:
    lost = [track.weight for track in vip.track if _fails(site, track, failed) != track.reverse]
    return standing(member.priority, lost).effective


def _fails(site: Site, track: Track, failed: Collection[str]) -> bool:
    """Whether what is tracked fails by these failures. Interfaces and routes of a living node are taken to be there."""
    match track.tracked:
        case TrackedService(name):
            return not _shares(site.service(name), failed)
        case TrackedCheck(_, target):
            return isinstance(target, str) and target in failed
        case TrackedInterface() | TrackedRoute():
            return False
        case _:
            assert_never(track.tracked)


def _address(site: Site, vip: Vip, member: VipMember) -> int:
    interface = site.machine(member.node).on_network(vip.network)
    family = Family.of(vip.addresses[0])
    address = None if interface is None else interface.address(family)
    return 0 if address is None else int(address)


def _service(service: Service, failed: Collection[str]) -> ServiceOutcome:
    before, after = _shares(service, ()), _shares(service, failed)
    nothing = Fraction(0)
    shares = [ServerShare(s.host, before.get(s.host, nothing), after.get(s.host, nothing)) for s in service.servers]
    return ServiceOutcome(service.name, tuple(shares))


def _shares(service: Service, failed: Collection[str]) -> dict[str, Fraction]:
    weights: dict[str, int] = {}
    able = [server for server in service.servers if server.host not in failed and server.weight > 0]
    highest = max((server.priority for server in able), default=0)
    for server in able:
        if server.priority == highest:
            weights[server.host] = weights.get(server.host, 0) + server.weight
    total = sum(weights.values())
    return {host: Fraction(weight, total) for host, weight in weights.items()}
