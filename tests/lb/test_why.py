from collections import Counter

import pytest

from tests.lb.samples import server, service, trio
from yaoki.core.address import parse_address
from yaoki.lb.kernel_hash import source_slot
from yaoki.lb.schedulers import slots_of
from yaoki.lb.service import Duty, Forward, Scheduler
from yaoki.lb.why import Flow, Ground, why

ALICE = Flow(parse_address("198.51.100.9"), 40000)


def test_a_flow_that_is_there_stays_where_it_is() -> None:
    drained = trio(Forward.NAT, Duty.DRAIN)
    found = why(drained, ALICE, held=drained.servers[0])
    assert (found.ground, found.server) == (Ground.FLOW, drained.servers[0])


def test_of_round_robin_only_the_chances_can_be_told() -> None:
    found = why(trio(weights=(2000, 1000, 1000)), ALICE)
    assert (found.ground, found.server) == (Ground.IN_TURN, None)
    assert [(s.name, share) for s, share in found.shares] == [("s1", 0.5), ("s2", 0.25), ("s3", 0.25)]


def test_the_only_server_is_told() -> None:
    found = why(trio(Forward.NAT, Duty.OUT, Duty.DRAIN), ALICE)
    assert found.ground is Ground.ONLY_SERVER
    assert found.server is not None
    assert found.server.name == "s3"


def test_without_a_server_the_flow_is_refused() -> None:
    found = why(trio(Forward.NAT, *[Duty.OUT] * 3), ALICE)
    assert (found.ground, found.server, found.shares) == (Ground.REFUSED, None, ())


def test_a_source_hash_is_told_with_its_slot() -> None:
    found = why(trio(scheduler=Scheduler.SOURCE_HASH), ALICE)
    assert found.ground is Ground.SOURCE_HASH
    assert found.server is not None
    assert found.slot is not None
    assert 0 <= found.slot < found.slots == 8191
    assert found == why(trio(scheduler=Scheduler.SOURCE_HASH), Flow(ALICE.source, 12345))


def test_a_flow_hash_looks_at_the_port_as_well() -> None:
    service = trio(scheduler=Scheduler.MAGLEV)
    found = [why(service, Flow(ALICE.source, port)) for port in range(1024, 1124)]
    assert {placing.ground for placing in found} == {Ground.FLOW_HASH}
    assert {placing.server.name for placing in found if placing.server is not None} == {"s1", "s2", "s3"}
    assert why(service, Flow(ALICE.source, 1024)) == found[0]


def test_many_sources_are_spread_by_weight() -> None:
    weighted = trio(scheduler=Scheduler.SOURCE_HASH, weights=(2000, 1000, 1000))
    slots = slots_of(weighted)
    assert slots is not None
    sources = (parse_address(f"203.0.{number >> 8}.{number & 255}") for number in range(4096))
    found = Counter(slots.servers[source_slot(source, len(slots))].name for source in sources)
    assert [found[name] / 4096 for name in ("s1", "s2", "s3")] == pytest.approx([0.5, 0.25, 0.25], abs=0.03)


@pytest.mark.req("D-31")
def test_a_remembered_source_goes_where_it_was_unless_that_server_takes_nothing_new() -> None:
    stays = trio(mask=32)
    assert why(stays, ALICE, remembered=stays.servers[1]).ground is Ground.PERSISTENCE
    leaves = trio(Forward.NAT, Duty.SERVE, Duty.DRAIN, mask=32)
    assert why(leaves, ALICE, remembered=leaves.servers[1]).ground is Ground.IN_TURN


def test_what_a_service_without_persistence_remembers_is_nothing() -> None:
    assert why(trio(), ALICE, remembered=trio().servers[0]).ground is Ground.IN_TURN


def test_a_service_without_servers_refuses() -> None:
    assert why(service(), ALICE).ground is Ground.REFUSED
    assert why(service(server(1)), ALICE).ground is Ground.ONLY_SERVER
