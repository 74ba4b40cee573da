"""What a node's wire observer is told of each virtual router: every machine that may answer for its addresses."""

from collections.abc import Sequence

from yaoki.core.address import IPAddress
from yaoki.site.model import Site, Vip
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.wire_params import WireMember, WireParams, question_pause


def wires_of(site: Site, routers: Sequence[RouterParams], node: str) -> tuple[WireParams, ...]:
    """The virtual routers of a node as its observer watches them."""
    count = sum(len(router.addresses) for router in routers)
    return tuple(
        WireParams(
            vip=router.vip,
            router=router.key,
            here=node,
            interval=router.interval,
            ask_every=question_pause(router.interval, addresses=count),
            addresses=tuple(address.ip for address in router.addresses),
            members=_members(site, site.vip(router.vip)),
        )
        for router in routers
    )


def _members(site: Site, vip: Vip) -> tuple[WireMember, ...]:
    """The nodes with their cold standbys, for one may have been told already to take a place; and peers that are no
    nodes, which go by their addresses and have no known priority."""
    nodes = [WireMember(m.node, m.priority, _addresses_on(site, m.node, vip.network)) for m in vip.members]
    here = {member.node: member.priority for member in vip.members}
    for node in site.nodes:
        places = [here[old] for old in node.standby_for if old in here]
        if places and node.name not in here:
            addresses = _addresses_on(site, node.name, vip.network)
            nodes.append(WireMember(node.name, max(places), addresses, stands_by=True))
    return (*nodes, *(WireMember(str(peer), 0, (peer,)) for peer in vip.peers))


def _addresses_on(site: Site, node: str, network: str) -> tuple[IPAddress, ...]:
    interface = site.machine(node).on_network(network)
    return () if interface is None else tuple(address.ip for address in interface.addresses)
