"""The classic BPF program that lets a recorder see one virtual service: packets from or to some addresses, with some
ports; of the same addresses also ICMP and the fragments that bear no ports.

It is coarser than what is wanted: of an IPv6 address the last 32 bits are compared, and any of the ports is taken with
any of the addresses. Whoever reads compares the rest. Frames with a VLAN tag belong to another interface, and are seen
there.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address

from yaoki.core.address import Family, IPAddress
from yaoki.linux.claim_filter import Instruction
from yaoki.packet import ipv4, ipv6, udp
from yaoki.packet.ethernet import ETHERTYPE_IPV4, ETHERTYPE_IPV6
from yaoki.packet.headers import NEXT_HEADER_FRAGMENT
from yaoki.packet.tunnel import PROTOCOLS, Encapsulation, Tunnel

MOST_VALUES = 120
"""Addresses of one family, or ports: a conditional jump reaches 255 instructions."""

# Load word, half-word, octet at an offset; half-word behind the IPv4 header; that header's length; jumps; return.
_LD, _LDH, _LDB, _LDH_X, _LDX_HEADER, _JA, _JEQ, _JSET, _RET = 0x20, 0x28, 0x30, 0x48, 0xB1, 0x05, 0x15, 0x45, 0x06
_VLAN_TAG_PRESENT = 0x100000000 - 0x1000 + 48
_ETHERTYPE, _PROTOCOL4, _FRAGMENT4, _IP4 = 12, 23, 20, 14
_SOURCE4, _DESTINATION4 = 26, 30
_PROTOCOL6, _SOURCE6_END, _DESTINATION6_END, _PORTS6 = 20, 34, 50, 54
_REFUSE: Instruction = (_RET, 0, 0, 0)


def program(
    addresses: Iterable[IPAddress],
    ports: Iterable[int],
    protocol: int,
    *,
    snap: int,
    tunnel: tuple[Tunnel, Iterable[IPAddress]] | None = None,
) -> list[Instruction]:
    """The program for a packet socket that sees whole Ethernet frames and keeps `snap` octets of each. Whatever goes
    through a `tunnel` to one of some addresses is seen as well; of more than MOST_VALUES, to any."""
    wanted, accept = tuple(addresses), (_RET, 0, 0, snap)
    ports = tuple(ports)
    ipv4_addresses = [int(address) for address in wanted if isinstance(address, IPv4Address)]
    ipv6_addresses = [int(address) & 0xFFFFFFFF for address in wanted if not isinstance(address, IPv4Address)]
    if max(len(ipv4_addresses), len(ipv6_addresses), len(ports)) > MOST_VALUES:
        raise ValueError(f"more than {MOST_VALUES} addresses or ports")
    return [
        (_LD, 0, 0, _VLAN_TAG_PRESENT),
        *_unless(0, _REFUSE),
        (_LDH, 0, 0, _ETHERTYPE),
        *_section(ETHERTYPE_IPV4, [*_wrapped4(tunnel, accept), *_ipv4(ipv4_addresses, ports, protocol, accept)]),
        *_unless(ETHERTYPE_IPV6, _REFUSE),
        *_wrapped6(tunnel, accept),
        *_ipv6(ipv6_addresses, ports, protocol, accept),
    ]


_Tunnelled = tuple[Tunnel, Iterable[IPAddress]] | None


def _wrapped4(tunnelled: _Tunnelled, accept: Instruction) -> list[Instruction]:
    if tunnelled is None:
        return []
    tunnel, ends = tunnelled
    wanted = [int(end) for end in ends if isinstance(end, IPv4Address)]
    if tunnel.encapsulation is Encapsulation.IPIP:
        test = [(_LDB, 0, 0, _PROTOCOL4), *_if(PROTOCOLS[Family.IPV4], accept)]
    else:
        port = [(_LDX_HEADER, 0, 0, _IP4), (_LDH_X, 0, 0, _IP4 + 2), *_if(tunnel.port, accept)]
        test = [(_LDB, 0, 0, _PROTOCOL4), (_JEQ, 0, len(port), udp.PROTOCOL), *port]
    return _towards((_LD, 0, 0, _DESTINATION4), wanted, test)


def _wrapped6(tunnelled: _Tunnelled, accept: Instruction) -> list[Instruction]:
    if tunnelled is None:
        return []
    tunnel, ends = tunnelled
    wanted = [int(end) & 0xFFFFFFFF for end in ends if not isinstance(end, IPv4Address)]
    if tunnel.encapsulation is Encapsulation.IPIP:
        test = [(_LDB, 0, 0, _PROTOCOL6), *_if(PROTOCOLS[Family.IPV6], accept)]
    else:
        port = [(_LDH, 0, 0, _PORTS6 + 2), *_if(tunnel.port, accept)]
        test = [(_LDB, 0, 0, _PROTOCOL6), (_JEQ, 0, len(port), udp.PROTOCOL), *port]
    return _towards((_LD, 0, 0, _DESTINATION6_END), wanted, test)


def _towards(load: Instruction, ends: list[int], test: list[Instruction]) -> list[Instruction]:
    """Run a test, which may accept, on what goes to one of these; go on behind it."""
    if len(ends) > MOST_VALUES:
        return test
    left = range(len(ends), 0, -1)
    return [load, *((_JEQ, over, 0, end) for over, end in zip(left, ends, strict=True)), (_JA, 0, 0, len(test)), *test]


def _ipv4(addresses: list[int], ports: tuple[int, ...], protocol: int, accept: Instruction) -> list[Instruction]:
    return [
        *_either(((_LD, 0, 0, _SOURCE4), (_LD, 0, 0, _DESTINATION4)), addresses),
        (_LDB, 0, 0, _PROTOCOL4),
        *_if(ipv4.PROTOCOL_ICMP, accept),
        *_unless(protocol, _REFUSE),
        (_LDH, 0, 0, _FRAGMENT4),
        (_JSET, 0, 1, 0x1FFF),
        accept,
        (_LDX_HEADER, 0, 0, _IP4),
        *_either(((_LDH_X, 0, 0, _IP4), (_LDH_X, 0, 0, _IP4 + 2)), list(ports)),
        accept,
    ]


def _ipv6(addresses: list[int], ports: tuple[int, ...], protocol: int, accept: Instruction) -> list[Instruction]:
    return [
        *_either(((_LD, 0, 0, _SOURCE6_END), (_LD, 0, 0, _DESTINATION6_END)), addresses),
        (_LDB, 0, 0, _PROTOCOL6),
        *_if(ipv6.NEXT_HEADER_ICMPV6, accept),
        *_if(NEXT_HEADER_FRAGMENT, accept),
        *_unless(protocol, _REFUSE),
        *_either(((_LDH, 0, 0, _PORTS6), (_LDH, 0, 0, _PORTS6 + 2)), list(ports)),
        accept,
    ]


def _either(loads: tuple[Instruction, ...], values: list[int]) -> list[Instruction]:
    """Go on behind this if one of the loads gives one of the values, else refuse."""
    tests = [test for load in loads for test in (load, *((_JEQ, 0, 0, value) for value in dict.fromkeys(values)))]
    left = range(len(tests), 0, -1)
    chain = [(code, over if code == _JEQ else 0, 0, value) for over, (code, *_, value) in zip(left, tests, strict=True)]
    return [*chain, _REFUSE]


def _section(value: int, body: list[Instruction]) -> list[Instruction]:
    """Run `body`, which ends with a return, if the value loaded is this one."""
    return [(_JEQ, 1, 0, value), (_JA, 0, 0, len(body)), *body]


def _if(value: int, instruction: Instruction) -> list[Instruction]:
    return [(_JEQ, 0, 1, value), instruction]


def _unless(value: int, instruction: Instruction) -> list[Instruction]:
    return [(_JEQ, 1, 0, value), instruction]
