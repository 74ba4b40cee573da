"""Address translation: `nat` and `fullnat` services as rules.

Connection tracking holds the flows: the nat hook sees a flow's first packet only, so scheduling is per flow. A service
is found by one map from address, protocol and port to its chain. Each server has its named counter, found by what
connection tracking knows of the packet's flow, so counters do not depend on the service's rules.

A flow whose entry is deleted is scheduled anew at its next packet: UDP goes on with another server; of TCP the other
server knows nothing, and refuses with a reset, which the client is told at once.

A node that does not own a VIP passes new flows to it on and does not track them: an entry made without translation
would outlast the taking of the VIP, and the same flow's next packet would be refused by this node itself.

Invariants: a packet is translated only if its destination is an address of this node, so a node that does not own the
VIP routes it on to the owner; nothing here looks at or sets a mark.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from yaoki.core.address import Family, IPAddress
from yaoki.lb.kernel_hash import SEED
from yaoki.lb.load import NOTHING_KNOWN, Load, open_servers, slots_under
from yaoki.lb.schedulers import Pick, Slots
from yaoki.lb.service import Forward, Protocol, RealServer, SourcePersistence, VirtualService
from yaoki.linux.nftables_names import (
    ACCOUNT_PRIORITY,
    ADDRESS_TYPE,
    IP,
    PASSING_PRIORITY,
    REFUSE_PRIORITY,
    SOURCE_PRIORITY,
    TRANSLATION,
    TRANSLATION_PRIORITY,
    counter_name,
    opened_name,
    pin_name,
    service_name,
    wire_key,
)
from yaoki.linux.nftables_objects import Element, Objects, OwnSet
from yaoki.linux.nftables_record import server_record, service_record
from yaoki.pool.maglev import Fill, fill

PERSISTENT_SOURCES = 65536
"""Most sources that one server remembers; a source more is scheduled like one that was never seen."""

SPACES = tuple((family, protocol) for family in Family for protocol in Protocol)


def skeleton() -> Iterator[str]:
    """The part that is there whatever services there are: hooks, and the maps that lead to services."""
    yield f"add table {TRANSLATION}"
    for family in Family:
        address = ADDRESS_TYPE[family]
        key = f"{address} . inet_proto . inet_service"
        yield f"add map {TRANSLATION} services{family.value} {{ type {key} : verdict; }}"
        yield f"add set {TRANSLATION} listeners{family.value} {{ type {key}; }}"
        yield f"add set {TRANSLATION} servers{family.value} {{ type {key} . {address} . inet_service; }}"
    for family, protocol in SPACES:
        address, space = ADDRESS_TYPE[family], _space(family, protocol)
        flow = f"{address} . inet_service . {address} . inet_service"
        yield f"add map {TRANSLATION} counters_{space} {{ type {flow} : counter; }}"
        yield f"add map {TRANSLATION} sources_{space} {{ type {flow} : {address}; }}"
        yield f"add map {TRANSLATION} pins_{space} {{ type {flow} : verdict; }}"
    yield f"add set {TRANSLATION} routed {{ type ifname; }}"
    for chain, hook, rules in _base_chains():
        yield f"add chain {TRANSLATION} {chain} {{ type {hook}; policy accept; }}"
        for rule in rules:
            yield f"add rule {TRANSLATION} {chain} {rule}"


def _base_chains() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    elsewhere = "fib daddr type != local notrack"
    yield (
        "passing",
        f"filter hook prerouting priority {PASSING_PRIORITY}",
        tuple(
            f"{new} {IP[f]} daddr . meta l4proto . th dport @listeners{f.value} {elsewhere}"
            for new in ("tcp flags & (syn | ack) == syn", "meta l4proto udp")
            for f in Family
        ),
    )
    find = tuple(
        f"fib daddr type local {IP[f]} daddr . meta l4proto . th dport vmap @services{f.value}" for f in Family
    )
    yield "prerouting", f"nat hook prerouting priority {TRANSLATION_PRIORITY}", find
    yield "output", f"nat hook output priority {TRANSLATION_PRIORITY}", find
    account = [f"{_flow(f)} map @counters_{_space(f, p)}" for f, p in SPACES]
    pins = [f"{_flow(f)} vmap @pins_{_space(f, p)}" for f, p in SPACES]
    original = "ct status dnat ct direction original"
    yield (
        "account",
        f"filter hook prerouting priority {ACCOUNT_PRIORITY}",
        (
            *(f"{original} meta l4proto {p} counter name {rule}" for (_, p), rule in zip(SPACES, account, strict=True)),
            *(f"{original} meta l4proto {p} {rule}" for (_, p), rule in zip(SPACES, pins, strict=True)),
        ),
    )
    yield (
        "postrouting",
        f"nat hook postrouting priority {SOURCE_PRIORITY}",
        tuple(
            f"ct status dnat meta l4proto {p} snat {IP[f]} to {_flow(f)} map @sources_{_space(f, p)}" for f, p in SPACES
        ),
    )
    # IPv4 has a sysctl for this. A redirect would tell a server to send its replies past the balancer.
    yield (
        "redirects",
        f"filter hook output priority {REFUSE_PRIORITY}",
        ("oifname @routed icmpv6 type nd-redirect drop",),
    )


def render(service: VirtualService, digest: str, load: Load = NOTHING_KNOWN, *, filling: Fill = fill) -> Objects:
    """A service whose servers are all `nat` or `fullnat`; `load` is what was counted of it last, where it counts;
    `filling` fills its table, where it has one."""
    key, name, wire = service.key, service_name(service.key), wire_key(service.key)
    family, space, vip = key.family, _space(key.family, key.protocol), str(key.address)
    slots = slots_under(service, load, filling)
    elements = {
        (f"services{family.value}", wire): Element(f"goto {name}", service_record(service, digest)),
        (f"listeners{family.value}", wire): Element(),
    }
    counters = [opened_name(key)] if service.counts_flows else []
    sets: dict[str, OwnSet] = {}
    chains: dict[str, tuple[str, ...]] = {name: tuple(_rules(service, slots, load))}
    if slots is not None and not slots.only:
        places = (f"{server.address} . {server.port}" for server in slots.servers)
        sets[f"slots/{name}"] = slot_map(f"{IP[family]} daddr . {key.protocol} dport", places)
    for server in service.servers:
        address = str(server.address)
        place = f"{address} . {server.port}"
        flow = f"{vip} . {key.port} . {place}"
        counters.append(counter := counter_name(name, address, server.port))
        elements[f"servers{family.value}", f"{wire} . {place}"] = Element(comment=server_record(server))
        elements[f"counters_{space}", flow] = Element(f'"{counter}"')
        if server.forward is Forward.FULLNAT and server.source is not None:
            elements[f"sources_{space}", flow] = Element(str(server.source))
        if service.persistence is not None and server.eligible:
            pin = pin_name(key, server.address, server.port)
            lifetime = f"flags dynamic,timeout; gc-interval 10s; size {PERSISTENT_SOURCES};"
            sets[pin] = OwnSet("set", f"type {ADDRESS_TYPE[family]}; {lifetime}")
            source = masked_source(family, service.persistence)
            timeout = f"{round(service.persistence.timeout.total_seconds())}s"
            chains[pin] = (f"update @{pin} {{ {source} timeout {timeout} }}",)
            elements[f"pins_{space}", flow] = Element(f"goto {pin}")
    return Objects(chains, tuple(counters), sets, elements)


def _rules(service: VirtualService, slots: Slots | None, load: Load) -> Iterator[str]:
    if slots is None:
        return
    key = service.key
    ip = IP[key.family]
    lead = f"meta l4proto {key.protocol.value}"
    if service.counts_flows:
        yield f'counter name "{opened_name(key)}"'
    if service.persistence is not None:
        source = masked_source(key.family, service.persistence)
        for server in open_servers(service, load):
            yield f"{lead} {source} @{pin_name(key, server.address, server.port)} dnat {ip} to {_place(server)}"
    if slots.only:
        yield f"{lead} dnat {ip} to {_place(slots.only)}"
    else:
        yield f"{lead} dnat {ip} to {picked(slots, key.family)} map @slots/{service_name(key)}"


def picked(slots: Slots, family: Family) -> str:
    """The expression whose value is the number of a new flow's slot."""
    if slots.pick is Pick.IN_TURN:
        return f"numgen inc mod {len(slots)}"
    hashed = f"th sport . {IP[family]} saddr" if slots.pick is Pick.BY_FLOW else f"{IP[family]} saddr"
    return f"jhash {hashed} mod {len(slots)} seed {SEED:#x}"


def slot_map(data: str, values: Iterable[str]) -> OwnSet:
    """A map from slot numbers to what the slots hold; `data` in the words of `typeof`."""
    contents = tuple(f"{slot} : {value}" for slot, value in enumerate(values))
    # The modulus only says that it is a number.
    return OwnSet("map", f"typeof numgen inc mod 2 : {data};", contents)


def masked_source(family: Family, persistence: SourcePersistence) -> str:
    """The source address as persistence sees it."""
    whole = f"{IP[family]} saddr"
    if persistence.prefix_length == family.bits:
        return whole
    ones = (1 << family.bits) - (1 << family.bits - persistence.prefix_length)
    return f"{whole} & {IPv4Address(ones) if family is Family.IPV4 else IPv6Address(ones)}"


def masked_address(source: IPAddress, persistence: SourcePersistence) -> bytes:
    """A source's key where persistence remembers it."""
    network = ip_network((source, persistence.prefix_length), strict=False)
    return network.network_address.packed


def _flow(family: Family) -> str:
    """What connection tracking knows of a flow: the service it came to, and the server it was given."""
    ip = IP[family]
    return f"ct original {ip} daddr . ct original proto-dst . ct reply {ip} saddr . ct reply proto-src"


def _space(family: Family, protocol: Protocol) -> str:
    return f"{protocol.value}{family.value}"


def _place(server: RealServer) -> str:
    return f"[{server.address}]:{server.port}" if server.address.version == 6 else f"{server.address}:{server.port}"
