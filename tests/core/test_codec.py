"""Values between processes: what is encoded comes back equal; what does not fit is refused."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, IntEnum, StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family, IPAddress, IPInterface, IPNetwork, MacAddress
from yaoki.core.codec import Codec, Undecodable
from yaoki.core.event import Event, EventBody, EventId
from yaoki.core.instant import Instant

INTERFACE = IPv4Interface("192.0.2.1/24")
NETWORK = IPv4Network("192.0.2.0/24")
ZERO = Instant(0)


class Colour(Enum):
    RED = "red"


class Answer(StrEnum):
    YES = "yes"


class Number(IntEnum):
    ONE = 1


@dataclass(frozen=True, slots=True)
class Poll:
    answer: Answer
    number: Number


@dataclass(frozen=True, slots=True)
class Circle:
    radius: int


@dataclass(frozen=True, slots=True)
class Square:
    side: int


@dataclass(frozen=True, slots=True)
class Patience:
    longest: timedelta


@dataclass(frozen=True, slots=True)
class Drawing:
    """A field of every sort that messages use."""

    name: str
    shape: Circle | Square
    shapes: tuple[Circle | Square, ...] = ()
    frame: Square | None = None
    address: IPAddress | None = None
    interface: IPInterface = INTERFACE
    network: IPNetwork = NETWORK
    mac: MacAddress | None = None
    family: Family = Family.IPV4
    colour: Colour = Colour.RED
    at: Instant = ZERO
    interval: timedelta = timedelta(0)
    payload: bytes = b""
    pair: tuple[str, int] = ("a", 1)
    ratio: float = 0.5
    on: bool = True
    because: EventId | None = None
    fallback: Circle | Square | None = None


@dataclass(frozen=True, slots=True)
class Erased(EventBody):
    drawing: str


@dataclass(frozen=True, slots=True)
class Dot:
    pass


CODEC = Codec({"Erased": Erased})
FULL = Drawing(
    "été",
    Circle(3),
    shapes=(Square(1), Circle(2)),
    frame=Square(9),
    address=IPv6Address("2001:db8::1"),
    interface=IPv6Interface("2001:db8::1/64"),
    mac=MacAddress.parse("02:00:00:00:00:01"),
    family=Family.IPV6,
    at=Instant(1_234_567),
    interval=timedelta(milliseconds=300),
    payload=b"\x00\xff",
    pair=("b", 2),
    on=False,
    because=EventId("lb1/speaker", 7),
    fallback=Circle(1),
)


@pytest.mark.parametrize("value", [Drawing("x", Square(1)), FULL])
def test_what_was_encoded_comes_back_equal(value: Drawing) -> None:
    assert CODEC.decode(CODEC.encode(value), Drawing) == value


def test_the_wire_form_is_json_with_the_class_name_where_a_choice_was() -> None:
    assert CODEC.encode(Drawing("x", Square(1), address=IPv4Address("192.0.2.9"))).startswith(
        b'{"is":"Drawing","name":"x","shape":{"is":"Square","side":1},"shapes":[],"frame":null,"address":"192.0.2.9",'
    )


@given(st.integers(), st.binary(max_size=40), st.timedeltas(), st.ip_addresses(), st.text())
def test_any_instant_duration_bytes_and_address_survive(
    us: int, payload: bytes, interval: timedelta, address: IPAddress, name: str
) -> None:
    value = Drawing(name, Circle(0), at=Instant(us), payload=payload, interval=interval, address=address)
    assert CODEC.decode(CODEC.encode(value), Drawing) == value


def test_the_type_at_the_top_may_be_a_union() -> None:
    assert CODEC.decode(CODEC.encode(Circle(1)), Circle | Dot) == Circle(1)
    assert CODEC.decode(CODEC.encode(Dot()), Circle | Dot) == Dot()


def test_enums_that_are_text_or_numbers_come_back_as_enums() -> None:
    poll = CODEC.decode(CODEC.encode(Poll(Answer.YES, Number.ONE)), Poll)
    assert poll.answer is Answer.YES  # an equal plain string would fail every `is`
    assert poll.number is Number.ONE
    with pytest.raises(Undecodable, match="maybe"):
        CODEC.decode(b'{"is":"Poll","answer":"maybe","number":1}', Poll)


def test_event_bodies_are_found_in_the_registry() -> None:
    event = Event(EventId("lb1/brain", 1), Instant(5), Erased("x"), EventId("lb1/brain", 0))
    assert CODEC.decode(CODEC.encode(event), Event) == event


def test_an_event_of_a_newer_version_is_refused_by_name() -> None:
    event = Event(EventId("lb1/brain", 1), Instant(5), Erased("x"))
    with pytest.raises(Undecodable, match="'Erased' is not known here"):
        Codec().decode(CODEC.encode(event), Event)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"\xff", "no JSON"),
        (b"[]", "no JSON object"),
        (b"{}", "None is none of Circle"),
        (b'{"is":["Circle"]}', "is none of Circle"),
        (b'{"is":"Triangle"}', "'Triangle' is none of Circle"),
        (b'{"is":"Circle"}', "KeyError: 'radius'"),
        (b'{"is":"Circle","radius":"3"}', "'3' is not int"),
        (b'{"is":"Circle","radius":true}', "True is not int"),
        (b'{"is":"Circle","radius":3,"colour":"red"}', "colour"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(data: bytes, why: str) -> None:
    with pytest.raises(Undecodable, match=why):
        CODEC.decode(data, Circle)


@given(st.recursive(st.none() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)))
def test_any_json_in_a_field_is_refused_or_valid_but_never_another_error(junk: object) -> None:
    plain = CODEC.plain(FULL)
    for field in plain:
        with suppress(Undecodable):
            assert isinstance(CODEC.value({**plain, field: junk}, Drawing), Drawing)


def test_a_duration_beyond_all_clocks_is_refused() -> None:
    codec = Codec()
    text = codec.encode(Patience(timedelta(seconds=1))).replace(b"1000000", b"9" * 40)
    with pytest.raises(Undecodable, match="OverflowError"):
        codec.decode(text, Patience)
