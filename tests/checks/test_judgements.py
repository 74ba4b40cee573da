"""The pure half of every kind of check: what is sent, and what is made of the answer."""

import errno
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.checks import direct, failure, http, route, script, tcp, tls, udp
from yaoki.checks.check import (
    CheckId,
    CheckSpec,
    Finding,
    HttpParams,
    Outcome,
    Schedule,
    ScriptParams,
    TlsParams,
    UdpParams,
)
from yaoki.checks.icmp import DATA, EchoProbe, payload_of_ipv4
from yaoki.checks.neighbour import ArpProbe, SolicitationProbe
from yaoki.core.address import MacAddress
from yaoki.packet import arp, icmp, icmp6
from yaoki.packet.ipv4 import PROTOCOL_ICMP, IPv4Packet
from yaoki.packet.malformed import Malformed
from yaoki.packet.neighbour import NeighbourAdvertisement, NeighbourSolicitation
from yaoki.packet.tunnel import Tunnel

TOOK = timedelta(milliseconds=5)
TIMEOUT = timedelta(milliseconds=200)
TARGET = IPv4Address("192.0.2.21")
TARGET6, SOURCE6 = IPv6Address("2001:db8:1::21"), IPv6Address("2001:db8:1::11")
OURS, THEIRS = MacAddress.parse("02:00:00:00:00:11"), MacAddress.parse("02:00:00:00:00:21")
CERTIFICATES = Path(__file__).parent.parent / "runtime" / "probes" / "certificates"

junk = st.binary(max_size=120)


def certificate(name: str) -> bytes:
    return PEM_cert_to_DER_cert((CERTIFICATES / f"{name}.pem").read_text())


def response(status: int = 200, body: bytes = b"", **headers: str) -> http.Response:
    fields = tuple((name.replace("_", "-").encode(), value.encode()) for name, value in headers.items())
    return http.Response(status, fields, body)


@pytest.mark.parametrize(
    ("number", "outcome", "evidence"),
    [
        (errno.ECONNREFUSED, Outcome.REFUSED, "connection refused"),
        (errno.ECONNRESET, Outcome.REFUSED, "connection reset"),
        (errno.EHOSTUNREACH, Outcome.UNREACHABLE, "host unreachable"),
        (errno.ENETUNREACH, Outcome.UNREACHABLE, "network unreachable"),
        (errno.EADDRNOTAVAIL, Outcome.NOT_RUN, "the source address is not on this machine, or no port is free"),
        (errno.EMFILE, Outcome.NOT_RUN, "this process has no file descriptor left"),
        (errno.EPERM, Outcome.NOT_RUN, "not permitted (a local firewall rule, or missing privileges)"),
        (errno.EIO, Outcome.NOT_RUN, "words of the system"),
        (None, Outcome.NOT_RUN, "words of the system"),
    ],
)
def test_errors_of_the_system_tell_the_target_from_the_network_and_from_us(
    number: int | None, outcome: Outcome, evidence: str
) -> None:
    assert failure.system_error(number, "words of the system", TOOK) == Finding(outcome, evidence, TOOK)


def test_an_error_names_what_did_not_come_because_of_it() -> None:
    finding = failure.system_error(errno.ECONNRESET, "", TOOK, awaited="HTTP response")
    assert finding.evidence == "connection reset, no HTTP response"


@pytest.mark.req("B-12")
def test_a_timeout_is_a_failure_and_names_what_was_missing() -> None:
    finding = failure.timed_out("TLS handshake", TIMEOUT, TOOK)
    assert finding == Finding(Outcome.TIMED_OUT, "no TLS handshake within 200 ms", TOOK)
    assert not finding.passed


@pytest.mark.parametrize("outcome", Outcome)
def test_everything_but_passed_is_a_failure(outcome: Outcome) -> None:
    assert Finding(outcome, "", TOOK).passed == (outcome is Outcome.PASSED)


def test_a_connection_is_all_that_the_tcp_check_asks_for() -> None:
    assert tcp.judge(TOOK) == Finding(Outcome.PASSED, "connected", TOOK)


@pytest.mark.parametrize(
    ("expect", "answer", "outcome", "evidence"),
    [
        (b"", b"", Outcome.PASSED, "answer of 0 octets"),
        (b"", b"anything", Outcome.PASSED, "answer of 8 octets"),
        (b"pong", b"pong!", Outcome.PASSED, "answer of 5 octets"),
        (b"pong", b"pon", Outcome.WRONG_ANSWER, "answer begins with b'pon', not with b'pong'"),
        (b"pong", b"\x00\xff", Outcome.WRONG_ANSWER, "answer begins with b'\\x00\\xff', not with b'pong'"),
    ],
)
def test_a_datagram_must_begin_as_expected(expect: bytes, answer: bytes, outcome: Outcome, evidence: str) -> None:
    assert udp.judge_answer(UdpParams(53, expect=expect), answer, TOOK) == Finding(outcome, evidence, TOOK)


@pytest.mark.parametrize(
    ("params", "outcome"),
    [
        (UdpParams(53), Outcome.TIMED_OUT),
        (UdpParams(53, require_answer=False), Outcome.PASSED),
        (UdpParams(53, require_answer=False, expect=b"x"), Outcome.TIMED_OUT),
    ],
)
def test_silence_passes_only_where_no_answer_is_wanted(params: UdpParams, outcome: Outcome) -> None:
    assert udp.judge_silence(params, TIMEOUT, TOOK).outcome is outcome


@pytest.mark.rfc("792", "Echo or Echo Reply Message")
def test_only_the_reply_to_this_echo_request_counts() -> None:
    probe = EchoProbe(0x1234_5678)
    assert icmp.decode(probe.request()) == icmp.Echo(True, 0x1234, 0x5678, DATA)
    assert probe.judge(icmp.Echo(False, 0x1234, 0x5678, DATA).encode(), TOOK) == Finding(
        Outcome.PASSED, "echo reply", TOOK
    )
    for stranger in (
        icmp.Echo(True, 0x1234, 0x5678, DATA),  # a request is no reply
        icmp.Echo(False, 0x1235, 0x5678, DATA),
        icmp.Echo(False, 0x1234, 0x5679, DATA),
        icmp.Echo(False, 0x1234, 0x5678, b"other"),
        icmp.Unreachable(1, probe.request()),
    ):
        assert probe.judge(stranger.encode(), TOOK) is None


@pytest.mark.rfc("4443", "4.2")
def test_only_the_reply_to_this_icmp6_echo_request_counts() -> None:
    probe = EchoProbe(7)
    assert icmp6.decode(probe.request6(SOURCE6, TARGET6), SOURCE6, TARGET6) == icmp6.Echo(True, 0, 7, DATA)
    reply = icmp6.Echo(False, 0, 7, DATA).encode(TARGET6, SOURCE6)
    assert probe.judge6(reply, SOURCE6, TARGET6, TOOK) == Finding(Outcome.PASSED, "echo reply", TOOK)
    damaged = reply[:-1] + b"\x00"
    assert probe.judge6(damaged, SOURCE6, TARGET6, TOOK) is None
    assert probe.judge6(icmp6.Echo(False, 0, 8, DATA).encode(TARGET6, SOURCE6), SOURCE6, TARGET6, TOOK) is None


@pytest.mark.parametrize("options", [b"", b"\x01\x01\x01\x00"])
def test_the_ip_header_of_a_raw_socket_is_cut_off_at_its_own_length(options: bytes) -> None:
    packet = IPv4Packet(TARGET, IPv4Address("192.0.2.11"), PROTOCOL_ICMP, b"payload", options=options).encode()
    assert payload_of_ipv4(packet) == b"payload"
    assert payload_of_ipv4(b"") == b""


@pytest.mark.rfc("826", "Packet Reception")
def test_only_the_targets_own_arp_reply_to_us_counts() -> None:
    probe = ArpProbe(OURS, IPv4Address("192.0.2.11"), TARGET)
    assert arp.decode(probe.request()) == arp.request(OURS, probe.source, TARGET)
    reply = arp.ArpPacket(arp.Operation.REPLY, THEIRS, TARGET, OURS, probe.source)
    assert probe.judge(reply.encode(), TOOK) == Finding(Outcome.PASSED, f"{THEIRS} answers", TOOK)
    for stranger in (
        replace(reply, operation=arp.Operation.REQUEST),
        replace(reply, sender_ip=IPv4Address("192.0.2.22")),
        replace(reply, target_mac=THEIRS),
    ):
        assert probe.judge(stranger.encode(), TOOK) is None


@pytest.mark.rfc("4861", "7.1.2")
def test_only_the_targets_own_solicited_advertisement_counts() -> None:
    probe = SolicitationProbe(OURS, SOURCE6, TARGET6)
    assert probe.group == IPv6Address("ff02::1:ff00:21")
    assert probe.request() == NeighbourSolicitation(TARGET6, OURS).encode(SOURCE6, probe.group)
    answer = NeighbourAdvertisement(TARGET6, THEIRS, solicited=True)
    message = answer.encode(TARGET6, SOURCE6)
    assert probe.judge(message, TARGET6, 255, TOOK) == Finding(Outcome.PASSED, f"{THEIRS} answers", TOOK)
    assert probe.judge(message, TARGET6, 254, TOOK) is None  # came through a router
    unsolicited = replace(answer, solicited=False).encode(TARGET6, SOURCE6)
    assert probe.judge(unsolicited, TARGET6, 255, TOOK) is None
    other = replace(answer, target=SOURCE6).encode(TARGET6, SOURCE6)
    assert probe.judge(other, TARGET6, 255, TOOK) is None


@given(junk, st.integers(0, 255))
def test_random_bytes_are_nobodys_answer(data: bytes, hop_limit: int) -> None:
    assert EchoProbe(1).judge(data, TOOK) is None
    assert EchoProbe(1).judge(payload_of_ipv4(data), TOOK) is None
    assert EchoProbe(1).judge6(data, SOURCE6, TARGET6, TOOK) is None
    assert ArpProbe(OURS, IPv4Address("192.0.2.11"), TARGET).judge(data, TOOK) is None
    assert SolicitationProbe(OURS, SOURCE6, TARGET6).judge(data, TARGET6, hop_limit, TOOK) is None


@pytest.mark.rfc("5280", "4.1.2.5")
def test_the_end_of_validity_is_read_in_both_forms_of_time() -> None:
    assert tls.not_after(certificate("good")) == datetime(2120, 1, 1, tzinfo=UTC)
    assert tls.not_after(certificate("expired")) == datetime(2021, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "now", "min_days", "outcome", "evidence"),
    [
        ("good", datetime(2119, 12, 30, tzinfo=UTC), 0, Outcome.PASSED, "TLSv1.3, certificate good for 2 days"),
        ("good", datetime(2119, 12, 30, tzinfo=UTC), 2, Outcome.PASSED, "TLSv1.3, certificate good for 2 days"),
        (
            "good",
            datetime(2119, 12, 30, tzinfo=UTC),
            3,
            Outcome.WRONG_ANSWER,
            "certificate expires in 2 days, on 2120-01-01",
        ),
        ("good", datetime(2120, 1, 1, tzinfo=UTC), 0, Outcome.WRONG_ANSWER, "certificate expired on 2120-01-01"),
        ("expired", datetime(2025, 1, 1, tzinfo=UTC), 0, Outcome.WRONG_ANSWER, "certificate expired on 2021-01-01"),
    ],
)
def test_a_certificate_must_last(name: str, now: datetime, *, min_days: int, outcome: Outcome, evidence: str) -> None:
    params = TlsParams(443, min_days=min_days)
    assert tls.judge(params, certificate(name), "TLSv1.3", now=now, took=TOOK) == Finding(outcome, evidence, TOOK)


@given(cut=st.integers(0, 700), place=st.integers(0, 120), octet=st.integers(0, 255))
def test_a_broken_certificate_is_refused_and_never_an_exception(cut: int, place: int, octet: int) -> None:
    whole = certificate("good")
    assert isinstance(tls.not_after(whole[:cut]), Malformed) == (cut < len(whole))
    broken = bytearray(whole)
    broken[place] = octet
    finding = tls.judge(TlsParams(443), bytes(broken), "TLSv1.3", now=datetime(2025, 1, 1, tzinfo=UTC), took=TOOK)
    assert finding.outcome in (Outcome.PASSED, Outcome.WRONG_ANSWER)


@given(junk)
def test_junk_is_no_certificate(data: bytes) -> None:
    finding = tls.judge(TlsParams(443), data, "TLSv1.3", now=datetime(2025, 1, 1, tzinfo=UTC), took=TOOK)
    assert finding.outcome is Outcome.WRONG_ANSWER


@pytest.mark.parametrize(
    ("params", "target", "host"),
    [
        (HttpParams(80), TARGET, "192.0.2.21"),
        (HttpParams(8080), TARGET, "192.0.2.21:8080"),
        (HttpParams(443), TARGET, "192.0.2.21:443"),
        (HttpParams(443, tls=True), TARGET, "192.0.2.21"),
        (HttpParams(80), TARGET6, "[2001:db8:1::21]"),
        (HttpParams(81), TARGET6, "[2001:db8:1::21]:81"),
        (HttpParams(81, host="www.example.com"), TARGET, "www.example.com"),
    ],
)
@pytest.mark.rfc("9110", "7.2")
def test_the_host_field_names_the_configured_host_or_the_target(
    params: HttpParams, target: IPv4Address | IPv6Address, host: str
) -> None:
    assert dict(http.request_headers(CheckId(target, params), params))["Host"] == host


@pytest.mark.parametrize(
    ("params", "answer", "outcome", "evidence"),
    [
        (HttpParams(80), response(), Outcome.PASSED, "HTTP 200"),
        (HttpParams(80), response(500), Outcome.WRONG_ANSWER, "HTTP 500"),
        (HttpParams(80, status=(200, 204)), response(204), Outcome.PASSED, "HTTP 204"),
        (HttpParams(80, status=(301,)), response(200), Outcome.WRONG_ANSWER, "HTTP 200"),
        (HttpParams(80, body="alive"), response(body=b"I am alive."), Outcome.PASSED, "HTTP 200"),
        (
            HttpParams(80, body="^alive$"),
            response(body=b"dead"),
            Outcome.WRONG_ANSWER,
            "HTTP 200, body does not match: 'dead'",
        ),
        (HttpParams(80, body="alive"), response(500, b"alive"), Outcome.WRONG_ANSWER, "HTTP 500"),
        (HttpParams(80, header=("X-Role", "^active$")), response(x_role="active"), Outcome.PASSED, "HTTP 200"),
        (
            HttpParams(80, header=("X-Role", "^active$")),
            response(x_role="backup"),
            Outcome.WRONG_ANSWER,
            "HTTP 200, X-Role: backup",
        ),
        (
            HttpParams(80, header=("X-Role", "")),
            response(server="x"),
            Outcome.WRONG_ANSWER,
            "HTTP 200, X-Role: absent",
        ),
    ],
)
def test_a_response_is_judged_by_status_then_header_then_body(
    params: HttpParams, answer: http.Response, outcome: Outcome, evidence: str
) -> None:
    assert http.judge(params, answer, TOOK) == Finding(outcome, evidence, TOOK)


def test_a_field_that_comes_twice_passes_if_one_of_them_matches() -> None:
    answer = http.Response(200, ((b"x-role", b"backup"), (b"X-ROLE", b"active")), b"")
    assert http.judge(HttpParams(80, header=("X-Role", "active")), answer, TOOK).passed


@pytest.mark.parametrize(
    ("params", "wanted"),
    [(HttpParams(80), False), (HttpParams(80, body="x"), True), (HttpParams(80, body="x", method="HEAD"), False)],
)
def test_a_body_is_read_only_if_it_is_judged(params: HttpParams, wanted: bool) -> None:
    assert http.wants_body(params) is wanted


@pytest.mark.parametrize(
    ("status", "output", "outcome", "evidence"),
    [
        (0, b"", Outcome.PASSED, "exit status 0"),
        (0, b"lag 3 ms\nmore\n", Outcome.PASSED, "lag 3 ms"),
        (1, b"\n  replication stopped\n", Outcome.WRONG_ANSWER, "exit status 1: replication stopped"),
        (2, b"", Outcome.WRONG_ANSWER, "exit status 2"),
        (-9, b"", Outcome.WRONG_ANSWER, "killed by signal 9"),
        (126, b"", Outcome.NOT_RUN, "exit status 126"),
        (127, b"sh: x: not found", Outcome.NOT_RUN, "exit status 127: sh: x: not found"),
        (1, b"\xff\xfe", Outcome.WRONG_ANSWER, "exit status 1: \ufffd\ufffd"),
    ],
)
def test_a_script_is_judged_by_its_exit_status(status: int, output: bytes, outcome: Outcome, evidence: str) -> None:
    assert script.judge(status, output, TOOK) == Finding(outcome, evidence, TOOK)


def test_a_script_sees_what_it_needs_and_nothing_else() -> None:
    check = CheckId(TARGET, ScriptParams(("/bin/true",)), IPv4Address("192.0.2.11"))
    spec = CheckSpec(check, Schedule(timedelta(seconds=1), TIMEOUT), "lag on db1")
    assert script.environment(spec, "/bin") == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "YAOKI_CHECK": "lag on db1",
        "YAOKI_TARGET": "192.0.2.21",
        "YAOKI_SOURCE": "192.0.2.11",
        "YAOKI_TIMEOUT_MS": "200",
    }


@pytest.mark.parametrize(
    ("schedule", "expected_ms"),
    [
        (Schedule(timedelta(milliseconds=300), timedelta(milliseconds=200), fall=3), 300 + 2 * 300 + 200),
        (Schedule(timedelta(seconds=1), timedelta(milliseconds=200), fall=1), 1200),
        (Schedule(timedelta(seconds=1), timedelta(seconds=5), fall=2), 1000 + 5000 + 5000),
        (
            Schedule(timedelta(seconds=10), timedelta(seconds=1), fall=3, fast_interval=timedelta(milliseconds=500)),
            10_000 + 2 * 1000 + 1000,
        ),
        (
            Schedule(timedelta(seconds=10), timedelta(seconds=1), fall=3, fast_interval=timedelta(seconds=2)),
            10_000 + 2 * 2000 + 1000,
        ),
    ],
)
def test_the_longest_detection_is_a_sum_of_the_schedule(schedule: Schedule, expected_ms: int) -> None:
    assert schedule.longest_detection == timedelta(milliseconds=expected_ms)


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval": timedelta(0)},
        {"timeout": timedelta(0)},
        {"fall": 0},
        {"rise": 0},
        {"fast_interval": timedelta(0)},
        {"hold_down": timedelta(seconds=-1)},
    ],
)
def test_a_senseless_schedule_is_refused(wrong: dict[str, timedelta]) -> None:
    with pytest.raises(ValueError, match=r"longer than zero|at least 1|negative"):
        replace(Schedule(timedelta(seconds=1), timedelta(seconds=1)), **wrong)  # type: ignore[arg-type]  # fall, rise: int


# --- route ------------------------------------------------------------------------------------------------------------


@pytest.mark.req("B-24")
@pytest.mark.parametrize(
    ("length", "found", "outcome", "evidence"),
    [
        (0, 0, Outcome.PASSED, "a /0 route by eth0"),
        (24, 24, Outcome.PASSED, "a /24 route by eth0"),
        (24, 32, Outcome.PASSED, "a /32 route by eth0"),
        (24, 0, Outcome.UNREACHABLE, "no route of its own, only a /0 by eth0"),
        (0, None, Outcome.UNREACHABLE, "no route"),
    ],
)
def test_a_route_counts_if_it_is_at_least_as_long(
    length: int, found: int | None, outcome: Outcome, evidence: str
) -> None:
    assert route.judge(length, found=found, interface="eth0", took=TOOK) == Finding(outcome, evidence, TOOK)


@pytest.mark.parametrize(
    ("prefix", "host"),
    [
        ("0.0.0.0/0", "0.0.0.1"),
        ("198.51.100.0/24", "198.51.100.1"),
        ("198.51.100.0/31", "198.51.100.0"),
        ("198.51.100.7/32", "198.51.100.7"),
        ("::/0", "2000::1"),
        ("2001:db8:9::/48", "2001:db8:9::1"),
        ("2001:db8:9::7/128", "2001:db8:9::7"),
    ],
)
def test_the_first_host_stands_for_the_prefix(prefix: str, host: str) -> None:
    assert route.first_host(ip_network(prefix)) == ip_address(host)


@pytest.mark.req("D-11")
def test_a_connection_through_the_direct_return_path() -> None:
    vip = IPv4Address("192.0.2.50")
    assert direct.judge_accepted(vip, mac=THEIRS, server=THEIRS, took=TOOK) == Finding(
        Outcome.PASSED, "connected to 192.0.2.50 at 02:00:00:00:00:21", TOOK
    )
    assert direct.judge_accepted(vip, mac=OURS, server=THEIRS, took=TOOK) == Finding(
        Outcome.WRONG_ANSWER, "192.0.2.50 answers from 02:00:00:00:00:11, not straight from 02:00:00:00:00:21", TOOK
    )
    assert direct.judge_accepted_through(vip, Tunnel(), TARGET, TOOK) == Finding(
        Outcome.PASSED, "connected to 192.0.2.50 through ipip to 192.0.2.21", TOOK
    )
    assert direct.judge_without_way(TARGET, TOOK) == Finding(Outcome.UNREACHABLE, "no way to 192.0.2.21 is known", TOOK)
    assert direct.judge_refused(vip, TOOK) == Finding(Outcome.REFUSED, "connection to 192.0.2.50 refused", TOOK)
    assert direct.judge_unresolved(TARGET, TOOK) == Finding(
        Outcome.UNREACHABLE, "the MAC of 192.0.2.21 is not known", TOOK
    )
