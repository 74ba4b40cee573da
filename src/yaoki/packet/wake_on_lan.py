"""The Magic Packet that switches a machine on (AMD, publication 20213): six octets of ones, its MAC sixteen times."""

from yaoki.core.address import BROADCAST, MacAddress
from yaoki.packet.ethernet import EthernetFrame

ETHERTYPE_WAKE_ON_LAN = 0x0842
_TIMES = 16


def magic_packet(mac: MacAddress, source: MacAddress) -> bytes:
    """The frame, to everybody: no switch knows the port of a machine that is off."""
    return EthernetFrame(BROADCAST, source, ETHERTYPE_WAKE_ON_LAN, b"\xff" * 6 + mac.octets * _TIMES).encode()
