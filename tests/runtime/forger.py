"""A machine on the link that sends datagrams under another's address."""

from ipaddress import IPv4Address

from yaoki.packet.ipv4 import PROTOCOL_UDP, IPv4Packet
from yaoki.packet.udp import UdpDatagram

FORGER = """
import socket, sys, time
sock = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
for packet in sys.argv[1:]:
    for _ in range(20):
        sock.sendto(bytes.fromhex(packet), ("192.0.2.11", 0))
        time.sleep(0.02)
"""
"""Run with packets as its arguments; sends each 20 times to 192.0.2.11."""


def packet(payload: bytes, port: int, source: IPv4Address, target: IPv4Address) -> str:
    """A datagram from and to a port with a TTL of 255."""
    datagram = UdpDatagram(port, port, payload).encode(source, target)
    return IPv4Packet(source, target, PROTOCOL_UDP, datagram, hop_limit=255).encode().hex()
