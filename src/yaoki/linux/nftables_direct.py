"""Direct server return: `direct` services as rules of the netdev table, at the ingress of the VIP's interface.

Only Ethernet addresses are rewritten; TTL, addresses and ports stay, and the server answers the client past the
balancer. There is no connection tracking at ingress: the rules keep the flows themselves, in a map from source address
and port to the server's MAC that they read first and update with each packet. So scheduling is per flow, never per
packet; and:

* a dead server's MAC is not in the map of live ones, so its flows fall through and are scheduled anew, at once and
  however many there are; a drained server's is, so its flows stay. The same map leads to the server's counter, and
  what is recorded of the server stands beside it;
* of a TCP flow that ends, the entry moves to a second map with a short life, so that the last acknowledgements still
  find the server and the flow leaves no entry behind for minutes. All services share that map, and those of an
  interface the rules that only look there: a map costs the kernel time for each other one in the table, and for each
  rule that refers to it;
* with the map full, a hash decides, which stays the same as long as the servers do;
* of a fragmented packet the first fragment has the ports, and leaves the server's MAC for the others under the packet's
  identification;
* what opens a flow goes through the chain `news` before it is entered: empty, unless somebody wants to hear of new
  flows (yaoki.linux.nftables_flows), and then holds up who may be about to be told of. Not so where every node finds a
  flow's server again;
* an ICMP error about a server's packet (fragmentation needed, above all) comes to the VIP; the flow is found by the
  packet that it quotes.

The destination MAC is the register in which a candidate is held between two rules. It is harmless that it is not put
back when nobody is to have the packet: the kernel has decided before that the frame is for this host.

Invariants: only frames sent to this host's own MAC are touched, so a flooded frame is never forwarded twice; a packet
for which there is no live server goes up the local stack, where the inet table refuses it.
"""

from collections.abc import Iterator

from yaoki.core.address import Family
from yaoki.lb.kernel_hash import SEED
from yaoki.lb.load import NOTHING_KNOWN, Load, open_servers, slots_under
from yaoki.lb.schedulers import Pick, Slots
from yaoki.lb.service import Duty, Protocol, VirtualService
from yaoki.linux.nftables_keys import FLOW, FRAGMENT
from yaoki.linux.nftables_names import (
    ADDRESS_TYPE,
    DIRECT,
    DIRECT_PRIORITY,
    IP,
    counter_name,
    interface_name,
    opened_name,
    service_name,
    wire_key,
)
from yaoki.linux.nftables_nat import masked_source, picked, slot_map
from yaoki.linux.nftables_objects import Element, Objects, OwnSet
from yaoki.linux.nftables_record import server_record, service_record
from yaoki.pool.maglev import Fill, fill

FLOWS = 262_144
"""Most flows of one service that are remembered; what more there are, the hash sends."""
ENDING = 1_048_576
"""Most flows of all services that are remembered as ending; one for which there is no place stays among the others."""
PERSISTENT_SOURCES = 65_536
FRAGMENTED = 16_384
"""Most fragmented packets under way at one time, of all services."""

# Seconds without a packet after which a flow is forgotten that is not under way; IPVS has the same for the first.
OPENING_S = 60
CLOSING_S = 30
FRAGMENT_S = 30
"""RFC 8200, section 4.5, gives a reassembly 60 s; Linux gives 30."""

NEWS = "news"
"""A chain that belongs to nobody's service; what is in it is not the plane's."""

_DYNAMIC = "flags dynamic,timeout"
_OWN_MAC = "ether saddr set ether daddr"
"""What leaves has this interface's MAC as its source."""
_SPACES = tuple((family, f"{protocol}{family.value}") for family in Family for protocol in Protocol)
_PER_INTERFACE = (
    *(f"live_{space}" for _, space in _SPACES),
    *(f"{kind}{family.value}" for kind in ("ending", "error") for family in Family),
    "send",
    "fragment",
)
"""Chains of an interface that its services share."""


def skeleton() -> Iterator[str]:
    """The part that is there whatever services there are. Servers that are not live are in a set of their own."""
    yield f"add table {DIRECT}"
    yield f"add chain {DIRECT} {NEWS}"
    for family in Family:
        address = ADDRESS_TYPE[family]
        key = f"{address} . inet_proto . inet_service"
        yield f"add map {DIRECT} services{family.value} {{ type {key} : verdict; }}"
        yield f"add set {DIRECT} servers{family.value} {{ type {key} . {address} . inet_service; }}"
        for protocol in Protocol:
            live = f"live_{protocol}{family.value}"
            yield f"add map {DIRECT} {live} {{ type {address} . inet_service . ether_addr : counter; }}"
        yield f"add map {DIRECT} errors{family.value} {{ typeof {FLOW[family].quoted_service} : verdict; }}"
        ending = f"typeof {FLOW[family].typeof_of_all} : ether daddr; {_DYNAMIC}; timeout {CLOSING_S}s"
        yield f"add map {DIRECT} closing{family.value} {{ {ending}; size {ENDING}; }}"
        fragments = f"typeof {FRAGMENT[family].typeof} : ether daddr; {_DYNAMIC}; timeout {FRAGMENT_S}s"
        yield f"add map {DIRECT} fragments{family.value} {{ {fragments}; size {FRAGMENTED}; }}"


def hook_commands(interface: str, hook: str) -> Iterator[str]:
    """Hook in at an interface: the ingress hook by its name, the way out, and the fragments that bear no ports. The
    hook itself must not be there yet; the rest may be left from an interface of the same name."""
    name = interface_name(interface)
    out = f'fwd to "{interface}"'
    chains = {
        f"ingress/{hook}": (
            "meta pkttype != host accept",
            *(f"{FRAGMENT[family].is_later} goto fragment/{name}" for family in Family),
            "ip daddr . meta l4proto . th dport vmap @services4",
            "ip6 daddr . meta l4proto . th dport vmap @services6",
            f"icmp type {{ 3, 11, 12 }} {FLOW[Family.IPV4].quoted_service} vmap @errors4",
            f"icmpv6 type {{ 1, 2, 3, 4 }} {FLOW[Family.IPV6].quoted_service} vmap @errors6",
        ),
        f"send/{name}": (
            *(
                f"{key.is_first} update @fragments{family.value} {{ {key.first} : ether daddr }}"
                for family, key in FRAGMENT.items()
            ),
            out,
        ),
        **{f"live_{space}/{name}": (f"{_counted(family, space)} goto send/{name}",) for family, space in _SPACES},
        **{f"ending{family.value}/{name}": tuple(_of_ending_flow(family, name)) for family in Family},
        **{
            f"error{family.value}/{name}": (
                f"ether daddr set {key.quoted_of_all} map @closing{family.value} goto send/{name}",
            )
            for family, key in FLOW.items()
        },
        f"fragment/{name}": (
            "ether saddr set ether daddr",
            *(f"ether daddr set {key.later} map @fragments{family.value} {out}" for family, key in FRAGMENT.items()),
        ),
    }
    spec = f'type filter hook ingress device "{interface}" priority {DIRECT_PRIORITY}; policy accept;'
    for chain in chains:
        yield f"add chain {DIRECT} {chain}" + (f" {{ {spec} }}" if chain.startswith("ingress/") else "")
        yield f"flush chain {DIRECT} {chain}"
    yield from (f"add rule {DIRECT} {chain} {rule}" for chain, rules in chains.items() for rule in rules)


def unhook_commands(hook: str, *, whole: bool) -> Iterator[str]:
    """Take a hook away, by its name; `whole`: with all else of its interface, which no service may use any more."""
    name = hook.partition("/")[0]
    rest = [f"{kind}/{name}" for kind in _PER_INTERFACE]
    chains = [f"ingress/{hook}", *(rest if whole else [])]
    yield from (f"flush chain {DIRECT} {chain}" for chain in chains)
    yield from (f"delete chain {DIRECT} {chain}" for chain in chains)


def opening_s(service: VirtualService) -> int:
    """Seconds after which a flow is forgotten of which only the first packet was seen."""
    idle = round(service.idles_out_after.total_seconds())
    return min(OPENING_S, idle) if service.key.protocol is Protocol.TCP else idle


def _of_ending_flow(family: Family, interface: str) -> Iterator[str]:
    """Goes on only with a packet that a live server of an ending TCP flow is to have; else the flow is over."""
    key = FLOW[family].packet_of_all
    known = f"ether daddr set {key} map @closing{family.value}"
    yield f"tcp flags & syn == 0x0 {known} jump live_{Protocol.TCP}{family.value}/{interface}"
    yield _forgotten(f"@closing{family.value}", key)


def _forgotten(map_: str, key: str) -> str:
    return f"delete {map_} {{ {key} : ether daddr }}"


def _counted(family: Family, space: str) -> str:
    """Goes on only if the MAC is that of a live server of the service, and counts the packet there."""
    return f"counter name {IP[family]} daddr . th dport . ether daddr map @live_{space}"


def render(
    service: VirtualService, digest: str, load: Load = NOTHING_KNOWN, *, flows: int = FLOWS, filling: Fill = fill
) -> Objects:
    """A service whose servers are all `direct`; `load` is what was counted of it last, where it counts; `flows` is the
    size of its map of flows; `filling` fills its table, where it has one."""
    key, name, wire = service.key, service_name(service.key), wire_key(service.key)
    family, vip = key.family, str(key.address)
    flow = f"typeof {FLOW[family].typeof} : ether daddr; {_DYNAMIC}"
    sets = {f"flows/{name}": OwnSet("map", f"{flow}; size {flows};")}
    if service.persistence is not None:
        source = f"type {ADDRESS_TYPE[family]} : ether_addr; {_DYNAMIC}"
        sets[f"persist/{name}"] = OwnSet("map", f"{source}; size {PERSISTENT_SOURCES};")
    slots = slots_under(service, load, filling)
    if slots is not None and not slots.only:
        sets[f"slots/{name}"] = slot_map("ether daddr", (str(server.mac) for server in slots.servers))
    elements = {
        (f"services{family.value}", wire): Element(f"goto {name}", service_record(service, digest)),
        (f"errors{family.value}", f"{key.protocol.number} . {key.port} . {vip}"): Element(f"goto error/{name}"),
    }
    counters = [opened_name(key)] if service.counts_flows else []
    live_map, live_key, kept_map = f"live_{key.protocol}{family.value}", f"{vip} . {key.port}", f"servers{family.value}"
    for server in service.servers:
        address, record = str(server.address), server_record(server)
        counters.append(counter := counter_name(name, address, server.port))
        live = (live_map, f"{live_key} . {server.mac}")
        # Of two servers on one machine, which one MAC cannot tell apart, the first is counted.
        if server.duty is Duty.OUT or server.mac is None or live in elements:
            elements[kept_map, f"{wire} . {address} . {server.port}"] = Element(comment=record)
        else:
            elements[live] = Element(f'"{counter}"', record)
    return Objects(_Rules(service, slots, load).chains(), tuple(counters), sets, elements)


class _Rules:
    """The rules of one service."""

    def __init__(self, service: VirtualService, slots: Slots | None, load: Load) -> None:
        self._service = service
        self._load = load
        self._slots = slots
        self._name = service_name(service.key)
        self._flow = FLOW[service.key.family].packet
        interface, space = interface_name(service.interface), f"{service.key.protocol}{service.key.family.value}"
        self._send, self._live_chain = f"goto send/{interface}", f"live_{space}/{interface}"
        self._send_live = f"jump {self._live_chain}"
        self._live = _counted(service.key.family, space)
        self._is_tcp = service.key.protocol is Protocol.TCP
        self._at_interface = f"{service.key.family.value}/{interface}"
        self._flows = f"@flows/{self._name}"
        self._ending, self._closing = FLOW[service.key.family].packet_of_all, f"@closing{service.key.family.value}"
        self._established_s = round(service.idles_out_after.total_seconds())
        self._opening_s = opening_s(service)

    def chains(self) -> dict[str, tuple[str, ...]]:
        chains = {
            self._name: tuple(self._any_packet()),
            f"pick/{self._name}": tuple(self._new_flow()),
            f"error/{self._name}": tuple(self._error()),
        }
        if self._is_tcp:
            chains[f"known/{self._name}"] = tuple(self._known_flow())
        if self._slots is not None:
            chains[f"new/{self._name}"] = tuple(self._remember(self._slots))
        if self._service.persistence is not None:
            chains[f"keep/{self._name}"] = (self._touch_source(), self._send)
        return chains

    def _any_packet(self) -> Iterator[str]:
        yield f'iifname != "{self._service.interface}" return'
        known = f"{_OWN_MAC} ether daddr set {self._flow} map {self._flows}"
        if self._is_tcp:
            yield f"{known} jump known/{self._name}"
            yield f"jump ending{self._at_interface}"
        else:
            yield f"{known} {self._to_established()}"
        yield f"{_forgotten(self._flows, self._flow)} goto pick/{self._name}"

    def _known_flow(self) -> Iterator[str]:
        """Of TCP, with its server's MAC in place. What opens a flow again does not make its entry last."""
        yield f"tcp flags & (fin | syn | rst) == 0x0 {self._to_established()}"
        ends = f"update {self._closing} {{ {self._ending} : ether daddr }}"
        yield f"tcp flags & (fin | rst) != 0x0 {ends} {_forgotten(self._flows, self._flow)}"
        yield f"goto {self._live_chain}"

    def _to_established(self) -> str:
        update = self._update(self._established_s)
        if self._service.persistence is None:
            return f"{update} {self._send_live}"
        return f"{self._live} {update} goto keep/{self._name}"

    def _error(self) -> Iterator[str]:
        quoted = FLOW[self._service.key.family].quoted
        yield f"{_OWN_MAC} ether daddr set {quoted} map {self._flows} {self._send}"
        if self._is_tcp:
            yield f"goto error{self._at_interface}"

    def _new_flow(self) -> Iterator[str]:
        if self._slots is None:
            return
        if self._service.counts_flows:
            yield f'counter name "{opened_name(self._service.key)}"'
        if self._service.persistence is not None:
            source = masked_source(self._service.key.family, self._service.persistence)
            persist = f"@persist/{self._name}"
            eligible = ", ".join(sorted({str(server.mac) for server in open_servers(self._service, self._load)}))
            yield f"ether daddr set {source} map {persist} ether daddr {{ {eligible} }} goto new/{self._name}"
            yield f"delete {persist} {{ {source} : ether daddr }}"
        yield f"ether daddr set {self._picked(self._slots)} goto new/{self._name}"

    def _picked(self, slots: Slots) -> str:
        if slots.only:
            return str(slots.only.mac)
        return f"{picked(slots, self._service.key.family)} map @slots/{self._name}"

    def _remember(self, slots: Slots) -> Iterator[str]:
        """Put the flow on its server's account; with no room for that, find a server that is found again."""
        persistence = self._service.persistence
        if not self._service.finds_again:
            yield f"jump {NEWS}"
        if persistence is not None:
            yield self._touch_source()
        yield f"{self._update(self._opening_s)} {self._send_live}"
        hashed = f"th sport . {IP[self._service.key.family]} saddr"
        if persistence is not None:
            hashed = masked_source(self._service.key.family, persistence)
            yield f"ether daddr set {hashed} map @persist/{self._name} {self._send_live}"
        again = ""
        if slots.pick is Pick.IN_TURN and not slots.only:
            again = f"ether daddr set jhash {hashed} mod {len(slots)} seed {SEED:#x} map @slots/{self._name} "
        yield f"{again}{self._send_live}"

    def _update(self, seconds: int) -> str:
        return f"update {self._flows} {{ {self._flow} timeout {seconds}s : ether daddr }}"

    def _touch_source(self) -> str:
        persistence = self._service.persistence
        assert persistence is not None
        source = masked_source(self._service.key.family, persistence)
        seconds = round(persistence.timeout.total_seconds())
        return f"update @persist/{self._name} {{ {source} timeout {seconds}s : ether daddr }}"
