"""Peers of VIPs: whom unicast advertisements reach."""

from collections.abc import Iterable

from yaoki.core.address import Family
from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, families_of
from yaoki.site.source_map import Path
from yaoki.vrrp.params import Transport


def _peers_without_unicast(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if vip.peers and vip.transport is not Transport.UNICAST:
            what = f"{vip.name} names peers, but its advertisements go to the multicast group, where nobody is named"
            cure = "write transport: unicast, or remove peers"
            yield Finding(("vips", vip.name, "peers"), what, cure)


def _peer_off_network(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        prefixes = view.site.network(vip.network).prefixes
        for index, peer in enumerate(vip.peers):
            on_link = any(peer in prefix for prefix in prefixes) or (peer.version == 6 and peer.is_link_local)
            if not on_link:
                what = f"{peer} is in no prefix of the network {vip.network}: a router on the way spoils TTL 255"
                cure = f"name its address on {vip.network}"
                place: Path = ("vips", vip.name, "peers", index)
                yield Finding(place, what, cure, ("networks", vip.network, "prefixes"))


def _peer_is_vip(view: View) -> Iterable[Finding]:
    movable = {address.ip: vip.name for vip in view.site.vips for address in vip.addresses}
    for vip in view.site.vips:
        for index, peer in enumerate(vip.peers):
            if peer in movable:
                what = f"{peer} is an address of the VIP {movable[peer]}, which moves: it names no router"
                place: Path = ("vips", vip.name, "peers", index)
                cure = "name the router's own address"
                yield Finding(place, what, cure, ("vips", movable[peer], "addresses"))


def _peer_of_no_family(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        families = families_of(vip)
        for index, peer in enumerate(vip.peers):
            if Family.of(peer) not in families:
                what = f"{vip.name} has no IPv{peer.version} address, so nothing is sent to {peer}"
                cure = "name the router's address of the VIP's family"
                place: Path = ("vips", vip.name, "peers", index)
                yield Finding(place, what, cure, ("vips", vip.name, "addresses"))


RULES = (
    Rule(
        "peers-without-unicast",
        Severity.ERROR,
        "a VIP names peers, but advertises by multicast",
        _peers_without_unicast,
        firm=True,
        partial=True,
    ),
    Rule(
        "peer-off-network",
        Severity.ERROR,
        "a peer is not on the VIP's network, and its advertisements would be refused",
        _peer_off_network,
        firm=True,
        partial=True,
    ),
    Rule(
        "peer-is-vip",
        Severity.ERROR,
        "a peer's address is that of a VIP",
        _peer_is_vip,
        firm=True,
        partial=True,
    ),
    Rule(
        "peer-of-no-family",
        Severity.WARNING,
        "a peer's address is of a family that the VIP has no address of",
        _peer_of_no_family,
        partial=True,
    ),
)
