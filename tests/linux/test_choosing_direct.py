"""Who gets a new flow under direct return, on either plane: BPF counts by itself, nftables goes by counts.

Backups and the sorry server are led from the verdicts of checks to clients' answers.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lb.samples import trio
from tests.linux.choosing import Flows, change_little, even_out, fill_up, stand_in
from tests.linux.world import World
from yaoki.lb.service import Duty, Forward, PlaneWish, Protocol, Scheduler

pytestmark = [pytest.mark.netns, pytest.mark.req("D-30")]
DIRECT, SERVE, DRAIN = Forward.DIRECT, Duty.SERVE, Duty.DRAIN
PLANES = pytest.mark.parametrize("plane", [PlaneWish.BPF, PlaneWish.NFTABLES], ids=str)
BOTH = pytest.mark.parametrize("family", [4, 6])


@pytest.fixture
def planes(direct_network: World) -> Iterator[World]:
    direct_network.agents["lb"].ask("new_balancer", plane="both")
    yield direct_network
    direct_network.clean_up()


@PLANES
@BOTH
def test_backups_and_the_sorry_server_stand_in(planes: World, plane: PlaneWish, family: int) -> None:
    stand_in(planes, replace(trio(DIRECT, family=family), plane=plane), family)
    assert [choice.split()[0] for choice in planes.agents["lb"].ask("choices").values()] == [plane.value]


@PLANES
@pytest.mark.parametrize(
    ("family", "protocol", "scheduler"),
    [
        (4, Protocol.TCP, Scheduler.LEAST_CONNECTION),
        (6, Protocol.TCP, Scheduler.WEIGHTED_LEAST_CONNECTION),
        (6, Protocol.UDP, Scheduler.LEAST_CONNECTION),
    ],
)
def test_a_server_with_fewer_flows_gets_the_next(
    planes: World, plane: PlaneWish, family: int, protocol: Protocol, scheduler: Scheduler
) -> None:
    even_out(planes, replace(trio(DIRECT, family=family, protocol=protocol, scheduler=scheduler), plane=plane), family)


@pytest.mark.req("B-14")
@PLANES
@BOTH
def test_a_server_that_joins_and_weights_that_change_move_no_flow(planes: World, plane: PlaneWish, family: int) -> None:
    wanted = trio(DIRECT, family=family, protocol=Protocol.UDP, scheduler=Scheduler.SOURCE_HASH)
    change_little(planes, replace(wanted, plane=plane), family)


@PLANES
@BOTH
def test_a_full_server_takes_no_more_and_with_all_full_new_flows_are_refused(
    planes: World, plane: PlaneWish, family: int
) -> None:
    fill_up(planes, replace(trio(DIRECT, family=family), plane=plane), family, at_once=plane is PlaneWish.BPF)


def test_flows_that_began_before_they_counted_count(planes: World) -> None:
    flows = Flows(planes, 4)
    planes.balance(trio(DIRECT, SERVE, DRAIN, scheduler=Scheduler.ROUND_ROBIN))
    assert Counter(flows.open(4)) == {"s1": 2, "s3": 2}
    planes.balance(trio(DIRECT, scheduler=Scheduler.LEAST_CONNECTION))
    assert flows.open(2) == ["s2", "s2"]
    assert flows.stay()
    flows.close()


@PLANES
def test_a_restart_goes_on_with_what_is_there(planes: World, plane: PlaneWish) -> None:
    wanted = replace(trio(DIRECT, scheduler=Scheduler.LEAST_CONNECTION), plane=plane)
    wanted = replace(wanted, servers=tuple(replace(server, limit=9) for server in wanted.servers))
    planes.balance(wanted)
    planes.agents["lb"].ask("recount")
    planes.agents["lb"].ask("new_balancer", plane="both")
    assert planes.balance(wanted)["changes"] == []
    assert planes.agents["lb"].ask("recount")
    assert "refused" not in planes.names(4, "tcp", times=3)


@PLANES
def test_a_count_tells_how_full_the_tables_are(planes: World, plane: PlaneWish) -> None:
    balancer, flows = planes.agents["lb"], Flows(planes, 4)
    wanted = trio(DIRECT, scheduler=Scheduler.LEAST_CONNECTION, mask=32)
    beside = trio(DIRECT, family=6)
    planes.balance(*(replace(each, plane=plane) for each in (wanted, beside)))
    flows.open(5)
    assert balancer.ask("recount")
    if plane is PlaneWish.NFTABLES:
        assert balancer.ask("filled") == [["map", "tcp/192.0.2.50:80", 5, 262_144]]
    else:
        assert balancer.ask("filled") == [
            ["flows", "IPv4 on BPF", 5, 262_144],
            ["new-flows", "IPv4 on BPF", 0, 65_536],
            ["sources", "IPv4 on BPF", 1, 65_536],
        ]
    flows.close()


def test_where_nobody_counts_there_is_nothing_to_do(planes: World) -> None:
    planes.balance(trio(DIRECT), trio(Forward.FULLNAT, protocol=Protocol.UDP))
    assert not planes.agents["lb"].ask("recount")
