"""Accept_Mode off (RFC 9568 6.1): packets to a VIP that come up to this node itself are dropped.

    table inet yaoki-accept
      set refused4, refused6      addresses that this node owns for others' sake only
      chain delivery   input      drops what is for one of them, but for neighbour discovery, which MUST NOT be dropped

ARP is no IP and never comes here. What a balancer forwards has another destination by then (nat, fullnat) or has left
at ingress (direct), and services that refuse have refused (REFUSE_PRIORITY). What the node sends to itself passes.

Invariant: one transaction for each change; the table is there only while an address is refused.
"""

from collections.abc import Iterable, Iterator

from yaoki.core.address import Family, IPAddress
from yaoki.linux.nftables_names import ACCEPT, ADDRESS_TYPE, DELIVERY_PRIORITY, IP
from yaoki.linux.nftables_session import NftSession, open_session


class VipDelivery:
    """The table of this network namespace."""

    def __init__(self, session: NftSession | None = None) -> None:
        self._session = session

    def refuse(self, addresses: Iterable[IPAddress]) -> None:
        """These addresses and no others take nothing from now on. Raises ActuatorError."""
        refused = tuple(addresses)
        lines = _rules(refused) if refused else (f"add table {ACCEPT}", f"delete table {ACCEPT}")
        self._session = self._session or open_session()
        self._session.run("\n".join(lines) + "\n", purpose="refuse packets to VIPs")


def accept_all() -> None:
    """Take the table away, whoever made it. Raises ActuatorError."""
    VipDelivery().refuse(())


def _rules(refused: tuple[IPAddress, ...]) -> Iterator[str]:
    yield f"add table {ACCEPT}"
    yield f"add chain {ACCEPT} delivery {{ type filter hook input priority {DELIVERY_PRIORITY}; policy accept; }}"
    yield f"flush chain {ACCEPT} delivery"
    for family in Family:
        name = f"refused{family.value}"
        mine = ", ".join(str(address) for address in refused if Family.of(address) is family)
        yield f"add set {ACCEPT} {name} {{ type {ADDRESS_TYPE[family]}; }}"
        yield f"flush set {ACCEPT} {name}"
        if mine:
            yield f"add element {ACCEPT} {name} {{ {mine} }}"
    yield f'add rule {ACCEPT} delivery iifname "lo" accept'
    yield f"add rule {ACCEPT} delivery icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept"
    for family in Family:
        yield f"add rule {ACCEPT} delivery {IP[family]} daddr @refused{family.value} drop"
