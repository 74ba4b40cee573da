"""What the simulated world does, and what the shipped engines do in it: one fault at a time, with exact outcomes."""

from ipaddress import IPv4Address, IPv4Interface

import pytest

from tests.simulation.scene import Scene
from yaoki.lb.service import Desired
from yaoki.pool.member import AdminState
from yaoki.sim.faults import (
    AddressRemoved,
    AddressSpoofed,
    Admitted,
    Alteration,
    Between,
    Blackhole,
    CarrierLost,
    ClockStepped,
    Drained,
    Fault,
    Frozen,
    HostilePackets,
    Killed,
    LinkBroken,
    LinkStalled,
    Moved,
    Part,
    Partition,
    Paused,
    PlaneRefuses,
    PowerLost,
    Reconfigured,
    Reloaded,
    RoughNetwork,
    ServerFault,
    Slowed,
    Stopped,
)
from yaoki.sim.network import Conditions
from yaoki.sim.servers import Condition

BOTH_LB1 = {"vip/ipv4": ("lb1",), "vip/ipv6": ("lb1",)}
BOTH_LB2 = {"vip/ipv4": ("lb2",), "vip/ipv6": ("lb2",)}
TWO = {"vip/ipv4": ("lb1", "lb2"), "vip/ipv6": ("lb1", "lb2")}
NOBODY: dict[str, tuple[str, ...]] = {"vip/ipv4": (), "vip/ipv6": ()}


def eligible(scene: Scene, node: str) -> list[tuple[str, ...]]:
    """The servers that take new flows, for each service in the tables of a node."""
    table: Desired = scene.world.nodes[node].kernel.table
    return [tuple(server.name for server in service.eligible) for service in table.services]


def test_the_highest_priority_owns_both_families_at_the_start() -> None:
    assert Scene().owners() == BOTH_LB1


def test_power_off_moves_the_vip_and_power_on_brings_it_back() -> None:
    scene = Scene()
    scene.fault(PowerLost("lb1"), lasts=2)
    scene.run(0.01)
    assert scene.owners() == NOBODY
    scene.run(0.4)
    assert scene.owners() == BOTH_LB2
    scene.run(2)
    scene.settle()
    assert scene.owners() == BOTH_LB1


@pytest.mark.req("B-05")
def test_a_stop_in_good_order_costs_nothing() -> None:
    scene = Scene()
    scene.fault(Stopped("lb1"), lasts=3)
    kernel, vip = scene.world.nodes["lb1"].kernel, scene.world.topology.virtuals[0].params("lb1").addresses[0]
    seen = []
    for _ in range(300):
        scene.run(0.0001)
        seen.append(scene.owners())
    assert seen[-1] == BOTH_LB2
    # One frame's way at most; what still comes to lb1 is served for a moment.
    assert sum(len(holders) > 1 for owners in seen for holders in owners.values()) <= 2 * 5
    assert kernel.holds("eth0", vip)
    scene.run(0.02)
    assert not kernel.holds("eth0", vip)


@pytest.mark.req("B-02")
def test_an_interface_that_fails_costs_no_silence_where_another_network_brings_the_news() -> None:
    """Three intervals of silence and Skew_Time would be 643 ms; of two Backups the better one comes."""
    scene = Scene("three-nodes")
    before = scene.owners()
    assert before["outside/ipv4"] == before["outside/ipv6"] == ("lb3",)
    scene.fault(CarrierLost("lb3", "eth0", 1), lasts=10)
    scene.run(0.005)
    assert scene.owners()["outside/ipv4"] == scene.owners()["outside/ipv6"] == ("lb1",)
    assert scene.owners()["inside/ipv4"] == before["inside/ipv4"]


@pytest.mark.parametrize("fault", [Killed("lb1", Part.SPEAKER), Killed("lb1", Part.ALL), Paused("lb1", Part.SPEAKER)])
def test_an_owner_without_a_working_speaker_is_silenced_before_the_backup_takes_over(fault: Fault) -> None:
    scene = Scene()
    scene.fault(fault, lasts=3)
    seen = []
    for _ in range(1000):
        scene.run(0.001)
        seen.append(scene.owners())
    assert TWO not in seen
    nobody = seen.count(NOBODY)
    assert 0 < nobody <= 75
    assert seen[-1] == BOTH_LB2
    scene.run(3)
    scene.settle()
    assert scene.owners() == BOTH_LB1


@pytest.mark.parametrize("part", [Part.MAIN, Part.WORKER])
def test_killing_the_main_process_or_the_worker_moves_nothing(part: Part) -> None:
    scene = Scene(forwarding_untouched=True)
    changes = scene.world.ledger.owner_changes
    scene.fault(Killed("lb1", part), lasts=3)
    scene.run(4)
    scene.settle()
    assert scene.world.ledger.owner_changes == changes


def test_a_lone_owner_without_a_working_speaker_goes_on_answering() -> None:
    scene = Scene()
    scene.fault(PowerLost("lb2"), lasts=60)
    scene.run(1)
    scene.fault(Killed("lb1", Part.ALL), lasts=30)
    scene.run(20)
    assert scene.owners() == BOTH_LB1


def test_a_speaker_that_is_started_again_in_time_never_lets_go() -> None:
    scene = Scene("one-second")
    changes = scene.world.ledger.owner_changes
    scene.fault(Killed("lb1", Part.SPEAKER), lasts=0.3)
    scene.run(10)
    assert scene.world.ledger.owner_changes == changes


def test_an_address_that_no_speaker_renews_outlasts_the_gate_and_then_goes() -> None:
    scene = Scene()
    lb1 = scene.world.nodes["lb1"]
    address = scene.world.topology.virtuals[0].params("lb1").addresses[0]
    scene.fault(Killed("lb1", Part.ALL), lasts=30)
    scene.run(0.9)
    assert lb1.kernel.silences(address.ip)
    assert lb1.kernel.holds("eth0", address)
    scene.run(3)
    assert not lb1.kernel.holds("eth0", address)


def test_a_backup_stopped_for_long_does_not_take_over_when_it_wakes() -> None:
    scene = Scene()
    changes = scene.world.ledger.owner_changes
    scene.fault(Paused("lb2", Part.SPEAKER), lasts=60)
    scene.run(61)
    assert scene.world.ledger.owner_changes == changes


@pytest.mark.parametrize("step_us", [-3_600_000_000, -5_000, 5_000, 3_600_000_000])
def test_a_step_of_the_wall_clock_moves_nothing_even_while_packets_wait(step_us: int) -> None:
    scene = Scene()
    changes = scene.world.ledger.owner_changes
    scene.fault(Paused("lb2", Part.SPEAKER), lasts=0.25)
    scene.fault(ClockStepped("lb2", step_us), at=0.1)
    scene.run(2)
    assert scene.world.ledger.owner_changes == changes


def test_a_frozen_machine_answers_nobody_and_goes_on_as_if_nothing_had_been() -> None:
    scene = Scene()
    clock = scene.world.nodes["lb1"].clock
    scene.fault(Frozen("lb1"), lasts=2)
    scene.run(1)
    shown = clock.monotonic(scene.world.timeline.now)
    assert scene.owners() == BOTH_LB2
    scene.run(0.9)
    assert clock.monotonic(scene.world.timeline.now) == shown
    scene.settle()
    assert scene.owners() == BOTH_LB1


def test_a_partition_makes_two_owners_and_healing_one_whom_the_neighbours_know() -> None:
    scene = Scene()
    scene.fault(Partition("front", ("lb1",), one_way=False), lasts=5)
    scene.run(2)
    assert scene.owners() == TWO
    assert scene.world.neighbours["front"].believe(IPv4Address("192.0.2.50")) == "lb2"
    scene.run(4)
    scene.settle()
    assert scene.owners() == BOTH_LB1
    assert scene.world.neighbours["front"].believe(IPv4Address("192.0.2.50")) == "lb1"


def test_one_way_silence_of_the_owner_makes_two_owners_only_while_it_lasts() -> None:
    scene = Scene()
    scene.fault(Partition("front", ("lb1",), one_way=True), lasts=3)
    scene.run(2)
    assert scene.owners() == TWO
    scene.run(1)
    scene.settle()
    assert scene.owners() == BOTH_LB1


def test_a_black_hole_keeps_carrier_and_the_other_takes_over() -> None:
    scene = Scene()
    scene.fault(Blackhole("front", "lb1"), lasts=3)
    scene.run(1)
    assert scene.owners() == TWO
    assert scene.world.neighbours["front"].believe(IPv4Address("192.0.2.50")) == "lb2"
    scene.run(2)
    scene.settle()
    assert scene.owners() == BOTH_LB1


def test_lost_carrier_releases_at_once() -> None:
    scene = Scene()
    scene.fault(CarrierLost("lb1", "eth0"), lasts=4)
    scene.run(0.01)
    assert scene.owners() == NOBODY
    scene.run(0.5)
    assert scene.owners() == BOTH_LB2


def test_a_rough_network_delays_and_doubles_and_loses() -> None:
    scene = Scene()
    conditions = Conditions(delay_us=(1_000, 40_000), loss=0.3, duplicate=0.5, ordered=False)
    scene.fault(RoughNetwork("front", None, conditions), lasts=20)
    scene.run(20)
    counts = scene.world.networks["front"].counts
    assert counts.lost > 50
    assert counts.duplicated > 50
    scene.settle()
    assert scene.owners() == BOTH_LB1


def test_hostile_packets_are_counted_and_change_nothing() -> None:
    scene = Scene()
    changes = scene.world.ledger.owner_changes
    scene.fault(HostilePackets("front", 500), lasts=2)
    scene.run(3)
    assert scene.world.ledger.owner_changes == changes
    assert any("PacketRejected" in line for line in scene.world.trace.last(2_000))


def test_an_address_deleted_by_hand_is_put_back() -> None:
    scene = Scene()
    scene.fault(AddressRemoved("lb1"))
    scene.run(0.01)
    assert scene.owners() == BOTH_LB1


def test_a_slow_owner_is_late_by_no_more_than_it_is_slow() -> None:
    scene = Scene()
    changes = scene.world.ledger.owner_changes
    scene.fault(Slowed("lb1", Part.SPEAKER, 20_000), lasts=10)
    scene.run(11)
    assert scene.world.ledger.owner_changes == changes
    assert scene.world.nodes["lb1"].speaker.process.lateness_us < 20_000


def test_overlapping_faults_of_one_kind_end_when_the_last_has_ended() -> None:
    scene = Scene()
    scene.fault(Paused("lb1", Part.ALL), lasts=4)
    scene.fault(Paused("lb1", Part.SPEAKER), at=1, lasts=1)
    scene.fault(PowerLost("lb2"), lasts=3)
    scene.fault(PowerLost("lb2"), at=1, lasts=4)
    scene.run(3.5)
    assert not scene.world.nodes["lb1"].speaking()
    assert not scene.world.nodes["lb2"].powered
    scene.run(2)
    assert scene.world.nodes["lb1"].speaking()
    assert scene.world.nodes["lb2"].powered


def test_a_dead_server_leaves_the_tables_and_comes_back() -> None:
    scene = Scene("two-nodes")
    assert eligible(scene, "lb1") == [("web1", "web2")] * 2
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=30)
    scene.run(20)
    assert eligible(scene, "lb1") == [("web2",)] * 2
    scene.run(11)
    scene.settle()
    assert eligible(scene, "lb2") == [("web1", "web2")] * 2


def test_a_restart_of_the_main_process_does_not_bring_a_dead_server_back() -> None:
    scene = Scene("two-nodes")
    scene.run(30)
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=60)
    scene.fault(Killed("lb1", Part.MAIN), at=30, lasts=1)
    scene.run(59)
    assert eligible(scene, "lb1") == [("web2",)] * 2


@pytest.mark.parametrize("between", [Between.SPEAKER, Between.WORKER])
def test_a_stalled_or_broken_link_is_made_good_afterwards(between: Between) -> None:
    scene = Scene("two-nodes", forwarding_untouched=True)
    scene.fault(LinkStalled("lb1", between), lasts=40)
    scene.fault(LinkBroken("lb2", between), lasts=40)
    scene.fault(ServerFault("web1", Condition.REFUSING), at=10, lasts=60)
    scene.run(65)
    assert eligible(scene, "lb1") == eligible(scene, "lb2") == [("web2",)] * 2


def test_refused_tables_are_tried_again() -> None:
    scene = Scene("two-nodes")
    scene.fault(PlaneRefuses("lb1"), lasts=30)
    scene.fault(ServerFault("web1", Condition.HUNG), lasts=60)
    scene.run(29)
    assert eligible(scene, "lb1") == [("web1", "web2")] * 2
    scene.run(20)
    assert eligible(scene, "lb1") == [("web2",)] * 2


def test_a_drained_server_takes_no_new_flows_also_after_a_restart() -> None:
    scene = Scene("two-nodes")
    scene.fault(Drained("web2"), lasts=30)
    scene.fault(Killed("lb1", Part.ALL), at=5, lasts=1)
    scene.run(20)
    assert eligible(scene, "lb1") == [("web1",)] * 2
    assert scene.world.nodes["lb1"].main.decisions.admin("web2", "web") is AdminState.DRAIN
    scene.run(12)
    assert eligible(scene, "lb1") == [("web1", "web2")] * 2


@pytest.mark.req("D-05")
def test_servers_behind_tunnels_are_served_when_the_way_to_them_is_known_and_let_go_when_they_are_off() -> None:
    scene = Scene("tunnel")
    served = [("web1", "web2")] * 2 + [("web1", "web3")] * 2
    assert [eligible(scene, node) for node in ("lb1", "lb2")] == [served] * 2
    servers = [one for service in scene.world.nodes["lb1"].kernel.table.services for one in service.servers]
    assert {one.name: (one.way is None, one.mac is None) for one in servers} == {
        "web1": (False, True),
        "web2": (False, True),
        "web3": (True, False),
    }
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=10)
    scene.run(5)
    assert eligible(scene, "lb1") == [("web2",)] * 2 + [("web3",)] * 2
    scene.settle()
    assert eligible(scene, "lb1") == served


def test_an_altered_site_file_takes_effect_and_moves_nothing() -> None:
    scene = Scene("two-nodes", forwarding_untouched=True)
    scene.fault(Reconfigured("lb1", Alteration.WEIGHTS), lasts=10)
    scene.fault(Reloaded("lb2"))
    scene.run(5)
    weights = [s.weight for service in scene.world.nodes["lb1"].kernel.table.services for s in service.servers]
    assert weights == [500] * 4
    scene.settle()
    weights = [s.weight for service in scene.world.nodes["lb1"].kernel.table.services for s in service.servers]
    assert weights == [1000] * 4


def test_a_tracked_service_that_is_down_on_one_node_only_moves_the_vip() -> None:
    scene = Scene("two-nodes")
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=120)
    scene.fault(ServerFault("web2", Condition.DEAD), lasts=120)
    scene.run(60)
    # Both nodes see the service fail, so both priorities fall and the order stays.
    assert scene.owners() == BOTH_LB1
    assert eligible(scene, "lb1") == [()] * 2


def test_manual_failback_waits_for_a_person() -> None:
    scene = Scene("three-nodes")
    scene.fault(PowerLost("lb2"), lasts=10)
    scene.run(30)
    assert scene.owners()["slow/ipv4"] == ("lb3",)
    scene.fault(Admitted("lb2"))
    scene.fault(PowerLost("lb3"), at=1, lasts=20)
    scene.run(10)
    assert scene.owners()["slow/ipv4"] == ("lb2",)


@pytest.mark.req("B-06")
def test_a_group_whose_nodes_are_held_out_of_each_others_part_waits_for_no_person() -> None:
    scene = Scene("manual-edge")
    assert set(scene.owners().values()) == {("r2",)}
    # They return at one moment, so that each takes what it sees nobody own, and is held out of what the other took.
    scene.fault(CarrierLost("r1", "eth0"), lasts=1.4995)
    scene.fault(CarrierLost("r2", "eth1"), lasts=1.5)
    scene.run(1.49)
    apart = {"inner/ipv4": ("r2",), "inner/ipv6": ("r2",), "outer/ipv4": ("r1",)}
    seen = []
    for _ in range(400):
        scene.run(0.001)
        seen.append(scene.owners() == apart)
    assert any(seen)
    scene.settle()
    assert set(scene.owners().values()) == {("r1",)}


def test_sticky_failback_keeps_the_owner() -> None:
    scene = Scene("three-nodes")
    [owner] = scene.owners()["outside/ipv4"]
    scene.fault(PowerLost(owner), lasts=10)
    scene.run(5)
    [successor] = scene.owners()["outside/ipv4"]
    assert successor != owner
    scene.run(10)
    scene.settle()
    assert scene.owners()["outside/ipv4"] == (successor,)


@pytest.mark.req("B-09")
def test_an_intruder_is_told_of_by_both_nodes_and_contradicted_each_time() -> None:
    scene = Scene()
    scene.run(10)
    changes = scene.world.ledger.owner_changes
    address = IPv4Address("192.0.2.50")
    scene.fault(AddressSpoofed("front", address, 300_000), lasts=3)
    scene.run(3.1)
    assert scene.world.neighbours["front"].believe(address) == "lb1"
    assert scene.world.ledger.owner_changes == changes
    lines = scene.world.trace.last(5_000)
    assert {
        node for node in ("lb1", "lb2") for line in lines if f"{node}/brain" in line and "ForeignClaim" in line
    } == {
        "lb1",
        "lb2",
    }
    scene.settle()


@pytest.mark.req("B-21")
def test_a_node_whose_kernel_answers_without_a_speaker_is_told_of_by_the_owner() -> None:
    scene = Scene()
    scene.run(10)
    scene.fault(Killed("lb2", Part.SPEAKER), lasts=10)
    scene.run(0.01)
    scene.world.nodes["lb2"].kernel.claim("eth0", IPv4Interface("192.0.2.50/24"))
    scene.run(5)
    lines = scene.world.trace.last(5_000)
    for kind in ("AnsweredUnadvertised", "TwoOwnersSeen"):
        assert any("lb1/brain" in line and kind in line for line in lines), kind
    scene.run(10)
    scene.settle()
    assert any("lb1/brain" in line and "OneAnswers" in line for line in scene.world.trace.last(50_000))


@pytest.mark.req("B-05")
def test_an_operator_moves_a_vip_that_is_served_at_every_moment_and_answered_for_by_one_node() -> None:
    scene = Scene("one-second")
    vip = IPv4Interface("192.0.2.50/24")
    kernels = {name: node.kernel for name, node in scene.world.nodes.items()}
    assert set(scene.owners().values()) == {("lb1",)}
    scene.fault(Moved("lb1", "vip"), lasts=3.0)
    answered: list[tuple[str, ...]] = []
    served: list[tuple[str, ...]] = []
    for _ in range(20_000):
        scene.run(0.0001)
        answered.append(scene.owners()["vip/ipv4"])
        served.append(tuple(name for name, kernel in kernels.items() if kernel.holds("eth0", vip)))
    assert set(answered) <= {("lb1",), (), ("lb2",)}
    assert answered.count(()) <= 20, "a heartbeat's way"
    assert set(served) == {("lb1",), ("lb1", "lb2"), ("lb2",)}
    assert served.count(("lb1", "lb2")) <= 500
    assert set(scene.owners().values()) == {("lb2",)}
    scene.run(1.5)
    scene.settle()
    assert set(scene.owners().values()) == {("lb1",)}


def test_a_vip_that_nobody_else_could_take_is_not_moved() -> None:
    scene = Scene("fast")
    scene.fault(PowerLost("lb2"), lasts=20.0)
    scene.run(2)
    scene.fault(Moved("lb1", "vip"), lasts=3.0)
    scene.run(3)
    assert set(scene.owners().values()) == {("lb1",)}
    assert not scene.world.nodes["lb1"].main.decisions.moved
