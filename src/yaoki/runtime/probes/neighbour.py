"""The I/O of the neighbour check: ARP through a packet socket, neighbour discovery through a raw ICMPv6 socket.

The question leaves by the interface of the route to the target, and does not touch the kernel's own neighbour table:
an entry there would answer for a dead machine until it turns stale.
"""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

from yaoki.checks.failure import not_run, system_error
from yaoki.checks.neighbour import ArpProbe, SolicitationProbe
from yaoki.core.address import BROADCAST, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.route import Route, route_to
from yaoki.packet.ethernet import ETHERTYPE_ARP
from yaoki.packet.neighbour import ADVERTISEMENT, HOP_LIMIT
from yaoki.runtime.probes.icmp import ICMP6_FILTER, only_type6
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait

IPV6_RECVHOPLIMIT = 51
IPV6_HOPLIMIT = 52
"""From <linux/in6.h>: the hop limit as ancillary data."""
_MAX_MESSAGE = 2048
_FLAGS = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC


def probe(job: Job) -> Probe:
    """Ask for the target's MAC on its own link."""
    check = job.spec.id
    try:
        way = route_to(check.target, check.source)
    except ActuatorError as error:
        return system_error(error.errno, error.why, job.took())
    if not way.on_link:
        return not_run(f"{check.target} is behind a router", job.took())
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | _FLAGS, 0) as packet:
        packet.bind((way.interface, ETHERTYPE_ARP))
        mac = MacAddress(packet.getsockname()[4])
        match check.target, way.source:
            case IPv4Address() as target, IPv4Address() as source:
                return (yield from _ask_arp(job, packet, ArpProbe(mac, source, target)))
            case IPv6Address() as target, IPv6Address() as source:
                return (yield from _ask_nd(job, way, SolicitationProbe(mac, source, target)))
            case _:
                return not_run("no source address of the target's family", job.took())


def _ask_arp(job: Job, packet: socket.socket, question: ArpProbe) -> Probe:
    interface = packet.getsockname()[0]
    packet.sendto(question.request(), (interface, ETHERTYPE_ARP, 0, 0, BROADCAST.octets))
    while True:
        yield Wait(packet.fileno(), READABLE, "ARP reply")
        try:
            payload = packet.recv(_MAX_MESSAGE)
        except BlockingIOError:
            continue
        if (finding := question.judge(payload, job.took())) is not None:
            return finding


def _ask_nd(job: Job, way: Route, question: SolicitationProbe) -> Probe:
    """RFC 4861 7.1.1, 7.1.2: solicitations and advertisements have hop limit 255, both ways."""
    with socket.socket(socket.AF_INET6, socket.SOCK_RAW | _FLAGS, socket.IPPROTO_ICMPV6) as sock:
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, only_type6(ADVERTISEMENT))
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOP_LIMIT)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, way.index)
        sock.bind((str(question.source).partition("%")[0], 0, 0, way.index))
        sock.sendto(question.request(), (str(question.group), 0, 0, way.index))
        while True:
            yield Wait(sock.fileno(), READABLE, "neighbour advertisement")
            try:
                message, ancillary, _, sender = sock.recvmsg(_MAX_MESSAGE, socket.CMSG_SPACE(4))
            except BlockingIOError:
                continue
            from_ = IPv6Address(sender[0].partition("%")[0])
            if (finding := question.judge(message, from_, _hop_limit(ancillary), job.took())) is not None:
                return finding


def _hop_limit(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, IPV6_HOPLIMIT):
            return int(struct.unpack("=i", data[:4])[0])
    return 0
