"""The dead-man gate: the form of its messages, and in namespaces what passes while it is open, shut and gone."""

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.lb.samples import trio
from tests.linux.world import VIP4, VIP6, World
from tests.runtime.network import eventually
from yaoki.lb.service import Forward, Protocol
from yaoki.linux.attributes import attributes, messages
from yaoki.linux.dead_man_gate import batch

VIP = {4: VIP4, 6: VIP6}
BOTH = pytest.mark.parametrize("family", [4, 6])
LONG_MS = 60_000


def words(octets: str) -> bytes:
    return bytes.fromhex(octets)


@pytest.mark.req("B-19")
def test_a_refresh_is_one_batch_that_deletes_and_adds_so_that_it_fails_as_a_whole() -> None:
    """Kernels before 6.12 put a time-out off in no other way; worked out by hand from linux/netfilter/nf_tables.h."""
    sent = batch("refresh", (IPv4Address("192.0.2.50"),), 28)
    name = words("0f000100 79616f6b692d6761746500 00") + words("0a000200 6f70656e3400 0000")
    key = words("0c000180 08000100 c0000232")
    assert sent == (
        words("14000000 1000 0100 01000000 00000000 0000000a")
        + words("44000000 0e0a 0100 02000000 00000000 05000000") + name + words("14000380 10000180") + key
        + words("50000000 0c0a 0504 03000000 00000000 05000000") + name + words("20000380 1c000180") + key
        + words("0c000400 000000000000001c")
        + words("14000000 1100 0100 04000000 00000000 0000000a")
    )  # fmt: skip


@pytest.mark.parametrize("what", ["arm", "refresh", "disarm", "hush", "answer again"])
def test_only_the_last_change_of_a_batch_is_answered(what: str) -> None:
    addresses = (IPv6Address("2001:db8::1"), IPv6Address("2001:db8::2"))
    sent = batch(what, addresses, 300)
    flags = []
    offset = 0
    for kind, sequence, body in messages(sent):
        flags.append(int.from_bytes(sent[offset + 6 : offset + 8], "little") & 4)
        offset += 16 + len(body)
        if kind >> 8:
            named = dict(attributes(body[4:]))
            assert named[1] == b"yaoki-gate\0"
            assert named[2] in (b"armed6\0", b"open6\0", b"hushed6\0")
            assert [key for key, _ in attributes(named[3])] == [1, 1]
        assert sequence == len(flags)
    assert flags == [0] * (len(flags) - 2) + [4, 0]


# --- in namespaces ----------------------------------------------------------------------------------------------------


def gated(world: World) -> Iterator[World]:
    world.agents["lb"].ask("gate", what="hook")
    yield world
    world.agents["lb"].ask("gate", what="remove")


@pytest.fixture
def nat_gate(nat: World) -> Iterator[World]:
    yield from gated(nat)


def gate(world: World, what: str, family: int = 4, limit_ms: float = LONG_MS) -> object:
    return world.agents["lb"].ask("gate", what=what, addresses=[VIP[family]], limit_ms=limit_ms)


def forget(world: World) -> None:
    for name in ("router", "near"):
        world.ip(name, "neighbour flush dev eth0")


def shut(world: World, family: int) -> None:
    """Let the gate run out."""
    gate(world, "arm", family, 20)
    time.sleep(0.05)
    forget(world)


@pytest.mark.netns
@pytest.mark.req("B-19")
@pytest.mark.parametrize(
    ("forward", "protocol", "family"),
    [
        (Forward.NAT, Protocol.TCP, 4),
        (Forward.NAT, Protocol.UDP, 6),
        (Forward.FULLNAT, Protocol.UDP, 4),
        (Forward.FULLNAT, Protocol.TCP, 6),
    ],
)
def test_a_shut_gate_silences_what_the_balancer_plane_forwards(
    nat_gate: World, forward: Forward, protocol: Protocol, family: int
) -> None:
    silences(nat_gate, forward, protocol, family)


def silences(world: World, forward: Forward, protocol: Protocol, family: int) -> None:
    """Everything passes while the gate is open, nothing while it is shut, and everything when it is gone."""
    world.balance(trio(forward, family=family, protocol=protocol))
    served = {"s1", "s2", "s3"}
    assert set(world.names(family, str(protocol), times=6)) == served
    gate(world, "arm", family)
    assert set(world.names(family, str(protocol), times=6)) == served
    assert world.agents["client"].ask("open_flow", name="kept", protocol=str(protocol), address=VIP[family], port=80)
    shut(world, family)
    through = [name for name in world.names(family, str(protocol), times=3, timeout=0.3) if name in served]
    assert through == []
    assert world.agents["client"].ask("talk", name="kept", timeout=2.0).split()[0] not in served
    world.agents["client"].ask("close_flow", name="kept")
    gate(world, "disarm", family)
    forget(world)
    assert set(world.names(family, str(protocol), times=6)) == served


@pytest.mark.netns
@BOTH
def test_a_shut_gate_silences_the_kernels_own_answers(nat_gate: World, family: int) -> None:
    world = nat_gate
    vip = VIP[family]

    def answered() -> bool:
        return "1 received" in world.inside("near", "ping", "-c1", "-W1", vip, check=False)

    def found() -> bool:
        return "lladdr" in world.ip("near", f"neighbour show {vip}")

    forget(world)
    gate(world, "arm", family)
    assert answered()
    assert found()
    shut(world, family)
    assert not answered()
    assert not found()
    own = "192.0.2.11" if family == 4 else "2001:db8:1::11"
    assert "1 received" in world.inside("near", "ping", "-c1", "-W1", own)
    gate(world, "arm", family)
    forget(world)
    assert answered()


@pytest.mark.netns
@pytest.mark.req("B-05")
@BOTH
def test_a_hushed_address_is_not_answered_for_but_served(nat_gate: World, family: int) -> None:
    world, vip = nat_gate, VIP[family]

    def answered() -> bool:
        return "1 received" in world.inside("near", "ping", "-c1", "-W1", vip, check=False)

    forget(world)
    assert answered()
    gate(world, "hush", family)
    assert answered(), "who knows its way here is served"
    forget(world)
    assert not answered(), "who asks is not told"
    gate(world, "answer again", family)
    forget(world)
    assert answered()
    gate(world, "answer again", family)


@pytest.mark.netns
@pytest.mark.req("B-05")
@BOTH
def test_an_announcement_is_the_answer_for_those_who_asked_in_vain(nat_gate: World, family: int) -> None:
    """While an old owner is hushed and the next one still is. They ask again only seconds later."""
    world, vip = nat_gate, VIP[family]
    again = f"net/ipv{family}/neigh/eth0/retrans_time_ms"
    world.sysctl("near", again, "8000")
    forget(world)
    gate(world, "hush", family)
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(world.inside, "near", "ping", "-c1", "-W20", vip, check=False)
        eventually(lambda: "INCOMPLETE" in world.ip("near", f"neighbour show {vip}"), what="it has asked")
        time.sleep(0.1)
        gate(world, "answer again", family)
        world.agents["lb"].ask("announce", address=vip)
        answer = asking.result()
    world.sysctl("near", again, "1000")
    waited = re.search(r"time=([0-9.]+) ms", answer)
    assert waited is not None, answer
    assert 10 < float(waited[1]) < 7500


@pytest.mark.netns
@BOTH
def test_who_was_silenced_cannot_open_the_gate_again(nat_gate: World, family: int) -> None:
    gate(nat_gate, "arm", family, 10_000)
    assert gate(nat_gate, "refresh", family, LONG_MS) is True
    armed = gate(nat_gate, "armed")
    assert isinstance(armed, dict)
    assert LONG_MS - 40_000 < armed[VIP[family]] <= LONG_MS
    gate(nat_gate, "arm", family, 20)
    time.sleep(0.05)
    assert gate(nat_gate, "armed") == {VIP[family]: 0.0}
    assert gate(nat_gate, "refresh", family) is False
    assert gate(nat_gate, "armed") == {VIP[family]: 0.0}
    gate(nat_gate, "disarm", family)
    assert gate(nat_gate, "armed") == {}


@pytest.mark.netns
def test_a_gate_that_is_removed_leaves_nothing_and_hooking_in_twice_changes_nothing(nat: World) -> None:
    before = nat.ruleset()
    nat.agents["lb"].ask("gate", what="hook")
    once = nat.ruleset()
    assert "yaoki-gate" in once
    nat.agents["lb"].ask("gate", what="hook")
    assert nat.ruleset() == once
    nat.agents["lb"].ask("gate", what="remove")
    assert nat.ruleset() == before
