"""The mirror of tables.h: the same numbers, sizes and order as in the C source."""

import re
from datetime import timedelta
from enum import IntEnum, IntFlag
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import Family, MacAddress
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.lb.why import Flow
from yaoki.linux.bpf import layout
from yaoki.linux.bpf.build import HERE
from yaoki.linux.bpf.layout import Count, FlowState, Reason, RingSize, Server, ServerFlag, Service, ServiceFlag
from yaoki.pool.maglev import SIZES

HEADER = (HERE / "tables.h").read_text()


def names(enum: str) -> list[str]:
    found = re.search(rf"enum {enum} \{{(.*?)\}};", HEADER, re.DOTALL)
    assert found is not None
    return re.findall(r"\b([A-Z][A-Z_]+)\b(?=[ =,\n}])", re.sub(r"/\*.*?\*/", "", found[1], flags=re.DOTALL))


def test_reasons_are_those_of_the_program_in_its_order() -> None:
    assert [*(reason.name for reason in Reason), "REASONS"] == names("reason")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ServiceFlag, "service_flags"), (ServerFlag, "server_flags"), (FlowState, "flow_state")],
)
def test_numbers_are_those_of_the_program(ours: type[IntEnum] | type[IntFlag], theirs: str) -> None:
    assert [each.name for each in ours] == names(theirs)
    values = [int(each) for each in ours]
    assert values == ([0, 1, 2] if ours is FlowState else [1 << place for place in range(len(values))])


def test_rings_hold_what_the_maglev_tables_have() -> None:
    assert set(SIZES) <= set(layout.CAPACITY.values())
    for size, capacity in layout.CAPACITY.items():
        assert f"#define {size.name}_RING {capacity}\n" in HEADER
    assert [f"RING_{size.name}" for size in RingSize] == names("ring_size")


@pytest.mark.parametrize(
    ("slots", "size"),
    [
        (0, RingSize.NONE),
        (1, RingSize.SMALL),
        (1021, RingSize.SMALL),
        (1022, RingSize.MEDIUM),
        (8191, RingSize.MEDIUM),
        (8192, RingSize.LARGE),
        (65521, RingSize.LARGE),
    ],
)
def test_a_ring_is_as_small_as_can_be(slots: int, size: RingSize) -> None:
    assert layout.ring_size(slots) is size


def test_more_slots_than_the_largest_ring_are_refused() -> None:
    with pytest.raises(ValueError, match="65522 slots; a ring holds 65521"):
        layout.ring_size(65522)


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=1021))
def test_a_ring_is_read_as_it_was_written(slots: list[int]) -> None:
    written = layout.ring(slots, RingSize.SMALL)
    assert len(written) == layout.ring_length(RingSize.SMALL) == 8 + 4 * 1021
    assert layout.read_ring(written) == tuple(slots)


def test_entries_have_the_octets_of_their_structures() -> None:
    key4 = ServiceKey(IPv4Address("192.0.2.50"), Protocol.TCP, 80)
    key6 = ServiceKey(IPv6Address("2001:db8::1"), Protocol.UDP, 443)
    assert layout.service_key(key4) == b"\xc0\0\x02\x32\0\x50\x06\0"
    assert layout.service_key(key6) == IPv6Address("2001:db8::1").packed + b"\x01\xbb\x11\0"
    for key in (key4, key6):
        assert layout.read_service_key(key.family, layout.service_key(key)) == key
    flow = layout.flow_key(key4, Flow(IPv4Address("198.51.100.9"), 40000))
    assert flow == b"\xc6\x33\x64\x09\xc0\0\x02\x32\x9c\x40\0\x50\x06\0\0\0"
    assert len(layout.flow_key(key6, Flow(IPv6Address("2001:db8::2"), 1))) == 40


def test_services_and_servers_are_read_as_they_were_written() -> None:
    mac = MacAddress.parse("02:00:00:00:00:21")
    flags = ServiceFlag.BY_SOURCE | ServiceFlag.LAZY
    service = Service(7, 2, mac, RingSize.MEDIUM, flags, 9, 1, 2, 3, 4, layout.mask_of(24))
    assert len(service.pack()) == 52
    assert Service.unpack(service.pack()) == service
    server = Server(mac, ServerFlag.KEEPS, 99, 7)
    assert server.pack() == mac.octets + (1).to_bytes(2, "little") + (99).to_bytes(4, "little") + (7).to_bytes(
        4, "little"
    )
    assert Server.unpack(server.pack()) == server


@pytest.mark.parametrize(
    ("prefix_length", "address", "masked"),
    [
        (32, "198.51.100.9", "198.51.100.9"),
        (20, "198.51.100.9", "198.51.96.0"),
        (0, "198.51.100.9", "0.0.0.0"),
        (128, "2001:db8::9", "2001:db8::9"),
        (60, "2001:db8:0:ff::9", "2001:db8:0:f0::"),
    ],
)
def test_a_source_under_a_mask(prefix_length: int, address: str, masked: str) -> None:
    kind = IPv6Address if ":" in address else IPv4Address
    assert layout.masked(kind(address), layout.mask_of(prefix_length)) == kind(masked).packed


def test_counts_are_of_all_processors_together() -> None:
    octets = b"".join(number.to_bytes(8, "little") for number in (1, 100, 1, 2, 50, 0))
    assert Count.unpack(octets) == Count(3, 150, 1)
    assert layout.total(octets) == 154


def test_idle_time_is_counted_in_whole_ticks_and_never_in_none() -> None:
    assert layout.ticks(timedelta(seconds=900)) == 13411
    assert layout.ticks(timedelta(milliseconds=1)) == 1
    assert Family.of(IPv4Address("192.0.2.1")) is Family.IPV4
