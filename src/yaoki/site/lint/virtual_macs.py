"""VIPs at virtual MAC addresses: what does not go together with them."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, server_path
from yaoki.site.model import Vip
from yaoki.site.source_map import Path
from yaoki.vrrp.standing import OWNER_PRIORITY
from yaoki.vrrp.virtual_mac import MacKind


def _virtual_mac_direct(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        vip = view.site.vip(service.vip)
        direct = (server for server in service.servers if view.forward_of(service, server).returns_directly)
        odd = next(direct, None)
        if vip.mac is not MacKind.VIRTUAL or odd is None:
            continue
        what = f"direct return sends on what comes to the interface's own MAC, and {vip.name} is at a virtual one"
        cure = "forward by nat or fullnat, or write mac: own"
        given = odd.forward is not None
        place: Path = server_path(service, odd, "forward") if given else ("services", service.name, "forward")
        yield Finding(place, what, cure, _mac_of(vip))


def _virtual_mac_owner(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        for member in vip.members:
            if vip.mac is MacKind.VIRTUAL and member.priority == OWNER_PRIORITY:
                what = (
                    f"priority 255 says that {member.node} has the addresses of {vip.name} on its interface, at its MAC"
                )
                place: Path = ("vips", vip.name, "members", member.node, "priority")
                yield Finding(place, what, "use 254 or less, or write mac: own", _mac_of(vip))


def _mac_of(vip: Vip) -> Path:
    return ("vips", vip.name, "mac")


RULES = (
    Rule(
        "virtual-mac-direct",
        Severity.ERROR,
        "a service with direct return is on a VIP at a virtual MAC",
        _virtual_mac_direct,
        firm=True,
        partial=True,
    ),
    Rule(
        "virtual-mac-owner",
        Severity.ERROR,
        "a VIP is at a virtual MAC, and a member has its addresses as its own",
        _virtual_mac_owner,
        firm=True,
        partial=True,
    ),
)
