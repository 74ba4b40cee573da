import pytest

from tests.lb.samples import service
from yaoki.core.address import Family, parse_address
from yaoki.linux.nftables_keys import FLOW, FRAGMENT, flow_key, read_flow_key, read_key_of_all, service_part

ROOM = 16
"""Octets of a key that nft 1.0.6 has room for when a rule updates a map."""


def test_an_ipv4_flow_is_named_by_its_port_and_address() -> None:
    assert flow_key(parse_address("198.51.100.9"), 0x9C40) == b"\x9c\0\0\0\x40\0\0\0" + bytes((198, 51, 100, 9))


def test_an_ipv6_flow_is_named_by_two_hashes_that_differ() -> None:
    key = flow_key(parse_address("2001:db8:2::9"), 40000)
    assert len(key) == 8
    assert key[:4] != key[4:]
    assert key != flow_key(parse_address("2001:db8:2::9"), 40001)


@pytest.mark.parametrize("address", ["198.51.100.9", "2001:db8:2::9"])
def test_keys_fit_into_the_room_there_is(address: str) -> None:
    assert len(flow_key(parse_address(address), 1)) <= ROOM


def parts(expression: str) -> int:
    """Parts of a key; a hash is one, whatever it hashes."""
    return sum(1 for part in expression.split(" . ") if not part.startswith(("ip6 ", "@th,256")))


@pytest.mark.parametrize("family", list(Family))
def test_what_is_looked_up_has_as_many_parts_as_what_is_kept(family: Family) -> None:
    assert parts(FLOW[family].typeof) == parts(FLOW[family].packet) == parts(FLOW[family].quoted)
    assert parts(FRAGMENT[family].first) == parts(FRAGMENT[family].later) == parts(FRAGMENT[family].typeof)


@pytest.mark.parametrize(("family", "client"), [(Family.IPV4, "198.51.100.9"), (Family.IPV6, "2001:db8:2::9")])
def test_a_key_of_all_services_tells_the_flow_and_the_service(family: Family, client: str) -> None:
    web, other = (service(family=family.value, port=port).key for port in (80, 443))
    flow = flow_key(parse_address(client), 40000)
    assert read_key_of_all(family, flow + service_part(web)) == (flow, service_part(web))
    assert service_part(web) != service_part(other)
    known = (parse_address(client), 40000)
    assert read_flow_key(family, flow) == (known if family is Family.IPV4 else (None, None))
