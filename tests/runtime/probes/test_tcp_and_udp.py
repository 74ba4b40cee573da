"""tcp and udp probes against servers that answer, refuse, hang, reset and talk rubbish."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.runtime.probes.conftest import RunProbe, Serve
from yaoki.checks.check import Outcome, TcpParams, UdpParams

pytestmark = pytest.mark.req("B-10")

SHORT = 0.3


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is taken, so nobody else listens there, but refuses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def udp_server(stack: ExitStack, answer: bytes | None) -> int:
    """Answers every datagram with `answer`; None swallows them."""
    sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sock.bind(("127.0.0.1", 0))
    sock.settimeout(30)

    def serve() -> None:
        _, client = sock.recvfrom(2048)
        if answer is not None:
            sock.sendto(answer, client)

    threading.Thread(target=serve, daemon=True).start()
    port: int = sock.getsockname()[1]
    return port


def test_a_listening_port_passes_even_if_its_server_hangs(serve: Serve, run_probe: RunProbe) -> None:
    port = serve(lambda _: time.sleep(1))
    finding = run_probe(TcpParams(port))
    assert (finding.outcome, finding.evidence) == (Outcome.PASSED, "connected")
    assert timedelta(0) < finding.took < timedelta(seconds=5)


def test_a_closed_port_is_refused(closed_port: int, run_probe: RunProbe) -> None:
    finding = run_probe(TcpParams(closed_port))
    assert (finding.outcome, finding.evidence) == (Outcome.REFUSED, "connection refused")


def test_a_full_backlog_answers_nothing_and_times_out(run_probe: RunProbe) -> None:
    with socket.socket() as listener, ExitStack() as others:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):  # nobody accepts: later SYNs are dropped
            waiting = others.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        finding = run_probe(TcpParams(listener.getsockname()[1]), timeout=SHORT)
    assert (finding.outcome, finding.evidence) == (Outcome.TIMED_OUT, "no connection within 300 ms")
    assert finding.took >= timedelta(seconds=SHORT)


def test_the_probe_resets_its_connection_and_leaves_no_time_wait(serve: Serve, run_probe: RunProbe) -> None:
    ends: list[str] = []
    ended = threading.Event()

    def listen_for_the_end(connection: socket.socket) -> None:
        try:
            ends.append("closed" if connection.recv(1) == b"" else "data")
        except ConnectionResetError:
            ends.append("reset")
        ended.set()

    assert run_probe(TcpParams(serve(listen_for_the_end))).passed
    assert ended.wait(10)
    assert ends == ["reset"]


def test_the_source_address_is_the_one_asked_for(serve: Serve, run_probe: RunProbe) -> None:
    peers: list[str] = []
    seen = threading.Event()

    def remember(connection: socket.socket) -> None:
        peers.append(connection.getpeername()[0])
        seen.set()

    # The peer's name must be asked before the probe resets: hold it back with a server that is slow to be judged.
    port = serve(remember)
    with socket.socket() as control:
        control.bind(("127.0.0.5", 0))
        control.connect(("127.0.0.1", port))
        assert seen.wait(10)
    assert peers == ["127.0.0.5"]
    assert run_probe(TcpParams(port), source=IPv4Address("127.0.0.6")).passed


def test_a_source_address_that_is_not_ours_is_our_own_failure(serve: Serve, run_probe: RunProbe) -> None:
    finding = run_probe(TcpParams(serve(lambda _: None)), source=IPv4Address("192.0.2.99"))
    assert finding.outcome is Outcome.NOT_RUN
    assert "source address" in finding.evidence


def test_ipv6_is_probed_alike(run_probe: RunProbe) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        port = listener.getsockname()[1]
        source = IPv6Address("::1")
        assert run_probe(TcpParams(port), target=IPv6Address("::1"), source=source).passed
    assert run_probe(TcpParams(port), target=IPv6Address("::1")).outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [(b"pong 1", Outcome.PASSED), (b"\x00\xfe", Outcome.WRONG_ANSWER), (b"", Outcome.WRONG_ANSWER)],
)
def test_a_datagram_comes_back_and_is_judged(answer: bytes, outcome: Outcome, run_probe: RunProbe) -> None:
    with ExitStack() as stack:
        port = udp_server(stack, answer)
        assert run_probe(UdpParams(port, send=b"ping", expect=b"pong")).outcome is outcome


@pytest.mark.parametrize(("require_answer", "outcome"), [(True, Outcome.TIMED_OUT), (False, Outcome.PASSED)])
def test_a_silent_datagram_server_passes_only_if_no_answer_is_required(
    require_answer: bool, outcome: Outcome, run_probe: RunProbe
) -> None:
    with ExitStack() as stack:
        port = udp_server(stack, None)
        finding = run_probe(UdpParams(port, send=b"ping", require_answer=require_answer), timeout=SHORT)
    assert finding.outcome is outcome


def test_a_port_without_a_datagram_server_is_refused_even_if_no_answer_is_required(run_probe: RunProbe) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    finding = run_probe(UdpParams(port, send=b"ping", require_answer=False), timeout=2)
    assert finding.outcome is Outcome.REFUSED


def test_a_reset_at_accept_still_proves_the_port(serve: Serve, run_probe: RunProbe) -> None:
    def reset(connection: socket.socket) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    assert run_probe(TcpParams(serve(reset))).outcome in (Outcome.PASSED, Outcome.REFUSED)
