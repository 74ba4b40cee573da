"""Which members copy flows to each other, and which of them do so unsigned."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

from yaoki.lb.service import Forward
from yaoki.site.model import Site, Vip


@dataclass(frozen=True, slots=True)
class UnsignedCopies:
    """Two members of a VIP that copy flows of `service`, among others, and share no VIP with keys."""

    vip: str
    members: tuple[str, str]
    service: str


def unsigned_copies(site: Site) -> Iterable[UnsignedCopies]:
    """One for each VIP that has such members."""
    signed = {pair for vip in site.vips if vip.authentication is not None for pair in _pairs(vip)}
    copied: dict[str, str] = {}
    for service in site.services:
        ways = (server.forward or service.forward for server in service.recipients)
        if service.copy_flows and any(way is not Forward.FULLNAT for way in ways):
            copied.setdefault(service.vip, service.name)
    for vip in site.vips:
        pair = next((pair for pair in _pairs(vip) if pair not in signed), None)
        if pair is not None and vip.name in copied:
            yield UnsignedCopies(vip.name, pair, copied[vip.name])


def _pairs(vip: Vip) -> Iterable[tuple[str, str]]:
    return combinations(sorted(member.node for member in vip.members), 2)
