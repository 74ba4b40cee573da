"""The dead-man gate and the balancer's program: armed, put off, shut and disarmed together, whoever comes first."""

import time
from collections.abc import Iterator

import pytest

from tests.lb.samples import trio
from tests.linux.test_dead_man_gate import LONG_MS, gate
from tests.linux.world import VIP4, VIP6, World
from yaoki.lb.service import Forward, Protocol

pytestmark = [pytest.mark.netns, pytest.mark.req("B-19")]

BOTH = pytest.mark.parametrize("family", [4, 6])
VIP = {4: VIP4, 6: VIP6}
SERVED = {"s1", "s2", "s3"}


@pytest.fixture
def bpf(direct_network: World) -> Iterator[World]:
    balancer = direct_network.agents["lb"]
    balancer.ask("new_balancer", plane="bpf")
    balancer.ask("gate", what="hook")
    balancer.ask("deaf", yes=False)
    yield direct_network
    direct_network.clean_up()
    balancer.ask("gate", what="remove")


def balance(world: World, family: int = 4) -> None:
    world.balance(trio(Forward.DIRECT, family=family, protocol=Protocol.UDP))


def served(world: World, family: int = 4) -> set[str]:
    """Who answers."""
    return set(world.names(family, "udp", times=3)) & SERVED


def silent(world: World) -> bool:
    """Whether nobody does."""
    return not set(world.names(4, "udp", times=3, timeout=0.3)) & SERVED


def deadline(world: World, family: int = 4) -> int:
    found: int = world.agents["lb"].ask("deadlines")[VIP[family]]
    return found


def left_ms(world: World, family: int = 4) -> float:
    """How long the program goes on sending."""
    now_ns: int = world.agents["lb"].ask("now_ns")
    return (deadline(world, family) - now_ns) / 1_000_000


def is_the_speakers(world: World, family: int = 4) -> bool:
    return deadline(world, family) % 2 == 0


@BOTH
def test_a_program_that_comes_when_the_gate_is_armed_is_put_off_by_the_speaker_before_it_serves(
    bpf: World, family: int
) -> None:
    gate(bpf, "arm", family)
    balance(bpf, family)
    assert bpf.agents["lb"].ask("deaf", yes=False) == 1, "the speaker was called once"
    assert is_the_speakers(bpf, family)
    assert LONG_MS - 10_000 < left_ms(bpf, family) <= LONG_MS
    assert served(bpf, family) == SERVED
    assert gate(bpf, "refresh", family, 2 * LONG_MS) is True
    assert LONG_MS < left_ms(bpf, family) <= 2 * LONG_MS
    gate(bpf, "disarm", family)
    assert deadline(bpf, family) == 0


@BOTH
def test_a_gate_that_is_armed_later_holds_for_a_program_that_is_there(bpf: World, family: int) -> None:
    balance(bpf, family)
    assert deadline(bpf, family) == 0
    assert bpf.agents["lb"].ask("deaf", yes=True) == 0, "nobody is called for a gate that is not armed"
    gate(bpf, "arm", family)
    assert is_the_speakers(bpf, family)
    assert LONG_MS - 10_000 < left_ms(bpf, family) <= LONG_MS


def test_an_address_whose_deadline_nobody_writes_is_not_served(bpf: World) -> None:
    gate(bpf, "arm")
    bpf.agents["lb"].ask("deaf", yes=True)
    with pytest.raises(AssertionError, match="the speaker does not write its dead-man deadline"):
        balance(bpf)
    assert not is_the_speakers(bpf)
    assert LONG_MS - 10_000 < left_ms(bpf) <= LONG_MS, "it begins as the gate is"
    assert silent(bpf)
    bpf.agents["lb"].ask("deaf", yes=False)
    balance(bpf)
    assert is_the_speakers(bpf)
    assert served(bpf) == SERVED


def test_a_program_that_comes_when_the_gate_is_shut_sends_nothing_until_it_is_armed_anew(bpf: World) -> None:
    gate(bpf, "arm", limit_ms=20)
    time.sleep(0.05)
    balance(bpf)
    assert left_ms(bpf) < 0
    assert silent(bpf)
    assert gate(bpf, "refresh") is False
    assert left_ms(bpf) < 0, "who was silenced cannot put the deadline off"
    assert silent(bpf)
    gate(bpf, "arm")
    assert served(bpf) == SERVED


def test_what_a_dead_speaker_left_half_done_is_set_right_by_the_next(bpf: World) -> None:
    balance(bpf)
    gate(bpf, "arm")
    bpf.agents["lb"].ask("gate", what="abandon")
    bpf.inside("lb", "nft", "flush", "set", "netdev", "yaoki-gate", "armed4")
    assert deadline(bpf) > 0
    bpf.agents["lb"].ask("gate", what="hook")
    assert bpf.agents["lb"].ask("gate", what="take up") == 0
    assert deadline(bpf) == 0


def test_a_speaker_that_takes_up_an_armed_gate_puts_the_program_off_as_well(bpf: World) -> None:
    balance(bpf)
    gate(bpf, "arm")
    first = deadline(bpf)
    bpf.agents["lb"].ask("gate", what="abandon")
    bpf.agents["lb"].ask("gate", what="hook")
    assert bpf.agents["lb"].ask("gate", what="take up") == 1
    assert abs(deadline(bpf) - first) < 5_000_000_000
    assert gate(bpf, "refresh", limit_ms=2 * LONG_MS) is True
    assert left_ms(bpf) > LONG_MS


@pytest.mark.parametrize("layout", [None, "of-last-year"], ids=["same maps", "other maps"])
def test_the_gate_goes_on_with_a_program_that_took_the_place_of_another(bpf: World, layout: str | None) -> None:
    balancer = bpf.agents["lb"]
    gate(bpf, "arm")
    balance(bpf)
    balancer.ask("make_program_old", **({} if layout is None else {"layout": layout}))
    balancer.ask("new_balancer", plane="bpf")
    balance(bpf)
    assert is_the_speakers(bpf)
    assert gate(bpf, "refresh", limit_ms=2 * LONG_MS) is True
    assert left_ms(bpf) > LONG_MS
    assert served(bpf) == SERVED


def test_a_program_that_is_gone_is_no_harm(bpf: World) -> None:
    gate(bpf, "arm")
    balance(bpf)
    bpf.agents["lb"].ask("cleanup")
    assert gate(bpf, "refresh") is True
    gate(bpf, "disarm")
    balance(bpf)
    assert served(bpf) == SERVED
