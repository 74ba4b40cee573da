"""Sync groups: what belongs together is owned by one node, whatever fails, and nothing goes to and fro."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.node.edge_scene import INNER, INNER_6, KEYS, OUTER, Edge
from yaoki.node.messages import AdmitRouter, ConfigureRouters, MoveRouter, ReleaseRouters, RouterState, SetPriority
from yaoki.node.speaker_events import GroupFree, GroupHindered
from yaoki.vrrp.events import BecameActive, HandOverBegun, NobodyTookOver, Reason
from yaoki.vrrp.params import Failback

FAILBACKS = list(Failback)


@pytest.mark.req("B-06")
@pytest.mark.parametrize("failback", FAILBACKS)
@pytest.mark.parametrize("lost", ["eth0", "eth1"])
@pytest.mark.parametrize("heartbeats", [True, False])
def test_a_node_that_loses_one_interface_gives_the_whole_group_up(
    failback: Failback, lost: str, heartbeats: bool
) -> None:
    edge = Edge(failback, heartbeats=heartbeats)
    assert edge.owner() == 0
    edge.set_link(0, lost, up=False)
    edge.run(1000)
    assert edge.owner() == 1
    edge.set_link(0, lost, up=True)
    edge.run(1000)
    assert edge.owner() == (0 if failback is Failback.PREFER else 1)


def test_with_heartbeats_the_peer_has_the_whole_group_within_a_step() -> None:
    edge = Edge()
    edge.set_link(0, "eth0", up=False)
    edge.run(50)
    assert edge.owner() == 1


def test_without_a_group_only_the_vip_of_the_lost_interface_moves() -> None:
    edge = Edge(group=None)
    edge.set_link(0, "eth0", up=False)
    edge.run(1000)
    assert edge.owners() == {INNER: [1], INNER_6: [1], OUTER: [0]}


def test_why_the_group_gave_way_is_told_and_so_is_that_it_may_own_again() -> None:
    edge = Edge()
    edge.set_link(0, "eth0", up=False)
    edge.run(1000)
    hindered = GroupHindered("edge", "inner", INNER, Reason.INTERFACE_DOWN)
    assert edge.told(GroupHindered) == [hindered]
    statuses = {status.router: status for status in edge.speakers[0].brain.statuses()}
    assert (statuses[OUTER].reason, statuses[OUTER].priority) == (Reason.HINDERED.value, 0)
    assert statuses[INNER].reason == Reason.INTERFACE_DOWN.value
    edge.set_link(0, "eth0", up=True)
    assert edge.told(GroupFree) == [GroupFree("edge")]


@pytest.mark.parametrize("failback", FAILBACKS)
def test_a_track_of_one_vip_moves_them_all(failback: Failback) -> None:
    edge = Edge(failback)
    edge.tell(0, SetPriority(OUTER, 90))
    edge.run(1000)
    assert edge.owner() == 1
    assert {status.priority for status in edge.speakers[0].brain.statuses()} == {90}


@pytest.mark.parametrize("failback", FAILBACKS)
def test_one_router_that_may_not_own_moves_them_all(failback: Failback) -> None:
    edge = Edge(failback)
    edge.tell(0, SetPriority(OUTER, 150, barred=True))
    edge.run(1000)
    assert edge.owner() == 1
    assert edge.told(GroupHindered, 0) == [GroupHindered("edge", "outer", OUTER, Reason.BARRED)]


def test_a_lone_node_keeps_what_it_can_of_a_group() -> None:
    edge = Edge()
    edge.cut |= {"eth0", "eth1"}
    edge.set_link(0, "eth0", up=False)
    edge.run(1000)
    assert edge.speakers[0].state(OUTER) is RouterState.ACTIVE


@pytest.mark.parametrize("failback", FAILBACKS)
def test_two_nodes_that_each_lost_another_interface_move_nothing(failback: Failback) -> None:
    edge = Edge(failback)
    edge.set_link(0, "eth0", up=False)
    edge.run(1000)
    edge.set_link(1, "eth1", up=False)
    edge.run(500)
    before, taken = edge.owners(), len(edge.told(BecameActive))
    edge.run(20000)
    assert edge.owners() == before == {INNER: [1], INNER_6: [1], OUTER: []}
    assert len(edge.told(BecameActive)) == taken
    edge.set_link(1, "eth1", up=True)
    edge.run(1000)
    assert edge.owner() == 1


@pytest.mark.parametrize("failback", FAILBACKS)
@pytest.mark.parametrize("cut", ["eth0", "eth1"])
@pytest.mark.parametrize("heartbeats", [True, False])
def test_a_group_that_a_cut_network_has_split_is_one_again_when_it_is_whole(
    failback: Failback, cut: str, heartbeats: bool
) -> None:
    edge = Edge(failback, heartbeats=heartbeats)
    edge.cut.add(cut)
    edge.run(3000)
    edge.cut.clear()
    edge.run(1000)
    assert edge.owner() == 0


@pytest.mark.parametrize("failback", [Failback.STICKY, Failback.MANUAL])
@pytest.mark.parametrize("cut", ["eth0", "eth1"])
def test_what_a_returning_node_took_of_a_cut_group_comes_together(failback: Failback, cut: str) -> None:
    """The owner keeps; the node that returns finds one network cut and takes what it sees no owner of."""
    edge = Edge(failback)
    edge.set_link(0, "eth0", up=False)
    edge.run(1000)
    assert edge.owner() == 1
    edge.cut.add(cut)
    edge.set_link(0, "eth0", up=True)
    edge.run(5000)
    edge.cut.clear()
    edge.run(1000)
    assert edge.owner() is not None
    taken = len(edge.told(BecameActive))
    edge.run(10000)
    assert len(edge.told(BecameActive)) == taken


@pytest.mark.parametrize("failback", FAILBACKS)
def test_equal_nodes_of_which_each_has_the_greater_address_somewhere_settle_on_one(failback: Failback) -> None:
    edge = Edge(failback, priorities=(100, 100))
    edge.run(2000)
    assert edge.owner() is not None
    for cut in ("eth0", "eth1"):
        edge.cut.add(cut)
        edge.run(2000)
        edge.cut.clear()
        edge.run(2000)
        assert edge.owner() is not None


def test_of_equal_nodes_the_one_that_has_the_first_router_keeps_and_the_other_gives_up() -> None:
    edge = Edge(priorities=(100, 100))
    edge.cut |= {"eth0", "eth1"}
    edge.run(2000)
    assert edge.owners() == {key: [0, 1] for key in KEYS}
    edge.cut.clear()
    edge.run(300)
    assert edge.owner() == 1, "its address is the greater one on the network of the first router"
    assert edge.told(HandOverBegun, 1) == []


def test_a_part_that_goes_to_the_rest_of_its_group_is_handed_over() -> None:
    edge = Edge(Failback.STICKY, priorities=(100, 100))
    first = edge.owner()
    assert first is not None
    edge.cut.add("eth1")
    edge.run(2000)
    edge.cut.clear()
    edge.run(2000)
    begun = [body.reason for body in edge.told(HandOverBegun) if isinstance(body, HandOverBegun)]
    assert set(begun) <= {Reason.GROUP_ELSEWHERE}
    assert edge.told(NobodyTookOver) == []


@pytest.mark.req("B-06")
def test_a_person_moves_and_admits_a_whole_group_by_one_of_its_vips() -> None:
    edge = Edge()
    edge.tell(0, MoveRouter(OUTER), SetPriority(OUTER, 1))
    edge.run(1000)
    assert edge.owner() == 1
    edge.tell(0, AdmitRouter(INNER), SetPriority(OUTER, 150))
    edge.run(1000)
    assert edge.owner() == 0


def test_one_that_is_held_out_holds_its_group_out_and_one_admission_is_enough() -> None:
    edge = Edge(Failback.MANUAL)
    edge.set_link(0, "eth1", up=False)
    edge.run(1000)
    edge.set_link(0, "eth1", up=True)
    edge.run(1000)
    assert edge.owner() == 1
    hindered = edge.told(GroupHindered, 0)[-1]
    assert isinstance(hindered, GroupHindered)
    assert (hindered.router, hindered.reason) == (OUTER, Reason.HELD_OUT)
    edge.tell(0, AdmitRouter(INNER))
    edge.tell(1, SetPriority(INNER, 10))
    edge.run(1000)
    assert edge.owner() == 0


def test_stopping_hands_the_whole_group_over_and_says_nothing_of_hindrance() -> None:
    edge = Edge()
    edge.tell(0, ReleaseRouters())
    edge.run(1000)
    assert [edge.speakers[1].state(key) for key in KEYS] == [RouterState.ACTIVE] * 3
    assert edge.told(GroupHindered) == []


def test_a_router_that_leaves_the_group_goes_its_own_way_from_then_on() -> None:
    edge = Edge()
    edge.group = None
    for index in (0, 1):
        edge.tell(index, ConfigureRouters(edge.routers(index), heartbeat=edge.heartbeat(index)))
    edge.tell(0, SetPriority(OUTER, 90))
    edge.run(1000)
    assert edge.owners() == {INNER: [0], INNER_6: [0], OUTER: [1]}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["link", "cut", "track", "bar"]),
        st.integers(0, 1),
        st.sampled_from(["eth0", "eth1"]),
        st.booleans(),
        st.sampled_from([0, 50, 400, 1500]),
    ),
    max_size=8,
)


@pytest.mark.req("Z-04")
@settings(max_examples=60, deadline=None)
@example(
    failback=Failback.MANUAL,
    heartbeats=False,
    changes=[("link", 1, "eth0", True, 0), ("link", 0, "eth1", True, 400)],
)
@given(failback=st.sampled_from(FAILBACKS), heartbeats=st.booleans(), changes=CHANGES)
def test_whatever_happened_one_node_owns_the_whole_group_when_all_is_well(
    failback: Failback, heartbeats: bool, changes: list[tuple[str, int, str, bool, int]]
) -> None:
    edge = Edge(failback, heartbeats=heartbeats)
    for what, index, interface, wrong, pause in changes:
        key = INNER if interface == "eth0" else OUTER
        match what:
            case "link":
                edge.set_link(index, interface, up=not wrong)
            case "cut":
                (edge.cut.add if wrong else edge.cut.discard)(interface)
            case "track":
                edge.tell(index, SetPriority(key, edge.priorities[index] - (60 if wrong else 0)))
            case _:
                edge.tell(index, SetPriority(key, edge.priorities[index], barred=wrong))
        edge.run(pause)
    edge.cut.clear()
    for index in (0, 1):
        for interface in ("eth0", "eth1"):
            edge.set_link(index, interface, up=True)
        for key in KEYS:
            edge.tell(index, SetPriority(key, edge.priorities[index]))
    # Whoever hears an owner on his return is held out only then.
    edge.run(2000)
    for index in (0, 1):
        edge.tell(index, *(AdmitRouter(key) for key in KEYS))
    edge.run(8000)
    assert edge.owner() is not None
    taken = len(edge.told(BecameActive))
    edge.run(6000)
    assert len(edge.told(BecameActive)) == taken, "nothing changes any more, and nothing moves"
