"""What flow copiers tell each other: golden octets both ways, every flaw, hostile input, round trips."""

from dataclasses import replace
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.lb.flow import MAX_SECONDS, Flow, Stage
from yaoki.lb.flow_datagram import (
    MAX_OCTETS,
    Ask,
    Coming,
    DatagramFlaw,
    End,
    FlowDatagram,
    Hello,
    Told,
    decode,
    encode,
    portions,
)
from yaoki.lb.service import Protocol, ServiceKey

BOOT = 0x1122334455667788
WEB = ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80)
FLOW = Flow(WEB, ip_address("198.51.100.9"), 40000, ip_address("10.0.0.21"), 8080, Stage.ESTABLISHED, 432_000)
NAMES = Flow(
    ServiceKey(ip_address("2001:db8::50"), Protocol.UDP, 53),
    ip_address("2001:db8:9::9"),
    5353,
    ip_address("fd00::21"),
    53,
    Stage.OPENING,
    30,
)
# By hand from the drawing in the module.
HEAD = "5946 01 {kind} 1122334455667788 0000000000000007"
RECORD = "04 06 02 00 00069780 c6336409 9c40 c0000232 0050 0a000015 1f90"
RECORD6 = (
    "06 11 01 00 0000001e 20010db8000900000000000000000009 14e9 20010db8000000000000000000000050 0035"
    "fd000000000000000000000000000021 0035"
)
GOLDEN = {
    Told((FLOW, NAMES)): HEAD.format(kind="01") + RECORD + RECORD6,
    Ask(3): HEAD.format(kind="02") + "0000000000000003",
    Coming(3): HEAD.format(kind="03") + "0000000000000003",
    End(3, 500): HEAD.format(kind="04") + "0000000000000003 000001f4",
    Hello(): HEAD.format(kind="05"),
}


@pytest.mark.parametrize(("message", "octets"), GOLDEN.items(), ids=lambda value: type(value).__name__)
def test_octets_both_ways(message: Told | Ask | Coming | End | Hello, octets: str) -> None:
    datagram = FlowDatagram(BOOT, 7, message)
    assert encode(datagram) == bytes.fromhex(octets)
    assert decode(bytes.fromhex(octets)) == datagram


@pytest.mark.parametrize(
    ("octets", "flaw"),
    [
        ("5946 01", DatagramFlaw.TRUNCATED),
        (HEAD.format(kind="01").replace("5946", "5948") + RECORD, DatagramFlaw.FOREIGN),
        (HEAD.format(kind="01").replace("5946 01", "5946 03") + RECORD, DatagramFlaw.VERSION),
        (HEAD.format(kind="01").replace("5946 01", "5946 02") + RECORD, DatagramFlaw.NO_KEY),
        (HEAD.format(kind="06"), DatagramFlaw.FOREIGN),
        (HEAD.format(kind="01"), DatagramFlaw.TRUNCATED),
        (HEAD.format(kind="01") + RECORD[:-2], DatagramFlaw.TRUNCATED),
        (HEAD.format(kind="02") + "00", DatagramFlaw.TRUNCATED),
        (HEAD.format(kind="05") + "00", DatagramFlaw.TRUNCATED),
        (HEAD.format(kind="01") + "05" + RECORD[2:], DatagramFlaw.RECORD),
        (HEAD.format(kind="01") + "04 01" + RECORD[5:], DatagramFlaw.RECORD),
        (HEAD.format(kind="01") + "04 06 04" + RECORD[8:], DatagramFlaw.RECORD),
        (HEAD.format(kind="01") + "04 11 03" + RECORD[8:], DatagramFlaw.RECORD),
        (HEAD.format(kind="01") + RECORD.replace("00069780", "80000000"), DatagramFlaw.RECORD),
    ],
)
def test_what_is_refused(octets: str, flaw: DatagramFlaw) -> None:
    assert decode(bytes.fromhex(octets)) is flaw


@given(st.binary(max_size=300))
def test_any_octets_are_a_datagram_or_a_flaw(octets: bytes) -> None:
    assert isinstance(decode(octets), FlowDatagram | DatagramFlaw)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_octet_never_makes_what_is_out_of_range(place: int, value: int) -> None:
    octets = bytearray(encode(FlowDatagram(BOOT, 7, Told((FLOW, NAMES)))))
    octets[place % len(octets)] = value
    found = decode(bytes(octets))
    if isinstance(found, FlowDatagram) and isinstance(found.message, Told):
        assert all(flow.seconds <= MAX_SECONDS for flow in found.message.flows)
        assert not any(
            flow.stage is Stage.CLOSING and flow.service.protocol is Protocol.UDP for flow in found.message.flows
        )


@given(st.lists(st.sampled_from([FLOW, NAMES]), max_size=200))
def test_portions_fit_a_datagram_and_keep_every_flow_in_order(flows: list[Flow]) -> None:
    flows = [replace(flow, client_port=number) for number, flow in enumerate(flows)]
    parts = list(portions(flows))
    assert [flow for part in parts for flow in part.flows] == flows
    datagrams = [encode(FlowDatagram(BOOT, 1, part)) for part in parts]
    assert all(len(datagram) <= MAX_OCTETS for datagram in datagrams)
    assert [found.message for found in map(decode, datagrams) if isinstance(found, FlowDatagram)] == parts
