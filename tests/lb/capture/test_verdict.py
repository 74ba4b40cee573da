"""What a recording proves, in exact numbers: each frame has 54 octets of headers, and its payload."""

import pytest

from tests.lb.capture.wire import ACK, CLIENT, LB, RST, SECOND_NS, SYN, VIP, Wire, scene
from yaoki.lb.capture import Count, Evidence, Way
from yaoki.lb.service import Forward, Protocol
from yaoki.packet.tcp import TcpSegment
from yaoki.packet.udp import UdpDatagram

EVERYBODY = ("lb1", "web1", "web2", "router")


def two_connections(forward: Forward, recorded: tuple[str, ...], *, reply: int = 10_000) -> Wire:
    wire = Wire(recorded)
    wire.connection("web1", forward, 1001, requests=2, reply=reply)
    wire.connection("web2", forward, 1002, requests=1, reply=reply)
    return wire


@pytest.mark.req("D-01", "D-02", "D-28")
def test_replies_seen_from_the_servers_macs_are_direct_return() -> None:
    verdict = two_connections(Forward.DIRECT, EVERYBODY).verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.evidence) == (Way.DIRECT, Evidence.SEEN)
    assert (verdict.requests, verdict.flows) == (3, 2)
    # Of each connection a SYN, an ACK, a FIN and the last ACK; and 1 + 10 for each request.
    assert verdict.asked == Count(2 * 4 + 3 * 11, 41 * 54 + 3 * 100)
    assert verdict.through == ()
    # SYN-ACK and FIN-ACK of each, and ten segments for each request.
    assert verdict.straight == (
        ("web1", Count(2 + 20, 22 * 54 + 20_000)),
        ("web2", Count(2 + 10, 12 * 54 + 10_000)),
    )
    assert dict(verdict.sent_on)["web1"] == Count(26, 26 * 54 + 200)
    straight, asked = 34 * 54 + 30_000, 41 * 54 + 300
    assert verdict.passed_by == pytest.approx(straight / (straight + asked))
    assert (verdict.acknowledged, verdict.unanswered, verdict.refused, verdict.past) == (0, (), (), ())
    assert verdict.as_wanted is True


@pytest.mark.req("D-05", "D-28")
@pytest.mark.parametrize("recorded", [EVERYBODY, ("lb1", "router"), ("web1", "web2")])
def test_through_a_tunnel_requests_are_known_by_what_is_inside(recorded: tuple[str, ...]) -> None:
    verdict = two_connections(Forward.TUNNEL, recorded).verdict(scene(Forward.TUNNEL))
    assert (verdict.way, verdict.evidence, verdict.as_wanted) == (Way.DIRECT, Evidence.SEEN, True)
    assert (verdict.requests, verdict.flows, verdict.through, verdict.past) == (3, 2, (), ())
    assert [server for server, _ in verdict.straight] == ["web1", "web2"]
    # 28 octets of outer headers on each of the 26 packets to web1.
    sent = (("web1", Count(26, 26 * (54 + 28) + 200)), ("web2", Count(15, 15 * (54 + 28) + 100)))
    assert verdict.sent_on == (sent if "lb1" in recorded else ())


@pytest.mark.req("D-28")
def test_what_comes_out_of_another_tunnel_or_none_came_past_the_balancer() -> None:
    wire = two_connections(Forward.TUNNEL, EVERYBODY)
    wire.through_tunnel("web1", TcpSegment(1003, 80, 1, 0, SYN), source=CLIENT)
    wire.send("router", "web2", CLIENT, VIP, TcpSegment(1004, 80, 1, 0, SYN))
    assert [server for server, _ in wire.verdict(scene(Forward.TUNNEL)).past] == ["web1", "web2"]


def test_a_server_behind_a_tunnel_that_never_answers_is_named() -> None:
    wire = Wire(("lb1", "router"))
    wire.ask("web2", Forward.TUNNEL, TcpSegment(1003, 80, 1, 0, SYN))
    assert wire.verdict(scene(Forward.TUNNEL)).unanswered == (("web2", 1),)


@pytest.mark.req("D-02")
def test_a_request_of_1_kb_and_a_reply_of_100_kb() -> None:
    """By packets, one acknowledgement for each segment, half passes the balancer; by octets a twentieth."""
    verdict = two_connections(Forward.DIRECT, EVERYBODY, reply=100_000).verdict(scene(Forward.DIRECT))
    straight, asked = (2 * 2 + 3 * 100) * 54 + 300_000, (2 * 4 + 3 * 101) * 54 + 300
    assert (verdict.straight_octets, verdict.asked.octets) == (straight, asked) == (316_416, 17_094)
    assert verdict.passed_by == 316_416 / 333_510


@pytest.mark.req("D-28")
def test_the_balancer_alone_knows_by_what_clients_acknowledge() -> None:
    verdict = two_connections(Forward.DIRECT, ("lb1",)).verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.evidence) == (Way.DIRECT, Evidence.ACKNOWLEDGED)
    assert (verdict.requests, verdict.acknowledged, verdict.straight, verdict.through) == (3, 30_000, (), ())
    assert verdict.passed_by == pytest.approx(30_000 / (30_000 + 41 * 54 + 300))


@pytest.mark.req("D-05", "D-28")
@pytest.mark.parametrize("forward", [Forward.NAT, Forward.FULLNAT])
@pytest.mark.parametrize("recorded", [EVERYBODY, ("lb1",), ("lb1", "router")])
def test_translated_replies_come_back_through_the_balancer(forward: Forward, recorded: tuple[str, ...]) -> None:
    verdict = two_connections(forward, recorded).verdict(scene(forward))
    assert (verdict.way, verdict.evidence) == (Way.THROUGH, Evidence.SEEN)
    assert (verdict.requests, verdict.flows, verdict.straight) == (3, 2, ())
    assert verdict.through == (("lb1", Count(34, 34 * 54 + 30_000)),)
    assert verdict.passed_by == 0
    assert verdict.as_wanted is True


def test_the_site_file_is_held_against_what_was_seen() -> None:
    assert two_connections(Forward.DIRECT, EVERYBODY).verdict(scene(Forward.FULLNAT)).as_wanted is False
    assert two_connections(Forward.FULLNAT, EVERYBODY).verdict(scene(Forward.DIRECT)).as_wanted is False


@pytest.mark.req("D-12")
def test_a_change_while_it_is_recorded_shows_both_ways() -> None:
    wire = Wire(EVERYBODY)
    wire.connection("web1", Forward.FULLNAT, 1001)
    wire.connection("web1", Forward.DIRECT, 1002)
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert verdict.way is Way.BOTH
    assert verdict.through == (("lb1", Count(3, 3 * 54 + 1000)),)
    assert verdict.straight == (("web1", Count(3, 3 * 54 + 1000)),)
    assert verdict.as_wanted is False


@pytest.mark.req("D-11")
@pytest.mark.parametrize("recorded", [EVERYBODY, ("lb1",)])
def test_a_server_that_does_not_take_the_vip_is_named(recorded: tuple[str, ...]) -> None:
    wire = Wire(recorded)
    wire.connection("web1", Forward.DIRECT, 1001)
    for _ in range(3):
        wire.ask("web2", Forward.DIRECT, TcpSegment(1002, 80, 1, 0, SYN))
        wire.now_ns += SECOND_NS
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert verdict.way is Way.DIRECT
    assert verdict.unanswered == (("web2", 1),)
    assert verdict.as_wanted is False


def test_nobody_answers() -> None:
    wire = Wire(("lb1",))
    wire.ask("web2", Forward.DIRECT, TcpSegment(1002, 80, 1, 0, SYN))
    wire.now_ns += 2 * SECOND_NS
    wire.ask("web2", Forward.DIRECT, TcpSegment(1002, 80, 1, 0, SYN))
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.as_wanted, verdict.passed_by) == (Way.UNANSWERED, False, None)


def test_a_connection_that_was_opened_just_now_may_still_be_answered() -> None:
    wire = Wire(EVERYBODY)
    wire.ask("web2", Forward.DIRECT, TcpSegment(1002, 80, 1, 0, SYN))
    verdict = wire.verdict(scene(Forward.DIRECT), later_ns=0)
    assert (verdict.way, verdict.unanswered) == (Way.UNKNOWN, ())


@pytest.mark.req("D-23")
@pytest.mark.parametrize(("by", "forward"), [("web2", Forward.DIRECT), ("lb1", Forward.FULLNAT)])
def test_a_reset_is_a_refusal_and_no_reply(by: str, forward: Forward) -> None:
    wire = Wire(EVERYBODY)
    wire.ask("web2", forward, TcpSegment(1002, 80, 1, 0, SYN))
    wire.answer("web2", forward, TcpSegment(80, 1002, 0, 2, RST | ACK))
    verdict = wire.verdict(scene(forward))
    assert (verdict.way, verdict.refused, verdict.straight, verdict.through) == (Way.REFUSED, ((by, 1),), (), ())
    assert verdict.as_wanted is False


@pytest.mark.req("D-09")
def test_requests_that_reach_a_server_past_the_balancer_are_told() -> None:
    wire = Wire(EVERYBODY)
    wire.send("router", "web1", CLIENT, VIP, TcpSegment(1003, 80, 1, 0, SYN))
    wire.connection("web2", Forward.DIRECT, 1001)
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert verdict.past == (("web1", Count(1, 54)),)
    assert verdict.as_wanted is False


def test_servers_alone_show_requests_and_replies_and_no_share() -> None:
    verdict = two_connections(Forward.DIRECT, ("web1", "web2")).verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.balancer, verdict.requests, verdict.passed_by) == (Way.DIRECT, False, 3, None)


@pytest.mark.parametrize("recorded", [EVERYBODY, ("web1", "web2")])
def test_what_the_balancer_asks_on_its_own_behalf_is_no_request(recorded: tuple[str, ...]) -> None:
    wire = Wire(recorded)
    wire.send("lb1", "web1", LB, VIP, TcpSegment(1001, 80, 1, 0, SYN))
    wire.send("web1", "lb1", VIP, LB, TcpSegment(80, 1001, 7, 2, SYN | ACK))
    wire.send("lb1", "web1", LB, VIP, TcpSegment(1001, 80, 2, 0, RST))
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.flows, verdict.sent_on, verdict.past) == (Way.NO_REQUEST, 0, (), ())


def test_nothing_came() -> None:
    verdict = Wire(EVERYBODY).verdict(scene(Forward.DIRECT))
    assert (verdict.way, verdict.flows, verdict.as_wanted) == (Way.NO_REQUEST, 0, None)


@pytest.mark.parametrize("recorded", [("lb1",), EVERYBODY])
def test_of_datagrams_each_is_a_request_and_only_a_witness_knows_their_replies(recorded: tuple[str, ...]) -> None:
    wire = Wire(recorded)
    for sender, receiver in (("router", "lb1"), ("lb1", "web1")):
        wire.send(sender, receiver, CLIENT, VIP, UdpDatagram(1001, 80, b"alive?"))
    wire.send("web1", "router", VIP, CLIENT, UdpDatagram(80, 1001, b"yes"))
    verdict = wire.verdict(scene(Forward.DIRECT, Protocol.UDP))
    assert (verdict.requests, verdict.asked) == (1, Count(1, 48))
    assert verdict.way is (Way.UNKNOWN if recorded == ("lb1",) else Way.DIRECT)
    assert verdict.unanswered == ()


def test_a_balancer_that_is_an_own_router_of_replies_is_not_past_it() -> None:
    """Replies with the VIP as source that are routed by the balancer do pass it."""
    wire = Wire(("lb1", "web1"))
    wire.ask("web1", Forward.DIRECT, TcpSegment(1001, 80, 1, 0, SYN))
    wire.send("web1", "lb1", VIP, CLIENT, TcpSegment(80, 1001, 7, 2, SYN | ACK))
    wire.send("lb1", "router", VIP, CLIENT, TcpSegment(80, 1001, 7, 2, SYN | ACK))
    verdict = wire.verdict(scene(Forward.DIRECT))
    assert verdict.through == (("lb1", Count(1, 54)),)
    assert verdict.way is Way.BOTH
