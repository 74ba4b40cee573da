"""What leaves by an interface about addresses that are at a virtual MAC: nothing that would teach anybody another MAC.

    table netdev yaoki-mac
      chain out/IFNAME/INDEX       egress: what is said of them by the interface's own MAC
        replies                    dropped: the kernel answers on each interface for every address that it has
        requests                   asked from the node's own address: the kernel would ask from the VIP, and whoever
                                   hears a question learns who asks
        group reports of IPv6      dropped if they come from a virtual MAC: the kernel sends one when an address is
                                   released, and switches would look for the MAC here again

The alternatives of Linux, arp_ignore and arp_announce, are parameters of the whole interface, and concern all its
addresses. So that switches which watch groups let questions for IPv6 addresses through, the interface itself joins
their groups (SolicitedGroups).

Invariants: one transaction for each change; the table is there only while an address is at a virtual MAC.
"""

import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPAddress
from yaoki.linux.nftables_names import GATE_PRIORITY, VIRTUAL_MACS, hook_name
from yaoki.linux.nftables_session import NftSession, open_session
from yaoki.packet.ipv6 import solicited_node

# RFC 2710 and 3810: reports, and that a group is left.
_GROUP_REPORTS = "131, 132, 143"
_IPV6_JOIN_GROUP = 20


@dataclass(frozen=True, slots=True)
class Place:
    """An interface with addresses at virtual MACs; `own` is its own IPv4 address, if it has one."""

    interface: str
    index: int
    own: IPv4Address | None
    addresses: tuple[IPAddress, ...]


class MacRules:
    """The table of this network namespace, and the groups."""

    def __init__(self, session: NftSession | None = None) -> None:
        self._session = session
        self._applied: tuple[Place, ...] | None = None
        self._groups: dict[tuple[int, IPv6Address], socket.socket] = {}

    def close(self) -> None:
        """Leave the table as it is."""
        for joined in self._groups.values():
            joined.close()
        self._groups.clear()

    def apply(self, places: Iterable[Place], *, anew: bool = False) -> None:
        """These and no others, from now on; `anew` even if nothing has changed. Raises ActuatorError."""
        wanted = tuple(places)
        if wanted == self._applied and not anew:
            return
        self._session = self._session or open_session()
        self._session.run("\n".join(rules(wanted)) + "\n", purpose="keep virtual MACs apart from the interface's own")
        self._applied = wanted
        self._join({(place.index, each) for place in wanted for each in place.addresses if each.version == 6})

    def _join(self, wanted: set[tuple[int, IPv6Address]]) -> None:
        groups = {(index, solicited_node(address)) for index, address in wanted}
        for place in [place for place in self._groups if place not in groups]:
            self._groups.pop(place).close()
        for index, group in sorted(groups - set(self._groups)):
            sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            with suppress(OSError):  # without it only a switch that watches groups has something to object
                sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_JOIN_GROUP, group.packed + struct.pack("=I", index))
            self._groups[index, group] = sock


def remove_mac_rules() -> None:
    """Take the table away, whoever made it. Raises ActuatorError."""
    open_session().run(f"add table {VIRTUAL_MACS}\ndelete table {VIRTUAL_MACS}\n", purpose="forget virtual MACs")


def rules(places: tuple[Place, ...]) -> Iterator[str]:
    """The transaction that puts a new table in the place of whatever is there."""
    yield f"add table {VIRTUAL_MACS}"
    yield f"delete table {VIRTUAL_MACS}"
    if not places:
        return
    yield f"add table {VIRTUAL_MACS}"
    for place in places:
        chain = f"{VIRTUAL_MACS} out/{hook_name(place.interface, place.index)}"
        spec = f'type filter hook egress device "{place.interface}" priority {GATE_PRIORITY + 1}; policy accept;'
        yield f"add chain {chain} {{ {spec} }}"
        reports = f"icmpv6 type {{ {_GROUP_REPORTS} }} drop"
        yield f"add rule {chain} ether saddr & ff:ff:ff:ff:ff:00 == 00:00:5e:00:02:00 {reports}"
        mine = ", ".join(str(address) for address in place.addresses if address.version == 4)
        if not mine:
            continue
        yield f"add rule {chain} ether saddr & ff:ff:ff:ff:ff:00 == 00:00:5e:00:01:00 accept"
        if place.own is not None:
            asked = f"arp operation request arp saddr ip {{ {mine} }}"
            yield f"add rule {chain} {asked} arp saddr ip set {place.own} accept"
        yield f"add rule {chain} arp saddr ip {{ {mine} }} drop"
