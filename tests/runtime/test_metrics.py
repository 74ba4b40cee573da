"""Prometheus metrics: names, and states that are never a label that changes."""

import asyncio
from datetime import timedelta

import pytest

from tests.node.scene import ROUTER, VIP, Scene, check, plan
from tests.node.wire_scene import HERS, INTRUDER, WireScene, claim
from yaoki.checks.check import Finding, Outcome
from yaoki.core.event import Event, EventId
from yaoki.core.instant import Instant
from yaoki.lb.packet_reason import PacketReason
from yaoki.node.messages import CheckStatus, RouterState, RouterStatus
from yaoki.node.snapshot import Count, Counts, ServiceTotal, view, with_counts
from yaoki.node.wire_messages import FramesDropped
from yaoki.packet.claim import Form
from yaoki.pool.member import Health
from yaoki.runtime.metrics import MetricsServer, Picture, Tally, exposition
from yaoki.vrrp.events import BecameActive, Reason

SERVICE = '{address="192.0.2.50",port="80",protocol="tcp",service="web"}'


def picture() -> Picture:
    scene = Scene()
    scene.start(plan())
    scene.all_up()
    scene.verdict(2, Health.DOWN)
    scene.give(RouterStatus(ROUTER, "web-vip", RouterState.ACTIVE, scene.now, 150, "nobody heard"))
    seen = view(scene.brain, scene.now)
    server = seen.services[0].servers[0]
    finding = Finding(Outcome.PASSED, "connected", timedelta(milliseconds=3))
    checks = (CheckStatus(check(1), "tcp on web1", Health.UP, scene.now, finding, scene.now),)
    key = seen.services[0].key
    counts = Counts(
        {(key, server.address, server.port): Count(7, 700, 3)},
        {key: ServiceTotal(9, 900, 4)},
        {PacketReason.NO_SERVER: 2, PacketReason.SHUT: 0},
    )
    return Picture(with_counts(seen, counts), checks)


def lines(text: bytes) -> set[str]:
    return {line for line in text.decode().splitlines() if not line.startswith("#")}


@pytest.mark.req("Z-06")
def test_the_names_of_the_metrics_and_their_labels() -> None:
    tally = Tally()
    body = BecameActive(ROUTER, "web-vip", Reason.NOBODY_HEARD, 150)
    tally.take(Event(EventId("lb1/speaker", 1), Instant(0), body))
    found = lines(exposition(picture(), tally, "")[0])
    for line in (
        'yaoki_config_info{generation="g1",node="lb1",site="tokyo"} 1.0',
        "yaoki_node_up 1.0",
        "yaoki_node_paused 0.0",
        'yaoki_part_up{part="speaker"} 1.0',
        'yaoki_vip_owner{family="ipv4",node="lb1",vip="web-vip"} 1.0',
        'yaoki_vip_state{family="ipv4",node="lb1",vip="web-vip",yaoki_vip_state="active"} 1.0',
        'yaoki_vip_state{family="ipv4",node="lb1",vip="web-vip",yaoki_vip_state="backup"} 0.0',
        'yaoki_vip_takeovers_total{family="ipv4",reason="nobody_heard",vip="web-vip"} 1.0',
        'yaoki_events_total{kind="became-active"} 1.0',
        'yaoki_lb_program_packets_total{reason="no-server"} 2.0',
        'yaoki_lb_program_packets_total{reason="shut"} 0.0',
        f"yaoki_lb_service_packets_total{SERVICE} 9.0",
        f"yaoki_lb_service_bytes_total{SERVICE} 900.0",
        f"yaoki_lb_service_flows_opened_total{SERVICE} 4.0",
        'yaoki_check_up{check="tcp on web1",kind="tcp",port="80",target="192.0.2.21"} 1.0',
        'yaoki_check_duration_seconds{check="tcp on web1",kind="tcp",port="80",target="192.0.2.21"} 0.003',
    ):
        assert line in found
    server_lines = {
        (line.split("{")[0], line.partition('server="')[2][:4]): line.rsplit(" ", 1)[1]
        for line in found
        if "yaoki_lb_server_" in line and "_health" not in line and "_duty" not in line and "_admin" not in line
    }
    assert server_lines["yaoki_lb_server_up", "web1"] == "1.0"
    assert server_lines["yaoki_lb_server_up", "web2"] == "0.0"
    assert server_lines["yaoki_lb_server_weight", "web2"] == "0.0"
    assert server_lines["yaoki_lb_server_flows", "web1"] == "3.0"


@pytest.mark.req("B-09")
def test_what_the_wire_shows_is_counted() -> None:
    scene = WireScene()
    scene.give(claim(VIP, INTRUDER, Form.ANNOUNCEMENT), FramesDropped("eth0", 7))
    scene.wait(timedelta(seconds=2), answers=(HERS,))
    found = lines(exposition(Picture(view(scene.brain, scene.now)), Tally(), "")[0])
    for line in (
        'yaoki_vip_owners_seen{family="ipv4",node="lb1",vip="web-vip"} 2.0',
        'yaoki_vip_foreign_claims_total{family="ipv4",node="lb1",vip="web-vip"} 1.0',
        'yaoki_wire_dropped_total{interface="eth0"} 7.0',
    ):
        assert line in found


def test_openmetrics_is_given_to_those_who_accept_it() -> None:
    text, content_type = exposition(picture(), Tally(), "application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith(b"# EOF\n")


async def get(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_the_server_answers_scrapes_and_nothing_else() -> None:
    async def seen() -> Picture:
        return picture()

    async def scene() -> None:
        server = MetricsServer(("127.0.0.1", 0), seen, Tally())
        await server.listen()
        port = server.port
        assert b"yaoki_node_up 1.0" in await get(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await get(port, b"GET / HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 404 ")
        assert (await get(port, b"POST /metrics HTTP/1.1\r\n\r\n")).startswith(b"HTTP/1.1 405 ")
        assert await get(port, b"x" * 20_000 + b"\r\n\r\n") == b""
        server.close()

    asyncio.run(scene())
