"""Sync groups: what belongs together is owned by one node, whatever fails, and nothing goes to and fro."""

from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.node.edge_scene import INNER, INNER_6, KEYS, OUTER, VIPS, Edge, own_address
from yaoki.core.address import Family
from yaoki.node.messages import AdmitRouter, ConfigureRouters, MoveRouter, ReleaseRouters, RouterState, SetPriority
from yaoki.node.speaker_events import GroupApart, GroupFree, GroupHindered
from yaoki.node.speaker_groups import BETTER_FIRST
from yaoki.vrrp.events import BecameActive, HandOverBegun, NobodyTookOver, Reason
from yaoki.vrrp.params import Failback, Quarantine, RouterKey

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


def come_apart(edge: Edge) -> None:
    """The owner has kept what is inside, and the other node, which saw the outside alone, has taken that: each returns
    to find a part owned by the other, and is held out of it."""
    edge.set_link(1, "eth0", up=False)
    edge.set_link(0, "eth1", up=False)
    edge.run(400)
    edge.set_link(0, "eth1", up=True)
    edge.set_link(1, "eth0", up=True)


@pytest.mark.req("B-06")
@pytest.mark.parametrize("heartbeats", [True, False])
def test_two_nodes_that_are_held_out_of_each_others_part_do_not_wait_for_a_person(heartbeats: bool) -> None:
    edge = Edge(Failback.MANUAL, heartbeats=heartbeats)
    come_apart(edge)
    assert edge.owner() is None, "it has come apart"
    edge.run(1500)
    assert edge.owner() == 0, "the better one has it all"
    assert edge.told(GroupApart) == [GroupApart("edge", "outer", OUTER, own_address(1, "eth1"))]
    assert len(edge.told(HandOverBegun, 1)) > 0, "made before broken"
    taken = len(edge.told(BecameActive))
    edge.run(10000)
    assert len(edge.told(BecameActive)) == taken
    held_out = [status.reason for status in edge.speakers[1].brain.statuses()]
    assert Reason.HELD_OUT.value in held_out, "who lost his part has yet to be admitted"


def hears_of_its_lost_part(edge: Edge, lost: RouterKey, priority: int, ms: int) -> None:
    """The first node, alone with the whole group, loses one interface; when it returns, another node owns there."""
    edge.cut |= {"eth0", "eth1"}
    edge.tell(0, *(AdmitRouter(key) for key in KEYS))
    edge.run(1000)
    edge.set_link(0, lost.interface, up=False)
    edge.run(50)
    edge.set_link(0, lost.interface, up=True)
    keys = [key for key in KEYS if key.interface == lost.interface and key.family is Family.IPV4]
    for _ in range(ms // 100):
        for key in keys:
            source = own_address(1, key.interface)
            heard = edge.speakers[0].hear(priority, source=source, key=key, addresses=(VIPS[key][1].ip,))
            edge.carry(0, heard)
        edge.run(100)


AT_ONCE, LATER = 200, BETTER_FIRST // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("priorities", "lost", "ms"),
    [
        ((150, 100), OUTER, AT_ONCE),
        ((100, 150), OUTER, LATER),
        ((100, 100), OUTER, AT_ONCE),
        ((100, 100), INNER, LATER),
    ],
)
def test_the_better_one_is_the_first_to_take_what_is_apart(
    priorities: tuple[int, int], lost: RouterKey, ms: int
) -> None:
    """By priority; of equal ones, who has the first router. The lesser one waits, for that may be unable to."""
    edge = Edge(Failback.MANUAL, priorities=priorities)
    hears_of_its_lost_part(edge, lost, 1, ms)
    told = [body for body in edge.told(GroupApart, 0) if isinstance(body, GroupApart)]
    assert {body.router.interface for body in told} == ({lost.interface} if ms == AT_ONCE else set())
    hears_of_its_lost_part(edge, lost, 1, LATER + 500)
    assert edge.told(GroupApart, 0) != []


@pytest.mark.parametrize("priority", [2, 100])
def test_who_is_held_out_waits_for_a_person_while_another_may_own_the_whole_group(priority: int) -> None:
    edge = Edge(Failback.MANUAL)
    hears_of_its_lost_part(edge, OUTER, priority, 2 * LATER)
    assert edge.speakers[0].state(OUTER) is RouterState.BACKUP
    assert edge.told(GroupApart) == []


def test_a_quarantine_in_a_group_that_is_apart_is_lifted_by_nobody_but_a_person() -> None:
    edge = Edge(Failback.MANUAL, quarantine=Quarantine.WAIT)
    hears_of_its_lost_part(edge, OUTER, 1, 2 * LATER)
    assert edge.speakers[0].state(OUTER) is RouterState.BACKUP
    assert edge.told(GroupApart) == []


def test_who_is_held_out_takes_nothing_from_an_owner_that_fails_beyond_a_cut() -> None:
    """It has the inside only because that network is cut: the group has an owner, if a sick one."""
    edge = Edge(Failback.MANUAL)
    edge.cut.add("eth0")
    edge.run(1000)
    edge.set_link(0, "eth1", up=False)
    edge.run(1000)
    edge.set_link(0, "eth1", up=True)
    edge.tell(1, SetPriority(INNER, 100, barred=True))
    edge.run(10000)
    assert edge.owners()[OUTER] == [1]
    assert edge.told(GroupApart) == []


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
    edge.run(10000)
    assert edge.owner() is not None
    taken = len(edge.told(BecameActive))
    edge.run(6000)
    assert len(edge.told(BecameActive)) == taken, "nothing changes any more, and nothing moves"
