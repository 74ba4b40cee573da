"""A server that fails gets nothing from the first small change on, on either plane; what follows makes it exact."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.lb.samples import trio
from tests.linux.world import World
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService

pytestmark = [pytest.mark.netns, pytest.mark.req("D-30")]
NAT, DIRECT, OUT, SERVE = Forward.NAT, Forward.DIRECT, Duty.OUT, Duty.SERVE


def fail_and_come_back(world: World, before: VirtualService, after: VirtualService, family: int) -> None:
    """s2 fails: at once with nothing else done, then as it shall be, then back."""
    fresh = _balanced(world, after)
    world.balance(before)
    world.take_out(after)
    assert Counter(world.names(family, "tcp", times=6)).keys() == {"s1", "s3"}
    assert _balanced(world, after) == fresh
    assert Counter(world.names(family, "tcp", times=4)) == {"s1": 2, "s3": 2}
    world.balance(before)
    assert Counter(world.names(family, "tcp", times=6)) == {"s1": 2, "s2": 2, "s3": 2}


def _balanced(world: World, *services: VirtualService) -> str:
    """The ruleset with these services, but for what packets change."""
    world.balance(*services)
    of_packets = ("packets", "expires")
    return "\n".join(line for line in world.ruleset().splitlines() if not any(word in line for word in of_packets))


def two_fail(world: World, forward: Forward, family: int, **when: object) -> None:
    """s2 fails while the plane is brought to a wish in which s1 has; then it is back, before that was asked for."""
    before, first, both = (trio(forward, *duties, family=family) for duties in ((), (OUT,), (OUT, OUT)))
    fresh = _balanced(world, first)
    world.balance(before)
    world.overtaken([first], [both], **when)
    assert Counter(world.names(family, "tcp", times=4)).keys() == {"s3"}
    assert _balanced(world, first) == fresh
    assert Counter(world.names(family, "tcp", times=4)) == {"s2": 2, "s3": 2}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("restarted", [False, True])
def test_under_address_translation(nat: World, family: int, *, restarted: bool) -> None:
    before, after = trio(NAT, family=family), trio(NAT, SERVE, OUT, family=family)
    if restarted:
        nat.balance(before)
        nat.agents["lb"].ask("new_balancer")
        nat.agents["lb"].ask("observed")
        nat.take_out(before)
    fail_and_come_back(nat, before, after, family)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_second_server_overtakes_a_translating_transaction_about_its_service(
    nat: World, family: int, when: str
) -> None:
    two_fail(nat, NAT, family, when=when)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_server_of_another_service_overtakes_a_transaction(nat: World, when: str) -> None:
    other, less = (replace(each, key=replace(each.key, port=443)) for each in (trio(NAT), trio(NAT, OUT)))
    before, after = trio(NAT), trio(NAT, SERVE, OUT)
    fresh = _balanced(nat, before, less)
    nat.balance(before, other)
    nat.overtaken([before, less], [after, less], when=when)
    assert Counter(nat.names(4, "tcp", times=6)).keys() == {"s1", "s3"}
    assert _balanced(nat, before, less) == fresh
    assert Counter(nat.names(4, "tcp", times=6)) == {"s1": 2, "s2": 2, "s3": 2}


@pytest.mark.parametrize("family", [4, 6])
def test_under_direct_return_by_nftables(direct: World, family: int) -> None:
    fail_and_come_back(direct, trio(DIRECT, family=family), trio(DIRECT, SERVE, OUT, family=family), family)


@pytest.mark.parametrize("family", [4, 6])
def test_under_direct_return_by_bpf(direct_network: World, family: int) -> None:
    lb = direct_network.agents["lb"]
    lb.ask("new_balancer", plane="both")
    try:
        fail_and_come_back(direct_network, trio(DIRECT, family=family), trio(DIRECT, SERVE, OUT, family=family), family)
    finally:
        direct_network.clean_up()


@pytest.mark.parametrize("plane", ["nftables", "both"])
def test_a_flow_goes_on_with_another_server_at_once_under_direct_return(direct_network: World, plane: str) -> None:
    client, lb = direct_network.agents["client"], direct_network.agents["lb"]
    lb.ask("new_balancer", plane=plane)
    try:
        direct_network.balance(trio(DIRECT, OUT, SERVE, OUT, protocol=Protocol.UDP))
        direct_network.balance(trio(DIRECT, protocol=Protocol.UDP, scheduler=Scheduler.SOURCE_HASH))
        client.ask("open_flow", name="f", protocol="udp", address="192.0.2.50", port=80)
        owner = client.ask("talk", name="f").split()[0]
        duties = [OUT if name == owner else SERVE for name in ("s1", "s2", "s3")]
        direct_network.take_out(trio(DIRECT, *duties, protocol=Protocol.UDP, scheduler=Scheduler.SOURCE_HASH))
        assert client.ask("talk", name="f").split()[0] in {"s1", "s2", "s3"} - {owner}
        client.ask("close_flow", name="f")
    finally:
        direct_network.clean_up()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("family", [4, 6])
def test_a_second_server_overtakes_a_transaction_about_its_service(direct: World, family: int, when: str) -> None:
    two_fail(direct, DIRECT, family, when=when)


@pytest.mark.parametrize("plane", ["nftables", "bpf"])
def test_a_second_server_overtakes_at_any_time(direct_network: World, plane: str) -> None:
    lb = direct_network.agents["lb"]
    lb.ask("new_balancer", plane=plane)
    try:
        for after_us in (0, 200, 400, 700, 1000, 1500, 2500, 4000):
            two_fail(direct_network, DIRECT, 4, after_us=after_us)
    finally:
        direct_network.clean_up()
