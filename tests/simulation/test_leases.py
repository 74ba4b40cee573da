"""VIPs that are owned by lease, in the simulated world: who owns, how soon another does, and what costs nothing.

A scene of a leased site costs a second. `make check` plays some of each kind, `make test` all.
"""

from collections.abc import Iterable

import pytest

from tests.simulation.scene import Scene
from yaoki.election.lease_params import longest_takeover
from yaoki.node.messages import RouterState
from yaoki.sim.faults import (
    Between,
    Blackhole,
    CarrierLost,
    Fault,
    Frozen,
    GatesRefused,
    Killed,
    LinkBroken,
    LinkStalled,
    Part,
    Partition,
    Paused,
    PowerLost,
    SpeakerUpgraded,
    Stopped,
    StoreAway,
)
from yaoki.sim.topology import Virtual


def played(cases: Iterable[object], *, checked: int = 2) -> list[object]:
    """The parameters of a test, of which the first ones are played in `make check`."""
    return [
        pytest.param(case, id=str(case), marks=() if number < checked else pytest.mark.campaign)
        for number, case in enumerate(cases)
    ]


TAKEOVER = longest_takeover(next(lease.duration for lease in Scene("leased").world.topology.leases)).total_seconds()


@pytest.mark.req("B-21")
def test_a_node_whose_kernel_refuses_the_gate_owns_nothing_by_lease() -> None:
    """The owner learns of it at its next renewal; where it holds, another node owns."""
    scene = Scene("leased")
    kernel = scene.world.nodes["lb1"].kernel
    scene.fault(GatesRefused("lb1"), lasts=20)
    scene.run(TAKEOVER + 1)
    assert owner(scene) == ("lb2",)
    leased = [virtual for virtual in scene.world.topology.virtuals if virtual.lease is not None]
    held = [
        kernel.holds(virtual.params("lb1").key.interface, address)
        for virtual in leased
        for address in virtual.params("lb1").addresses
    ]
    assert not any(held)
    scene.run(40)
    scene.settle()
    assert owner(scene) == ("lb1",)


def owner(scene: Scene) -> tuple[str, ...]:
    """Who answers for the leased VIP, in both families."""
    both = {scene.owners()["leased/ipv4"], scene.owners()["leased/ipv6"]}
    assert len(both) == 1
    return both.pop()


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    "fault",
    played(
        [
            Paused("lb1", Part.SPEAKER),
            StoreAway("lb1"),
            Killed("lb1", Part.ALL),
            Killed("lb1", Part.SPEAKER),
            Paused("lb1", Part.ALL),
            PowerLost("lb1"),
            LinkBroken("lb1", Between.HOLDER),
        ]
    ),
)
def test_an_owner_that_fails_is_relieved_within_1_1_leases_and_returns(fault: Fault) -> None:
    scene = Scene("leased")
    assert owner(scene) == ("lb1",)
    scene.fault(fault, lasts=20)
    # A speaker that hangs is renewed for until its last wish is over.
    late = 0.4 if isinstance(fault, Paused) and fault.part is Part.SPEAKER else 0.02
    scene.run(TAKEOVER + late)
    assert owner(scene) == ("lb2",)
    scene.run(20)
    scene.settle()
    assert owner(scene) == ("lb1",)


@pytest.mark.req("B-21")
@pytest.mark.parametrize("fault", [Stopped("lb1"), CarrierLost("lb1", "eth0")], ids=str)
def test_an_owner_that_knows_gives_its_lease_up_at_once(fault: Fault) -> None:
    scene = Scene("leased")
    scene.fault(fault, lasts=20)
    scene.run(0.3)
    assert owner(scene) == ("lb2",)


@pytest.mark.req("B-20")
@pytest.mark.parametrize(
    "fault",
    played(
        [
            Killed("lb2", Part.ALL),
            LinkBroken("lb1", Between.KEEPER),
            Killed("lb1", Part.MAIN),
            StoreAway("lb2"),
            Partition("front", ("lb2",), False),
            Blackhole("front", "lb2"),
        ]
    ),
)
def test_what_befalls_neither_the_owner_nor_its_store_moves_nothing(fault: Fault) -> None:
    scene = Scene("leased")
    changes = scene.world.ledger.holders_since
    since = {str(virtual): changes[virtual] for virtual in changes if virtual.lease is not None}
    scene.fault(fault, lasts=20)
    scene.run(21)
    scene.settle()
    assert {str(virtual): changes[virtual] for virtual in changes if virtual.lease is not None} == since


@pytest.mark.req("B-06")
def test_without_the_store_nobody_owns_and_with_it_again_the_owner_is_back_within_a_lease() -> None:
    scene = Scene("leased")
    scene.fault(StoreAway(None), lasts=10)
    scene.run(2)
    assert owner(scene) == ()
    scene.run(8 + TAKEOVER)
    assert len(owner(scene)) == 1
    scene.settle()
    assert owner(scene) == ("lb1",)


@pytest.mark.req("N-13")
@pytest.mark.parametrize("phase", played(range(5), checked=1))
def test_a_store_that_is_back_within_half_a_lease_costs_nothing(phase: int) -> None:
    """As a witness that is restarted."""
    scene = Scene("leased")
    lease = TAKEOVER / 1.1
    scene.run(phase * lease / 30)
    scene.fault(StoreAway(None), lasts=lease / 2)
    for _ in range(40):
        scene.run(lease / 20)
        assert owner(scene) == ("lb1",)


@pytest.mark.req("B-21")
def test_a_restart_of_the_lease_keeper_costs_nothing() -> None:
    scene = Scene("leased")
    scene.fault(Killed("lb1", Part.KEEPER), lasts=0.3)
    scene.run(5)
    assert owner(scene) == ("lb1",)


@pytest.mark.req("B-19")
@pytest.mark.parametrize("site", ["leased", "stateful"])
@pytest.mark.parametrize("seed", played(range(3), checked=1))
def test_a_newer_speaker_goes_on_by_the_lease_of_the_older_one(site: str, seed: int) -> None:
    scene = Scene(site, seed=seed, forwarding_untouched=True)
    before = scene.owners()
    [node] = before["leased/ipv4"]
    for _ in range(3):
        scene.fault(SpeakerUpgraded(node), lasts=2)
        scene.run(2.5)
    scene.settle()
    assert scene.owners() == before


@pytest.mark.req("B-21")
def test_a_newer_speaker_owns_for_no_longer_than_the_lease_that_it_has_inherited() -> None:
    """Neither it nor its kernel: the keeper died before it was asked for more."""
    scene = Scene("leased")
    scene.fault(SpeakerUpgraded("lb1"), lasts=0.5)
    scene.fault(Killed("lb1", Part.KEEPER), lasts=20)
    scene.run(0.6)
    assert owner(scene) == ("lb1",)
    scene.run(TAKEOVER - 0.5)
    assert owner(scene) == ("lb2",)


@pytest.mark.req("B-21")
def test_a_machine_that_was_frozen_gives_way_when_its_first_renewal_fails() -> None:
    scene = Scene("leased")
    scene.fault(Frozen("lb1"), lasts=10)
    scene.run(9)
    assert owner(scene) == ("lb2",)
    # What nothing on the machine can notice: by its own clock its lease is still good.
    scene.run(1.25)
    assert owner(scene) == ("lb2",)


@pytest.mark.req("B-20")
def test_an_owner_whose_keeper_does_not_answer_owns_until_its_lease_is_over() -> None:
    """It hears a bid three renewals after its keeper's last word, and could not say that it gives way."""
    back_after = _seconds_until_back()
    scene = Scene("leased")
    scene.fault(PowerLost("lb1"), lasts=10)
    scene.fault(LinkStalled("lb2", Between.HOLDER), at=back_after - 0.25, lasts=8)
    scene.run(back_after + 0.65)
    status = scene.world.ledger.status(_leased(scene), "lb1")
    assert status is not None
    assert status.state is RouterState.BACKUP
    assert "BidMade" in "".join(scene.world.trace.last(2000))
    assert owner(scene) == ("lb2",)
    scene.run(1.2)
    assert owner(scene) == ("lb1",)


def _seconds_until_back() -> float:
    """How long lb1 is not heard of if it is without power for ten seconds."""
    scene = Scene("leased")
    scene.fault(PowerLost("lb1"), lasts=10)
    seconds = 0.0
    while seconds < 10 or scene.world.ledger.status(_leased(scene), "lb1") is None:
        scene.run(0.05)
        seconds += 0.05
    return seconds


def _leased(scene: Scene) -> Virtual:
    return next(virtual for virtual in scene.world.topology.virtuals if virtual.lease is not None)
