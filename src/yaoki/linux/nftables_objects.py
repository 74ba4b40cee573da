"""What one virtual service consists of in one nftables table, and the commands that lead from one state to another.

A transaction touches nothing that is equal before and after: chains, maps that hold flows, counters, and elements of
shared maps stay as they are. Rules end in a newline, which nft 1.0.6's parser insists on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

MOST_REPLACED = 0.5
"""Of a set's contents: where more is to go, it is emptied and filled anew."""


@dataclass(frozen=True, slots=True)
class Element:
    """What an element of a set or map carries besides its key. `data` is empty in a set."""

    data: str = ""
    comment: str = ""

    def with_key(self, key: str) -> str:
        """As nft is told it."""
        return key + (f' comment "{self.comment}"' if self.comment else "") + (f" : {self.data}" if self.data else "")


@dataclass(frozen=True, slots=True)
class OwnSet:
    """A set or map that belongs to the service alone. `kind` is "set" or "map".

    `contents` are elements in nft's words; None leaves them to the rules, which put flows there.
    """

    kind: str
    declaration: str = ""
    contents: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Objects:
    """Chains with their rules, None where these are not known; counters; sets of the service's own; and elements in the
    maps that all services share, by (map, key)."""

    chains: Mapping[str, tuple[str, ...] | None] = field(default_factory=dict)
    counters: tuple[str, ...] = ()
    sets: Mapping[str, OwnSet] = field(default_factory=dict)
    elements: Mapping[tuple[str, str], Element] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.chains or self.counters or self.sets or self.elements)


NOTHING = Objects()


def commands(table: str, before: Objects, after: Objects) -> Iterator[str]:
    """From `before` to `after`, in an order in which nothing is deleted while something refers to it."""
    altered = {place for place, element in before.elements.items() if after.elements.get(place) != element}
    fresh = {p: element for p, element in after.elements.items() if p in altered or p not in before.elements}
    anew = {name: rules for name, rules in after.chains.items() if rules != before.chains.get(name)}
    gone = tuple(_without(before.chains, after.chains))
    for name in _without(after.sets, before.sets):
        yield f"add {after.sets[name].kind} {table} {name} {{ {after.sets[name].declaration} }}"
    yield from (f"add counter {table} {counter}" for counter in _without(after.counters, before.counters))
    yield from (f"add chain {table} {chain}" for chain in _without(after.chains, before.chains))
    yield from _grouped("delete", table, {place: Element() for place in before.elements if place in altered})
    yield from (f"flush chain {table} {chain}" for chain in before.chains if chain in anew or chain in gone)
    yield from _filled(table, before, after)
    yield from (f"add rule {table} {chain} {rule}" for chain, rules in anew.items() for rule in rules or ())
    yield from _grouped("add", table, fresh)
    yield from (f"delete chain {table} {chain}" for chain in gone)
    yield from (f"delete {before.sets[name].kind} {table} {name}" for name in _without(before.sets, after.sets))
    yield from (f"delete counter {table} {counter}" for counter in _without(before.counters, after.counters))


def _filled(table: str, before: Objects, after: Objects) -> Iterator[str]:
    for name, wanted in after.sets.items():
        existing = before.sets.get(name)
        if wanted.contents is None or (existing is not None and existing.contents == wanted.contents):
            continue
        fresh = wanted.contents
        if existing is not None:
            gone = () if existing.contents is None else tuple(_without(existing.contents, wanted.contents))
            if existing.contents is None or len(gone) > MOST_REPLACED * len(existing.contents):
                yield f"flush {wanted.kind} {table} {name}"
            else:
                fresh = tuple(_without(wanted.contents, existing.contents))
                keys = ", ".join(content.partition(" : ")[0] for content in gone)
                yield from ([f"delete element {table} {name} {{ {keys} }}"] if gone else [])
        if fresh:
            yield f"add element {table} {name} {{ {', '.join(fresh)} }}"


def _without(these: Iterable[str], those: Iterable[str]) -> Iterator[str]:
    known = set(those)
    return (name for name in these if name not in known)


def _grouped(verb: str, table: str, elements: Mapping[tuple[str, str], Element]) -> Iterator[str]:
    by_map: dict[str, list[str]] = {}
    for (map_name, key), element in elements.items():
        by_map.setdefault(map_name, []).append(element.with_key(key))
    for map_name, members in by_map.items():
        yield f"{verb} element {table} {map_name} {{ {', '.join(members)} }}"
