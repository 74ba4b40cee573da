"""A gateway against a second owner: what it hinders in the simulated world, and what it cannot."""

import pytest

from tests.simulation.scene import Scene
from yaoki.sim.faults import (
    Between,
    Blackhole,
    Fault,
    Killed,
    LinkStalled,
    Moved,
    Part,
    Partition,
    PowerLost,
    ServerFault,
)
from yaoki.sim.servers import Condition
from yaoki.vrrp.events import Reason


def owners_while(fault: Fault, site: str = "gateway") -> tuple[str, ...]:
    scene = Scene(site)
    assert scene.owners()["vip/ipv4"] == ("lb1",)
    scene.fault(fault, lasts=20)
    scene.run(10)
    found = scene.owners()
    assert found["vip/ipv4"] == found["vip/ipv6"]
    scene.run(10)
    scene.settle()
    assert scene.owners()["vip/ipv4"] == ("lb1",)
    return found["vip/ipv4"]


@pytest.mark.req("N-13")
@pytest.mark.req("B-21")
def test_a_member_that_does_not_reach_the_gateway_takes_nothing_over() -> None:
    assert owners_while(Blackhole("front", "lb2")) == ("lb1",)


@pytest.mark.req("N-13")
def test_where_both_sides_reach_the_gateway_there_are_two_owners_as_plan_says() -> None:
    assert owners_while(Partition("front", ("lb2",), one_way=False)) == ("lb1", "lb2")


@pytest.mark.req("N-13")
def test_an_owner_that_loses_the_gateway_keeps_what_another_takes_too() -> None:
    assert owners_while(Blackhole("front", "lb1")) == ("lb1", "lb2")


@pytest.mark.req("B-05")
def test_the_gateway_is_in_nobody_s_way_when_a_node_dies() -> None:
    assert owners_while(PowerLost("lb1")) == ("lb2",)


@pytest.mark.req("N-13")
@pytest.mark.parametrize("moved", [False, True])
def test_a_restart_of_the_main_process_lets_no_hindered_node_own(moved: bool) -> None:
    """Its check has yet to fall anew; the speaker goes by what it was told before. So it does of a VIP that was moved
    away from the node, which is wanted there with the least priority, whatever the check says."""
    scene = Scene("gateway")
    if moved:
        scene.fault(Moved("lb2", "vip"), lasts=25)
    scene.fault(ServerFault("router", Condition.DEAD), lasts=30)
    scene.run(5)
    assert reasons(scene) == {"lb1": Reason.KEPT.value, "lb2": Reason.BARRED.value}
    scene.fault(Killed("lb2", Part.MAIN), lasts=0.5)
    scene.fault(LinkStalled("lb2", Between.WORKER), at=0.5, lasts=6)
    for _ in range(100):
        scene.run(0.1)
        assert reasons(scene)["lb2"] == Reason.BARRED.value
    scene.run(20)
    scene.settle()
    assert Reason.BARRED.value not in reasons(scene).values()


def reasons(scene: Scene) -> dict[str, str]:
    """Why each node's router is in its state."""
    virtual = scene.world.topology.virtuals[0]
    return {node: scene.world.ledger.statuses[node, params.key].reason for node, params in virtual.members}
