import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.address import parse_address
from yaoki.lb.service import Forward, Protocol, RealServer, ServiceKey
from yaoki.linux.nftables_names import (
    DIRECT_PRIORITY,
    GATE_PRIORITY,
    TRANSLATION_PRIORITY,
    address_name,
    address_of,
    counter_name,
    hook_name,
    interface_name,
    parse_counter_name,
    service_name,
    wire_key,
)

addresses = st.ip_addresses()
ports = st.integers(min_value=1, max_value=65535)


@pytest.mark.parametrize(
    ("address", "name", "wire"),
    [
        ("192.0.2.50", "tcp/192.0.2.50/80", "192.0.2.50 . tcp . 80"),
        ("2001:db8:1::50", "tcp/2001.db8.1..50/80", "2001:db8:1::50 . tcp . 80"),
    ],
)
def test_a_service_is_called_after_its_place_on_the_wire(address: str, name: str, wire: str) -> None:
    key = ServiceKey(parse_address(address), Protocol.TCP, 80)
    assert (service_name(key), wire_key(key)) == (name, wire)


@given(addresses.map(lambda found: parse_address(str(found))))
def test_addresses_come_back_from_their_names(address: object) -> None:
    parsed = parse_address(str(address))
    if getattr(parsed, "ipv4_mapped", None) is None:
        assert address_of(address_name(parsed)) == parsed


@given(st.ip_addresses(v=4), ports, st.ip_addresses(v=6), ports)
def test_counters_tell_whose_they_are(vip: object, port: int, host: object, server_port: int) -> None:
    key = ServiceKey(parse_address(str(vip)), Protocol.UDP, port)
    server = RealServer("s", parse_address(str(host)), server_port, Forward.NAT, 1)
    if getattr(server.address, "ipv4_mapped", None) is None:
        assert parse_counter_name(counter_name(service_name(key), str(server.address), server.port)) == (
            key,
            server.address,
            server_port,
        )


@pytest.mark.parametrize(
    "name", ["mine", "tcp/192.0.2.50/80", "tcp/x/80/192.0.2.21/80", "icmp/192.0.2.50/1/192.0.2.21/1"]
)
def test_counters_of_others_are_nobodys(name: str) -> None:
    assert parse_counter_name(name) is None


@pytest.mark.parametrize(
    ("interface", "name"), [("eth0", "eth0"), ("eth0.10", "eth0.10"), ("br_lan", "br_5flan"), ("a@b", "a_40b")]
)
def test_interfaces_have_names_that_nft_takes(interface: str, name: str) -> None:
    assert interface_name(interface) == name
    assert hook_name(interface, 7) == f"{name}/7"


def test_a_gate_comes_before_everything_here() -> None:
    assert GATE_PRIORITY < DIRECT_PRIORITY < TRANSLATION_PRIORITY
