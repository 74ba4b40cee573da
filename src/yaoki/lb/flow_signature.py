"""The trailer behind a datagram of a flow copier: yaoki.packet.datagram_signature, with the keys of the VIPs that both
nodes share. Pure.

A datagram with a trailer is of version 2, for the length of its records does not say where they end. The HMAC covers it
as it would be without one, of version 1.

Invariant: a datagram of MAX_OCTETS still fits an IPv6 packet of 1280 octets with its trailer.
"""

from yaoki.lb.flow_datagram import HEADER_OCTETS, SIGNED_VERSION, VERSION
from yaoki.packet.authentication import LENGTH, Trailer
from yaoki.packet.datagram_signature import DatagramSignature, Purpose

_VERSION_AT = 2


def divided(payload: bytes) -> tuple[bytes, Trailer | None]:
    """The datagram as it would be without a trailer, and the trailer, if the version says that there is one."""
    if len(payload) < HEADER_OCTETS + LENGTH or payload[_VERSION_AT] != SIGNED_VERSION:
        return payload, None
    return _of_version(payload[:-LENGTH], VERSION), Trailer.of(payload[-LENGTH:])


def _marked(datagram: bytes) -> bytes:
    return _of_version(datagram, SIGNED_VERSION)


def _of_version(datagram: bytes, version: int) -> bytes:
    return b"%b%c%b" % (datagram[:_VERSION_AT], version, datagram[_VERSION_AT + 1 :])


FLOW_SIGNATURE = DatagramSignature(Purpose.FLOWS, divided, _marked)
