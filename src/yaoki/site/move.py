"""What `yaoki vip move` would do, by the site file: who takes the VIP over, how, and what its users feel of it.

The rules are those of the running node (yaoki.node.decisions): the owner goes down to the least priority and hands over
to the best of the others; who is named must be that one. Established flows of a service stay with their server where
the next node reckons the same one, or was told of them.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from yaoki.lb.service import Forward
from yaoki.site.model import Election, Service, Site, Vip
from yaoki.site.what_if import owner, vips_with
from yaoki.vrrp.standing import OWNER_PRIORITY


class Refusal(StrEnum):
    """Why a move would be refused, or would change nothing."""

    NO_OWNER = "no-owner"
    OWN_ADDRESS = "own-address"
    NO_SUCCESSOR = "no-successor"
    OTHER_FIRST = "other-first"


@dataclass(frozen=True, slots=True)
class Move:
    """A move from `before` to `after`. `refused` says why there is none; `after` is then who would have come first.

    `both_serve`: for a moment both nodes have the addresses, and nothing is lost; else the one is silent before the
    other serves. `cut` are the services whose established flows end, `along` the other VIPs of its sync group.
    """

    vip: str
    before: str | None
    after: str | None
    refused: Refusal | None
    both_serve: bool
    cut: tuple[str, ...]
    along: tuple[str, ...] = ()


def move(site: Site, vip: Vip, to: str | None, failed: Collection[str]) -> Move:
    """Move a VIP away from its owner while these machines are down; `to` is the node that shall have it, if any."""
    before = owner(site, vip, failed)
    after = None if before is None else owner(site, vip, failed, away=before)
    refused = _refused(vip, before, after, to)
    both_serve = vip.election is Election.VRRP
    if refused is not None:
        return Move(vip.name, before, after, refused, both_serve, ())
    along = tuple(other.name for other in vips_with(site, vip) if other.name != vip.name)
    cut = tuple(service.name for service in site.services if service.vip in (vip.name, *along) and _forgets(service))
    return Move(vip.name, before, after, None, both_serve, cut, along)


def _refused(vip: Vip, before: str | None, after: str | None, to: str | None) -> Refusal | None:
    if before is None:
        return Refusal.NO_OWNER
    if any(member.node == before and member.priority == OWNER_PRIORITY for member in vip.members):
        return Refusal.OWN_ADDRESS
    if after is None:
        return Refusal.NO_SUCCESSOR
    return Refusal.OTHER_FIRST if to is not None and to != after else None


def _forgets(service: Service) -> bool:
    """Whether the next node cannot know which server an established flow has."""
    forwards = {service.forward if server.forward is None else server.forward for server in service.recipients}
    told = service.copy_flows or service.finds_again
    kept = {Forward.NAT: service.copy_flows, Forward.DIRECT: told, Forward.TUNNEL: told}
    return service.enabled and not all(kept.get(forward, False) for forward in forwards)
