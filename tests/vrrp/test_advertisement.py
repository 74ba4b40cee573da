"""Advertisements: golden packets of Debian's keepalived 2.2.7 both ways, every refusal, round trips."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import IPAddress
from yaoki.packet.checksum import internet_checksum
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, HOP_LIMIT, Advertisement, Rejection, decode
from yaoki.vrrp.params import ChecksumForm

SOURCE, SOURCE_6 = IPv4Address("192.0.2.11"), IPv6Address("fe80::ff:fe00:a")
VIP, VIP_B = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.51")
LINK_LOCAL, VIP_6 = IPv6Address("fe80::50"), IPv6Address("2001:db8:1::50")
SECOND, TENTH = timedelta(seconds=1), timedelta(milliseconds=100)
PLAIN, PSEUDO = ChecksumForm.MESSAGE_ONLY, ChecksumForm.PSEUDO_HEADER

# tcpdump on a veth pair of keepalived 2.2.7 at 192.0.2.11 / fe80::ff:fe00:a, priority 150 and, on SIGTERM, 0
VERSION_2 = bytes.fromhex("2133960100018697c00002320000000000000000")
VERSION_2_ZERO = bytes.fromhex("2133000100011c98c00002320000000000000000")
VERSION_2_TEXT = bytes.fromhex("21339602010155e4c0000232c00002337365637265743132")
VERSION_3 = bytes.fromhex("31339601000ad3f3c0000232")
VERSION_3_ZERO = bytes.fromhex("31330001000a69f4c0000232")
VERSION_3_IPV6 = bytes.fromhex("31339602000a0eadfe80000000000000000000000000005020010db8000100000000000000000050")
# The same as VERSION_3 with the checksum of RFC 9568 5.2.8, worked out by hand:
# 3133 + 9601 + 000a + c000 + 0232 = 18970 -> 8971, complement 768e
VERSION_3_PLAIN = bytes.fromhex("31339601000a768ec0000232")

GOLDEN = [
    (VERSION_2, Advertisement(2, 51, 150, SECOND, (VIP,), PLAIN)),
    (VERSION_2_ZERO, Advertisement(2, 51, 0, SECOND, (VIP,), PLAIN)),
    (VERSION_2_TEXT, Advertisement(2, 51, 150, SECOND, (VIP, VIP_B), PLAIN, 1, b"secret12")),
    (VERSION_3, Advertisement(3, 51, 150, TENTH, (VIP,), PSEUDO)),
    (VERSION_3_ZERO, Advertisement(3, 51, 0, TENTH, (VIP,), PSEUDO)),
    (VERSION_3_PLAIN, Advertisement(3, 51, 150, TENTH, (VIP,), PLAIN)),
    (VERSION_3_IPV6, Advertisement(3, 51, 150, TENTH, (LINK_LOCAL, VIP_6), PSEUDO)),
]


def addressed(data: bytes) -> tuple[IPAddress, IPAddress]:
    return (SOURCE_6, GROUP_IPV6) if data == VERSION_3_IPV6 else (SOURCE, GROUP_IPV4)


def heard(data: bytes, *, hop_limit: int = HOP_LIMIT) -> Advertisement | Malformed[Rejection]:
    source, destination = addressed(data)
    return decode(data, source=source, destination=destination, hop_limit=hop_limit)


@pytest.mark.rfc("9568", "5.2")
@pytest.mark.rfc("3768", "5.3")
@pytest.mark.parametrize(("data", "advertisement"), GOLDEN)
def test_golden_advertisement_both_ways(data: bytes, advertisement: Advertisement) -> None:
    assert heard(data) == advertisement
    assert advertisement.encode(*addressed(data)) == data


@pytest.mark.rfc("9568", "5.2.8")
def test_both_checksum_forms_are_accepted_over_ipv4_and_told_apart() -> None:
    forms = []
    for data in (VERSION_3, VERSION_3_PLAIN):
        advertisement = heard(data)
        assert isinstance(advertisement, Advertisement)
        forms.append(advertisement.checksum)
    assert forms == [PSEUDO, PLAIN]


@pytest.mark.rfc("9568", "5.2.8")
def test_over_ipv6_the_checksum_without_pseudo_header_is_refused() -> None:
    plain = replace(GOLDEN[-1][1], checksum=PLAIN).encode(SOURCE_6, GROUP_IPV6)
    answer = decode(plain, source=SOURCE_6, destination=GROUP_IPV6, hop_limit=255)
    assert answer == Malformed(Rejection.CHECKSUM, 6)


@pytest.mark.rfc("3768", "5.3.8")
def test_version_2_with_a_pseudo_header_is_refused() -> None:
    data = replace(GOLDEN[0][1], checksum=PSEUDO).encode(SOURCE, GROUP_IPV4)
    assert heard(data) == Malformed(Rejection.CHECKSUM, 6)


def mended(data: bytes) -> bytes:
    """With the right checksum over the message only."""
    zeroed = data[:6] + b"\0\0" + data[8:]
    return data[:6] + internet_checksum(zeroed).to_bytes(2, "big") + data[8:]


@pytest.mark.rfc("9568", "5.1.1.3")
@pytest.mark.rfc("9568", "5.1.2.3")
@pytest.mark.parametrize("data", [VERSION_2, VERSION_3, VERSION_3_IPV6])
@pytest.mark.parametrize("hop_limit", [0, 1, 64, 254])
def test_hop_limit_other_than_255_is_refused(data: bytes, hop_limit: int) -> None:
    assert heard(data, hop_limit=hop_limit) == Malformed(Rejection.HOP_LIMIT, 0)


@pytest.mark.rfc("9568", "7.1")
@pytest.mark.rfc("3768", "7.1")
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (mended(b"\x41" + VERSION_3[1:]), Malformed(Rejection.VERSION, 0)),
        (mended(b"\x11" + VERSION_3[1:]), Malformed(Rejection.VERSION, 0)),
        (mended(b"\x32" + VERSION_3[1:]), Malformed(Rejection.TYPE, 0)),
        (mended(b"\x31\x00" + VERSION_3[2:]), Malformed(Rejection.VRID, 1)),
        (mended(VERSION_3[:3] + b"\x00" + VERSION_3[4:]), Malformed(Rejection.NO_ADDRESSES, 3)),
        (mended(VERSION_3[:3] + b"\x02" + VERSION_3[4:]), Malformed(Rejection.TRUNCATED, 12)),
        (mended(VERSION_3[:4] + b"\xf0\x00" + VERSION_3[6:]), Malformed(Rejection.INTERVAL, 4)),
        (mended(VERSION_2[:5] + b"\x00" + VERSION_2[6:]), Malformed(Rejection.INTERVAL, 4)),
        (VERSION_3[:-1] + b"\x33", Malformed(Rejection.CHECKSUM, 6)),
        (VERSION_2[:-1] + b"\x33", Malformed(Rejection.CHECKSUM, 6)),
    ],
)
def test_broken_advertisement_is_refused(data: bytes, expected: Malformed[Rejection]) -> None:
    assert heard(data) == expected


@pytest.mark.parametrize("data", [VERSION_2, VERSION_3, VERSION_3_IPV6])
def test_every_truncation_is_refused(data: bytes) -> None:
    source, destination = addressed(data)
    for length in range(len(data)):
        answer = decode(data[:length], source=source, destination=destination, hop_limit=255)
        assert answer == Malformed(Rejection.TRUNCATED, length)


@pytest.mark.rfc("9568", "5.2.6")
def test_reserved_bits_are_ignored() -> None:
    advertisement = heard(mended(VERSION_3[:4] + b"\xf0\x0a" + VERSION_3[6:]))
    assert isinstance(advertisement, Advertisement)
    assert advertisement.interval == TENTH


def test_version_2_over_ipv6_is_refused() -> None:
    data = b"\x21" + VERSION_3_IPV6[1:] + bytes(8)
    answer = decode(data, source=SOURCE_6, destination=GROUP_IPV6, hop_limit=255)
    assert answer == Malformed(Rejection.VERSION, 0)


@given(st.binary(max_size=80), st.sampled_from([b"", b"\x31\x33", b"\x21\x33"]), st.booleans(), st.booleans())
def test_random_bytes_never_raise(data: bytes, head: bytes, mend: bool, ipv4: bool) -> None:
    data = head + data
    if mend and len(data) >= 8:
        data = mended(data)
    source: IPAddress = SOURCE if ipv4 else SOURCE_6
    decode(data, source=source, destination=GROUP_IPV4 if ipv4 else GROUP_IPV6, hop_limit=255)


@pytest.mark.parametrize(
    ("version", "vrid", "priority", "count"), [(1, 51, 100, 1), (3, 0, 100, 1), (3, 51, 256, 1), (3, 51, 100, 0)]
)
def test_advertisement_that_cannot_be_sent_is_not_made(version: int, vrid: int, priority: int, count: int) -> None:
    with pytest.raises(ValueError, match="advertisement"):
        Advertisement(version, vrid, priority, SECOND, (VIP,) * count)


bytes_, ipv4s = st.integers(0, 255), st.lists(st.ip_addresses(v=4), min_size=1, max_size=20).map(tuple)
centiseconds = st.integers(1, 4095).map(lambda n: n * timedelta(milliseconds=10))
seconds = st.integers(1, 255).map(lambda n: n * SECOND)


@given(
    st.builds(
        Advertisement, st.just(3), st.integers(1, 255), bytes_, centiseconds, ipv4s, st.sampled_from([PLAIN, PSEUDO])
    )
    | st.builds(
        Advertisement,
        st.just(2),
        st.integers(1, 255),
        bytes_,
        seconds,
        ipv4s,
        st.just(PLAIN),
        bytes_,
        st.binary(min_size=8, max_size=8),
    )
)
def test_round_trip_over_ipv4(advertisement: Advertisement) -> None:
    data = advertisement.encode(SOURCE, GROUP_IPV4)
    assert decode(data, source=SOURCE, destination=GROUP_IPV4, hop_limit=255) == advertisement


@given(
    st.builds(
        Advertisement,
        st.just(3),
        st.integers(1, 255),
        bytes_,
        centiseconds,
        st.lists(st.ip_addresses(v=6), min_size=1, max_size=20).map(tuple),
    )
)
def test_round_trip_over_ipv6(advertisement: Advertisement) -> None:
    data = advertisement.encode(SOURCE_6, GROUP_IPV6)
    assert decode(data, source=SOURCE_6, destination=GROUP_IPV6, hop_limit=255) == advertisement
