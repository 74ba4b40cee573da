"""Packets that no Yaoki sends: truncated, damaged, foreign or random, from a machine of the same network.

Invariant: none of them is a valid advertisement for a virtual router of the site. A valid one is an election won by
whoever sends it: version 3 has no authentication (RFC 9568, section 9).
"""

from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress
from yaoki.node.messages import SendAdvertisement
from yaoki.packet.malformed import Malformed
from yaoki.sim.chance import Chance
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, HOP_LIMIT, decode

_WAYS: dict[Family, tuple[IPAddress, IPAddress]] = {
    Family.IPV4: (IPv4Address("192.0.2.250"), GROUP_IPV4),
    Family.IPV6: (IPv6Address("fe80::bad"), GROUP_IPV6),
}
_LONGEST = 80


def hostile_packet(chance: Chance) -> SendAdvertisement:
    """One packet; its interface is that of whoever hears it."""
    family = chance.pick((Family.IPV4, Family.IPV6))
    source, destination = _WAYS[family]
    payload = bytearray(chance.between(0, 255) for _ in range(chance.between(0, _LONGEST)))
    if len(payload) > 8 and chance.happens(0.7):
        # It looks like an advertisement for a likely VRID, but its checksum is wrong in both forms.
        payload[:4] = bytes((chance.pick((0x21, 0x31)), chance.pick((1, 10, 51, 255)), chance.between(0, 255), 1))
    while not isinstance(
        decode(bytes(payload), source=source, destination=destination, hop_limit=HOP_LIMIT), Malformed
    ):
        payload[6] ^= 1  # one in 65,536 has the right checksum by chance
    return SendAdvertisement("", family, source, destination, bytes(payload))
