"""Refusal: a service without a server that takes new flows answers at once, with a reset or a port unreachable.

Packets of such a service are not translated or sent on by the other tables, so they come up the local stack of the
node that owns the VIP, and are refused there before any program of the node's own could take them.
"""

from collections.abc import Iterator

from yaoki.core.address import Family
from yaoki.lb.load import NOTHING_KNOWN, Load, open_servers
from yaoki.lb.service import VirtualService
from yaoki.linux.nftables_names import ADDRESS_TYPE, IP, REFUSAL, REFUSE_PRIORITY, wire_key
from yaoki.linux.nftables_objects import NOTHING, Element, Objects


def skeleton() -> Iterator[str]:
    """The part that is there whatever services there are."""
    yield f"add table {REFUSAL}"
    for family in Family:
        key = f"{ADDRESS_TYPE[family]} . inet_proto . inet_service"
        yield f"add set {REFUSAL} refused{family.value} {{ type {key}; }}"
    yield f"add chain {REFUSAL} refuse {{ type filter hook input priority {REFUSE_PRIORITY}; policy accept; }}"
    refused = [f"{IP[family]} daddr . meta l4proto . th dport @refused{family.value}" for family in Family]
    for rule in refused:
        yield f"add rule {REFUSAL} refuse {rule} meta l4proto tcp reject with tcp reset"
    for rule in refused:
        yield f"add rule {REFUSAL} refuse {rule} reject with icmpx type port-unreachable"


def render(service: VirtualService, load: Load = NOTHING_KNOWN) -> Objects:
    """One element while the service has nobody for new flows; nothing otherwise."""
    if open_servers(service, load):
        return NOTHING
    return Objects(elements={(f"refused{service.key.family.value}", wire_key(service.key)): Element()})
