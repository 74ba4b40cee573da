"""What is sent through the direct-return path, and what its answers are taken for."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.lb.proof import Answer, Kind, PathProbe, Route
from yaoki.lb.service import Encapsulation, Protocol, ServiceKey, Tunnel, Way
from yaoki.packet import headers, icmp, icmp6
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.headers import Headers, TcpHeader
from yaoki.packet.ipv4 import IPv4Packet
from yaoki.packet.ipv6 import IPv6Packet
from yaoki.packet.tcp import TcpFlags, TcpSegment
from yaoki.packet.tunnel import inside
from yaoki.packet.udp import UdpDatagram

LB, SERVER, OTHER = (MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in (0x11, 0x21, 0x99))
VIP4, OWN4 = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.11")
VIP6, OWN6 = IPv6Address("2001:db8:1::50"), IPv6Address("2001:db8:1::11")
PORT, SEQUENCE = 61234, 0xFFFFFFFF
SYN, ACK, RST = TcpFlags.SYN, TcpFlags.ACK, TcpFlags.RST


def probe(family: int = 4, protocol: Protocol = Protocol.TCP) -> PathProbe:
    vip, own = (VIP4, OWN4) if family == 4 else (VIP6, OWN6)
    return PathProbe(ServiceKey(vip, protocol, 80), own, LB, SERVER, PORT, b"alive?", SEQUENCE)


def frame(source: IPAddress, destination: IPAddress, protocol: int, data: bytes, mac: MacAddress = SERVER) -> bytes:
    if isinstance(source, IPv4Address) and isinstance(destination, IPv4Address):
        whole = IPv4Packet(source, destination, protocol, data).encode()
        return EthernetFrame(LB, mac, ETHERTYPE_IPV4, whole).encode()
    assert isinstance(source, IPv6Address)
    assert isinstance(destination, IPv6Address)
    return EthernetFrame(LB, mac, ETHERTYPE_IPV6, IPv6Packet(source, destination, protocol, data).encode()).encode()


def segment(asked: PathProbe, flags: TcpFlags, *, mac: MacAddress = SERVER, port: int = PORT) -> bytes:
    vip, own = asked.key.address, asked.source
    return frame(vip, own, 6, TcpSegment(80, port, 7, 0, flags).encode(vip, own), mac)


@pytest.mark.req("D-05", "D-11")
@pytest.mark.parametrize(("family", "server"), [(4, "203.0.113.21"), (6, "2001:db8:9::21")])
@pytest.mark.parametrize("tunnel", [Tunnel(), Tunnel(Encapsulation.GUE)], ids=str)
def test_through_a_tunnel_the_same_packet_goes_inside_another_and_a_plain_answer_is_taken(
    family: int, server: str, tunnel: Tunnel
) -> None:
    plain = probe(family)
    way = Way("eth1", OTHER, plain.source, SERVER, plain.source, 1500)
    route = Route.through(tunnel, way, parse_address(server), PORT)
    assert (route.interface, route.own, route.mac) == ("eth1", OTHER, SERVER)
    asked = replace(plain, source_mac=route.own, wrapping=route.wrapping)
    sent = [(plain.opening(), asked.opening()), (plain.echo(), asked.echo()), (plain.reset(), asked.reset())]
    for bare, wrapped in sent:
        outer = decoded(wrapped)
        assert (str(outer.source), str(outer.destination)) == (str(plain.source), server)
        assert inside(wrapped, len(wrapped), 6080) == replace(decoded(bare), source_mac=OTHER)
        if tunnel.encapsulation is Encapsulation.GUE:
            assert (outer.source_port, outer.destination_port) == (49152 | PORT, 6080)
    assert asked.answer(segment(asked, SYN | ACK, mac=OTHER)) == Answer(Kind.ACCEPTED, OTHER)
    assert asked.path == (plain.key, SERVER, parse_address(server))


def decoded(octets: bytes) -> Headers:
    found = headers.decode(octets, len(octets))
    assert isinstance(found, Headers)
    return found


def quoted(asked: PathProbe) -> bytes:
    """The packet that was sent, as an ICMP error quotes it."""
    return asked.opening()[14:]


@pytest.mark.req("D-11")
@pytest.mark.parametrize("family", [4, 6])
def test_a_connection_is_opened_to_the_vip_at_the_servers_mac_and_reset(family: int) -> None:
    asked = probe(family)
    vip, own = asked.key.address, asked.source
    expected = Headers(LB, SERVER, own, vip, 6, 64, PORT, 80, TcpHeader(SEQUENCE, 0, SYN))
    assert headers.decode(asked.opening(), 100) == expected
    expected = Headers(LB, SERVER, own, vip, 6, 64, PORT, 80, TcpHeader(0, 0, RST))
    assert headers.decode(asked.reset(), 100) == expected
    found = headers.decode(asked.echo(), 100)
    assert isinstance(found, Headers)
    assert (found.source, found.destination, found.destination_mac) == (own, vip, SERVER)


@pytest.mark.parametrize("family", [4, 6])
def test_a_datagram_carries_what_the_check_sends(family: int) -> None:
    asked = probe(family, Protocol.UDP)
    assert asked.opening().endswith(b"alive?")
    found = headers.decode(asked.opening(), 100)
    assert isinstance(found, Headers)
    assert (found.protocol, found.source_port, found.destination_port, found.payload) == (17, PORT, 80, 6)


@pytest.mark.req("D-11", "D-23")
@pytest.mark.parametrize("family", [4, 6])
def test_what_answers_mean(family: int) -> None:
    asked, datagram = probe(family), probe(family, Protocol.UDP)
    vip, own = asked.key.address, asked.source
    assert asked.answer(segment(asked, SYN | ACK)) == Answer(Kind.ACCEPTED, SERVER)
    assert asked.answer(segment(asked, SYN | ACK, mac=OTHER)) == Answer(Kind.ACCEPTED, OTHER)
    assert asked.answer(segment(asked, RST | ACK)) == Answer(Kind.REFUSED, SERVER)
    reply = frame(vip, own, 17, UdpDatagram(80, PORT, b"yes").encode(vip, own))
    assert datagram.answer(reply) == Answer(Kind.REPLIED, SERVER)
    assert asked.answer(reply) is None
    for code, kind in ((3 if family == 4 else 4, Kind.REFUSED), (13 if family == 4 else 1, Kind.PROHIBITED)):
        assert datagram.answer(error(datagram, code, quoted(datagram))) == Answer(kind, SERVER)
    assert asked.answer(echo(asked, PORT)) == Answer(Kind.ECHOED, SERVER)


def error(asked: PathProbe, code: int, original: bytes) -> bytes:
    vip, own = asked.key.address, asked.source
    if isinstance(vip, IPv4Address) or isinstance(own, IPv4Address):
        return frame(vip, own, 1, icmp.Unreachable(code, original).encode())
    return frame(vip, own, 58, icmp6.Unreachable(code, original).encode(vip, own))


def echo(asked: PathProbe, identifier: int) -> bytes:
    vip, own = asked.key.address, asked.source
    if isinstance(vip, IPv4Address) or isinstance(own, IPv4Address):
        return frame(vip, own, 1, icmp.Echo(False, identifier, 1).encode())
    return frame(vip, own, 58, icmp6.Echo(False, identifier, 1).encode(vip, own))


@pytest.mark.parametrize("family", [4, 6])
def test_what_is_no_answer_to_this_probe(family: int) -> None:
    asked = probe(family)
    vip, own = asked.key.address, asked.source
    stranger = VIP4 + 1 if family == 4 else VIP6 + 1
    assert asked.answer(segment(asked, SYN | ACK, port=PORT + 1)) is None
    assert asked.answer(segment(asked, ACK)) is None
    late = TcpSegment(80, PORT, 7, 1, SYN | ACK).encode(vip, own)
    assert asked.answer(frame(vip, own, 6, late)) is None, "it acknowledges another connection"
    assert asked.answer(echo(asked, PORT + 1)) is None
    assert asked.answer(error(asked, 3, quoted(asked)[:20])) is None
    other = TcpSegment(80, PORT, 7, 1, SYN | ACK)
    assert asked.answer(frame(stranger, own, 6, other.encode(stranger, own))) is None
    assert asked.answer(asked.opening()) is None
    assert asked.answer(b"") is None
    assert vip != own


@given(st.binary(max_size=80), st.integers(0, 60), st.sampled_from([4, 6]))
def test_no_octets_raise(noise: bytes, keep: int, family: int) -> None:
    asked = probe(family)
    for whole in (segment(asked, SYN | ACK), error(asked, 3, quoted(asked)), echo(asked, PORT)):
        found = asked.answer(whole[:keep] + noise)
        assert found is None or isinstance(found, Answer)
