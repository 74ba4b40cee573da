"""Which interfaces of which nodes are plugged into one network, its prefixes, and the nodes' own addresses there.

keepalived asks its machine for all of this, so its file says it only in passing: interfaces that share a virtual router
are on one network; a virtual address with a length shows the prefix, mcast_src_ip, unicast_src_ip and unicast_peer own
addresses. What is still unknown is assumed, and said to be (a gap): /24 or /64 around the addresses, and free addresses
of the prefix as the nodes' own.

Invariants: prefixes of two networks never overlap; no assumed address is one that the files name.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_network

from yaoki.core.address import Family, IPAddress, IPInterface, IPNetwork
from yaoki.site.foreign.keepalived.configuration import Configuration, Instance
from yaoki.site.foreign.keepalived.naming import Names

_LONGEST_TOLD = {Family.IPV4: 29, Family.IPV6: 124}
"""A longer prefix is that of the address alone, or has no room for the nodes."""
_SHORTEST_TOLD = {Family.IPV4: 8, Family.IPV6: 16}
"""A shorter prefix holds more than hosts."""
_ASSUMED = {Family.IPV4: 24, Family.IPV6: 64}
_MOST_TRIED = 4_096


@dataclass(frozen=True, slots=True)
class Plug:
    """An interface of a node."""

    node: str
    interface: str


@dataclass(frozen=True, slots=True)
class Own:
    """A node's own address, as the operator gave it, with the length of its prefix."""

    plug: Plug
    address: IPInterface


@dataclass
class Lan:
    """One network while it is put together. `assumed` are those of its prefixes that no file names."""

    name: str = ""
    plugs: list[Plug] = field(default_factory=list)
    told: list[IPNetwork] = field(default_factory=list)
    loose: list[IPAddress] = field(default_factory=list)
    """Addresses that must be within, with nothing said of the prefix."""
    watched: bool = False
    """No more is known of it than that interfaces into it are tracked."""

    _known: tuple[int, int, tuple[IPNetwork, ...]] = (0, 0, ())
    """The prefixes, as long as so much was told and so much is loose: both only grow."""

    @property
    def prefixes(self) -> tuple[IPNetwork, ...]:
        """The prefixes that hold all its addresses, none of them within another."""
        if self._known[:2] != (len(self.told), len(self.loose)):
            told = _outermost(self.told)
            assumed = [assumed_prefix(one) for one in self.loose if not any(one in prefix for prefix in told)]
            self._known = (len(self.told), len(self.loose), _outermost([*told, *assumed]))
        return self._known[2]

    @property
    def assumed(self) -> tuple[IPNetwork, ...]:
        told = _outermost(self.told)
        return tuple(prefix for prefix in self.prefixes if prefix not in told)

    def holds(self, address: IPAddress) -> bool:
        """Whether an address is in one of its prefixes."""
        return any(address in prefix for prefix in self.prefixes)

    def allows(self, address: IPAddress) -> bool:
        """Whether a host on it may have an address: none that its prefix keeps for itself."""
        return next((_is_hosts(address, prefix) for prefix in self.prefixes if address in prefix), True)


class Networks:
    """All networks, found from the instances of all nodes and what the operator gave."""

    def __init__(self, configurations: Sequence[Configuration], given: tuple[Own, ...]) -> None:
        self._lans: list[Lan] = []
        self._names = Names()
        self._by_plug: dict[Plug, Lan] = {}
        self._own: dict[tuple[Plug, Family], IPAddress] = {}
        self._assumed: set[tuple[Plug, Family]] = set()
        self._taken: set[IPAddress] = set()
        shared: dict[tuple[int, IPAddress], Plug] = {}
        for node in configurations:
            for instance in node.instances:
                plug = Plug(node.name, instance.interface)
                self._add(plug, instance)
                for one in instance.addresses:
                    first = shared.setdefault((instance.vrid, one.value.ip), plug)
                    self._join(self._by_plug[first], self._by_plug[plug])
        for own in given:
            if own.plug in self._by_plug:
                self._tell(self._by_plug[own.plug], own.address)
                self._own[own.plug, Family.of(own.address)] = own.address.ip
                self._taken.add(own.address.ip)
        self._join_overlapping()
        self._movable = {
            one.value.ip for node in configurations for instance in node.instances for one in instance.addresses
        }
        self._own = self._settled()
        for lan in self._lans:
            lan.name = self._names.give(lan.plugs[0].interface, "network")

    @property
    def all(self) -> tuple[Lan, ...]:
        return tuple(self._lans)

    @property
    def plugs(self) -> tuple[Plug, ...]:
        """All interfaces that are known."""
        return tuple(self._by_plug)

    def knows(self, plug: Plug) -> bool:
        """Whether an interface is on any network."""
        return plug in self._by_plug

    def of(self, plug: Plug) -> Lan:
        """The network of an interface that some instance is on."""
        return self._by_plug[plug]

    def plug_in(self, plug: Plug) -> None:
        """An interface of which no more is known than that it is watched; those of one name are one network."""
        if plug in self._by_plug:
            return
        lan = next((one for one in self._lans if one.watched and one.plugs[0].interface == plug.interface), None)
        if lan is None:
            lan = Lan(self._names.give(plug.interface, "network"), watched=True)
            self._lans.append(lan)
            self._placeholder(lan)
        lan.plugs.append(plug)
        self._by_plug[plug] = lan

    def first(self, plug: Plug) -> Plug:
        """The interface that stands for a node on a network: the first of those that it has there."""
        lan = self._by_plug[plug]
        return next(one for one, found in self._by_plug.items() if one.node == plug.node and found is lan)

    def plugs_of(self, node: str) -> tuple[Plug, ...]:
        """The interfaces of a node, one on each of its networks, in the order of its file."""
        return tuple(plug for plug in self._by_plug if plug.node == node and self.first(plug) == plug)

    def allows(self, address: IPAddress) -> bool:
        """Whether a host may have an address, on the network that holds it or would be made for it."""
        found = next((lan for lan in self._lans if lan.holds(address)), None)
        return _is_hosts(address, assumed_prefix(address)) if found is None else found.allows(address)

    def place_server(self, address: IPAddress, beside: Lan | None) -> bool:
        """Find or make the network of a real server; `beside`: it must be this one. Whether there can be one."""
        if not any(lan.holds(address) for lan in self._lans):
            assumed = assumed_prefix(address)
            others = (prefix for lan in self._lans if lan is not beside for prefix in lan.prefixes)
            if any(_overlap(assumed, prefix) for prefix in others):
                return False
            if beside is None:
                beside = Lan(self._names.give("servers", "servers"))
                self._lans.append(beside)
            beside.loose.append(address)
        self._taken.add(address)
        return True

    def holding(self, address: IPAddress) -> Lan:
        """The network of an address that one of them holds."""
        return next(lan for lan in self._lans if lan.holds(address))

    def own(self, plug: Plug, family: Family) -> IPAddress | None:
        """A node's own address that the files or the operator name."""
        return self._own.get((self.first(plug), family))

    def is_assumed(self, plug: Plug, family: Family) -> bool:
        """Whether a node's own address was made up."""
        return (plug, family) in self._assumed

    def name_own(self, plug: Plug, address: IPAddress) -> bool:
        """Give a node an own address that a peer of it names; whether it had none."""
        key = (self.first(plug), Family.of(address))
        lan = self.of(plug)
        free = address not in self._movable and address not in self._own.values()
        free = free and lan.holds(address) and lan.allows(address)
        if key in self._own or not free:
            return False
        self._own[key] = address
        return True

    def assume_own(self, plug: Plug, family: Family) -> IPAddress | None:
        """A free address of the network, to stand for the node's own; None if there is none."""
        lan, plug = self.of(plug), self.first(plug)
        prefixes = [prefix for prefix in lan.prefixes if Family.of(prefix) is family]
        if not prefixes and (placeholder := self._placeholder(lan)) is not None:
            prefixes = [placeholder]
        for prefix in prefixes:
            for candidate in _from_the_top(prefix):
                if candidate not in self._taken:
                    self._taken.add(candidate)
                    self._own[plug, family] = candidate
                    self._assumed.add((plug, family))
                    return candidate
        return None

    def _placeholder(self, lan: Lan) -> IPNetwork | None:
        """A unique local prefix for a network of which only link-local addresses of IPv6 are known."""
        held = [prefix for other in self._lans for prefix in other.prefixes]
        candidates = (ip_network(f"fd{number:02x}::/64") for number in range(0x100))
        prefix = next((one for one in candidates if not any(_overlap(one, other) for other in held)), None)
        if prefix is not None:
            lan.loose.append(prefix[1])
        return prefix

    # --- putting together ---

    def _settled(self) -> dict[tuple[Plug, Family], IPAddress]:
        """The own addresses by the first interface on each network, without those that cannot be one node's own."""
        settled: dict[tuple[Plug, Family], IPAddress] = {}
        for (plug, family), address in self._own.items():
            if address not in self._movable and address not in settled.values() and self.of(plug).allows(address):
                settled.setdefault((self.first(plug), family), address)
        return settled

    def _add(self, plug: Plug, instance: Instance) -> None:
        if plug not in self._by_plug:
            lan = Lan(plugs=[plug])
            self._lans.append(lan)
            self._by_plug[plug] = lan
        lan = self._by_plug[plug]
        for one in instance.addresses:
            self._tell(lan, one.value)
        if instance.own is not None:
            lan.loose.append(instance.own)
            self._own.setdefault((plug, Family.of(instance.own)), instance.own)
            self._taken.add(instance.own)
        self._taken.update(one.value.ip for one in instance.addresses)
        self._taken.update(instance.peers)

    def _tell(self, lan: Lan, address: IPInterface) -> None:
        if address.ip.is_link_local:
            return
        family = Family.of(address)
        if _SHORTEST_TOLD[family] <= address.network.prefixlen <= _LONGEST_TOLD[family]:
            lan.told.append(address.network)
        else:
            lan.loose.append(address.ip)

    def _join(self, one: Lan, other: Lan) -> None:
        if one is other:
            return
        one.plugs += other.plugs
        one.told += other.told
        one.loose += other.loose
        one.name = one.name or other.name
        self._lans = [lan for lan in self._lans if lan is not other]
        for plug in other.plugs:
            self._by_plug[plug] = one

    def _join_overlapping(self) -> None:
        """Interfaces in one prefix are on one network, whatever they are called."""
        while (found := next(self._overlapping(), None)) is not None:
            self._join(*found)

    def _overlapping(self) -> Iterator[tuple[Lan, Lan]]:
        for index, one in enumerate(self._lans):
            for other in self._lans[index + 1 :]:
                if any(_overlap(a, b) for a in one.prefixes for b in other.prefixes):
                    yield one, other


def _is_hosts(address: IPAddress, prefix: IPNetwork) -> bool:
    """Whether it is not one of those that a prefix keeps for itself."""
    broadcast = address.version == 4 and address == prefix.broadcast_address
    return prefix.num_addresses <= 2 or (address != prefix.network_address and not broadcast)


def assumed_prefix(address: IPAddress) -> IPNetwork:
    """The prefix that an address is probably in."""
    return ip_network((address, _ASSUMED[Family.of(address)]), strict=False)


def _outermost(prefixes: Iterable[IPNetwork]) -> tuple[IPNetwork, ...]:
    kept: list[IPNetwork] = []
    for prefix in sorted(set(prefixes), key=lambda one: (one.version, one.prefixlen, int(one.network_address))):
        if not any(_overlap(prefix, other) for other in kept):
            kept.append(prefix)
    return tuple(sorted(kept, key=lambda one: (one.version, int(one.network_address))))


def _overlap(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and (one.network_address in other or other.network_address in one)


def _from_the_top(prefix: IPNetwork) -> Iterator[IPAddress]:
    """Addresses that a host may have, from the highest; of a large prefix, from the 255th."""
    highest = min(prefix.num_addresses - 2, 254 if prefix.version == 6 else prefix.num_addresses)
    for step in range(min(highest, _MOST_TRIED)):
        yield prefix.network_address + (highest - step)
