"""The classic BPF program that lets through only what speaks of some addresses: ARP from them, neighbour discovery for
or from them.

Everything else, all other IPv6 that comes up to this node, is refused after a few instructions, in the kernel. Of an
IPv6 address the last 32 bits are compared; whoever reads compares the rest. With more than MAX_FILTERED addresses of a
family all ARP, or all neighbour discovery, is let through.

Deliberately absent: frames with a VLAN tag, which belong to another interface and are seen there.
"""

import struct
from collections.abc import Iterable
from ipaddress import IPv4Address

from yaoki.core.address import IPAddress
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV6
from yaoki.packet.ipv6 import NEXT_HEADER_ICMPV6
from yaoki.packet.neighbour import ADVERTISEMENT, SOLICITATION

MAX_FILTERED = 250

Instruction = tuple[int, int, int, int]
"""linux/filter.h, struct sock_filter: code, jump if true, jump if false, operand."""

# Load word, half-word, octet at an offset; jump if equal; return.
_LD, _LDH, _LDB, _JEQ, _RET = 0x20, 0x28, 0x30, 0x15, 0x06
_VLAN_TAG_PRESENT = 0x100000000 - 0x1000 + 48
_ACCEPT, _REFUSE = (_RET, 0, 0, 0xFFFF), (_RET, 0, 0, 0)

# Offsets in an Ethernet frame without tag.
_ETHERTYPE, _ARP_SENDER = 12, 28
_NEXT_HEADER, _SOURCE_END, _ICMPV6_TYPE, _TARGET_END = 20, 34, 54, 74


def program(addresses: Iterable[IPAddress]) -> list[Instruction]:
    """The program for a packet socket that sees whole Ethernet frames."""
    wanted = tuple(addresses)
    ipv4 = [int(address) for address in wanted if isinstance(address, IPv4Address)]
    ipv6 = [int(address) & 0xFFFFFFFF for address in wanted if not isinstance(address, IPv4Address)]
    return [
        (_LD, 0, 0, _VLAN_TAG_PRESENT),
        *_unless(0, _REFUSE),
        (_LDH, 0, 0, _ETHERTYPE),
        *_section(ETHERTYPE_ARP, [(_LD, 0, 0, _ARP_SENDER), *_any(ipv4)]),
        *_unless(ETHERTYPE_IPV6, _REFUSE),
        (_LDB, 0, 0, _NEXT_HEADER),
        *_unless(NEXT_HEADER_ICMPV6, _REFUSE),
        (_LDB, 0, 0, _ICMPV6_TYPE),
        *_section(ADVERTISEMENT, [(_LD, 0, 0, _TARGET_END), *_any(ipv6)]),
        *_unless(SOLICITATION, _REFUSE),
        (_LD, 0, 0, _SOURCE_END),
        *_any(ipv6),
    ]


def encoded(instructions: Iterable[Instruction]) -> bytes:
    """As the kernel takes it."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)


def _section(value: int, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which ends with a return, if the value loaded is this one."""
    # A conditional jump reaches 255 instructions, an unconditional one any number.
    return [(_JEQ, 1, 0, value), (0x05, 0, 0, len(body)), *body]


def _unless(value: int, instruction: Instruction) -> list[Instruction]:
    return [(_JEQ, 1, 0, value), instruction]


def _any(values: list[int]) -> list[Instruction]:
    """Accept if the value loaded is one of these, else refuse."""
    if len(values) > MAX_FILTERED:
        return [_ACCEPT]
    chain = [instruction for value in dict.fromkeys(values) for instruction in ((_JEQ, 0, 1, value), _ACCEPT)]
    return [*chain, _REFUSE]
