"""A node's peers, from the site: who shares VIPs with it, and the networks that both are on.

So are a node and its cold standbys, which share no VIP; a node that was replaced has no peers, and is one of those that
it would hear, should it return with its former file: its successor and who shares VIPs with that.

Invariants: a peer has one path for each network that both are on with addresses of a common family, IPv4 before IPv6;
the interval follows the fastest VIP that is shared at all, and is the same to every peer.
"""

from yaoki.core.address import Family
from yaoki.packet.authentication_params import AuthenticationParams, strictest
from yaoki.site.model import Machine, Site, Vip
from yaoki.vrrp.peer_params import LONGEST_INTERVAL, HeartbeatParams, PeerParams, PeerPath, heartbeat_interval


def heartbeat_params(site: Site, node: Machine, generation: str) -> HeartbeatParams:
    """The heartbeats of one node."""
    if site.successor_of(node.name) is not None:
        return HeartbeatParams(node.name, generation)
    shared = [vip for vip in site.vips if len(vip.members) > 1 and _member(vip, node)]
    peers = []
    for other in site.nodes:
        vips = tuple(vip.name for vip in shared if other.name != node.name and _member(vip, other))
        told = _is_told(site, node, other)
        if vips or told or _stand_by(site, node, other):
            signed = _signed(site, node, other)
            peers.append(PeerParams(other.name, vips, paths(node, other), replaced=told, authentication=signed))
    interval = heartbeat_interval(min((vip.advertise for vip in shared), default=LONGEST_INTERVAL))
    return HeartbeatParams(node.name, generation, interval, tuple(peers))


def paths(node: Machine, other: Machine) -> tuple[PeerPath, ...]:
    """The ways from one node to another."""
    found = []
    for network in dict.fromkeys(interface.network for interface in node.interfaces):
        here, there = node.on_network(network), other.on_network(network)
        if here is None or there is None:
            continue
        for family in Family:
            own, peer = here.address(family), there.address(family)
            if own is not None and peer is not None:
                found.append(PeerPath(here.name, own, peer))
                break
    return tuple(found)


def _signed(site: Site, node: Machine, other: Machine) -> AuthenticationParams | None:
    """How the heartbeats of two nodes are signed: as the VIPs that they share, by name, whatever the order in the file;
    those of a cold standby, as the VIPs of the node that it stands by for. One that was replaced expects what it was
    used to, which its successor has now."""
    first, second = (site.successor_of(each.name) or each for each in (node, other))
    vips = [vip for vip in site.vips if _member(vip, first) and _member(vip, second)]
    if not vips and (first.name in second.standby_for or second.name in first.standby_for):
        stood_for = first if first.name in second.standby_for else second
        vips = [vip for vip in site.vips if _member(vip, stood_for)]
    by_name = sorted(vips, key=lambda vip: vip.name)
    return strictest(vip.authentication for vip in by_name if vip.authentication is not None)


def _is_told(site: Site, node: Machine, other: Machine) -> bool:
    """Whether `other` was replaced, and `node` is one to tell it."""
    successor = site.successor_of(other.name)
    if successor is None or other.name == node.name:
        return False
    return successor.name == node.name or any(_member(vip, node) and _member(vip, successor) for vip in site.vips)


def _stand_by(site: Site, node: Machine, other: Machine) -> bool:
    if site.successor_of(other.name) is not None:
        return False
    return node.name in other.standby_for or other.name in node.standby_for


def _member(vip: Vip, node: Machine) -> bool:
    return any(member.node == node.name for member in vip.members)
