"""The neighbour check: does the target answer ARP (RFC 826) or neighbour solicitation (RFC 4861) on this link?

It proves a machine's network stack where ICMP is filtered, and nothing above it.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

from yaoki.checks.check import Finding
from yaoki.checks.failure import passed
from yaoki.core.address import MacAddress
from yaoki.packet import arp, neighbour
from yaoki.packet.ipv6 import NEXT_HEADER_ICMPV6, IPv6Packet, solicited_node


@dataclass(frozen=True, slots=True)
class ArpProbe:
    """Who has `target`? Asked by `source` at `mac`; `source` is never a VIP, which would move it in every cache."""

    mac: MacAddress
    source: IPv4Address
    target: IPv4Address

    def request(self) -> bytes:
        """The payload of the ARP frame."""
        return arp.request(self.mac, self.source, self.target).encode()

    def judge(self, payload: bytes, took: timedelta) -> Finding | None:
        """Of an ARP packet on the link; None if it is not the target's answer to us."""
        packet = arp.decode(payload)
        if (
            isinstance(packet, arp.ArpPacket)
            and packet.operation is arp.Operation.REPLY
            and (packet.sender_ip, packet.target_mac) == (self.target, self.mac)
        ):
            return passed(f"{packet.sender_mac} answers", took)
        return None


@dataclass(frozen=True, slots=True)
class SolicitationProbe:
    """The same question in IPv6, to the solicited-node group of `target`."""

    mac: MacAddress
    source: IPv6Address
    target: IPv6Address

    @property
    def group(self) -> IPv6Address:
        """Where the solicitation is sent."""
        return solicited_node(self.target)

    def request(self) -> bytes:
        """The ICMPv6 message."""
        return neighbour.NeighbourSolicitation(self.target, self.mac).encode(self.source, self.group)

    def judge(self, message: bytes, sender: IPv6Address, hop_limit: int, took: timedelta) -> Finding | None:
        """Of an ICMPv6 message sent to us; None if it is not the target's solicited advertisement."""
        packet = IPv6Packet(sender, self.source, NEXT_HEADER_ICMPV6, message, hop_limit=hop_limit)
        answer = neighbour.decode(packet)
        if isinstance(answer, neighbour.NeighbourAdvertisement) and answer.solicited and answer.target == self.target:
            return passed(f"{answer.target_mac or 'the cached neighbour'} answers", took)
        return None
