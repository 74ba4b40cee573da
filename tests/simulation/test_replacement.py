"""What happens in a simulated world when a node comes back whose place another one has."""

import pytest

from tests.simulation.scene import Scene
from yaoki.sim.faults import Frozen, Moved, PowerLost


@pytest.mark.req("B-02")
def test_who_was_replaced_and_owns_alone_is_relieved_in_a_moment_and_of_two_answers() -> None:
    """It boots while all others stand still, and takes the VIP before it is told. To the one in its place, which shares
    no VIP with it by its own file, its heartbeats tell of none: that one cannot wait until it is hushed."""
    scene = Scene("replaced")
    scene.fault(Moved("lb3", "vip"), lasts=10)
    scene.fault(PowerLost("lb1"), at=0.5, lasts=1)
    scene.fault(Frozen("lb3"), at=1, lasts=7)
    scene.fault(Frozen("lb2"), at=1, lasts=14)
    scene.run(7.5)
    assert scene.owners()["vip/ipv4"] == ("lb1",)
    scene.run(2.4)
    assert scene.owners()["vip/ipv4"] == ("lb1",), "it was told, and nobody better was there"
    answered: list[tuple[str, ...]] = []
    for _ in range(20_000):
        scene.run(0.0001)
        answered.append(scene.owners()["vip/ipv4"])
    assert list(dict.fromkeys(answered)) == [("lb1",), ("lb1", "lb3"), ("lb3",)]
    assert answered.count(("lb1", "lb3")) <= 10, "an advertisement's way"
    scene.run(5)
    scene.settle()
    assert scene.owners()["vip/ipv4"] == ("lb3",)
