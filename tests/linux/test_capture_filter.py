"""The filter of recordings, run by a small interpreter of classic BPF."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest

from yaoki.core.address import IPAddress, MacAddress
from yaoki.linux.capture_filter import MOST_VALUES, program
from yaoki.linux.claim_filter import Instruction
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tunnel import Encapsulation, Tunnel, Wrapping
from yaoki.packet.udp import UdpDatagram

MAC = MacAddress.parse("02:00:00:00:00:01")
VIP4, VIP6 = IPv4Address("192.0.2.50"), IPv6Address("2001:db8:1::50")
OTHER4, OTHER6 = IPv4Address("192.0.2.51"), IPv6Address("2001:db8:1::51")
VLAN_TAG_PRESENT = 0x100000000 - 0x1000 + 48
SNAP = 200


def kept(instructions: Sequence[Instruction], frame: bytes, *, tagged: bool = False) -> int:
    """What the kernel would keep: loads beyond the end refuse the frame."""
    loaded, index, at = 0, 0, 0
    sizes = {0x20: 4, 0x28: 2, 0x30: 1, 0x48: 2}
    while True:
        code, if_true, if_false, operand = instructions[at]
        at += 1
        if code == 0x06:
            return operand
        if code == 0x05:
            at += operand
        elif code in (0x15, 0x45):
            hit = loaded == operand if code == 0x15 else bool(loaded & operand)
            at += if_true if hit else if_false
        elif code == 0xB1:
            index = (frame[operand] & 15) * 4
        elif operand == VLAN_TAG_PRESENT:
            loaded = int(tagged)
        else:
            begin = operand + (index if code == 0x48 else 0)
            if begin + sizes[code] > len(frame):
                return 0
            loaded = int.from_bytes(frame[begin : begin + sizes[code]], "big")


def packet(
    source: IPAddress, destination: IPAddress, ports: tuple[int, int], protocol: int = 17, *, options: bytes = b""
) -> bytes:
    data = UdpDatagram(*ports, b"x" * 20).encode(source, destination)
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        whole = IPv4Packet(source, destination, protocol, data, options=options).encode()
        return EthernetFrame(MAC, MAC, ETHERTYPE_IPV4, whole).encode()
    assert isinstance(source, IPv6Address)
    assert isinstance(destination, IPv6Address)
    return EthernetFrame(MAC, MAC, ETHERTYPE_IPV6, IPv6Packet(source, destination, protocol, data).encode()).encode()


@pytest.mark.parametrize(("vip", "other"), [(VIP4, OTHER4), (VIP6, OTHER6)])
def test_the_services_packets_pass_both_ways_and_no_others(vip: IPAddress, other: IPAddress) -> None:
    wanted = program((VIP4, VIP6), (80, 8081), 17, snap=SNAP)
    for port in (80, 8081):
        assert kept(wanted, packet(other, vip, (50000, port))) == SNAP
        assert kept(wanted, packet(vip, other, (port, 50000))) == SNAP
    assert kept(wanted, packet(other, vip, (50000, 81))) == 0
    assert kept(wanted, packet(other, other, (50000, 80))) == 0
    assert kept(wanted, packet(other, vip, (50000, 80), 6)) == 0
    assert kept(wanted, packet(other, vip, (50000, 80)), tagged=True) == 0
    assert kept(wanted, packet(other, vip, (50000, 81), 1 if vip.version == 4 else 58)) == SNAP


def test_ports_are_behind_the_options_and_later_fragments_have_none() -> None:
    wanted = program((VIP4,), (80,), 17, snap=SNAP)
    assert kept(wanted, packet(OTHER4, VIP4, (50000, 80), options=bytes(8))) == SNAP
    assert kept(wanted, packet(OTHER4, VIP4, (50000, 81), options=bytes(8))) == 0
    fragment = IPv4Packet(OTHER4, VIP4, 17, bytes(40), fragment_offset=1480).encode()
    assert kept(wanted, EthernetFrame(MAC, MAC, ETHERTYPE_IPV4, fragment).encode()) == SNAP
    assert kept(program((VIP6,), (80,), 17, snap=SNAP), packet(OTHER6, VIP6, (0, 0), 44)) == SNAP


def wrapped(wrapping: Wrapping) -> bytes:
    kind = ETHERTYPE_IPV4 if wrapping.destination.version == 4 else ETHERTYPE_IPV6
    return EthernetFrame(MAC, MAC, kind, wrapping.wrap(bytes(60))).encode()


ENDS4 = (IPv4Address("192.0.2.11"), IPv4Address("203.0.113.21"), IPv4Address("203.0.113.29"))
ENDS6 = (IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:9::21"), IPv6Address("2001:db8:9::29"))


@pytest.mark.parametrize(("source", "end", "other"), [ENDS4, ENDS6])
@pytest.mark.parametrize("tunnel", [Tunnel(), Tunnel(Encapsulation.GUE, 6081)], ids=str)
def test_what_goes_through_a_tunnel_to_a_server_passes(
    tunnel: Tunnel, source: IPAddress, end: IPAddress, other: IPAddress
) -> None:
    ends = (ENDS4[1], ENDS6[1])
    wanted = program((VIP4, VIP6), (80,), 17, snap=SNAP, tunnel=(tunnel, ends))
    assert kept(wanted, wrapped(Wrapping(tunnel, source, end))) == SNAP
    assert kept(wanted, wrapped(Wrapping(tunnel, source, other))) == 0
    another = Tunnel(Encapsulation.GUE, 6080)
    assert kept(wanted, wrapped(Wrapping(another, source, end))) == 0
    vip = VIP4 if end.version == 4 else VIP6
    assert kept(wanted, packet(source, vip, (50000, 80))) == SNAP
    assert kept(wanted, packet(source, end, (50000, 80))) == 0
    plain = program((VIP4, VIP6), (80,), 17, snap=SNAP)
    assert kept(plain, wrapped(Wrapping(tunnel, source, end))) == 0


def test_of_more_servers_than_it_can_name_any_will_do() -> None:
    ends = [IPv4Address(int(ENDS4[1]) + number) for number in range(MOST_VALUES + 1)]
    for most, there in ((ends[:-1], 0), (ends, SNAP)):
        wanted = program((VIP4,), (80,), 6, snap=SNAP, tunnel=(Tunnel(), most))
        assert all(max(jump[1:3]) < 256 for jump in wanted)
        assert kept(wanted, wrapped(Wrapping(Tunnel(), ENDS4[0], most[0]))) == SNAP
        assert kept(wanted, wrapped(Wrapping(Tunnel(), ENDS4[0], IPv4Address("198.51.100.1")))) == there


def test_with_all_the_values_that_it_takes_jumps_still_reach() -> None:
    addresses = [IPv4Address(int(VIP4) + number) for number in range(MOST_VALUES)]
    ports = range(8000, 8000 + MOST_VALUES)
    wanted = program(addresses, ports, 17, snap=SNAP)
    assert all(max(jump[1:3]) < 256 for jump in wanted)
    for address, port in ((addresses[0], 8000), (addresses[-1], 8000 + MOST_VALUES - 1)):
        assert kept(wanted, packet(IPv4Address("198.51.100.9"), address, (1, port))) == SNAP
        assert kept(wanted, packet(address, IPv4Address("198.51.100.9"), (port, 1))) == SNAP
    with pytest.raises(ValueError, match="more than"):
        program(addresses, (*ports, 80), 17, snap=SNAP)


def test_arp_and_nothing_at_all_are_refused() -> None:
    assert kept(program((VIP4,), (80,), 17, snap=SNAP), EthernetFrame(MAC, MAC, ETHERTYPE_ARP, bytes(28)).encode()) == 0
    assert kept(program((), (), 17, snap=SNAP), packet(OTHER4, VIP4, (1, 80))) == 0
