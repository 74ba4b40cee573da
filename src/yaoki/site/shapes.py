"""Composite kinds: lists, maps by name, records with declared keys, and the few places where two forms are allowed."""

from collections.abc import Callable
from dataclasses import dataclass

from yaoki.core.error import Location
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence, location
from yaoki.site.kinds import Kind, Reference, Text, refuse_type
from yaoki.site.reading import INVALID, Reader, Value
from yaoki.site.strict_yaml import json_value

MAX_ITEMS = 65_536


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list of values of one kind. With `or_one`, a single value may stand without brackets."""

    item: Kind
    least: int = 0
    or_one: bool = False

    @property
    def wanted(self) -> str:
        return f"{self.item.wanted}, or a list" if self.or_one else f"a list, each item {self.item.wanted}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if not isinstance(node, Sequence):
            if self.or_one and not isinstance(node, Broken):
                value = self.item.read(node, label, reader)
                return value if value is INVALID else (value,)
            return refuse_type(node, label, self.wanted, reader)
        if not self.least <= len(node.items) <= MAX_ITEMS:
            few = len(node.items) < self.least
            what = f"has fewer than {self.least} items" if few else f"has more than {MAX_ITEMS} items"
            return reader.refuse("out-of-range", node, f"{label}: the list {what}")
        values = tuple(self.item.read(item, label, reader) for item in node.items)
        return INVALID if any(value is INVALID for value in values) else values

    def json_schema(self) -> dict[str, object]:
        item = self.item.json_schema()
        least: dict[str, object] = {"minItems": self.least} if self.least else {}
        many = {"type": "array", "items": item} | least
        return {"anyOf": [item, many]} if self.or_one else many


@dataclass(frozen=True, slots=True)
class MapOf:
    """Values of one kind by name. `partial`: one bad value does not spoil the others (the sections of the file)."""

    key: Text | Reference
    value: Kind
    least: int = 0
    partial: bool = False

    @property
    def wanted(self) -> str:
        return f"a block, each key {self.key.wanted}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if not isinstance(node, Mapping):
            return refuse_type(node, label, self.wanted, reader)
        values: dict[str, Value] = {}
        spoilt = False
        for name, (key_node, value_node) in node.items.items():
            if self._accepts(name, key_node, label, reader):
                value = self.value.read(value_node, name, reader)
                if value is not INVALID:
                    values[name] = value
                    continue
            spoilt = True
        if not self.least <= len(node.items) <= MAX_ITEMS and not spoilt:
            few = len(node.items) < self.least
            what = f"at least {self.least} is needed" if few else f"there are more than {MAX_ITEMS}"
            cure = f"add {self.key.wanted}" if few else ""
            return reader.refuse("out-of-range", node, f"{label}: {what}", cure)
        return INVALID if spoilt and not self.partial else values

    def _accepts(self, name: str, node: Scalar, label: str, reader: Reader) -> bool:
        if isinstance(self.key, Reference):
            return self.key.resolve(name, node, label, reader) is not INVALID
        # A key is a text whatever it looks like: {80: ...} names "80".
        quoted = Scalar(node.file, node.line, node.column, name, False)
        return self.key.read(quoted, label, reader) is not INVALID

    def json_schema(self) -> dict[str, object]:
        least: dict[str, object] = {"minProperties": self.least} if self.least else {}
        names = {"propertyNames": self.key.json_schema(), "additionalProperties": self.value.json_schema()}
        return {"type": "object"} | names | least


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a record: its kind, what it means, and the default in the file's own notation ("" if none).

    `offered`: whether it is part of this release, and so documented and suggested.
    """

    name: str
    kind: Kind
    description: str
    default: str = ""
    required: bool = False
    offered: bool = True


@dataclass(frozen=True, slots=True)
class NotYet:
    """The value of a key that is known but not part of this release."""

    wanted: str = "not part of this release yet"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        return reader.refuse("not-in-this-release", node, f"{label}: not part of this release yet", "remove it")

    def json_schema(self) -> dict[str, object]:
        return {"not": {}}


@dataclass(frozen=True, slots=True)
class Anything:
    """A value that is not looked at: its key alone decides what is said about it."""

    wanted: str = "anything"

    def read(self, node: Node, _label: str, _reader: Reader, /) -> Value:
        return INVALID if isinstance(node, Broken) else node

    def json_schema(self) -> dict[str, object]:
        return {}


class Record:
    """A block with declared keys; its value is the dict of those that were written, or what `make` makes of it.

    INVALID if any key is: a half-read record would raise more false alarms than it finds problems. A `partial` record
    (the file itself) is what could be read of it.
    """

    def __init__(
        self,
        noun: str,
        keys: tuple[Key, ...],
        *,
        make: Callable[[dict[str, Value]], Value] | None = None,
        partial: bool = False,
    ) -> None:
        self.noun = noun
        self.partial = partial
        self.keys = {key.name: key for key in keys}
        self._required = tuple(key.name for key in keys if key.required)
        self._make = make

    @property
    def wanted(self) -> str:
        return f"{self.noun}, a block of keys"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if not isinstance(node, Mapping):
            if isinstance(node, Scalar) and json_value(node) is None and not self._required:
                what = f"{label}: there is nothing after the colon"
                return reader.refuse("wrong-type", node, what, f"write {label}: {{}} for {self.noun} without keys")
            return refuse_type(node, label, self.wanted, reader)
        values: dict[str, Value] = {}
        spoilt = False
        for name, (key_node, value_node) in node.items.items():
            key = self.keys.get(name)
            if key is None:
                what = f'{label}: {self.noun} has no key "{name}"'
                reader.refuse("unknown-key", key_node, what, reader.suggest(name, self._offered()))
                spoilt = True
                continue
            place = key_node if isinstance(key.kind, NotYet) else value_node
            value = key.kind.read(place, name, reader)
            if value is INVALID:
                spoilt = True
            else:
                values[name] = value
        for name in self._required:
            if name not in node.items:
                reader.refuse("missing-key", node, f'{label}: {self.noun} needs the key "{name}"', self._example(name))
                spoilt = True
        if spoilt and not self.partial:
            return INVALID
        return values if self._make is None else self._make(values)

    def _offered(self) -> tuple[str, ...]:
        return tuple(name for name, key in self.keys.items() if key.offered)

    def _example(self, name: str) -> str:
        return f"add {name}: {self.keys[name].kind.wanted}"

    def json_schema(self) -> dict[str, object]:
        properties: dict[str, object] = {}
        for name in self._offered():
            key = self.keys[name]
            default = f"; default: {key.default}" if key.default else ""
            properties[name] = key.kind.json_schema() | {"description": key.description + default}
        required: dict[str, object] = {"required": list(self._required)} if self._required else {}
        return {"type": "object", "properties": properties, "additionalProperties": False} | required


@dataclass(frozen=True, slots=True)
class Tagged:
    """A record whose other keys depend on one of them ("kind")."""

    tag: str
    records: dict[str, Record]

    @property
    def wanted(self) -> str:
        return f'a block with the key "{self.tag}"'

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if not isinstance(node, Mapping):
            return refuse_type(node, label, self.wanted, reader)
        if self.tag not in node.items:
            if any(isinstance(value, Broken) for _, value in node.items.values()):
                return INVALID
            cure = f"add {self.tag}: one of {', '.join(self.records)}"
            return reader.refuse("missing-key", node, f'{label}: needs the key "{self.tag}"', cure)
        tag = node.items[self.tag][1]
        if not isinstance(tag, Scalar):
            return refuse_type(tag, self.tag, "one of " + ", ".join(self.records), reader)
        record = self.records.get(tag.text)
        if record is None:
            what = f'{self.tag}: "{tag.text}" is not known'
            return reader.refuse("wrong-value", tag, what, reader.suggest(tag.text, self.records))
        return record.read(node, label, reader)

    def json_schema(self) -> dict[str, object]:
        branches = []
        for name, record in self.records.items():
            schema = record.json_schema()
            properties = schema["properties"]
            assert isinstance(properties, dict)
            branches.append(schema | {"properties": properties | {self.tag: {"const": name}}})
        return {"oneOf": branches}


@dataclass(frozen=True, slots=True)
class WordOr:
    """Either a word or the fuller form of a block (or, for texts, another notation)."""

    word: Kind
    block: Kind

    @property
    def wanted(self) -> str:
        return f"{self.word.wanted}, or {self.block.wanted}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if isinstance(node, Mapping):
            return self.block.read(node, label, reader)
        if isinstance(node, Scalar) and json_value(node) is not None:
            return self.word.read(node, label, reader)
        return refuse_type(node, label, self.wanted, reader)

    def json_schema(self) -> dict[str, object]:
        return {"anyOf": [self.word.json_schema(), self.block.json_schema()]}


def names_given(section: Node | None) -> dict[str, Location]:
    """The names that a section gives, each with its place: known before anything in it has been read."""
    if not isinstance(section, Mapping):
        return {}
    return {name: location(key) for name, (key, _) in section.items.items()}
