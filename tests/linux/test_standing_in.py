"""Servers that stand in for others, by priority and to say sorry: from the verdicts of checks to clients' answers."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.lb.samples import trio
from tests.linux.world import World
from yaoki.checks.check import CheckId, TcpParams
from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.instant import Instant
from yaoki.lb.service import Forward, PlaneWish, VirtualService, WhenAllDown
from yaoki.node.decisions import Decisions
from yaoki.node.service_pool import ServicePool, rule_of
from yaoki.pool.health import Verdict
from yaoki.pool.member import Health
from yaoki.site.node_plan import ServerPlan, ServicePlan

pytestmark = pytest.mark.netns
NOW = Instant.of_seconds(1000)
SECOND = timedelta(seconds=1)


class Checked:
    """The service of three servers as a node has it: s1 comes first, s2 is its backup, s3 says sorry."""

    def __init__(self, like: VirtualService) -> None:
        self._macs: dict[IPAddress, MacAddress | None] = {server.address: server.mac for server in like.servers}
        self._health = {server.address: Health.UP for server in like.servers}
        self._places = [server.address for server in like.servers]
        first, backup, sorry = (
            ServerPlan(s.name, s.address, s.port, s.forward, 1000, (CheckId(s.address, TcpParams(80)),), s.source)
            for s in like.servers
        )
        plan = ServicePlan(
            like.name,
            "web-vip",
            like.key,
            like.interface,
            like.scheduler,
            (replace(first, priority=150), backup, replace(sorry, sorry=True)),
            when_all_down=WhenAllDown.SORRY,
            plane=like.plane,
        )
        self._pool = ServicePool(plan, rule_of(plan, lambda _: SECOND))

    def now(self, *healths: Health) -> VirtualService:
        """What the plane is to have with the servers in this health."""
        self._health = dict(zip(self._places, healths, strict=True))
        self._pool.decide(NOW, lambda check: Verdict(self._health[check.target], NOW), Decisions())
        self._pool.render(self._macs.get)
        assert self._pool.service is not None
        return self._pool.service


UP, DOWN = Health.UP, Health.DOWN


@pytest.fixture
def planes(direct_network: World) -> Iterator[World]:
    direct_network.agents["lb"].ask("new_balancer", plane="both")
    yield direct_network
    direct_network.agents["lb"].ask("cleanup")


def stand_in(world: World, service: VirtualService, family: int) -> None:
    """Through all that can be up and down, with a flow that begins on the backup."""
    checked, client = Checked(service), world.agents["client"]
    world.balance(checked.now(UP, UP, UP))
    assert world.names(family, "tcp", times=3) == ["s1", "s1", "s1"]
    world.balance(checked.now(DOWN, UP, UP))
    assert world.names(family, "tcp", times=2) == ["s2", "s2"]
    assert client.ask("open_flow", name="f", protocol="tcp", address=str(service.key.address), port=80).startswith("s2")
    world.balance(checked.now(UP, UP, UP))
    assert world.names(family, "tcp", times=2) == ["s1", "s1"]
    assert client.ask("talk", name="f").startswith("s2"), "flows that a backup has stay with it"
    client.ask("close_flow", name="f")
    world.balance(checked.now(DOWN, DOWN, UP))
    assert world.names(family, "tcp", times=2) == ["s3", "s3"]
    world.balance(checked.now(DOWN, DOWN, DOWN))
    assert world.names(family, "tcp", times=1) == ["refused"]
    world.balance(checked.now(DOWN, UP, DOWN))
    assert world.names(family, "tcp", times=2) == ["s2", "s2"]


@pytest.mark.req("D-30")
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("plane", [PlaneWish.BPF, PlaneWish.NFTABLES])
def test_under_direct_return_backups_and_the_sorry_server_stand_in(
    planes: World, plane: PlaneWish, family: int
) -> None:
    stand_in(planes, replace(trio(Forward.DIRECT, family=family), plane=plane), family)
    assert [choice.split()[0] for choice in planes.agents["lb"].ask("choices").values()] == [plane.value]


@pytest.mark.parametrize("family", [4, 6])
def test_under_address_translation_they_do_as_well(nat: World, family: int) -> None:
    stand_in(nat, trio(Forward.NAT, family=family), family)
