"""What one virtual service consists of in one nftables table, and the commands that lead from one state to another.

A transaction touches nothing that is equal before and after: maps that hold flows, counters and the elements of shared
maps stay as they are; only the rules of a changed service are written anew. Rules end in a newline, which nft 1.0.6's
parser insists on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Element:
    """What an element of a set or map carries besides its key. `data` is empty in a set."""

    data: str = ""
    comment: str = ""

    def with_key(self, key: str) -> str:
        """As nft is told it."""
        return key + (f' comment "{self.comment}"' if self.comment else "") + (f" : {self.data}" if self.data else "")


@dataclass(frozen=True, slots=True)
class Objects:
    """Chains with their rules; counters; sets and maps of the service's own ("map NAME" -> declaration); and elements
    in the maps that all services share, by (map, key)."""

    chains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counters: tuple[str, ...] = ()
    sets: Mapping[str, str] = field(default_factory=dict)
    elements: Mapping[tuple[str, str], Element] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains or self.counters or self.sets or self.elements)


NOTHING = Objects()


def commands(table: str, before: Objects, after: Objects) -> Iterator[str]:
    """From `before` to `after`, in an order in which nothing is deleted while something refers to it."""
    altered = {place for place, element in before.elements.items() if after.elements.get(place) != element}
    fresh = {p: element for p, element in after.elements.items() if p in altered or p not in before.elements}
    for kind, name in map(_kind_and_name, _without(after.sets, before.sets)):
        yield f"add {kind} {table} {name} {{ {after.sets[f'{kind} {name}']} }}"
    yield from (f"add counter {table} {counter}" for counter in _without(after.counters, before.counters))
    yield from (f"add chain {table} {chain}" for chain in _without(after.chains, before.chains))
    yield from _grouped("delete", table, {place: Element() for place in before.elements if place in altered})
    yield from (f"flush chain {table} {chain}" for chain in before.chains)
    yield from (f"add rule {table} {chain} {rule}" for chain, rules in after.chains.items() for rule in rules)
    yield from _grouped("add", table, fresh)
    yield from (f"delete chain {table} {chain}" for chain in _without(before.chains, after.chains))
    for kind, name in map(_kind_and_name, _without(before.sets, after.sets)):
        yield f"delete {kind} {table} {name}"
    yield from (f"delete counter {table} {counter}" for counter in _without(before.counters, after.counters))


def _kind_and_name(set_: str) -> tuple[str, str]:
    kind, _, name = set_.partition(" ")
    return kind, name


def _without(these: Iterable[str], those: Iterable[str]) -> Iterator[str]:
    known = set(those)
    return (name for name in these if name not in known)


def _grouped(verb: str, table: str, elements: Mapping[tuple[str, str], Element]) -> Iterator[str]:
    by_map: dict[str, list[str]] = {}
    for (map_name, key), element in elements.items():
        by_map.setdefault(map_name, []).append(element.with_key(key))
    for map_name, members in by_map.items():
        yield f"{verb} element {table} {map_name} {{ {', '.join(members)} }}"
