"""One address of a VIP that lb1 watches; lb2 is the other member."""

from datetime import timedelta
from ipaddress import IPv4Address

from yaoki.core.address import Family, MacAddress
from yaoki.core.instant import Instant
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.wire_params import WireMember, WireParams, question_pause

NOW = Instant.of_seconds(100)
HERE = "lb1"
VIP = IPv4Address("192.0.2.50")
INTERVAL = timedelta(milliseconds=100)


def mac(number: int) -> MacAddress:
    return MacAddress(bytes([2, 0, 0, 0, 0, number]))


MINE, HERS, INTRUDER = mac(1), mac(2), mac(0xEE)
PARAMS = WireParams(
    "vip",
    RouterKey("eth0", Family.IPV4, 51),
    HERE,
    INTERVAL,
    question_pause(INTERVAL, addresses=1),
    (VIP,),
    (
        WireMember("lb1", 150, (IPv4Address("192.0.2.11"),)),
        WireMember("lb2", 100, (IPv4Address("192.0.2.12"),)),
    ),
)
