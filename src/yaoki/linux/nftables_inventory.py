"""What is in our tables, read from the kernel: which objects each service has, and which service they were made for.

Rules are not compared: the digest beside a service says what they were made from.
"""

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from yaoki.core.address import Family, parse_address
from yaoki.lb.plan import ActualService
from yaoki.lb.service import Protocol, RealServer, ServiceKey
from yaoki.linux.nftables_names import DIRECT, REFUSAL, TABLES, TRANSLATION, address_of, hook_name, wire_key
from yaoki.linux.nftables_nat import SPACES
from yaoki.linux.nftables_objects import NOTHING, Element, Objects
from yaoki.linux.nftables_record import read_server, read_service
from yaoki.linux.nftables_session import NftSession

_BY_SERVICE = ("services", "servers", "refused")
"""Shared maps whose keys begin with address, protocol, port; in most others the protocol is in the map's name."""

_PREFIXES = frozenset({"new", "keep", "error", "pin", "flows", "closing", "persist"})

_SHARED = {
    REFUSAL: tuple(f"refused{family.value}" for family in Family),
    DIRECT: tuple(f"{name}{family.value}" for name in ("services", "servers", "errors") for family in Family),
    TRANSLATION: (
        *(f"{name}{family.value}" for name in ("services", "servers") for family in Family),
        *(
            f"{name}_{proto.value}{family.value}"
            for name in ("counters", "sources", "pins")
            for family, proto in SPACES
        ),
        "routed",
    ),
}

ServiceObjects = dict[str, Objects]
"""By table."""


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


def take(session: NftSession, rendering: str) -> Inventory:
    """Read everything of ours. Of a table that another rendering made, only the name."""
    inventory = Inventory()
    present = {f"{item['family']} {item['name']}" for _, item in _items(session.ask("list tables"))}
    families = sorted({table.split()[0] for table in TABLES if table in present})
    named = [
        (kind, f"{item['family']} {item['table']}", item["name"])
        for family in families
        for kinds in ("chains", "sets", "maps", "counters")
        for kind, item in _items(session.ask(f"list {kinds} {family}", terse=True))
    ]
    for table in TABLES:
        if table not in present:
            continue
        listing = [(kind, name) for kind, table_, name in named if table_ == table]
        if ("chain", rendering) in listing:
            inventory.tables.add(table)
            _take_table(session, table, listing, inventory)
        else:
            inventory.foreign.add(table)
    _complete(inventory)
    return inventory


def present_hook(interface: str) -> str:
    """What the hook of an interface is called as things are; of one that is not there, what nothing is called."""
    try:
        return hook_name(interface, socket.if_nametoindex(interface))
    except OSError:
        return hook_name(interface, 0)


def _take_table(session: NftSession, table: str, listing: list[tuple[str, str]], inventory: Inventory) -> None:
    parts: dict[ServiceKey, _Part] = {}
    for kind, name in listing:
        if kind == "chain" and name.startswith("ingress/"):
            inventory.hooked.add(name.removeprefix("ingress/"))
        key = _owner(name)
        if key is not None:
            parts.setdefault(key, _Part()).add(kind, name)
    for name in _SHARED[table]:
        kind = "set" if name.startswith(("servers", "refused", "routed")) else "map"
        elements = _elements(session.ask(f"list {kind} {table} {name}"))
        if name == "routed":
            inventory.routed |= set(elements)
            continue
        for element_key, element in elements.items():
            parts.setdefault(_service_of(name, element_key), _Part()).elements[name, element_key] = element
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
            record = read_service(element.comment, key, tuple(_servers(objects)))
            if record is not None:
                digest, service = record
                hooked = table == TRANSLATION or present_hook(service.interface) in inventory.hooked
                inventory.services[key] = ActualService(service, digest, hooked)


def _servers(objects: Objects) -> Iterator[RealServer]:
    for (map_name, element_key), element in objects.elements.items():
        if map_name.startswith("servers"):
            *_, address, port = element_key.split(" . ")
            server = read_server(element.comment, parse_address(address), int(port))
            if server is not None:
                yield server


class _Part:
    """The objects of one service in one table, while they are collected."""

    def __init__(self) -> None:
        self.elements: dict[tuple[str, str], Element] = {}
        self._chains: dict[str, tuple[str, ...]] = {}
        self._sets: dict[str, str] = {}
        self._counters: list[str] = []

    def add(self, kind: str, name: str) -> None:
        match kind:
            case "chain":
                self._chains[name] = ()
            case "counter":
                self._counters.append(name)
            case _:
                self._sets[f"{kind} {name}"] = ""

    def objects(self) -> Objects:
        return Objects(self._chains, tuple(self._counters), self._sets, self.elements)


def _owner(name: str) -> ServiceKey | None:
    """The service that an object belongs to, by the object's name; None for one of the skeleton."""
    words = name.split("/")
    if words[0] in _PREFIXES:
        words = words[1:]
    if len(words) < 3 or words[0] not in {protocol.value for protocol in Protocol}:
        return None
    return ServiceKey(address_of(words[1]), Protocol(words[0]), int(words[2]))


def _service_of(map_name: str, element_key: str) -> ServiceKey:
    words = element_key.split(" . ")
    if map_name[:-1] in _BY_SERVICE:
        return ServiceKey(parse_address(words[0]), Protocol(words[1]), int(words[2]))
    if map_name.startswith("errors"):
        protocol_of = {protocol.number: protocol for protocol in Protocol}
        return ServiceKey(parse_address(words[2]), protocol_of[int(words[0])], int(words[1]))
    protocol = map_name.split("_")[1][:-1]
    return ServiceKey(parse_address(words[0]), Protocol(protocol), int(words[1]))


def _elements(listing: list[dict[str, Any]]) -> dict[str, Element]:
    found: dict[str, Element] = {}
    for kind, item in _items(listing):
        for raw in item.get("elem", ()):
            key, data = raw if kind == "map" else (raw, None)
            comment = ""
            if isinstance(key, dict) and "elem" in key:
                comment = key["elem"].get("comment", "")
                key = key["elem"]["val"]
            found[_text(key)] = Element("" if data is None else _data(data), comment)
    return found


def _items(listing: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    return (pair for entry in listing for pair in entry.items())


def _text(value: Any) -> str:  # noqa: ANN401 - nft's JSON: a string, a number, or a concatenation of them
    if isinstance(value, dict) and "concat" in value:
        return " . ".join(str(part) for part in value["concat"])
    return str(value)


def _data(value: Any) -> str:  # noqa: ANN401 - nft's JSON: a verdict, an address, or the name of a counter
    if isinstance(value, dict):
        return f"goto {value['goto']['target']}"
    try:
        return str(parse_address(value))
    except ValueError:
        return f'"{value}"'
