"""What a move of its VIP does to the connections of each service, in plain words."""

from collections.abc import Iterable

from yaoki.lb.service import Forward
from yaoki.site.copying import unsigned_copies
from yaoki.site.model import Service, Site


def fates(site: Site) -> Iterable[str]:
    """One sentence for each service and forwarding method, where there is anywhere to move to."""
    for service in site.services:
        if len(site.vip(service.vip).members) > 1:
            ways = {server.forward or service.forward for server in service.recipients}
            for way in Forward:
                if way in ways:
                    yield f"service {service.name} ({way.value}): when {service.vip} moves, {_fate(service, way)}"


def strangers(site: Site) -> Iterable[str]:
    """One sentence for each VIP whose flows somebody else could tell its members."""
    for found in unsigned_copies(site):
        names = " and ".join(found.members)
        yield (
            f"copies of {found.vip}: {names} do not sign them (authentication), so whoever can send with an address of"
            " theirs on a network that both are on can tell them flows, to servers of its services."
        )


def _fate(service: Service, way: Forward) -> str:
    if way is Forward.FULLNAT:
        return "its flows are cut: servers answer an address of the node that had them."
    if way is Forward.NAT:
        return _COPIED if service.copy_flows else "its flows are cut: copy-flows is false."
    if len(service.servers) == 1:
        return "its flows go on: it has one server."
    if service.finds_again and service.persistence is None:
        if service.copy_flows:
            return "its flows go on: every member chooses the same server for them, and is told of those it would not."
        return "its flows go on while the servers stay the same: every member chooses the same server for them."
    if service.copy_flows:
        return _COPIED
    if service.scheduler.finds_again:
        return "flows that a full server passed on, or that persistence keeps elsewhere, are cut: copy-flows is false."
    return "most of its flows are cut, for they get a server anew: copy-flows is false."


_COPIED = "its flows go on: they are copied to the other members."
