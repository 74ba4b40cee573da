"""Segments of connections that connection tracking does not know: held up until their copy is there, once."""

import re
import threading
import time
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from tests.lb.samples import trio
from tests.linux.world import CODEC, VIP4, VIP6, World
from yaoki.lb.flow import Flow, Stage
from yaoki.lb.service import Protocol, ServiceKey

pytestmark = pytest.mark.netns

VIP = {4: VIP4, 6: VIP6}
CLIENT = {4: "198.51.100.9", 6: "2001:db8:2::9"}
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def held(nat: World, family: int) -> Iterator[tuple[World, Flow]]:
    """A connection whose entry the balancer has lost, as if the VIP had just come here."""
    client, balancer = nat.agents["client"], nat.agents["lb"]
    nat.balance(trio(family=family))
    answer = client.ask("open_flow", name="t", protocol="tcp", address=VIP[family], port=80)
    table = nat.inside("lb", "conntrack", "-L", "-f", f"ipv{family}", "-p", "tcp", "--state", "ESTABLISHED")
    (source, server) = re.search(r"sport=(\d+) dport=80 src=(\S+) ", table).groups()  # type: ignore[union-attr]
    assert answer.split()[0] in {"s1", "s2", "s3"}
    key = ServiceKey(ip_address(VIP[family]), Protocol.TCP, 80)
    flow = Flow(key, ip_address(CLIENT[family]), int(source), ip_address(server), 8080, Stage.ESTABLISHED, 1000)
    yield nat, flow
    client.ask("close_flow", name="t")
    balancer.ask("let_strangers_through")


def hold(world: World, flow: Flow, *, ms: int) -> None:
    """Hold strangers up from now on, and forget the flow."""
    balancer = world.agents["lb"]
    balancer.ask("hold_strangers", address=str(flow.service.address), server=str(flow.server), port=flow.port, ms=ms)
    world.inside("lb", "conntrack", "-F")


@BOTH
def test_a_connection_whose_copy_comes_late_goes_on(held: tuple[World, Flow]) -> None:
    world, flow = held
    hold(world, flow, ms=20_000)
    said: list[Any] = []
    talking = threading.Thread(target=lambda: said.append(world.agents["client"].ask("talk", name="t")))
    talking.start()
    time.sleep(0.05)
    assert said == []
    world.agents["lb"].ask("put_flow", flow=CODEC.encode(flow).decode())
    talking.join(10)
    assert said[0].split()[0] in {"s1", "s2", "s3"}


@BOTH
def test_one_without_a_copy_is_refused_after_a_while(held: tuple[World, Flow]) -> None:
    world, flow = held
    hold(world, flow, ms=100)
    # In turn it would be given to the server that it has.
    world.names(flow.service.family.value, "tcp", times=1)
    begun = time.monotonic()
    assert world.agents["client"].ask("talk", name="t") == "reset"
    assert time.monotonic() - begun > 0.1


@BOTH
def test_new_connections_never_wait(held: tuple[World, Flow]) -> None:
    world, flow = held
    hold(world, flow, ms=60_000)
    begun = time.monotonic()
    assert set(world.names(flow.service.family.value, "tcp", times=6)) == {"s1", "s2", "s3"}
    assert time.monotonic() - begun < 30
