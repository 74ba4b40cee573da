"""Who gets a new flow under address translation."""

import pytest

from tests.lb.samples import trio
from tests.linux.choosing import change_little, even_out, fill_up, stand_in
from tests.linux.world import World
from yaoki.lb.service import Forward, Scheduler

pytestmark = [pytest.mark.netns, pytest.mark.req("D-30")]


@pytest.mark.parametrize("family", [4, 6])
def test_backups_and_the_sorry_server_stand_in(nat: World, family: int) -> None:
    stand_in(nat, trio(Forward.NAT, family=family), family)


@pytest.mark.parametrize(
    ("family", "forward", "scheduler"),
    [
        (4, Forward.NAT, Scheduler.WEIGHTED_LEAST_CONNECTION),
        (6, Forward.NAT, Scheduler.LEAST_CONNECTION),
        (6, Forward.FULLNAT, Scheduler.POWER_OF_TWO),
    ],
)
def test_a_server_with_fewer_flows_gets_the_next(
    nat: World, family: int, forward: Forward, scheduler: Scheduler
) -> None:
    even_out(nat, trio(forward, family=family, scheduler=scheduler), family)


@pytest.mark.req("B-14")
def test_a_server_that_joins_and_weights_that_change_move_no_flow(nat: World) -> None:
    change_little(nat, trio(Forward.NAT, scheduler=Scheduler.SOURCE_HASH), 4)


@pytest.mark.parametrize("family", [4, 6])
def test_full_servers_take_no_more(nat: World, family: int) -> None:
    fill_up(nat, trio(Forward.NAT, family=family), family, at_once=False)
