"""One world per test module, and one program: building one takes seconds."""

from collections.abc import Iterator

import pytest

from tests.linux.program import Bench, bench
from tests.linux.tunnel_world import tunnel_world
from tests.linux.world import SERVERS, World, world


@pytest.fixture(scope="module")
def nat_network() -> Iterator[World]:
    """Servers answer on port 8080, and the VIP is their gateway."""
    with world() as built:
        built.gateway_is_vip()
        for name in SERVERS:
            built.agents[name].ask("serve", name=name, port=8080)
        yield built


@pytest.fixture(scope="module")
def direct_network() -> Iterator[World]:
    """Servers hold the VIP and answer on port 80."""
    with world() as built:
        built.servers_hold_vip()
        for name in SERVERS:
            built.agents[name].ask("serve", name=name, port=80)
        yield built


@pytest.fixture(scope="module")
def tunnel_network() -> Iterator[World]:
    """A server across the router answers on port 80, and takes packets out of tunnels."""
    with tunnel_world() as built:
        yield built


@pytest.fixture
def nat(nat_network: World) -> Iterator[World]:
    """The nat world with a plane that starts from nothing."""
    nat_network.agents["lb"].ask("new_balancer")
    yield nat_network
    nat_network.agents["lb"].ask("cleanup")


@pytest.fixture
def direct(direct_network: World) -> Iterator[World]:
    """The direct world with a plane that starts from nothing."""
    direct_network.agents["lb"].ask("new_balancer")
    yield direct_network
    direct_network.clean_up()


@pytest.fixture(scope="module")
def loaded() -> Iterator[Bench]:
    """The balancer's program on its bench."""
    with bench() as made:
        yield made


@pytest.fixture
def program(loaded: Bench) -> Bench:
    """The same as if just loaded."""
    loaded.empty()
    return loaded
