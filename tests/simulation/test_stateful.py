"""Stateful VIPs in the simulated world: who returns owns nothing before its release, whoever dies meanwhile."""

import pytest

from tests.simulation.scene import Scene
from tests.simulation.shapes import shape
from yaoki.sim.campaign import HOUR_US, run_seed
from yaoki.sim.faults import Admitted, Killed, Part, Partition, PowerLost, StoreAway
from yaoki.vrrp.events import Reason

pytestmark = pytest.mark.req("N-13")


def begun(site: str = "stateful") -> Scene:
    """A world whose first owner was admitted on lb1, and whose other node was admitted afterwards."""
    scene = Scene(site)
    for node in ("lb1", "lb2"):
        scene.fault(Admitted(node))
        scene.run(5)
    return scene


def owner(scene: Scene, vip: str = "elected/ipv4") -> tuple[str, ...]:
    return scene.owners()[vip]


def test_at_the_very_first_start_nobody_owns_before_somebody_is_admitted() -> None:
    scene = Scene("stateful")
    assert (owner(scene), owner(scene, "elected/ipv6")) == ((), ())
    assert owner(scene, "careless/ipv4") != (), "it ends its quarantine when nobody owns"
    scene.fault(Admitted("lb1"))
    scene.run(2)
    assert (owner(scene), owner(scene, "elected/ipv6")) == (("lb1",), ("lb1",))


def test_who_returns_owns_nothing_though_the_other_one_dies_until_it_is_admitted() -> None:
    scene = begun()
    scene.fault(PowerLost("lb1"), lasts=10)
    scene.run(20)
    assert owner(scene) == ("lb2",)
    scene.fault(PowerLost("lb2"), lasts=30)
    scene.run(10)
    assert owner(scene) == ()
    assert owner(scene, "careless/ipv4") == ("lb1",), "the price of `alone: own`"
    scene.fault(Admitted("lb1"))
    scene.run(2)
    assert owner(scene) == ("lb1",)


@pytest.mark.parametrize("part", [Part.MAIN, Part.WORKER])
def test_a_restart_of_the_daemon_without_its_speaker_is_no_return(part: Part) -> None:
    scene = begun()
    scene.fault(Killed("lb2", part), lasts=2)
    scene.run(5)
    scene.fault(PowerLost("lb1"), lasts=20)
    scene.run(5)
    assert owner(scene) == ("lb2",)


def test_a_quarantine_outlives_a_restart_of_the_daemon() -> None:
    scene = begun()
    scene.fault(PowerLost("lb1"), lasts=5)
    scene.run(15)
    scene.fault(Killed("lb1", Part.MAIN), lasts=2)
    scene.run(5)
    scene.fault(PowerLost("lb2"), lasts=20)
    scene.run(10)
    assert owner(scene) == ()


def test_of_two_owners_in_a_partition_the_loser_is_in_quarantine() -> None:
    scene = begun()
    assert owner(scene) == ("lb1",)
    scene.fault(Partition("front", ("lb1",), one_way=False), lasts=5)
    scene.run(4)
    assert owner(scene) == ("lb1", "lb2")
    scene.run(10)
    assert owner(scene) == ("lb2",), "of higher priority"
    elected = next(virtual for virtual in scene.world.topology.virtuals if str(virtual) == "elected/ipv4")
    status = scene.world.ledger.status(elected, "lb1")
    assert status is not None
    assert status.reason == Reason.QUARANTINED.value


def test_a_leased_one_is_released_by_its_data_check() -> None:
    scene = Scene("stateful")
    scene.run(10)
    first = owner(scene, "leased/ipv4")
    assert len(first) == 1
    scene.fault(StoreAway(None), lasts=5)
    scene.run(4)
    assert owner(scene, "leased/ipv4") == ()
    scene.run(20)
    assert len(owner(scene, "leased/ipv4")) == 1


@pytest.mark.parametrize("seed", [5, *(pytest.param(seed, marks=pytest.mark.campaign) for seed in (7, 8))])
def test_a_world_with_stateful_vips_breaks_no_invariant(seed: int) -> None:
    outcome = run_seed(shape("stateful"), seed, until_us=HOUR_US // 12)
    assert outcome.broken is None, outcome.broken
