"""What one virtual service consists of in one nftables table, and the commands that lead from one state to another, for
many services at once.

A transaction touches nothing that is equal before and after: chains, maps that hold flows, counters, and elements of
shared maps stay as they are. Rules end in a newline, which nft 1.0.6's parser insists on.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
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


Change = tuple[Objects, Objects]
"""What one service consists of before and after."""


def commands(table: str, changes: Iterable[Change]) -> Iterator[str]:
    """To carry out many changes at once, in an order in which nothing is deleted while something refers to it."""
    steps = [_Step(table, before, after) for before, after in changes]
    yield from _grouped("delete", table, (each for step in steps for each in step.stale))
    yield from (f"flush chain {table} {chain}" for step in steps for chain in step.emptied)
    yield from (line for step in steps for line in step.refilled())
    if block := _declared(steps):
        yield from (f"table {table} {{", *block, "}")
    yield from (
        f"add rule {table} {chain} {rule}" for step in steps for chain, rules in step.rewritten for rule in rules
    )
    yield from _grouped("add", table, (each for step in steps for each in step.fresh))
    yield from (f"delete chain {table} {chain}" for step in steps for chain in step.gone)
    yield from (f"delete {kind} {table} {name}" for step in steps for kind, name in step.surplus)


def _declared(steps: Sequence["_Step"]) -> list[str]:
    """All that is new, in a block of the table: nft is done with that sooner than with a command for each.

    The kernel finds a set by its name among all that were declared before it, so those come first to which more rules
    refer: the sets that rules fill.
    """
    sets = [(name, set_) for step in steps for name, set_ in step.sets]
    return [
        *(f"counter {name} {{ }}" for step in steps for name in step.counters),
        *(f"{set_.kind} {name} {{ {set_.declaration} }}" for name, set_ in sets if set_.contents is None),
        *(_with_contents(name, set_) for name, set_ in sets if set_.contents is not None),
        *(line for step in steps for name, rules in step.chains for line in (f"chain {name} {{", *rules, "}")),
    ]


def _with_contents(name: str, set_: OwnSet) -> str:
    elements = f" elements = {{ {', '.join(set_.contents)} }};" if set_.contents else ""
    return f"{set_.kind} {name} {{ {set_.declaration}{elements} }}"


class _Step:
    """What one change adds to the commands: elements are (map, as nft is told), chains that are declared or rewritten
    have rules. A chain that is there is not declared again: that would be told to whoever watches."""

    def __init__(self, table: str, before: Objects, after: Objects) -> None:
        self._table, self._before, self._after = table, before, after
        had, has = before.elements, after.elements
        self.stale = [place for place, e in had.items() if place not in has or has[place] != e]
        fresh = (place for place, e in has.items() if place not in had or had[place] != e)
        self.fresh = [(place[0], has[place].with_key(place[1])) for place in fresh]
        anew = [(name, rules or ()) for name, rules in after.chains.items() if rules != before.chains.get(name)]
        self.chains = [(name, rules) for name, rules in anew if name not in before.chains]
        self.rewritten = [(name, rules) for name, rules in anew if name in before.chains]
        self.gone = _without(before.chains, after.chains)
        self.emptied = [*(name for name, _ in self.rewritten), *self.gone]
        self.counters = _without(after.counters, before.counters)
        self.sets = [(name, after.sets[name]) for name in _without(after.sets, before.sets)]
        self.surplus = [(before.sets[name].kind, name) for name in _without(before.sets, after.sets)]
        self.surplus += [("counter", name) for name in _without(before.counters, after.counters)]

    def refilled(self) -> Iterator[str]:
        """Sets of the service's own that stay and get other contents."""
        for name, wanted in self._after.sets.items():
            existing = self._before.sets.get(name)
            if existing is None or wanted.contents is None or existing.contents == wanted.contents:
                continue
            place, fresh = f"{self._table} {name}", wanted.contents
            gone = () if existing.contents is None else _without(existing.contents, wanted.contents)
            if existing.contents is None or len(gone) > MOST_REPLACED * len(existing.contents):
                yield f"flush {wanted.kind} {place}"
            else:
                fresh = tuple(_without(wanted.contents, existing.contents))
                keys = ", ".join(content.partition(" : ")[0] for content in gone)
                yield from ([f"delete element {place} {{ {keys} }}"] if gone else [])
            if fresh:
                yield f"add element {place} {{ {', '.join(fresh)} }}"


def _without(these: Iterable[str], those: Iterable[str]) -> list[str]:
    known = set(those)
    return [name for name in these if name not in known]


def _grouped(verb: str, table: str, elements: Iterable[tuple[str, str]]) -> Iterator[str]:
    """One command for each map, whatever services its elements are of."""
    by_map: defaultdict[str, list[str]] = defaultdict(list)
    for map_name, element in elements:
        by_map[map_name].append(element)
    for map_name, members in by_map.items():
        yield f"{verb} element {table} {map_name} {{ {', '.join(members)} }}"
