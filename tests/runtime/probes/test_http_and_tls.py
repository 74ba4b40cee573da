"""http, https and tls probes against real servers, good and bad."""

import socket
import ssl
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runtime.probes.conftest import Behaviour, RunProbe, Serve
from yaoki.checks.check import HttpParams, Outcome, TcpParams, TlsParams
from yaoki.runtime.probes import tls

pytestmark = pytest.mark.req("B-10")

CERTIFICATES = Path(__file__).parent / "certificates"
SHORT = 0.4
UPGRADED = "not HTTP: Received server _SWITCH_UPGRADE event without a pending proposal"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Role: active\r\n\r\nalive\n"


def answering(data: bytes) -> Behaviour:
    """Reads the request's head, answers, and waits for the client to go."""

    def behave(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        connection.sendall(data)
        with suppress(OSError):
            connection.recv(1)

    return behave


def dripping(data: bytes, pause: float) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        for octet in data:
            connection.sendall(bytes((octet,)))
            time.sleep(pause)
        hanging(connection)

    return behave


def endless(head: bytes, forever: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(forever)

    return behave


def hanging(connection: socket.socket) -> None:
    connection.settimeout(30)
    while connection.recv(4096):
        pass


def resetting(connection: socket.socket) -> None:
    connection.recv(1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def secured(behaviour: Behaviour, certificate: str = "good") -> Behaviour:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATES / f"{certificate}.pem", CERTIFICATES / "key.pem")

    def behave(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            behaviour(wrapped)

    return behave


@pytest.mark.parametrize(
    ("answer", "params", "outcome", "evidence"),
    [
        (OK, {}, Outcome.PASSED, "HTTP 200"),
        (OK, {"body": "^alive$"}, Outcome.PASSED, "HTTP 200"),
        (OK, {"body": "dead"}, Outcome.WRONG_ANSWER, "HTTP 200, body does not match: 'alive\\n'"),
        (OK, {"header": ("x-role", "^active$")}, Outcome.PASSED, "HTTP 200"),
        (OK, {"method": "HEAD"}, Outcome.PASSED, "HTTP 200"),
        (OK, {"status": (204,)}, Outcome.WRONG_ANSWER, "HTTP 200"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", {}, Outcome.WRONG_ANSWER, "HTTP 500"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK, {}, Outcome.PASSED, "HTTP 200"),
        (b"HTTP/1.0 200 OK\r\n\r\nold but alive", {"body": "alive"}, Outcome.PASSED, "HTTP 200"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nali\r\n2\r\nve\r\n0\r\n\r\n",
            {"body": "alive"},
            Outcome.PASSED,
            "HTTP 200",
        ),
    ],
)
def test_a_response_is_read_and_judged(
    answer: bytes, params: dict[str, object], *, outcome: Outcome, evidence: str, serve: Serve, run_probe: RunProbe
) -> None:
    behaviour = answering(answer)
    port = serve(_closing(behaviour) if answer.startswith(b"HTTP/1.0") else behaviour)
    finding = run_probe(HttpParams(port, **params))  # type: ignore[arg-type]  # one table for fields of many types
    assert (finding.outcome, finding.evidence) == (outcome, evidence)


def _closing(_: Behaviour) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nold but alive")

    return behave


def test_the_request_is_as_configured(serve: Serve, run_probe: RunProbe) -> None:
    requests: list[bytes] = []

    def remember(connection: socket.socket) -> None:
        requests.append(connection.recv(4096))
        connection.sendall(OK)
        with suppress(OSError):
            connection.recv(1)

    assert run_probe(HttpParams(serve(remember), "/healthz?deep=1", host="www.example.com")).passed
    head = requests[0].decode().lower().split("\r\n")
    assert head[0] == "get /healthz?deep=1 http/1.1"
    assert {"host: www.example.com", "connection: close", "user-agent: yaoki-check"} <= set(head)


@pytest.mark.parametrize(
    ("behaviour", "outcome", "evidence"),
    [
        (hanging, Outcome.TIMED_OUT, "no HTTP response within 400 ms"),
        (dripping(OK, 0.05), Outcome.TIMED_OUT, "no HTTP response within 400 ms"),
        (resetting, Outcome.REFUSED, "connection reset, no HTTP response"),
        (lambda connection: connection.recv(4096), Outcome.WRONG_ANSWER, "closed without an answer"),
        (answering(b"HTTP/1.1 200 OK\r\nConte"), Outcome.TIMED_OUT, "no HTTP response within 400 ms"),
        (answering(b"HTTP/1.1 101 Hello\r\n\r\n"), Outcome.WRONG_ANSWER, UPGRADED),
        (answering(b"\x00\xff\x16\x03 garbage \r\n\r\n"), Outcome.WRONG_ANSWER, "not HTTP: illegal status line"),
        (answering(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Outcome.WRONG_ANSWER, "not HTTP: illegal status line"),
        (endless(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"), Outcome.WRONG_ANSWER, "not HTTP: Receive buffer too long"),
        (endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n"), Outcome.TIMED_OUT, "no HTTP response within 400 ms"),
    ],
)
def test_a_server_that_misbehaves_fails(
    behaviour: Behaviour, outcome: Outcome, evidence: str, serve: Serve, run_probe: RunProbe
) -> None:
    finding = run_probe(HttpParams(serve(behaviour)), timeout=SHORT if outcome is Outcome.TIMED_OUT else 20)
    assert (finding.outcome, finding.evidence) == (outcome, evidence)
    assert finding.took < timedelta(seconds=15)


@pytest.mark.req("B-11")
def test_a_hung_process_with_an_open_port_is_seen_by_http_only(serve: Serve, run_probe: RunProbe) -> None:
    port = serve(hanging)
    assert run_probe(TcpParams(port)).passed
    assert run_probe(HttpParams(port), timeout=SHORT).outcome is Outcome.TIMED_OUT


def test_a_body_without_end_is_judged_by_its_first_64_kib(serve: Serve, run_probe: RunProbe) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    port = serve(endless(head, b"1000\r\n" + b"x" * 4096 + b"\r\n"))
    finding = run_probe(HttpParams(port, body="needle"))
    assert finding.outcome is Outcome.WRONG_ANSWER
    assert run_probe(HttpParams(port, body="^x{65536}$")).passed


def test_a_request_that_cannot_be_made_is_our_own_failure(serve: Serve, run_probe: RunProbe) -> None:
    finding = run_probe(HttpParams(serve(hanging), "/two words"))
    assert finding.outcome is Outcome.NOT_RUN
    assert "not a valid request" in finding.evidence


def test_https_is_http_within_tls(serve: Serve, run_probe: RunProbe) -> None:
    port = serve(secured(answering(OK)))
    assert run_probe(HttpParams(port, tls=True, body="alive")).passed
    assert run_probe(HttpParams(port)).outcome is not Outcome.PASSED


def test_https_that_verifies_refuses_a_certificate_nobody_vouches_for(serve: Serve, run_probe: RunProbe) -> None:
    finding = run_probe(HttpParams(serve(secured(answering(OK))), tls=True, verify=True, host="www.example.com"))
    assert (finding.outcome, finding.evidence) == (Outcome.WRONG_ANSWER, "certificate: self-signed certificate")


@pytest.mark.parametrize(
    ("certificate", "params", "outcome", "evidence"),
    [
        ("good", {}, Outcome.PASSED, "TLSv1.3, certificate good for "),
        ("good", {"min_days": 100_000}, Outcome.WRONG_ANSWER, "certificate expires in "),
        ("expired", {}, Outcome.WRONG_ANSWER, "certificate expired on 2021-01-01"),
        ("good", {"verify": True, "server_name": "www.example.com"}, Outcome.WRONG_ANSWER, "certificate: self-signed"),
    ],
)
def test_a_handshake_is_judged_by_its_certificate(
    certificate: str, params: dict[str, object], *, outcome: Outcome, evidence: str, serve: Serve, run_probe: RunProbe
) -> None:
    port = serve(secured(hanging, certificate))
    finding = run_probe(TlsParams(port, **params))  # type: ignore[arg-type]  # one table for fields of many types
    assert finding.outcome is outcome
    assert finding.evidence.startswith(evidence)


@pytest.mark.parametrize(
    ("name", "outcome", "evidence"),
    [
        ("www.example.com", Outcome.PASSED, "TLSv1.3"),
        ("www.example.net", Outcome.WRONG_ANSWER, "certificate: Hostname mismatch"),
        (None, Outcome.WRONG_ANSWER, "certificate: IP address mismatch"),
    ],
)
def test_a_verified_certificate_must_bear_the_name(
    name: str | None,
    outcome: Outcome,
    evidence: str,
    *,
    monkeypatch: pytest.MonkeyPatch,
    serve: Serve,
    run_probe: RunProbe,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "good.pem"))  # vouched for by this system, so to speak
    tls.context.cache_clear()
    try:
        finding = run_probe(TlsParams(serve(secured(hanging)), server_name=name, verify=True))
    finally:
        tls.context.cache_clear()
    assert finding.outcome is outcome
    assert finding.evidence.startswith(evidence)


@pytest.mark.parametrize(
    ("behaviour", "outcome", "evidence"),
    [
        (hanging, Outcome.TIMED_OUT, "no TLS handshake within 400 ms"),
        (resetting, Outcome.REFUSED, "connection reset"),
        (lambda connection: connection.recv(4096), Outcome.WRONG_ANSWER, "closed during the TLS handshake"),
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Outcome.TIMED_OUT, "no TLS handshake within 400 ms"),
        (dripping(b"HTTP/1.1 400 Bad Request\r\n\r\n", 0.001), Outcome.WRONG_ANSWER, "TLS: "),
        (dripping(b"\x16\x03\x03\x00\x7a", 0.15), Outcome.TIMED_OUT, "no TLS handshake within 400 ms"),
    ],
)
def test_a_server_that_does_not_shake_hands_fails(
    behaviour: Callable[[socket.socket], None], outcome: Outcome, evidence: str, serve: Serve, run_probe: RunProbe
) -> None:
    finding = run_probe(TlsParams(serve(behaviour)), timeout=SHORT if outcome is Outcome.TIMED_OUT else 20)
    assert finding.outcome is outcome
    assert finding.evidence.startswith(evidence)
