from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lb.samples import server, service, trio
from yaoki.lb.digest import digest
from yaoki.lb.plan import Actual, ActualService, AddService, ChangeService, FlushFlows, RemoveService, plan
from yaoki.lb.service import Desired, Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.pool.plan import Action

R = "rendering/1"


def actual(*services: VirtualService, intact: bool = True) -> Actual:
    return Actual(R, tuple(ActualService(found, digest(found, R), intact) for found in services))


def flushed(before: VirtualService, after: VirtualService) -> list[str]:
    changes = plan(Desired((after,)), actual(before)).changes
    return [found.name for change in changes if isinstance(change, FlushFlows) for found in change.servers]


def test_what_is_as_desired_is_left_alone() -> None:
    assert not plan(Desired((trio(),)), actual(trio()))


def test_a_new_service_is_added_and_costs_nothing() -> None:
    todo = plan(Desired((trio(),)), actual())
    assert todo.changes == (AddService(trio()),)
    assert (todo.costs, todo.unsafe) == ((), ())
    assert todo.changes[0].action is Action.ADD
    assert todo.changes[0].subject == "service web (tcp/192.0.2.50:80)"
    assert todo.changes[0].details[0] == "s1 192.0.2.21:8080 nat serve weight 1000"


def test_a_service_that_nobody_asks_for_is_removed_with_its_flows() -> None:
    (found,) = actual(trio()).services
    todo = plan(Desired(), actual(trio()))
    assert todo.changes == (RemoveService(found), FlushFlows(trio(), trio().servers))
    assert todo.costs == ("service web (tcp/192.0.2.50:80): its flows are cut",)


def test_only_the_service_that_changed_is_in_the_plan() -> None:
    dns = trio(protocol=Protocol.UDP)
    changed = trio(weights=(500, 1000, 1000))
    todo = plan(Desired((changed, dns)), actual(trio(), dns))
    assert [type(change) for change in todo.changes] == [ChangeService]
    assert todo.changes[0].details == (
        "s1 192.0.2.21:8080 nat serve weight 1000 -> s1 192.0.2.21:8080 nat serve weight 500",
    )


def test_a_dead_servers_flows_are_flushed_after_the_rules_have_changed() -> None:
    dead = trio(Forward.NAT, Duty.SERVE, Duty.OUT)
    changes = plan(Desired((dead,)), actual(trio())).changes
    assert [type(change) for change in changes] == [ChangeService, FlushFlows]
    assert flushed(trio(), dead) == ["s2"]


@pytest.mark.req("D-12")
def test_a_drained_servers_flows_stay() -> None:
    assert flushed(trio(), trio(Forward.NAT, Duty.SERVE, Duty.DRAIN)) == []


def test_a_server_that_is_dead_already_is_not_flushed_again() -> None:
    before = trio(Forward.NAT, Duty.SERVE, Duty.OUT)
    assert flushed(before, trio(Forward.NAT, Duty.SERVE, Duty.OUT, weights=(500, 0, 1000))) == []


def test_a_drained_server_that_dies_loses_its_flows() -> None:
    assert flushed(trio(Forward.NAT, Duty.DRAIN), trio(Forward.NAT, Duty.OUT)) == ["s1"]


def test_a_server_taken_out_of_the_service_loses_its_flows_and_that_is_said() -> None:
    smaller = replace(trio(), servers=trio().servers[:2])
    assert flushed(trio(), smaller) == ["s3"]
    assert plan(Desired((smaller,)), actual(trio())).costs == (
        "service web (tcp/192.0.2.50:80): the flows of s3 are cut",
    )


@pytest.mark.req("B-14")
def test_a_server_added_costs_nothing() -> None:
    larger = replace(trio(), servers=(*trio().servers, server(4)))
    todo = plan(Desired((larger,)), actual(trio()))
    assert [type(change) for change in todo.changes] == [ChangeService]
    assert todo.costs == ()
    assert todo.changes[0].details == ("+ s4 192.0.2.24:8080 nat serve weight 1000",)


@pytest.mark.req("D-12")
def test_going_over_to_direct_return_says_what_it_costs() -> None:
    direct = replace(trio(Forward.DIRECT), servers=trio(Forward.DIRECT).servers)
    before = replace(direct, servers=tuple(replace(s, forward=Forward.NAT) for s in direct.servers))
    assert plan(Desired((direct,)), actual(before)).costs == tuple(
        f"service web (tcp/192.0.2.50:80): the flows of s{number} are cut by the change of forwarding method"
        for number in (1, 2, 3)
    )


@pytest.mark.req("D-12")
def test_going_from_nat_to_fullnat_costs_nothing() -> None:
    assert plan(Desired((trio(Forward.FULLNAT),)), actual(trio())).costs == ()


def test_a_service_with_a_part_missing_is_put_back() -> None:
    todo = plan(Desired((trio(),)), actual(trio(), intact=False))
    assert [change.details for change in todo.changes] == [("put back: a part of it is missing",)]


def test_taking_the_last_server_out_of_a_service_is_unsafe() -> None:
    todo = plan(Desired((replace(trio(), servers=()),)), actual(trio()))
    assert todo.unsafe == ("service web (tcp/192.0.2.50:80) would have no servers at all",)


def test_the_death_of_every_server_is_not_an_operators_mistake() -> None:
    assert plan(Desired((trio(Forward.NAT, *[Duty.OUT] * 3),)), actual(trio())).unsafe == ()


def test_what_was_found_is_where_a_restarted_node_starts_from() -> None:
    assert actual(trio()).desired == Desired((trio(),))


duties = st.tuples(*[st.sampled_from(Duty)] * 3)
services = st.builds(
    trio,
    st.sampled_from([Forward.NAT, Forward.FULLNAT, Forward.DIRECT]),
    family=st.sampled_from([4, 6]),
    protocol=st.sampled_from(Protocol),
    scheduler=st.sampled_from(Scheduler),
    weights=st.tuples(*[st.integers(1, 65535)] * 3),
)
wishes = st.lists(services, max_size=5, unique_by=lambda found: found.key).map(lambda found: Desired(tuple(found)))


@settings(max_examples=40)
@given(wishes, wishes)
def test_a_plan_carried_out_leaves_nothing_to_plan(before: Desired, after: Desired) -> None:
    kept = {found.key: found for found in before.services}
    for change in plan(after, actual(*before.services)).changes:
        match change:
            case AddService(found) | ChangeService(_, found):
                kept[found.key] = found
            case RemoveService(gone):
                del kept[gone.key]
            case FlushFlows():
                pass
    assert not plan(after, actual(*kept.values()))
    assert set(kept.values()) == set(after.services)


@given(duties, duties)
def test_flows_are_flushed_exactly_of_those_that_newly_must_have_none(
    before: tuple[Duty, Duty, Duty], after: tuple[Duty, Duty, Duty]
) -> None:
    expected = [
        f"s{number}"
        for number, (was, now) in enumerate(zip(before, after, strict=True), 1)
        if now is Duty.OUT and was is not Duty.OUT
    ]
    assert flushed(trio(Forward.NAT, *before), trio(Forward.NAT, *after)) == expected


def test_a_service_without_servers_can_be_planned() -> None:
    assert plan(Desired((service(),)), actual()).changes == (AddService(service()),)
