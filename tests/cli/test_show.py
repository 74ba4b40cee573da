"""The tables that `yaoki show` prints."""

import sys
from dataclasses import replace

import pytest

from tests.node.scene import Scene, plan
from yaoki.cli.output import Paint
from yaoki.cli.show import vip_table
from yaoki.node.snapshot import view


def test_a_sync_group_has_a_column_where_there_is_one() -> None:
    scene = Scene()
    scene.start(plan())
    (router,) = view(scene.brain, scene.now).routers
    header, (row,) = vip_table([router], Paint(sys.stdout))
    assert (header[-1], len(row)) == ("Reason", len(header))
    header, rows = vip_table([replace(router, group="edge"), router], Paint(sys.stdout))
    assert header[-1] == "Sync group"
    assert [row[-1] for row in rows] == ["edge", "-"]


@pytest.mark.req("N-13")
def test_an_epoch_has_a_column_where_something_is_owned_by_lease() -> None:
    scene = Scene()
    scene.start(plan())
    (router,) = view(scene.brain, scene.now).routers
    header, rows = vip_table([replace(router, epoch=41, group="edge"), router], Paint(sys.stdout))
    assert header[-2:] == ("Sync group", "Epoch")
    assert [row[-2:] for row in rows] == [("edge", "41"), ("-", "-")]
