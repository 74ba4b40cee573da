"""The keys under which the rules of direct return remember a flow, one that ends, and a fragmented packet.

What nft 1.0.6 demands of a key that a rule updates, learnt by trying: it has room for 16 octets, each part taking four
or a multiple of them; of a longer one, the rest is silently overwritten by the data (or nft aborts). So an IPv4 flow
is named by its port and address as they are, an IPv6 flow by two hashes of them, 64 bits. Should two flows of one
service ever share these, they share a server.

nft compares the types of keys, and the fields of a packet quoted by an ICMP error have none. So IPv4 ports are taken
as two octets and addresses as raw bits, which have none either; the input of a hash is not compared.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from yaoki.core.address import Family, IPAddress
from yaoki.lb.kernel_hash import jhash, register, scaled
from yaoki.lb.service import ServiceKey

_WHOLE = 0xFFFFFFFF
_SEEDS = (0x59414F4B, 0x4B414F59)


@dataclass(frozen=True, slots=True)
class FlowKey:
    """A family's keys. `packet`: from a client's packet. `quoted`: from an ICMP error about a server's, whose source
    is the VIP and whose destination the client. `quoted_service`: the key of the service in such an error. `typeof`:
    for maps. `in_packet` and `in_quoted` are a hash of the service, which makes a key good for all services."""

    typeof: str
    packet: str
    quoted: str
    quoted_service: str
    in_packet: str
    in_quoted: str

    @property
    def typeof_of_all(self) -> str:
        """For a map of the flows of all services."""
        return f"{self.typeof} . tcp sequence"

    @property
    def packet_of_all(self) -> str:
        """As `packet`, for a map of the flows of all services."""
        return f"{self.packet} . {self.in_packet}"

    @property
    def quoted_of_all(self) -> str:
        """As `quoted`, for a map of the flows of all services."""
        return f"{self.quoted} . {self.in_quoted}"


def hashed(expression: str, seeds: Sequence[int] = _SEEDS) -> str:
    """32 bits for each seed of an expression of any length, as parts of a key."""
    return " . ".join(f"jhash {expression} mod {_WHOLE} seed {seed:#x}" for seed in seeds)


# Bit offsets in ICMP errors count from the start of the ICMP header, 8 octets long. Extension headers of quoted IPv6
# packets are not looked through.
FLOW: Mapping[Family, FlowKey] = {
    Family.IPV4: FlowKey(
        typeof="@th,0,8 . @th,8,8 . @nh,96,32",
        packet="@th,0,8 . @th,8,8 . @nh,96,32",
        quoted="@th,240,8 . @th,248,8 . @th,192,32",
        quoted_service="@th,136,8 . @th,224,16 . ip daddr",
        in_packet=hashed("ip daddr . th dport", _SEEDS[:1]),
        in_quoted=hashed("ip daddr . @th,224,16", _SEEDS[:1]),
    ),
    Family.IPV6: FlowKey(
        typeof="tcp sequence . tcp ackseq",  # as long as two hashes
        packet=hashed("th sport . ip6 saddr"),
        quoted=hashed("@th,400,16 . @th,256,128"),
        quoted_service="@th,112,8 . @th,384,16 . ip6 daddr",
        in_packet=hashed("ip6 daddr . th dport", _SEEDS[:1]),
        in_quoted=hashed("ip6 daddr . @th,384,16", _SEEDS[:1]),
    ),
}


def flow_key(source: IPAddress, port: int) -> bytes:
    """The key of a flow as it lies in registers, as the rules compute it."""
    if isinstance(source, IPv4Address):
        high, low = port.to_bytes(2, "big")
        return register(bytes((high,))) + register(bytes((low,))) + source.packed
    hashed_part = register(port.to_bytes(2, "big")) + source.packed
    return struct.pack(f"={len(_SEEDS)}I", *(scaled(jhash(hashed_part, seed), _WHOLE) for seed in _SEEDS))


def service_part(service: ServiceKey) -> bytes:
    """What keys of a service end with in a map of the flows of all services (`packet_of_all`)."""
    hashed_part = service.address.packed + register(service.port.to_bytes(2, "big"))
    return struct.pack("=I", scaled(jhash(hashed_part, _SEEDS[0]), _WHOLE))


def read_key_of_all(family: Family, key: bytes) -> tuple[bytes, bytes]:
    """The other way: a key in a map of all services as that of the flow, and the service's part."""
    length = 12 if family is Family.IPV4 else 8
    return key[:length], key[length : length + 4]


def read_flow_key(family: Family, key: bytes) -> tuple[IPAddress | None, int | None]:
    """A client's address and port; of IPv6 only a hash is there, so neither."""
    if family is Family.IPV6:
        return None, None
    # Two octets of port and the address, each in a register.
    return IPv4Address(key[8:12]), key[0] << 8 | key[4]


@dataclass(frozen=True, slots=True)
class PacketKey:
    """Names one packet among fragments. `first` is written in terms that an updating rule knows, `later` in those that
    a rule that looks it up knows; `is_first` and `is_later` tell which fragment this is."""

    typeof: str
    is_first: str
    first: str
    is_later: str
    later: str


FRAGMENT: Mapping[Family, PacketKey] = {
    Family.IPV4: PacketKey(
        typeof="ip saddr . ip daddr . ip protocol . ip id",
        is_first="ip frag-off & 0x2000 != 0",
        first="ip saddr . ip daddr . ip protocol . ip id",
        is_later="ip frag-off & 0x1fff != 0",
        later="ip saddr . ip daddr . ip protocol . ip id",
    ),
    # The fragment header is taken to follow the IPv6 header at once, as hosts send it.
    Family.IPV6: PacketKey(
        typeof="tcp sequence . tcp ackseq . tcp ackseq",
        is_first="frag more-fragments 1",
        first=f"frag id . {hashed('ip6 saddr . ip6 daddr')}",
        is_later="frag frag-off != 0",
        later=f"@nh,352,32 . {hashed('ip6 saddr . ip6 daddr')}",
    ),
}
