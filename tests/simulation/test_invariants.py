"""Every invariant can break: worlds that somebody tampers with, which only a faulty engine would do otherwise."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface

import pytest

from tests.simulation.scene import Deaf, Scene
from yaoki.checks.check import CheckId, Finding, Outcome, TcpParams
from yaoki.core.event import Event, EventBody, EventId
from yaoki.core.instant import Instant
from yaoki.lb.flow import CopiedService, DirectService
from yaoki.lb.service import Desired
from yaoki.node.messages import RouterState, SendAdvertisement, SetPriority, VerdictChanged
from yaoki.node.speaker_events import NodeReplaced
from yaoki.packet.claim import Form
from yaoki.pool.member import Health
from yaoki.sim.faults import CarrierLost, Drained, Frozen, Part, Paused, PlaneRefuses, PowerLost, ServerFault, Stopped
from yaoki.sim.invariants import INVARIANTS
from yaoki.sim.invariants.groups import GroupTogether
from yaoki.sim.invariants.macs import VirtualMacOfOwner
from yaoki.sim.invariants.replacement import ReplacedOwnsNothing
from yaoki.sim.kernel import TICK_US, Kernel
from yaoki.sim.ledger import InvariantBroken
from yaoki.sim.neighbours import INTRUDER, Announcement
from yaoki.sim.servers import Condition
from yaoki.sim.speaker import NOTIFY_US
from yaoki.sim.timeline import BURST, MILLISECOND, SECOND
from yaoki.sim.world import INTRUDER_MAC
from yaoki.vrrp.virtual_mac import virtual_mac
from yaoki.vrrp.wire_events import ForeignClaim, OwnedButSilent, TwoOwnersSeen

VIP = IPv4Interface("192.0.2.50/24")
INVARIANT_NAMES = [invariant.name for invariant in INVARIANTS]


def settled(scene: Scene) -> None:
    scene.world.ledger.settled()


def test_every_invariant_says_what_it_holds() -> None:
    assert len(set(INVARIANT_NAMES)) == len(INVARIANTS)
    assert all(invariant.holds for invariant in INVARIANTS)


def test_a_second_holder_whose_router_is_backup_is_found() -> None:
    scene = Scene()
    kernel = scene.world.nodes["lb2"].kernel
    # Hushed, for who answers beside the owner is found as well.
    kernel.hush("eth0", [VIP.ip])
    kernel.claim("eth0", VIP)
    assert scene.broken_by(1) == "held is active"


@pytest.mark.req("N-13")
def test_a_node_in_quarantine_that_answers_is_found() -> None:
    scene = Scene("stateful")
    scene.world.nodes["lb1"].processes.kill(Part.SPEAKER)
    scene.world.nodes["lb1"].kernel.claim("eth0", IPv4Interface("192.0.2.51/24"))
    assert scene.broken_by(1) == "quarantine kept"


def test_who_advertises_from_the_virtual_mac_without_the_vip_is_found_once_its_kernel_has_told_it() -> None:
    scene = Scene()
    kernel, key = scene.world.nodes["lb1"].kernel, scene.world.topology.virtuals[0].params("lb1").key
    invariant = VirtualMacOfOwner(scene.world.ledger)
    mac = virtual_mac(key.family, key.vrid)
    advertisement = SendAdvertisement("eth0", key.family, VIP.ip, VIP.ip, bytes((0x31, key.vrid)), mac)
    # The node's own speaker would claim it again.
    scene.world.nodes["lb1"].processes.kill(Part.SPEAKER)
    kernel.take_away("eth0", VIP)
    invariant.spoke("lb1", advertisement)
    scene.run(NOTIFY_US[1] / SECOND)
    invariant.spoke("lb1", advertisement)
    scene.run(1 / SECOND)
    with pytest.raises(InvariantBroken, match=r"lb1 advertises from .* and does not hold"):
        invariant.spoke("lb1", advertisement)


def test_who_advertises_from_the_virtual_mac_after_its_speaker_has_released_the_vip_is_found_at_once() -> None:
    scene = Scene()
    key = scene.world.topology.virtuals[0].params("lb1").key
    scene.world.nodes["lb1"].kernel.release("eth0", VIP)
    mac = virtual_mac(key.family, key.vrid)
    with pytest.raises(InvariantBroken, match=r"lb1 advertises from .* and does not hold"):
        VirtualMacOfOwner(scene.world.ledger).spoke(
            "lb1", SendAdvertisement("eth0", key.family, VIP.ip, VIP.ip, bytes((0x31, key.vrid)), mac)
        )


def test_who_advertises_from_the_virtual_mac_is_found_unless_its_gate_shut_just_now() -> None:
    scene = Scene()
    kernel, key = scene.world.nodes["lb1"].kernel, scene.world.topology.virtuals[0].params("lb1").key
    advertisement = SendAdvertisement(
        "eth0", key.family, VIP.ip, VIP.ip, bytes((0x31, key.vrid)), virtual_mac(key.family, key.vrid)
    )
    invariant = VirtualMacOfOwner(scene.world.ledger)
    scene.fault(Paused("lb1", Part.SPEAKER), lasts=10)
    while not kernel.silences(VIP.ip):
        scene.run(MILLISECOND / SECOND)
    invariant.spoke("lb1", advertisement)
    scene.run(2 * TICK_US / SECOND)
    with pytest.raises(InvariantBroken, match=r"lb1 advertises from .* and does not answer"):
        invariant.spoke("lb1", advertisement)


@pytest.mark.req("B-02")
def test_a_node_that_was_replaced_and_answers_is_found() -> None:
    scene = Scene("replaced")
    assert scene.owners() == {"vip/ipv4": ("lb3",), "vip/ipv6": ("lb3",), "other/ipv4": ("lb2",)}
    ledger = scene.world.ledger
    invariant = ReplacedOwnsNothing(ledger)
    invariant.settled()
    other = next(virtual for virtual in ledger.world.topology.virtuals if virtual.name == "other")
    ledger.holders[other] = ("lb1", "lb2")
    with pytest.raises(InvariantBroken, match="lb1 was replaced, and answers for other/ipv4"):
        invariant.settled()


@pytest.mark.req("B-02")
def test_a_node_that_was_told_that_it_was_replaced_and_takes_over_is_found() -> None:
    scene = Scene("replaced")
    ledger = scene.world.ledger
    invariant = ReplacedOwnsNothing(ledger)
    other = next(virtual for virtual in ledger.world.topology.virtuals if virtual.name == "other")
    ledger.holders[other] = ("lb1",)
    invariant.owners_changed(other)  # it has not been told yet
    told = Event(EventId("lb1/speaker.9", 1), Instant(0), NodeReplaced("lb2", "g2", "g1"))
    invariant.published("lb1", told)
    invariant.owners_changed(other)  # it had it before
    ledger.holders[other] = ()
    invariant.owners_changed(other)
    ledger.holders[other] = ("lb1",)
    with pytest.raises(InvariantBroken, match="lb1 was replaced, was told so, and takes other/ipv4"):
        invariant.owners_changed(other)


def test_two_owners_at_a_settled_time_are_found() -> None:
    scene = Scene()
    # The node's own speaker would mend it; without one nobody does.
    scene.world.nodes["lb2"].processes.kill(Part.SPEAKER)
    scene.world.nodes["lb2"].kernel.claim("eth0", VIP)
    scene.run(1)
    with pytest.raises(InvariantBroken, match="held by lb1 and lb2"):
        settled(scene)


def test_an_owner_that_takes_packets_to_a_vip_that_accepts_none_is_found() -> None:
    scene = Scene("edge")
    outer = next(virtual for virtual in scene.world.topology.virtuals if virtual.name == "outer")
    (owner,) = scene.world.ledger.holders[outer]
    (other,) = {"r1", "r2"} - {owner}
    scene.world.nodes[other].kernel.refused = frozenset()
    scene.fault(CarrierLost(owner, "eth1"))
    assert scene.broken_by(1) == "takes nothing"


def test_a_sync_group_in_two_hands_is_found() -> None:
    scene = Scene("edge")
    ledger = scene.world.ledger
    invariant = GroupTogether(ledger)
    invariant.settled()
    outer = next(virtual for virtual in scene.world.topology.virtuals if virtual.name == "outer")
    (owner,) = ledger.holders[outer]
    (other,) = {"r1", "r2"} - {owner}
    ledger.holders[outer] = (other,)
    said = f"inner/ipv4 by {owner}, inner/ipv6 by {owner}, outer/ipv4 by {other}"
    with pytest.raises(InvariantBroken, match=said):
        invariant.settled()


def test_two_owners_that_hear_each_other_are_found_before_anything_has_settled() -> None:
    scene = Scene()
    [virtual, _] = scene.world.topology.virtuals
    ledger = scene.world.ledger
    # Somebody who has been able to own for long would be taken for the next owner of a planned move.
    scene.fault(Paused("lb2", Part.SPEAKER), lasts=0.05)
    scene.run(0.06)
    scene.world.nodes["lb2"].kernel.claim("eth0", VIP)
    key = virtual.params("lb2").key
    ledger.statuses["lb2", key] = replace(ledger.statuses["lb2", key], state=RouterState.ACTIVE)
    assert scene.broken_by(1) == "two owners"


def test_an_owner_of_lower_priority_is_found_once_settled() -> None:
    scene = Scene()
    scene.fault(Paused("lb1", Part.SPEAKER), lasts=30)
    scene.run(1)
    scene.world.nodes["lb1"].remove_addresses()
    scene.run(1)
    assert scene.owners()["vip/ipv4"] == ("lb2",)
    ledger = scene.world.ledger
    [virtual, _] = scene.world.topology.virtuals
    with pytest.raises(InvariantBroken, match="lb1 has priority 150"):
        # As if lb1 could own, and nobody had stopped its speaker.
        _pretend_fit(scene, virtual.name, "lb1")
    assert ledger.holders[virtual] == ("lb2",)


def _pretend_fit(scene: Scene, name: str, node: str) -> None:
    ledger = scene.world.ledger
    for virtual in scene.world.topology.virtuals:
        if virtual.name == name:
            ledger._fit_since[virtual, node] = 0
    ledger.settled()


def test_a_peer_that_is_heard_though_its_speaker_is_dead_is_found() -> None:
    scene = Scene()
    scene.world.nodes["lb2"].processes.kill(Part.SPEAKER)
    with pytest.raises(InvariantBroken, match="lb1 hears lb2 on eth0"):
        settled(scene)


def test_a_peer_that_runs_and_is_not_heard_is_found() -> None:
    scene = Scene()
    [table] = [peer for peer in scene.world.nodes["lb1"].speaker.peers() if peer.node == "lb2"]
    assert table.alive
    scene.world.networks["front"].cut("lb2", "lb1")
    scene.run(1)
    scene.world.networks["front"].mend("lb2", "lb1")
    with pytest.raises(InvariantBroken, match="lb1 does not hear lb2 on eth0"):
        settled(scene)


def test_nobody_owning_for_too_long_is_found() -> None:
    scene = Scene()
    scene.world.nodes["lb2"].speaker.process.machine = Deaf()
    scene.fault(PowerLost("lb1"), lasts=60)
    began = scene.world.timeline.now
    assert scene.broken_by(5) == "time without owner"
    # 3 x 100 ms, a skew of 156/256 of 100 ms, the slack of a LAN, and a tick.
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(361 + 5 + 4, abs=1)


def test_nobody_owning_after_a_leave_is_found_when_the_skew_has_passed() -> None:
    scene = Scene()
    scene.world.nodes["lb2"].speaker.process.machine = Deaf()
    # Plugged in again just before the owner, which leaves, has waited long enough.
    scene.fault(CarrierLost("lb2", "eth0", 1), lasts=0.3)
    scene.fault(Stopped("lb1"), lasts=60)
    began = scene.world.timeline.now
    assert scene.broken_by(5) == "time without owner"
    # The longest that a router which leaves waits, then skew, slack and a tick.
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(499.6 + 61 + 5 + 4, abs=1)


def test_an_owner_that_leaves_though_somebody_could_relieve_it_is_found() -> None:
    scene = Scene()
    scene.world.nodes["lb2"].speaker.process.machine = Deaf()
    scene.fault(Stopped("lb1"), lasts=60)
    assert scene.broken_by(5) == "planned moves"


def test_an_owner_that_holds_on_beside_the_next_one_is_found() -> None:
    """A frame's way, and a little more, is excused."""
    scene = Scene()
    [virtual, _] = scene.world.topology.virtuals
    ledger, key = scene.world.ledger, virtual.params("lb2").key
    ledger.statuses["lb2", key] = replace(ledger.statuses["lb2", key], state=RouterState.ACTIVE)
    scene.world.nodes["lb2"].kernel.claim("eth0", VIP)
    began = scene.world.timeline.now
    assert scene.broken_by(5) == "planned moves"
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(5, abs=1)


def _succeeding(scene: Scene) -> Kernel:
    """lb1 leaves, and lb2 has taken the VIP and not answered yet: its kernel."""
    scene.fault(Stopped("lb1"), lasts=60)
    kernel = scene.world.nodes["lb2"].kernel
    while not kernel.holds("eth0", VIP):
        scene.run(0.00001)
    assert kernel.hushes(VIP.ip)
    return kernel


def test_a_successor_that_answers_before_the_owner_is_hushed_is_found() -> None:
    scene = Scene("one-second")
    _succeeding(scene).answer_again("eth0", [VIP.ip])
    assert scene.broken_by(0.0001) == "answered by one"


def test_a_successor_that_does_not_answer_when_the_owner_is_hushed_is_found() -> None:
    scene = Scene("one-second")
    _succeeding(scene)
    while scene.owners()["vip/ipv4"]:
        scene.run(0.00001)
    began = scene.world.timeline.now
    scene.world.nodes["lb2"].speaker.process.machine = Deaf()
    assert scene.broken_by(0.1) == "answered by one"
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(5, abs=1)


def test_an_owner_that_never_hears_the_next_one_is_found() -> None:
    """That one waits for it, and no longer."""
    scene = Scene("one-second")
    _succeeding(scene)
    scene.world.nodes["lb1"].speaker.process.machine = Deaf()
    began = scene.world.timeline.now
    assert scene.broken_by(5) == "answered by one"
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(10, abs=1)


def test_an_owner_that_gives_up_for_nobody_is_found() -> None:
    scene = Scene()
    [virtual, _] = scene.world.topology.virtuals
    ledger = scene.world.ledger
    key = virtual.params("lb1").key
    ledger.statuses["lb1", key] = replace(ledger.statuses["lb1", key], state=RouterState.BACKUP)
    scene.world.nodes["lb1"].remove_addresses()
    assert scene.broken_by(1) == "kept until taken"


def test_neighbours_that_look_in_the_wrong_place_are_found() -> None:
    scene = Scene()
    scene.fault(Stopped("lb1"), lasts=5)
    scene.run(2.12)  # the announcements have ended
    assert scene.owners()["vip/ipv4"] == ("lb2",)
    scene.world.neighbours["front"].hear(Announcement("lb1", VIP.ip))
    assert scene.broken_by(3) == "neighbours follow"


@pytest.mark.req("B-09")
def test_a_foreign_claim_that_nobody_tells_of_is_found() -> None:
    scene = Scene()
    scene.run(10)
    scene.world.ledger.claimed("front", VIP.ip)
    assert scene.broken_by(1.1) == "claims told"


def test_an_owner_that_does_not_contradict_a_claim_is_found() -> None:
    scene = Scene()
    scene.run(10)
    scene.world.spoof("front", VIP.ip)
    scene.run(0.99)
    # As if the owner had not been heard.
    scene.world.neighbours["front"].hear(Announcement(INTRUDER, VIP.ip))
    with pytest.raises(InvariantBroken, match=r"look for 192\.0\.2\.50 at intruder, but lb1 owns it"):
        scene.run(2)


@pytest.mark.parametrize("kind", ["foreign", "two", "silent"])
def test_an_alarm_without_a_cause_is_found(kind: str) -> None:
    scene = Scene()
    scene.run(20)
    key, eth0 = scene.world.topology.plan("lb2").wires[0].router, ("eth0",)
    what = ("vip", key, VIP.ip)
    alarms: dict[str, EventBody] = {
        "foreign": ForeignClaim(*what, INTRUDER_MAC, *eth0, Form.ANSWER, 1),
        "two": TwoOwnersSeen(*what, *eth0, ("lb1", "lb2"), (INTRUDER_MAC,)),
        "silent": OwnedButSilent(*what, *eth0, VIP.ip, timedelta(seconds=3)),
    }
    with pytest.raises(InvariantBroken, match="alarms true"):
        scene.world.ledger.published("lb2", Event(EventId("lb1/test", 1), Instant(0), alarms[kind]))


def test_a_vip_that_moves_though_nothing_could_move_it_is_found() -> None:
    scene = Scene(forwarding_untouched=True)
    scene.fault(Frozen("lb1"), lasts=5)
    assert scene.broken_by(5) == "nothing moves"


def test_a_node_that_is_unbarred_while_its_check_fails_is_found() -> None:
    scene = Scene("gateway")
    scene.fault(ServerFault("router", Condition.DEAD), lasts=30)
    scene.run(5)
    virtual = scene.world.topology.virtuals[0]
    scene.world.nodes["lb2"].speaker.order(SetPriority(virtual.params("lb2").key, 100, barred=False))
    assert scene.broken_by(1) == "unbarred by answer"


def test_a_server_that_dies_and_stays_in_the_tables_is_found() -> None:
    scene = Scene("two-nodes")
    node = scene.world.nodes["lb1"]
    table = node.kernel.table
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=100)
    scene.run(0.1)
    broken = ""
    for _ in range(50):
        node.kernel.table = table
        broken = broken or scene.broken_by(0.5)
    assert broken == "tables true"


def test_a_refused_table_that_is_never_asked_for_again_is_found_when_the_pause_is_over() -> None:
    scene = Scene("three-nodes")
    scene.fault(PlaneRefuses("lb1"), lasts=15)
    scene.fault(Drained("app3"), lasts=100)
    scene.run(15)
    scene.world.nodes["lb1"].main.process.machine = Deaf()
    scene.fault(ServerFault("app3", Condition.REFUSING), lasts=0.01)
    began = scene.world.timeline.now
    assert scene.broken_by(30) == "tables true"
    assert (scene.world.timeline.now - began) / MILLISECOND == pytest.approx(10_000 + 110, abs=5)


def test_a_well_server_taken_out_is_found_at_once() -> None:
    scene = Scene("two-nodes")
    scene.run(60)
    node = scene.world.nodes["lb1"]
    node.kernel.table = Desired()
    with pytest.raises(InvariantBroken, match="tables kept: lb1 took web1 out"):
        scene.world.ledger.table_changed("lb1")


def test_a_node_that_takes_a_vip_without_tables_is_found() -> None:
    scene = Scene("two-nodes")
    scene.world.nodes["lb2"].kernel.table = Desired()
    scene.fault(PowerLost("lb1"), lasts=30)
    assert scene.broken_by(10) == "owner has tables"


def test_a_copier_that_is_told_before_there_are_tables_for_its_services_is_found() -> None:
    scene = Scene("two-nodes")
    scene.run(1)
    services = scene.world.topology.plan("lb1").services
    told = tuple(CopiedService(each.key, (), direct=DirectService(())) for each in services)
    scene.world.ledger.copier_told("lb1", told)
    scene.world.nodes["lb1"].kernel.table = Desired()
    scene.world.ledger.started("lb1/brain")
    with pytest.raises(InvariantBroken, match="copies find places: the copier of lb1 is told of tcp/"):
        scene.world.ledger.copier_told("lb1", told)


def test_a_verdict_without_enough_results_is_found() -> None:
    scene = Scene("two-nodes")
    check = scene.world.topology.plan("lb1").checks[0].id
    finding = Finding(Outcome.TIMED_OUT, "no answer", scene.world.topology.plan("lb1").checks[0].schedule.timeout)
    with pytest.raises(InvariantBroken, match="verdicts earned"):
        scene.world.ledger.judged("lb1", VerdictChanged(check, Health.DOWN, finding, Instant(0)))


def test_a_verdict_on_a_check_that_nobody_ran_is_found() -> None:
    scene = Scene("two-nodes")
    check = CheckId(IPv4Address("192.0.2.99"), TcpParams(80))
    finding = Finding(Outcome.PASSED, "connected", scene.world.topology.plan("lb1").checks[0].schedule.timeout)
    with pytest.raises(InvariantBroken, match="without a probe"):
        scene.world.ledger.judged("lb1", VerdictChanged(check, Health.UP, finding, Instant(0)))


def test_a_stopped_node_that_keeps_an_address_is_found() -> None:
    scene = Scene()
    scene.fault(Stopped("lb2"), lasts=5)
    scene.run(0.5)
    scene.world.nodes["lb2"].kernel.claim("eth0", VIP)
    assert scene.broken_by(1) == "stop releases"


def test_an_input_with_too_many_effects_is_found() -> None:
    scene = Scene()
    with pytest.raises(InvariantBroken, match="no storm"):
        scene.world.ledger.many_effects("lb1/speaker", 10_000)


def test_a_world_in_which_too_much_happens_is_found() -> None:
    scene = Scene()
    for _ in range(2 * BURST):
        scene.world.timeline.after(1, lambda: None)
    assert scene.broken_by(1) == "no storm"
