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


def services() -> Iterator[VirtualService]:
    """TCP and UDP by different schedulers on the VIP of each family, and TCP on one that is shut; each with two
    servers, none with another's."""
    number = 0
    for family in (4, 6):
        for address in (VIP[family], SHUT[family]):
            for protocol, scheduler in (
                (Protocol.TCP, Scheduler.ROUND_ROBIN),
                (Protocol.UDP, Scheduler.SOURCE_HASH),
            ):
                servers = []
                for _ in range(2):
                    number += 1
                    mac = MacAddress(bytes((2, 0, 0, 0, 1, number)))
                    plain = server(1, Forward.DIRECT, family=family)
                    servers.append(
                        type(plain)(f"s{number}", plain.address + number, 80, Forward.DIRECT, 1000, plain.duty, mac)
                    )
                persistence = SourcePersistence(24, timedelta(seconds=300)) if protocol is Protocol.UDP else None
                yield VirtualService(
                    f"x{number}", ServiceKey(address, protocol, 80), "lo", scheduler, tuple(servers), persistence
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


MEMBERS: dict[IPAddress, set[str]] = {}
for _service in services():
    MEMBERS.setdefault(_service.key.address, set()).update(each.name for each in _service.servers)


@st.composite
def sound(draw: st.DrawFn) -> bytes:
    """A frame that makes sense, to a VIP or near it; few ports, so that flows meet again."""
    family, protocol = draw(st.sampled_from([4, 6])), draw(st.sampled_from(Protocol))
    port, to_port = draw(st.integers(1, 8)), draw(st.sampled_from([80, 80, 81]))
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
            assert outcome.to in MEMBERS[vip]
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
    elif is_whole(frame_):
        assert outcome.verdict == "send"


def is_whole(frame_: bytes) -> bool:
    """A TCP or UDP packet to port 80, not a fragment."""
    if frame_[12:14] == b"\x08\x00":
        return frame_[23] in (6, 17) and frame_[20:22] == b"\0\0" and frame_[36:38] == b"\0\x50"
    return frame_[20] in (6, 17) and frame_[56:58] == b"\0\x50"


def test_every_vip_has_servers_that_no_other_has() -> None:
    found = [name for names in MEMBERS.values() for name in names]
    assert len(found) == len(set(found)) == 16
    assert {Family.of(vip) for vip in MEMBERS} == set(Family)
    assert {Family.of(address) for address in CLIENT.values()} == set(Family)
