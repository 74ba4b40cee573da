"""The tables of source D: addresses and MACs at each hop, with and without direct return."""

import pytest

from tests.lb.capture.wire import LB, SERVERS, SYN, Wire, scene
from yaoki.lb.capture import Hop, frames_of, hops_of, scene_of
from yaoki.lb.service import Forward
from yaoki.packet.tcp import TcpSegment


def hops(wire: Wire, forward: Forward) -> tuple[Hop, ...]:
    recording = wire.recording()
    known = scene_of(scene(forward), recording)
    return hops_of(known, frames_of(recording, known))


def shown(wire: Wire, forward: Forward) -> list[str]:
    return [
        f"{hop.step} {hop.source.address} ({hop.source.machine}) {hop.destination.address} ({hop.destination.machine})"
        for hop in hops(wire, forward)
    ]


@pytest.mark.req("D-05", "D-07")
@pytest.mark.parametrize("recorded", [("lb1",), ("lb1", "web1", "router")])
def test_table_1_without_direct_return(recorded: tuple[str, ...]) -> None:
    wire = Wire(recorded)
    wire.connection("web1", Forward.FULLNAT, 1001)
    assert shown(wire, Forward.FULLNAT) == [
        "1 198.51.100.60 (router) 192.0.2.50 (lb1)",
        "2 192.0.2.11 (lb1) 192.0.2.201 (web1)",
        "3 192.0.2.201 (web1) 192.0.2.11 (lb1)",
        "4 192.0.2.50 (lb1) 198.51.100.60 (router)",
    ]


@pytest.mark.req("D-05", "D-08")
@pytest.mark.parametrize("recorded", [("lb1", "web1"), ("lb1", "web1", "web2", "router")])
def test_table_2_with_direct_return(recorded: tuple[str, ...]) -> None:
    wire = Wire(recorded)
    wire.connection("web1", Forward.DIRECT, 1001)
    assert shown(wire, Forward.DIRECT) == [
        "1 198.51.100.60 (router) 192.0.2.50 (lb1)",
        "2 198.51.100.60 (lb1) 192.0.2.50 (web1)",
        "3 192.0.2.50 (web1) 198.51.100.60 (router)",
    ]


@pytest.mark.req("D-05", "D-08")
def test_through_a_tunnel_each_hop_tells_what_the_packet_was_inside() -> None:
    wire = Wire(("lb1", "web1", "router"))
    wire.connection("web1", Forward.TUNNEL, 1001)
    assert shown(wire, Forward.TUNNEL) == [
        "1 198.51.100.60 (router) 192.0.2.50 (lb1)",
        "2 198.51.100.60 (lb1) 192.0.2.50 (router)",
        "3 198.51.100.60 (router) 192.0.2.50 (web1)",
        "4 192.0.2.50 (web1) 198.51.100.60 (router)",
    ]
    outer = (LB, SERVERS["web1"])
    assert [hop.inside for hop in hops(wire, Forward.TUNNEL)] == [None, outer, outer, None]


def test_the_connection_that_was_seen_at_most_hops_is_shown() -> None:
    wire = Wire(("lb1", "web1"))
    wire.ask("web2", Forward.DIRECT, TcpSegment(1002, 80, 1, 0, SYN))
    wire.connection("web1", Forward.DIRECT, 1001)
    found = hops(wire, Forward.DIRECT)
    assert [(hop.source.port, hop.destination.port, hop.reply) for hop in found] == [
        (1001, 80, False),
        (1001, 80, False),
        (80, 1001, True),
    ]
    assert [hop.seen_at for hop in found] == [("lb1/eth0",), ("lb1/eth0", "web1/eth0"), ("web1/eth0",)]


def test_nothing_is_shown_of_a_connection_that_was_open_before() -> None:
    wire = Wire(("lb1",))
    wire.connection("web1", Forward.DIRECT, 1001)
    del wire.packets[:2]
    assert hops(wire, Forward.DIRECT) == ()
