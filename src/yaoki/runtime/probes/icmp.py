"""The I/O of the icmp check: a raw socket per probe, which the kernel hands only the target's echo replies."""

import socket
import struct
from ipaddress import IPv6Address

from yaoki.checks.check import CheckId
from yaoki.checks.icmp import EchoProbe, payload_of_ipv4
from yaoki.core.address import Family
from yaoki.packet import icmp, icmp6
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait
from yaoki.runtime.probes.sockets import address_of, open_socket, report_errors

SOL_RAW = 255
ICMP_FILTER = 1
"""From <linux/icmp.h>: the types that are not wanted, one bit each."""
ICMP6_FILTER = 1
"""RFC 3542, section 3.2; a set bit blocks in Linux."""
_MAX_MESSAGE = 2048


def probe(job: Job) -> Probe:
    """Send an echo request and wait for the reply to it."""
    return _probe6(job) if job.spec.id.family is Family.IPV6 else _probe4(job)


def _probe4(job: Job) -> Probe:
    check, echo = job.spec.id, EchoProbe(job.number)
    sock = _connected(check, socket.IPPROTO_ICMP)
    try:
        sock.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("=I", ~(1 << icmp.ECHO_REPLY) & 0xFFFFFFFF))
        sock.send(echo.request())
        while True:
            yield Wait(sock.fileno(), READABLE, "echo reply")
            try:
                packet = sock.recv(_MAX_MESSAGE)
            except BlockingIOError:
                continue
            if (finding := echo.judge(payload_of_ipv4(packet), job.took())) is not None:
                return finding
    finally:
        sock.close()


def _probe6(job: Job) -> Probe:
    check, echo = job.spec.id, EchoProbe(job.number)
    assert isinstance(check.target, IPv6Address)
    sock = _connected(check, socket.IPPROTO_ICMPV6)
    try:
        sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, only_type6(icmp6.ECHO_REPLY))
        source = IPv6Address(sock.getsockname()[0].partition("%")[0])
        sock.send(echo.request6(source, check.target))
        while True:
            yield Wait(sock.fileno(), READABLE, "echo reply")
            try:
                message = sock.recv(_MAX_MESSAGE)
            except BlockingIOError:
                continue
            if (finding := echo.judge6(message, source, check.target, job.took())) is not None:
                return finding
    finally:
        sock.close()


def only_type6(kind: int) -> bytes:
    """The ICMP6_FILTER that lets one type pass."""
    blocked = bytearray(b"\xff" * 32)
    word, bit = divmod(kind, 32)
    blocked[word * 4 : word * 4 + 4] = struct.pack("=I", ~(1 << bit) & 0xFFFFFFFF)
    return bytes(blocked)


def _connected(check: CheckId, protocol: int) -> socket.socket:
    """Connected: the kernel delivers only packets from the target, and ICMP errors about it."""
    sock = open_socket(check, socket.SOCK_RAW, protocol)
    try:
        report_errors(sock)
        sock.connect(address_of(check.target, 0))
    except OSError:
        sock.close()
        raise
    return sock
