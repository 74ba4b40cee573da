from ipaddress import IPv4Address, IPv6Address

import pytest

from yaoki.core.address import BROADCAST, Family, MacAddress, parse_address


@pytest.mark.parametrize("text", ["02:00:00:00:00:0a", "02-00-00-00-00-0A"])
def test_a_mac_address_is_read_in_both_notations_and_written_in_one(text: str) -> None:
    assert str(MacAddress.parse(text)) == "02:00:00:00:00:0a"


@pytest.mark.parametrize(
    "text", ["", "02:00", "02:00:00:00:00:00:01", "zz:00:00:00:00:00", "102:0:0:0:0:0", "0x2:0:0:0:0:0", "2:0:0:0:0:٣"]
)
def test_what_is_no_mac_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        MacAddress.parse(text)


def test_the_family_of_an_address_is_its_version() -> None:
    assert Family.of(IPv4Address("192.0.2.1")) is Family.IPV4
    assert Family.of(IPv6Address("2001:db8::1")) is Family.IPV6
    assert (Family.IPV4.bits, Family.IPV6.bits) == (32, 128)
    assert BROADCAST.octets == b"\xff" * 6


def test_addresses_of_both_families_are_parsed_and_others_refused() -> None:
    assert parse_address("192.0.2.1") == IPv4Address("192.0.2.1")
    assert parse_address("2001:db8::1") == IPv6Address("2001:db8::1")
    with pytest.raises(ValueError, match="not-an-address"):
        parse_address("not-an-address")
