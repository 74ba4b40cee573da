"""Who says to have which address: what an ARP (RFC 826) or neighbour-discovery (RFC 4861) frame makes others believe.

A sender binds its protocol address to its MAC whatever the frame is for: hosts take the binding from requests as well
as from answers (RFC 826 "merge"; RFC 4861 7.2.3, 7.2.5), so each of them is a claim.

Deliberately absent: questions whose sender has no address yet (ARP probes, duplicate address detection), which bind
nothing; neighbour discovery behind extension headers (see packet/ipv6.py).
"""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.packet import arp, ethernet, ipv6, neighbour
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6, EthernetFrame
from yaoki.packet.malformed import Flaw, Malformed


class Form(StrEnum):
    """How a claim was made."""

    ANSWER = "answer"
    """To somebody's question."""
    ANNOUNCEMENT = "announcement"
    """Unasked: gratuitous ARP, unsolicited neighbour advertisement."""
    QUESTION = "question"
    """By asking for another address from this one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """`address` is said to be at `mac`; the frame went to `destination`."""

    address: IPAddress
    mac: MacAddress
    form: Form
    destination: MacAddress


def decode(data: bytes) -> Claim | Malformed[Flaw] | None:
    """The claim in an Ethernet frame; None if it makes none. Offsets of a Malformed count in the innermost packet."""
    frame = ethernet.decode(data)
    if isinstance(frame, Malformed):
        return frame
    if frame.ethertype == ETHERTYPE_ARP:
        return _of_arp(frame)
    if frame.ethertype == ETHERTYPE_IPV6:
        return _of_neighbour_discovery(frame)
    return None


def _of_arp(frame: EthernetFrame) -> Claim | Malformed[Flaw] | None:
    packet = arp.decode(frame.payload)
    if isinstance(packet, Malformed):
        return packet
    if packet.sender_ip.is_unspecified:
        return None
    form = Form.QUESTION if packet.operation is arp.Operation.REQUEST else Form.ANSWER
    if packet.gratuitous:
        form = Form.ANNOUNCEMENT
    return Claim(packet.sender_ip, packet.sender_mac, form, frame.destination)


def _of_neighbour_discovery(frame: EthernetFrame) -> Claim | Malformed[Flaw] | None:
    packet = ipv6.decode(frame.payload)
    if isinstance(packet, Malformed):
        return packet
    message = neighbour.decode(packet)
    match message:
        case Malformed():
            return message
        case neighbour.NeighbourAdvertisement(target, mac, solicited=solicited):
            form = Form.ANSWER if solicited else Form.ANNOUNCEMENT
            # RFC 4861 4.4: the option may be left out of an answer to a unicast question, whose sender knows the MAC.
            return Claim(target, frame.source if mac is None else mac, form, frame.destination)
        case neighbour.NeighbourSolicitation(_, mac):
            if mac is None or packet.source == ipv6.UNSPECIFIED:
                return None
            return Claim(packet.source, mac, Form.QUESTION, frame.destination)
