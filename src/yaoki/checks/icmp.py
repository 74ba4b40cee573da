"""The icmp check: echo request and reply (RFC 792; RFC 4443, section 4).

Invariant: only a reply that repeats this probe's identifier, sequence and data counts, so that neither another probe's
answer nor a stray packet keeps a dead router alive.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address

from yaoki.checks.check import Finding
from yaoki.checks.failure import passed
from yaoki.packet import icmp, icmp6

DATA = b"yaoki check"


@dataclass(frozen=True, slots=True)
class EchoProbe:
    """One echo request. `number` is the prober's own; both 16-bit fields are made of it."""

    number: int

    def request(self) -> bytes:
        """The ICMP message."""
        return icmp.Echo(True, self._identifier, self._sequence, DATA).encode()

    def request6(self, source: IPv6Address, target: IPv6Address) -> bytes:
        """The ICMPv6 message."""
        return icmp6.Echo(True, self._identifier, self._sequence, DATA).encode(source, target)

    def judge(self, message: bytes, took: timedelta) -> Finding | None:
        """Of an ICMP message from the target; None if it is not the reply to this request."""
        return self._judge(icmp.decode(message), took)

    def judge6(self, message: bytes, source: IPv6Address, target: IPv6Address, took: timedelta) -> Finding | None:
        """Of an ICMPv6 message from `target` to `source`; None if it is not the reply to this request."""
        return self._judge(icmp6.decode(message, target, source), took)

    def _judge(self, message: object, took: timedelta) -> Finding | None:
        if isinstance(message, icmp.Echo | icmp6.Echo) and not message.request:
            fields = (message.identifier, message.sequence, message.data)
            if fields == (self._identifier, self._sequence, DATA):
                return passed("echo reply", took)
        return None

    @property
    def _identifier(self) -> int:
        return self.number >> 16 & 0xFFFF

    @property
    def _sequence(self) -> int:
        return self.number & 0xFFFF


def payload_of_ipv4(packet: bytes) -> bytes:
    """What a raw IPv4 socket delivers, without the IP header (RFC 791: its length is in the first octet)."""
    return packet[(packet[0] & 0x0F) * 4 :] if packet else b""
