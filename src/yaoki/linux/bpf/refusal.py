"""Services of this plane that nobody takes new flows of, or not always: refused by nftables as those of its own are.

The program lets their packets go up the local stack. The table is its own, and written whole.
"""

from collections.abc import Iterable, Iterator

from yaoki.core.address import Family
from yaoki.lb.service import ServiceKey, VirtualService
from yaoki.linux.nftables_names import ADDRESS_TYPE, IP, REFUSE_PRIORITY, wire_key

TABLE = "inet yaoki-bpf"


def written(refused: Iterable[ServiceKey]) -> Iterator[str]:
    """The whole table, in the place of what was there; nothing but the removal if nobody is refused."""
    yield f"add table {TABLE}"
    yield f"delete table {TABLE}"
    by_family = {family: [wire_key(key) for key in refused if key.family is family] for family in Family}
    if not any(by_family.values()):
        return
    yield f"add table {TABLE}"
    yield f"add chain {TABLE} refuse {{ type filter hook input priority {REFUSE_PRIORITY}; policy accept; }}"
    for family, keys in by_family.items():
        if keys:
            key = f"{ADDRESS_TYPE[family]} . inet_proto . inet_service"
            yield f"add set {TABLE} refused{family.value} {{ type {key}; elements = {{ {', '.join(keys)} }}; }}"
            rule = f"{IP[family]} daddr . meta l4proto . th dport @refused{family.value}"
            yield f"add rule {TABLE} refuse {rule} meta l4proto tcp reject with tcp reset"
            yield f"add rule {TABLE} refuse {rule} reject with icmpx type port-unreachable"


def may_refuse(service: VirtualService) -> bool:
    """Nobody takes new flows, or everybody may be full: what the program passes is refused then."""
    return not service.eligible or all(server.limit is not None for server in service.eligible)
