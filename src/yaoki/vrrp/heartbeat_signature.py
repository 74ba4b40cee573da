"""The trailer behind a heartbeat: yaoki.packet.datagram_signature, with the keys of the VIPs that both nodes share.
Pure."""

from yaoki.packet.authentication import LENGTH, Trailer
from yaoki.packet.datagram_signature import DatagramSignature, Purpose
from yaoki.vrrp.heartbeat import length_of


def divided(payload: bytes) -> tuple[bytes, Trailer | None]:
    """The heartbeat as it would be without a trailer, and the trailer, if the length says that there is one."""
    end = length_of(payload)
    if end is None or len(payload) != end + LENGTH:
        return payload, None
    return payload[:end], Trailer.of(payload[end:])


HEARTBEAT_SIGNATURE = DatagramSignature(Purpose.HEARTBEAT, divided)
