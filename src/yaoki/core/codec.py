"""The wire form of values between processes: frozen dataclasses to JSON bytes and back, by their type hints.

Every value is a JSON object; where a type hint is a union of classes, and at the top, the key "is" (no field can bear a
Python keyword) holds the class name. Addresses, networks and MAC addresses are text, instants and durations whole
microseconds, bytes base64, enums their value.

Invariants: `decode(encode(x), type(x)) == x`; what was written by another version either decodes to a valid value or
raises Undecodable, never a half-filled one: unknown and missing fields are refused, primitives are not converted.
Deliberately absent: framing, which is yaoki.core.framing.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import timedelta
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from cattrs import Converter
from cattrs.errors import CattrsError

from yaoki.core.address import MacAddress
from yaoki.core.error import YaokiError
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant

TAG = "is"
_MICROSECOND = timedelta(microseconds=1)
_NO_EVENTS: Mapping[str, type[EventBody]] = MappingProxyType({})

_BY_TEXT: tuple[tuple[type, Callable[[str], object]], ...] = (
    (IPv4Address, IPv4Address),
    (IPv6Address, IPv6Address),
    (IPv4Interface, IPv4Interface),
    (IPv6Interface, IPv6Interface),
    (IPv4Network, IPv4Network),
    (IPv6Network, IPv6Network),
    (MacAddress, MacAddress.parse),
)
_TEXT_TYPES = frozenset(type_ for type_, _ in _BY_TEXT)


class Undecodable(YaokiError):
    """A message from another process does not fit our classes: damaged, or written by another version of Yaoki."""

    def __init__(self, why: str, data: bytes) -> None:
        self.why = why
        self.excerpt = data[:200].decode(errors="replace")
        super().__init__(f"{why} in {self.excerpt}")


class Codec:
    """Encodes and decodes messages. `events` names the event bodies that may arrive, by class name.

    Hooks are made for each class on first use, about a millisecond each.
    """

    def __init__(self, events: Mapping[str, type[EventBody]] = _NO_EVENTS) -> None:
        self._events = dict(events)
        self._converter = _converter(self._events)

    def encode(self, value: object) -> bytes:
        """`value` must be an instance of a dataclass; it is tagged with its class name."""
        return json.dumps(self.plain(value), separators=(",", ":"), ensure_ascii=False).encode()

    def plain(self, value: object) -> dict[str, Any]:
        """The JSON object of a value before it becomes bytes, for outputs that are JSON themselves."""
        return {TAG: type(value).__name__, **self._converter.unstructure(value)}

    def decode(self, data: bytes, type_: Any) -> Any:  # noqa: ANN401 - TypeForm does not exist in Python 3.11
        """An instance of `type_`, a dataclass or a union of them. Raises Undecodable."""
        try:
            plain = json.loads(data)
        except ValueError as error:
            raise Undecodable(f"no JSON: {error}", data) from error
        if not isinstance(plain, dict):
            raise Undecodable("no JSON object", data)
        return self._structure(plain, type_, data)

    def value(self, plain: Mapping[str, Any], type_: Any) -> Any:  # noqa: ANN401 - as for decode
        """As decode, from an object that is already parsed."""
        return self._structure(dict(plain), type_, str(plain).encode())

    def _structure(self, plain: dict[str, Any], type_: Any, data: bytes) -> Any:  # noqa: ANN401
        by_name = {t.__name__: t for t in (get_args(type_) or (type_,))}
        name = plain.pop(TAG, None)
        class_ = by_name.get(name) if isinstance(name, str) else None
        if class_ is None:
            raise Undecodable(f"{name!r} is none of {', '.join(by_name)}", data)
        try:
            return self._converter.structure(plain, class_)
        except (CattrsError, KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
            raise Undecodable(f"{name}: {type(error).__name__}: {error}", data) from error


def _converter(events: Mapping[str, type[EventBody]]) -> Converter:
    converter = Converter(detailed_validation=False, forbid_extra_keys=True)
    for type_, parse in _BY_TEXT:
        converter.register_unstructure_hook(type_, str)
        converter.register_structure_hook(type_, _text_hook(parse))
    for primitive in (str, int, bool):
        converter.register_structure_hook(primitive, _exactly(primitive))
    converter.register_structure_hook(float, _number)
    converter.register_unstructure_hook(Instant, lambda instant: instant.us)
    converter.register_structure_hook(Instant, lambda us, _: Instant(_whole(us)))
    converter.register_unstructure_hook(timedelta, lambda duration: duration // _MICROSECOND)
    converter.register_structure_hook(timedelta, lambda us, _: timedelta(microseconds=_whole(us)))
    converter.register_unstructure_hook(bytes, lambda data: b64encode(data).decode())
    converter.register_structure_hook(bytes, lambda text, _: b64decode(text, validate=True))
    converter.register_unstructure_hook_factory(_is_union, lambda type_: _union_writer(converter, type_))
    converter.register_structure_hook_factory(_is_union, lambda type_: _union_reader(converter, type_))
    converter.register_unstructure_hook_func(
        lambda type_: type_ is EventBody,
        lambda body: {TAG: type(body).__name__, **converter.unstructure(body, type(body))},
    )
    converter.register_structure_hook_func(
        lambda type_: type_ is EventBody, lambda plain, _: _tagged(converter, plain, events)
    )
    return converter


def _is_union(type_: Any) -> bool:  # noqa: ANN401
    return get_origin(type_) in (Union, UnionType)


def _union_writer(converter: Converter, type_: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    tagged = len([m for m in get_args(type_) if m is not NoneType and is_dataclass(m) and m not in _TEXT_TYPES]) > 1

    def write(value: Any) -> Any:  # noqa: ANN401
        if value is None:
            return None
        plain = converter.unstructure(value, type(value))
        return {TAG: type(value).__name__, **plain} if tagged else plain

    return write


def _union_reader(converter: Converter, type_: Any) -> Callable[[Any, Any], Any]:  # noqa: ANN401
    optional = NoneType in get_args(type_)
    members = tuple(member for member in get_args(type_) if member is not NoneType)
    by_name = {member.__name__: member for member in members if hasattr(member, "__name__")}
    tagged = all(is_dataclass(member) and member not in _TEXT_TYPES for member in members)

    def read(plain: Any, _: Any) -> Any:  # noqa: ANN401
        if plain is None:
            if not optional:
                raise TypeError("null where a value is needed")
            return None
        if len(members) == 1:
            return converter.structure(plain, members[0])
        if tagged:
            return _tagged(converter, plain, by_name)
        return _first_fitting(converter, plain, members)

    return read


def _tagged(converter: Converter, plain: Any, by_name: Mapping[str, Any]) -> Any:  # noqa: ANN401
    fields = dict(plain)
    name = fields.pop(TAG)
    if name not in by_name:
        raise ValueError(f"{name!r} is not known here")
    return converter.structure(fields, by_name[name])


def _first_fitting(converter: Converter, plain: Any, members: tuple[Any, ...]) -> Any:  # noqa: ANN401
    """Unions of addresses or primitives, whose texts exclude each other."""
    for member in members:
        try:
            return converter.structure(plain, member)
        except (ValueError, TypeError):
            continue
    raise ValueError(f"{plain!r} is none of {members}")


def _text_hook(parse: Callable[[str], object]) -> Callable[[Any, Any], object]:
    def read(text: Any, _: Any) -> object:  # noqa: ANN401
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
        return parse(text)

    return read


def _exactly(primitive: type) -> Callable[[Any, Any], Any]:
    """Called for subclasses of the primitive, too: an enum of text is to become that enum again."""

    def read(value: Any, type_: Any) -> Any:  # noqa: ANN401
        if type(value) is not primitive:
            raise TypeError(f"{value!r} is not {primitive.__name__}")
        return value if type_ is primitive else type_(value)

    return read


def _whole(value: Any) -> int:  # noqa: ANN401
    if type(value) is not int:
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _number(value: Any, _: Any) -> float:  # noqa: ANN401
    if type(value) not in (int, float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)
