"""Random and hostile frames through the balancer's program: none for a VIP may leave for anybody but its servers.

Each VIP has servers of its own, so a frame that leaves tells by its MAC whose server it went to.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lb.samples import server
from tests.linux.program import CLIENT, OURS, VIP, Bench, Hook, bench, error_about, fragments, frame, packet
from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.lb.service import Forward, Protocol, Scheduler, ServiceKey, SourcePersistence, VirtualService
from yaoki.packet.tcp import TcpFlags

SHUT: dict[int, IPAddress] = {4: IPv4Address("192.0.2.51"), 6: IPv6Address("2001:db8:1::51")}
"""VIPs whose deadline has passed."""
SHORTEST = 54
IPV4_DESTINATION, IPV6_DESTINATION = slice(30, 34), slice(38, 54)
SERVED = {
    (Protocol.TCP, 80): Scheduler.ROUND_ROBIN,
    (Protocol.UDP, 80): Scheduler.SOURCE_HASH,
    (Protocol.TCP, 82): Scheduler.LEAST_CONNECTION,
    (Protocol.UDP, 82): Scheduler.MAGLEV,
}


def services() -> Iterator[VirtualService]:
    """On the VIP of each family, and on one that is shut, all that is SERVED; each with two servers, none with
    another's."""
    number = 0
    for family in (4, 6):
        for address in (VIP[family], SHUT[family]):
            for (protocol, port), scheduler in SERVED.items():
                servers = []
                for _ in range(2):
                    number += 1
                    mac = MacAddress(bytes((2, 0, 0, 0, 1, number)))
                    plain = server(1, Forward.DIRECT, family=family)
                    servers.append(
                        type(plain)(f"s{number}", plain.address + number, port, Forward.DIRECT, 1000, plain.duty, mac)
                    )
                kept = scheduler is Scheduler.SOURCE_HASH
                persistence = SourcePersistence(24, timedelta(seconds=300)) if kept else None
                yield VirtualService(
                    f"x{number}", ServiceKey(address, protocol, port), "lo", scheduler, tuple(servers), persistence
                )


@pytest.fixture(scope="module")
def program() -> Iterator[Bench]:
    with bench() as made:
        made.put(*services())
        for address in SHUT.values():
            made.tables.put_deadline(address, time.clock_gettime_ns(time.CLOCK_MONOTONIC) - 1)
        time.sleep(0.02)
        yield made


def destination(given_frame: bytes) -> IPAddress | None:
    match given_frame[12:14]:
        case b"\x08\x00":
            return IPv4Address(given_frame[IPV4_DESTINATION])
        case b"\x86\xdd":
            return IPv6Address(given_frame[IPV6_DESTINATION])
        case _:
            return None


MEMBERS = {service.key: {each.name for each in service.servers} for service in services()}


PROTOCOLS = {6: Protocol.TCP, 17: Protocol.UDP}


def may_get(given_frame: bytes) -> set[str]:
    """The servers that a frame may go to: of a whole packet those of its service, of a fragment, an error or what has
    been made of them those of any service of its VIP."""
    address, key = destination(given_frame), service_of(given_frame)
    if key is not None:
        return MEMBERS.get(key, set())
    return {name for each, names in MEMBERS.items() if each.address == address for name in names}


def service_of(given_frame: bytes) -> ServiceKey | None:
    """What a TCP or UDP packet is for whose header says itself that it is whole, and has no options."""
    address = destination(given_frame)
    is_v4 = given_frame[12:14] == b"\x08\x00"
    number, at = (given_frame[23], 36) if is_v4 else (given_frame[20], 56)
    plain = given_frame[14] == 0x45 and not int.from_bytes(given_frame[20:22], "big") & 0x3FFF if is_v4 else True
    if address is None or not plain or len(given_frame) < at + 2 or number not in PROTOCOLS:
        return None
    return ServiceKey(address, PROTOCOLS[number], int.from_bytes(given_frame[at : at + 2], "big"))


@st.composite
def sound(draw: st.DrawFn) -> bytes:
    """A frame that makes sense, to a VIP or near it; few ports, so that flows meet again."""
    family, protocol = draw(st.sampled_from([4, 6])), draw(st.sampled_from(Protocol))
    port, to_port = draw(st.integers(1, 8)), draw(st.sampled_from([80, 80, 81, 82]))
    match draw(st.sampled_from(["whole", "first", "later", "error"])):
        case "first":
            made = fragments(family, protocol, identification=port, port=port)[0]
        case "later":
            made = fragments(family, protocol, identification=port)[1]
        case "error":
            made = error_about(family, protocol, port=port, to_port=to_port)
        case _:
            flags = TcpFlags(draw(st.integers(0, 255)))
            made = frame(packet(family, protocol, port=port, to_port=to_port, flags=flags))
    if draw(st.booleans()):
        made = made.replace(VIP[family].packed, SHUT[family].packed)
    return made


@st.composite
def hostile(draw: st.DrawFn) -> bytes:
    """A sound frame with octets changed, put in, or cut off; or nothing but noise."""
    if draw(st.integers(0, 9)) == 0:
        return (
            OURS.octets
            + bytes(6)
            + draw(st.sampled_from([b"\x08\x00", b"\x86\xdd"]))
            + draw(st.binary(min_size=1, max_size=200))
        )
    made = bytearray(draw(sound()))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(12, len(made) - 1))
        match draw(st.sampled_from(["change", "insert", "cut"])):
            case "change":
                made[at] = draw(st.integers(0, 255))
            case "insert":
                made[at:at] = draw(st.binary(min_size=1, max_size=64))
            case _:
                del made[max(at, 14) :]
                made += bytes(max(0, 15 - len(made)))
    return bytes(made)


@settings(max_examples=300)
@given(frames=st.lists(hostile(), min_size=1, max_size=12), hook=st.sampled_from(Hook))
def test_no_frame_for_a_vip_leaves_for_anybody_but_its_servers(program: Bench, frames: list[bytes], hook: Hook) -> None:
    for each in frames:
        # Below these many octets the kernel refuses to try it at the other hook.
        outcome = program.give(each, Hook.XDP if len(each) < SHORTEST else hook)
        if outcome.verdict == "send":
            vip = destination(each)
            assert vip is not None
            assert vip in VIP.values()
            assert outcome.to in may_get(each)
        if outcome.verdict == "drop":
            assert destination(each) in SHUT.values()


@settings(max_examples=100)
@given(frame_=sound(), hook=st.sampled_from(Hook))
def test_the_fuzz_is_not_all_refused(program: Bench, frame_: bytes, hook: Hook) -> None:
    """What is sound and for a service that may be served is sent, unless it is about a flow that nobody knows."""
    outcome = program.give(frame_, hook)
    address = destination(frame_)
    if address in SHUT.values():
        assert outcome.verdict in {"drop", "pass"}
    elif service_of(frame_) in MEMBERS:
        assert outcome.verdict == "send"


def test_every_vip_has_servers_that_no_other_has() -> None:
    found = [name for names in MEMBERS.values() for name in names]
    assert len(found) == len(set(found)) == 32
    assert {Family.of(key.address) for key in MEMBERS} == set(Family)
    assert {Family.of(address) for address in CLIENT.values()} == set(Family)
