"""Sync groups whose VIPs are owned by one lease, in the simulated world: they are one node's, whatever fails."""

import pytest

from tests.simulation.scene import Scene
from yaoki.election.lease_params import longest_takeover
from yaoki.sim.faults import CarrierLost, Fault, Killed, Part, Partition, Paused, PowerLost, SpeakerUpgraded

pytestmark = [pytest.mark.req("B-06"), pytest.mark.req("B-21")]

SITE = "leased-edge"
TAKEOVER = longest_takeover(next(lease.duration for lease in Scene(SITE).world.topology.leases)).total_seconds()
RELIEVED = 0.6
"""Active_Down_Interval at 100 ms, a bid, and two writes of the store."""


def owner(scene: Scene) -> tuple[str, ...]:
    """Who answers for every VIP of the group, in both families."""
    found = set(scene.owners().values())
    assert len(found) == 1, scene.owners()
    return found.pop()


@pytest.mark.parametrize("fault", [Killed("r1", Part.ALL), Paused("r1", Part.ALL), PowerLost("r1")], ids=str)
def test_an_owner_that_fails_is_relieved_of_all_of_it_within_1_1_leases_and_returns(fault: Fault) -> None:
    scene = Scene(SITE)
    assert owner(scene) == ("r1",)
    scene.fault(fault, lasts=20)
    scene.run(TAKEOVER + 0.02)
    assert owner(scene) == ("r2",)
    scene.run(20)
    scene.settle()
    assert owner(scene) == ("r1",)


@pytest.mark.parametrize("interface", ["eth0", "eth1"])
def test_an_owner_that_loses_one_network_gives_all_of_it_to_who_has_both(interface: str) -> None:
    scene = Scene(SITE)
    scene.fault(CarrierLost("r1", interface), lasts=20)
    scene.run(RELIEVED)
    assert owner(scene) == ("r2",)
    scene.run(20)
    scene.settle()
    assert owner(scene) == ("r1",)


def test_a_network_that_is_lost_again_and_again_keeps_nobody_waiting() -> None:
    scene = Scene(SITE)
    for _ in range(3):
        scene.fault(CarrierLost("r1", "eth0"), lasts=4)
        scene.run(RELIEVED)
        assert owner(scene) == ("r2",)
        scene.run(6)
        assert owner(scene) == ("r1",)


def test_a_cut_of_both_networks_moves_nothing() -> None:
    scene = Scene(SITE)
    for network in ("inside", "outside"):
        scene.fault(Partition(network, ("r1",), False), lasts=10)
    for _ in range(100):
        scene.run(0.1)
        assert {by for by in scene.owners().values() if len(by) > 1} == set()
    scene.settle()
    assert owner(scene) == ("r1",)


@pytest.mark.req("B-19")
@pytest.mark.parametrize("seed", range(3))
def test_a_newer_speaker_goes_on_in_all_of_its_networks(seed: int) -> None:
    scene = Scene(SITE, seed=seed, forwarding_untouched=True)
    before = scene.owners()
    for _ in range(3):
        scene.fault(SpeakerUpgraded("r1"), lasts=2)
        scene.run(2.5)
    scene.settle()
    assert scene.owners() == before
