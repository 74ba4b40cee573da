"""What is in our tables, read from the kernel: which objects each service has, and which service they were made for.

Rules are not compared: the digest beside a service says what they were made from.
"""

import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import Family, IPAddress, MacAddress, parse_address
from yaoki.lb.plan import ActualService
from yaoki.lb.service import Protocol, RealServer, ServiceKey
from yaoki.linux.nftables_names import (
    DIRECT,
    REFUSAL,
    TABLES,
    TRANSLATION,
    address_of,
    hook_name,
    parse_counter_name,
    slots_name,
    wire_key,
)
from yaoki.linux.nftables_objects import NOTHING, Element, Objects, OwnSet
from yaoki.linux.nftables_reader import NftablesReader, RawElement
from yaoki.linux.nftables_record import read_server, read_service

ServiceObjects = dict[str, Objects]
"""By table."""

_OWN_PREFIXES = frozenset({"known", "pick", "new", "keep", "error", "pin", "flows", "persist", "slots"})
"""Of objects that bear a service's name; the rest of the name follows."""


@dataclass(slots=True)
class Inventory:
    """The objects of each service, the services they were made for, and the interfaces that we hook in at."""

    objects: dict[ServiceKey, ServiceObjects] = field(default_factory=dict)
    services: dict[ServiceKey, ActualService] = field(default_factory=dict)
    hooked: set[str] = field(default_factory=set)
    """Ingress hooks, in the form of `hook_name`."""
    routed: set[str] = field(default_factory=set)
    tables: set[str] = field(default_factory=set)
    """Tables that are there in the present rendering."""
    foreign: set[str] = field(default_factory=set)
    """Tables of ours that another rendering made."""

    def copy(self) -> "Inventory":
        """One that can be changed while this one stays; the values are immutable."""
        return Inventory(
            dict(self.objects),
            dict(self.services),
            set(self.hooked),
            set(self.routed),
            set(self.tables),
            set(self.foreign),
        )


def take(rendering: str) -> Inventory:
    """Read everything of ours. Of a table that another rendering made, only the name. Raises ActuatorError."""
    inventory = Inventory()
    with closing(NftablesReader()) as reader:
        for table in TABLES:
            if not reader.has_table(table):
                continue
            chains = reader.chains(table)
            if rendering in chains:
                inventory.tables.add(table)
                _take_table(reader, table, chains, inventory)
            else:
                inventory.foreign.add(table)
    _complete(inventory)
    return inventory


def read_slots(reader: NftablesReader, table: str, key: ServiceKey) -> OwnSet:
    """A service's map of slots with what is in it, in the words in which it is rendered. Raises ActuatorError."""
    octets = key.family.bits // 8
    found = {int.from_bytes(raw.key, sys.byteorder): raw.value for raw in reader.elements(table, slots_name(key))}
    words = {
        slot: _mac(value) if table == DIRECT else f"{_ip(value[:octets])} . {_port(value[octets:])}"
        for slot, value in sorted(found.items())
    }
    return OwnSet("map", contents=tuple(f"{slot} : {server}" for slot, server in words.items()))


def present_hook(interface: str) -> str:
    """What the hook of an interface is called as things are; of one that is not there, what nothing is called."""
    try:
        return hook_name(interface, socket.if_nametoindex(interface))
    except OSError:
        return hook_name(interface, 0)


def _take_table(reader: NftablesReader, table: str, chains: list[str], inventory: Inventory) -> None:
    parts: dict[ServiceKey, _Part] = {}
    named = [
        *(("chain", name) for name in chains),
        *(("counter", name) for name, _, _ in reader.counters(table)),
        *reader.sets(table),
    ]
    for kind, name in named:
        if kind == "chain" and name.startswith("ingress/"):
            inventory.hooked.add(name.removeprefix("ingress/"))
        key = _owner(name)
        if key is not None:
            parts.setdefault(key, _Part()).add(kind, name)
    for name in _SHARED[table]:
        for raw in reader.elements(table, name):
            fields = _fields(raw.key, _KEYS[_stem(name)], _family(name))
            parts.setdefault(_service_of(name, fields), _Part()).elements[name, " . ".join(fields)] = _read(raw)
    if table == TRANSLATION:
        inventory.routed |= {raw.key.rstrip(b"\0").decode() for raw in reader.elements(table, "routed")}
    for key, part in parts.items():
        inventory.objects.setdefault(key, {})[table] = part.objects()


def _complete(inventory: Inventory) -> None:
    """Find the services by the records beside their objects. Objects without a record stay, as of nobody."""
    for key, tables in inventory.objects.items():
        for table in (TRANSLATION, DIRECT):
            objects = tables.get(table, NOTHING)
            element = objects.elements.get((f"services{key.family.value}", wire_key(key)))
            if element is None:
                continue
            record = read_service(element.comment, key, _servers(objects))
            if record is not None:
                digest, service = record
                hooked = table == TRANSLATION or present_hook(service.interface) in inventory.hooked
                inventory.services[key] = ActualService(service, digest, hooked)


def _servers(objects: Objects) -> tuple[RealServer, ...]:
    """By address: the kernel does not keep the order of the site file."""
    found = []
    for (map_name, element_key), element in objects.elements.items():
        place = _server_place(map_name, element_key, element)
        server = None if place is None else read_server(element.comment, *place)
        if server is not None:
            found.append(server)
    return tuple(sorted(found, key=lambda server: (int(server.address), server.port)))


def _server_place(map_name: str, element_key: str, element: Element) -> tuple[IPAddress, int] | None:
    """Address and port of the server that an element's comment is about: they are in its key, or else in the name of
    the counter that it leads to."""
    if map_name.startswith("servers"):
        *_, address, port = element_key.split(" . ")
        return parse_address(address), int(port)
    counted = parse_counter_name(element.data.strip('"')) if element.comment else None
    return None if counted is None else counted[1:]


class _Part:
    """The objects of one service in one table, while they are collected."""

    def __init__(self) -> None:
        self.elements: dict[tuple[str, str], Element] = {}
        self._chains: dict[str, None] = {}
        self._sets: dict[str, OwnSet] = {}
        self._counters: list[str] = []

    def add(self, kind: str, name: str) -> None:
        match kind:
            case "chain":
                self._chains[name] = None
            case "counter":
                self._counters.append(name)
            case _:
                self._sets[name] = OwnSet(kind)

    def objects(self) -> Objects:
        return Objects(self._chains, tuple(self._counters), self._sets, self.elements)


def _owner(name: str) -> ServiceKey | None:
    """The service that an object belongs to, by the object's name; None for one of the skeleton."""
    words = name.split("/")
    if words[0] in _OWN_PREFIXES:
        words = words[1:]
    if len(words) < 3 or words[0] not in {protocol.value for protocol in Protocol}:
        return None
    return ServiceKey(address_of(words[1]), Protocol(words[0]), int(words[2]))


# --- the maps that all services share ---------------------------------------------------------------------------------


def _ip(octets: bytes) -> str:
    return str(IPv4Address(octets) if len(octets) == 4 else IPv6Address(octets))


def _port(octets: bytes) -> str:
    return str(int.from_bytes(octets[:2], "big"))


def _protocol(octets: bytes) -> str:
    return next(protocol.value for protocol in Protocol if protocol.number == octets[0])


def _protocol_number(octets: bytes) -> str:
    return str(octets[0])


def _mac(octets: bytes) -> str:
    return str(MacAddress(octets[:6]))


_Field = Callable[[bytes], str]
_PROTOCOLS = tuple(f"_{protocol.value}{family.value}" for family in Family for protocol in Protocol)
_KEYS: Mapping[str, tuple[_Field, ...]] = {
    "services": (_ip, _protocol, _port),
    "refused": (_ip, _protocol, _port),
    "listeners": (_ip, _protocol, _port),
    "servers": (_ip, _protocol, _port, _ip, _port),
    "counters": (_ip, _port, _ip, _port),
    "sources": (_ip, _port, _ip, _port),
    "pins": (_ip, _port, _ip, _port),
    "live": (_ip, _port, _mac),
    "errors": (_protocol_number, _port, _ip),
}
_SHARED = {
    REFUSAL: tuple(f"refused{family.value}" for family in Family),
    DIRECT: (
        *(f"{name}{family.value}" for name in ("services", "servers", "errors") for family in Family),
        *(f"live{suffix}" for suffix in _PROTOCOLS),
    ),
    TRANSLATION: (
        *(f"{name}{family.value}" for name in ("services", "listeners", "servers") for family in Family),
        *(f"{name}{suffix}" for name in ("counters", "sources", "pins") for suffix in _PROTOCOLS),
    ),
}


def _stem(map_name: str) -> str:
    return map_name[:-1].partition("_")[0]


def _family(map_name: str) -> Family:
    return Family(int(map_name[-1]))


def _fields(key: bytes, fields: tuple[_Field, ...], family: Family) -> list[str]:
    """The fields of a key, each filled up to four octets."""
    lengths: dict[_Field, int] = {_ip: family.bits // 8, _mac: 8}
    found = []
    for read in fields:
        length = lengths.get(read, 4)
        found.append(read(key[:length]))
        key = key[length:]
    return found


def _service_of(map_name: str, fields: list[str]) -> ServiceKey:
    if _stem(map_name) == "errors":
        number, port, address = fields
        protocol = next(protocol for protocol in Protocol if protocol.number == int(number))
        return ServiceKey(parse_address(address), protocol, int(port))
    if "_" in map_name:
        return ServiceKey(parse_address(fields[0]), Protocol(map_name.partition("_")[2][:-1]), int(fields[1]))
    return ServiceKey(parse_address(fields[0]), Protocol(fields[1]), int(fields[2]))


def _read(raw: RawElement) -> Element:
    if raw.chain:
        return Element(f"goto {raw.chain}", raw.comment)
    if raw.object:
        return Element(f'"{raw.object}"', raw.comment)
    return Element(_ip(raw.value) if raw.value else "", raw.comment)
