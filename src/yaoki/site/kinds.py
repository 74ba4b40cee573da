"""Kinds of single values: how each is read from one word of the file, and how the JSON Schema says it.

A kind is a value itself (frozen dataclass), so that the vocabulary is a table of kinds and both the validation and the
exported schema are made of the same table. Composite kinds are in yaoki.site.shapes.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import AddressValueError, NetmaskValueError, ip_network
from typing import Protocol

from yaoki.core.address import IPAddress, IPNetwork, MacAddress, parse_address
from yaoki.core.secret import SecretRef
from yaoki.election.store import ETCD_PORT
from yaoki.lb.service import Protocol as Transport
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence
from yaoki.site.reading import INVALID, Reader, Value
from yaoki.site.strict_yaml import json_value
from yaoki.site.units import duration_text, parse_duration, parse_share, parse_size, size_text

MAX_NAME = 63
MAX_TEXT = 4096
MAX_PORT = 65535
_NAME = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_INTERFACE = r"[A-Za-z0-9_.-]{1,15}"


class Kind(Protocol):
    """One kind of value. `wanted` completes "expected ..."."""

    @property
    def wanted(self) -> str: ...

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        """The value of a node, or INVALID after having reported why not. `label` names the value in messages."""
        ...

    def json_schema(self) -> dict[str, object]:
        """The same rule as JSON Schema (2020-12), as far as JSON Schema can say it."""
        ...


def refuse_type(node: Node, label: str, wanted: str, reader: Reader, *, cure: str = "") -> Value:
    """Report that a node is of another type than `wanted`; a broken node was reported before."""
    if isinstance(node, Broken):
        return INVALID
    if isinstance(node, Mapping):
        if tuple(node.items) == ("secret",):
            return reader.refuse("wrong-type", node, f"{label}: a secret is not accepted here", f"write {wanted}")
        found = "a block of keys"
    elif isinstance(node, Sequence):
        found = "a list"
    else:
        value = json_value(node)
        if value is None:
            found = "nothing"
        elif isinstance(value, bool):
            found = f"the truth value {node.text}"
        elif isinstance(value, int | float):
            found = f"the number {node.text}"
        else:
            found = f'the text "{node.text}"'
    return reader.refuse("wrong-type", node, f"{label}: expected {wanted}, found {found}", cure)


def read_text(node: Node, label: str, wanted: str, reader: Reader) -> str | None:
    """The text of a node, or None after having reported that it is no text."""
    if isinstance(node, Scalar):
        value = json_value(node)
        if isinstance(value, str):
            return value
        if value is not None:
            cure = f'write "{node.text}" in quotes if it is meant as a text'
            found = "truth value" if isinstance(value, bool) else "number"
            reader.refuse("wrong-type", node, f"{label}: expected {wanted}, found the {found} {node.text}", cure)
            return None
    refuse_type(node, label, wanted, reader)
    return None


@dataclass(frozen=True, slots=True)
class Text:
    """A text. `parse` may refuse it by raising ValueError with the reason, and makes the value of it."""

    wanted: str = "a text"
    pattern: str | None = None
    parse: Callable[[str], Value] = str
    example: str = ""

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        text = read_text(node, label, self.wanted, reader)
        if text is None:
            return INVALID
        cure = f"for example {self.example}" if self.example else ""
        if len(text) > MAX_TEXT:
            return reader.refuse("out-of-range", node, f"{label}: longer than {MAX_TEXT} characters")
        if self.pattern is not None and re.fullmatch(self.pattern, text) is None:
            return reader.refuse("wrong-value", node, f'{label}: "{text}" is not {self.wanted}', cure)
        try:
            return self.parse(text)
        except ValueError as error:
            return reader.refuse("wrong-value", node, f'{label}: "{text}" is not {self.wanted}: {error}', cure)

    def json_schema(self) -> dict[str, object]:
        pattern: dict[str, object] = {"pattern": f"^(?:{self.pattern})$"} if self.pattern else {}
        return {"type": "string"} | pattern


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return text


NAME = Text("a name of small letters, digits and inner hyphens (63 at most)", _NAME, example="web-vip")
INTERFACE_NAME = Text("an interface name (15 letters, digits, . _ - at most)", _INTERFACE, example="eth0")
REGULAR_EXPRESSION = Text("a regular expression", parse=_regular_expression, example='"^ok"')


@dataclass(frozen=True, slots=True)
class Word:
    """One of a few words."""

    choices: dict[str, str]
    make: Callable[[str], Value] = str

    @property
    def wanted(self) -> str:
        return "one of " + ", ".join(self.choices)

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        text = read_text(node, label, self.wanted, reader)
        if text is None:
            return INVALID
        if text in self.choices:
            return self.make(text)
        return reader.refuse("wrong-value", node, f'{label}: "{text}" is not known', reader.suggest(text, self.choices))

    def json_schema(self) -> dict[str, object]:
        return {"enum": list(self.choices)}


@dataclass(frozen=True, slots=True)
class Boolean:
    """true or false, without quotes."""

    wanted: str = "true or false"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        value = json_value(node) if isinstance(node, Scalar) else None
        if isinstance(value, bool):
            return value
        return refuse_type(node, label, self.wanted, reader, cure="write true or false, without quotes")

    def json_schema(self) -> dict[str, object]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Integer:
    """A whole number within bounds, both included."""

    low: int
    high: int

    @property
    def wanted(self) -> str:
        return f"a whole number {self.low}..{self.high}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        value = json_value(node) if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int):
            return refuse_type(node, label, self.wanted, reader)
        if self.low <= value <= self.high:
            return value
        if self.low == self.high:
            what, cure = f"{label}: {value} is not known to this release", f"write {label}: {self.low}"
            return reader.refuse("wrong-value", node, what, cure)
        return reader.refuse("out-of-range", node, f"{label}: {value} is outside {self.low}..{self.high}")

    def json_schema(self) -> dict[str, object]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration with its unit, within bounds, both included."""

    low: timedelta
    high: timedelta

    @property
    def wanted(self) -> str:
        return f"a duration {duration_text(self.low)}..{duration_text(self.high)}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if not isinstance(node, Scalar) or (value := json_value(node)) is None or isinstance(value, bool):
            return refuse_type(node, label, self.wanted, reader)
        if not isinstance(value, str):
            cure = f"write {node.text}ms, {node.text}s or {node.text}m"
            return reader.refuse("wrong-unit", node, f"{label}: the duration {node.text} has no unit", cure)
        duration = parse_duration(value)
        if duration is None:
            cure = "write a number directly followed by us, ms, s, m, h or d, such as 300ms"
            return reader.refuse("wrong-unit", node, f'{label}: "{value}" is not a duration', cure)
        if not self.low <= duration <= self.high:
            what = f"{label}: {value} is outside {duration_text(self.low)}..{duration_text(self.high)}"
            return reader.refuse("out-of-range", node, what)
        return duration

    def json_schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,6})?(us|ms|s|m|h|d)$"}


@dataclass(frozen=True, slots=True)
class Size:
    """A size in octets, with k, M or G for 1024 steps, within bounds, both included."""

    low: int
    high: int

    @property
    def wanted(self) -> str:
        return f"a size {size_text(self.low)}..{size_text(self.high)}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        value = json_value(node) if isinstance(node, Scalar) else None
        if isinstance(value, bool) or not isinstance(value, int | str):
            return refuse_type(node, label, self.wanted, reader)
        size = parse_size(str(value))
        if size is None:
            cure = "write a whole number, directly followed by k, M or G for more than octets, such as 64k"
            return reader.refuse("wrong-unit", node, f'{label}: "{value}" is not a size', cure)
        if not self.low <= size <= self.high:
            what = f"{label}: {value} is outside {size_text(self.low)}..{size_text(self.high)}"
            return reader.refuse("out-of-range", node, what)
        return size

    def json_schema(self) -> dict[str, object]:
        return {"type": ["string", "integer"], "pattern": "^[0-9]{1,9}[kMG]?$"}


@dataclass(frozen=True, slots=True)
class Secret:
    """The name of a secret, as {secret: name}; never its value."""

    wanted: str = "{secret: name}, the name of a file under /etc/yaoki/secrets"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        if isinstance(node, Mapping) and tuple(node.items) == ("secret",):
            name = NAME.read(node.items["secret"][1], "secret", reader)
            return INVALID if name is INVALID else SecretRef(name)
        if isinstance(node, Scalar) and json_value(node) is not None:
            # Neither the value nor its line is repeated: what is typed here may well be the secret.
            cure = "put the value into /etc/yaoki/secrets/NAME, mode 0600, and write {secret: NAME}"
            what = f"{label}: a secret does not stand in the site file"
            return reader.refuse("secret-in-file", node, what, cure, quoted=False)
        return refuse_type(node, label, self.wanted, reader)

    def json_schema(self) -> dict[str, object]:
        properties = {"secret": NAME.json_schema()}
        return {"type": "object", "properties": properties, "required": ["secret"], "additionalProperties": False}


@dataclass(frozen=True, slots=True)
class Share:
    """A share of the whole, written in per cent; its value is 0..1."""

    wanted: str = "a share such as 50%"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        value = json_value(node) if isinstance(node, Scalar) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            what = f"{label}: the share {value} has no unit"
            return reader.refuse("wrong-unit", node, what, f"write {value * 100 if value <= 1 else value:g}%")
        text = read_text(node, label, self.wanted, reader)
        if text is None:
            return INVALID
        share = parse_share(text)
        if share is None:
            return reader.refuse("wrong-unit", node, f'{label}: "{text}" is not a share', "write it as 50%")
        if share > 1:
            return reader.refuse("out-of-range", node, f"{label}: {text} is outside 0%..100%")
        return share

    def json_schema(self) -> dict[str, object]:
        return {"type": "string", "pattern": r"^[0-9]{1,3}(\.[0-9]{1,3})?%$"}


def _prefix(text: str) -> IPNetwork:
    try:
        return ip_network(text)
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError(str(error)) from None
    except ValueError:
        if "/" not in text:
            raise ValueError("a prefix has a length") from None
        loose = ip_network(text, strict=False)
        raise ValueError(f"it has host bits set; the prefix is {loose}") from None


def _address(text: str) -> IPAddress:
    if "/" in text:
        raise ValueError("an address stands here without a length, which is that of its network's prefix")
    if "%" in text:
        raise ValueError("an address stands here without a zone")
    try:
        return parse_address(text)
    except ValueError:
        raise ValueError("it is neither an IPv4 nor an IPv6 address") from None


def _mac(text: str) -> MacAddress:
    try:
        return MacAddress.parse(text)
    except ValueError:
        raise ValueError("it is not six octets in hexadecimal digits, with : between them") from None


ADDRESS = Text("an address", parse=_address, example='192.0.2.11 or "2001:db8:1::11"')
MAC = Text("a MAC address", parse=_mac, example='"02:00:00:00:00:01"')
PREFIX = Text("a prefix", parse=_prefix, example='192.0.2.0/24 or "2001:db8:1::/64"')


def _listen(text: str) -> tuple[Transport, int]:
    transport, slash, port = text.partition("/")
    if transport not in ("tcp", "udp") or not slash:
        raise ValueError("it is a transport, tcp or udp, and a port")
    if re.fullmatch(r"[1-9][0-9]{0,4}", port) is None or int(port) > 65535:
        raise ValueError(f'the port "{port}" is outside 1..65535')
    return Transport(transport), int(port)


LISTEN = Text("a transport and a port", parse=_listen, example="tcp/80")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a member of the store serves its clients: a machine of the site, or an address, each with or without a
    port; its value is (machine or None, address or None, port)."""

    wanted: str = "a machine of the site or an address, such as etcd1 or 192.0.2.31:2379"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        text = read_text(node, label, self.wanted, reader)
        if text is None:
            return INVALID
        host, port = _split_port(text)
        try:
            address = parse_address(host)
        except ValueError:
            machine = Reference(("nodes", "hosts"), "machine of the site").resolve(host, node, label, reader)
            return INVALID if machine is INVALID else (machine, None, port)
        return None, address, port

    def json_schema(self) -> dict[str, object]:
        return {"type": "string"}


def _split_port(text: str) -> tuple[str, int]:
    """The host and the port of "host", "host:port", "2001:db8::1" and "[2001:db8::1]:port"."""
    found = re.fullmatch(r"(?:\[(?P<inner>[^]]*)\]|(?P<plain>[^:]*))(?::(?P<port>[1-9][0-9]{0,4}))?", text)
    if found is None or int(found["port"] or 1) > MAX_PORT:
        return text, ETCD_PORT
    return found["inner"] or found["plain"] or "", int(found["port"] or ETCD_PORT)


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an object of one of some sections."""

    sections: tuple[str, ...]
    noun: str

    @property
    def wanted(self) -> str:
        return f"the name of a {self.noun}"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        text = read_text(node, label, self.wanted, reader)
        return INVALID if text is None else self.resolve(text, node, label, reader)

    def resolve(self, text: str, node: Node, label: str, reader: Reader) -> Value:
        """The name, if it is that of an object that the reference may mean."""
        names = reader.names
        for section in self.sections:
            if text in names[section]:
                return text
        what = f'{label}: there is no {self.noun} "{text}"'
        for section, known in names.items():
            if text in known:
                other = known[text]
                return reader.refuse("unknown-name", node, f"{what}; {section} has one of that name", other=other)
        known_names = tuple(name for section in self.sections for name in names[section])
        return reader.refuse("unknown-name", node, what, reader.suggest(text, known_names))

    def json_schema(self) -> dict[str, object]:
        return NAME.json_schema()


@dataclass(frozen=True, slots=True)
class TargetOf:
    """An address, or the name of a machine that has one."""

    machine: Reference

    @property
    def wanted(self) -> str:
        return f"{self.machine.wanted}, or an address"

    def read(self, node: Node, label: str, reader: Reader, /) -> Value:
        text = read_text(node, label, self.wanted, reader)
        if text is None:
            return INVALID
        # No machine has such a name: names are made of letters, digits and dashes.
        return (
            ADDRESS.read(node, label, reader)
            if _like_address(text)
            else self.machine.resolve(text, node, label, reader)
        )

    def json_schema(self) -> dict[str, object]:
        return {"anyOf": [self.machine.json_schema(), ADDRESS.json_schema()]}


def _like_address(text: str) -> bool:
    return "." in text or ":" in text
