"""The tables that `yaoki show` prints."""

import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.scene import Scene, plan
from yaoki.cli.output import Paint
from yaoki.cli.show import print_services, vip_table
from yaoki.cli.unsent import unsent_lines
from yaoki.lb.packet_reason import PacketReason
from yaoki.node.snapshot import Count, ServiceTotal, Unsent, view


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


@pytest.mark.req("B-13")
def test_servers_none_of_which_could_be_lost_are_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.start(plan())
    (service,) = view(scene.brain, scene.now).services
    names = [each.name for each in service.servers]
    full = tuple(replace(each, limit=100, count=Count(9, 900, 90)) for each in service.servers)
    print_services([replace(service, servers=full)], Paint(sys.stdout))
    left = 100 * (len(names) - 1)
    told = (
        f"no spare: web {service.key}: {90 * len(names)} flows are open, and without {names[0]} its other servers may"
    )
    assert capsys.readouterr().out.splitlines()[-1] == f"{told} have {left}"
    print_services([service], Paint(sys.stdout))
    assert "no spare" not in capsys.readouterr().out


def test_what_no_server_got_is_told_with_its_cure_as_far_as_a_service_is_concerned() -> None:
    found = [Unsent(PacketReason.NOT_OURS, 900), Unsent(PacketReason.NO_SERVER, 12), Unsent(PacketReason.SHUT, 0)]
    assert list(unsent_lines(found)) == [
        "packets that BPF sent to no server, of all services, since its program was loaded",
        "  12  no-server  found nobody who takes new flows, and were refused: `yaoki show service` says why each server"
        " is out or full",
    ]
    assert list(unsent_lines(found[:1])) == []


def test_a_service_has_a_line_of_its_own_for_what_it_was_sent(capsys: pytest.CaptureFixture[str]) -> None:
    scene = Scene()
    scene.start(plan())
    (service,) = view(scene.brain, scene.now).services
    counted = replace(service, total=ServiceTotal(9, 900, 4), idle_timeout=timedelta(seconds=90))
    print_services([counted, replace(service, total=ServiceTotal(1, 60))], Paint(sys.stdout))
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "TCP  192.0.2.50:80 wrr idle 90  (web)"
    assert lines[3] == "  in all 9 packets, 900 bytes, 4 flows were given a server"
    assert "  in all 1 packets, 60 bytes" in lines
