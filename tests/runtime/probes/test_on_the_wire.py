"""icmp and neighbour probes, and connection tracking, between two namespaces joined by a cable."""

import ctypes
import os
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeVar

import pytest

from tests.runtime.probes.conftest import probe_once
from yaoki.checks.check import (
    Finding,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    Outcome,
    RouteParams,
    TcpParams,
    UdpParams,
)
from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.linux import probe_rules
from yaoki.linux.route import Route, route_to

pytestmark = [pytest.mark.netns, pytest.mark.req("B-10")]

ResultT = TypeVar("ResultT")

US, THEM = f"ykc-us-{os.getpid()}", f"ykc-them-{os.getpid()}"
OURS, THEIRS = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.21")
OURS6, THEIRS6 = IPv6Address("2001:db8:1::11"), IPv6Address("2001:db8:1::21")
BEHIND = IPv4Address("198.51.100.1")
THEIR_MAC = "02:00:00:00:00:21"
SHORT = 0.5
FAREWELL = b"farewell"
TRACKING = """
table inet filter {
    chain input {
        type filter hook input priority 0; policy accept;
        ct state established counter
    }
    chain output {
        type filter hook output priority 0; policy accept;
        ct state established counter
    }
}
"""
CLONE_NEWNET = 0x40000000
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nalive\n"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def inside(namespace: str, work: Callable[[], ResultT]) -> ResultT:
    """Do something in a thread of its own that has entered a namespace."""
    outcome: Future[ResultT] = Future()

    def run() -> None:
        try:
            fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
            if ctypes.CDLL(None, use_errno=True).setns(fd, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.close(fd)
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return outcome.result(60)


def probe(params: KindParams, target: IPAddress, *, source: IPAddress | None = None, timeout: float = 5.0) -> Finding:
    return inside(US, lambda: probe_once(params, target=target, source=source, timeout=timeout, number=0x10007))


@pytest.fixture(scope="module", autouse=True)
def _cable() -> Iterator[None]:
    for namespace in (US, THEM):
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
    try:
        ip("-n", US, "link", "add", "eth0", "address", "02:00:00:00:00:11", "type", "veth",
           "peer", "name", "eth0", "address", THEIR_MAC, "netns", THEM)  # fmt: skip
        for namespace, address, address6 in ((US, OURS, OURS6), (THEM, THEIRS, THEIRS6)):
            ip("-n", namespace, "address", "add", f"{address}/24", "dev", "eth0")
            ip("-n", namespace, "address", "add", f"{address6}/64", "dev", "eth0", "nodad")
            ip("-n", namespace, "link", "set", "eth0", "up")
        ip("-n", US, "route", "add", f"{BEHIND}/32", "via", str(THEIRS))
        ip("netns", "exec", THEM, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        ip("-n", THEM, "route", "add", "unreachable", f"{BEHIND}/32")
        assert any(probe(IcmpParams(), THEIRS6, timeout=SHORT).passed for _ in range(40))  # the link has settled
        yield
    finally:
        for namespace in (US, THEM):
            ip("netns", "del", namespace)


@pytest.fixture
def servers() -> Iterator[tuple[int, int]]:
    """An HTTP and a UDP echo server on their side; gives the two ports."""

    def listen() -> tuple[socket.socket, socket.socket]:
        echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        echo.bind((str(THEIRS), 0))
        return socket.create_server((str(THEIRS), 0)), echo

    web, echo = inside(THEM, listen)

    def serve_web() -> None:
        with suppress(OSError):
            while True:
                connection, _ = web.accept()
                with connection, suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(RESPONSE)
                    connection.recv(1)

    def serve_echo() -> None:
        while True:
            data, client = echo.recvfrom(2048)
            echo.sendto(data, client)
            if data == FAREWELL:
                return

    for serve in (serve_web, serve_echo):
        threading.Thread(target=serve, daemon=True).start()
    yield web.getsockname()[1], echo.getsockname()[1]
    inside(THEM, lambda: _say_farewell(echo.getsockname()))
    echo.close()
    web.shutdown(socket.SHUT_RDWR)
    web.close()


def _say_farewell(address: tuple[str, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(FAREWELL, address)
        sock.recv(2048)


@pytest.mark.parametrize("target", [THEIRS, THEIRS6])
@pytest.mark.parametrize(
    ("params", "evidence"), [(IcmpParams(), "echo reply"), (NeighbourParams(), f"{THEIR_MAC} answers")]
)
def test_a_living_machine_answers(params: KindParams, evidence: str, target: IPAddress) -> None:
    finding = probe(params, target)
    assert (finding.outcome, finding.evidence) == (Outcome.PASSED, evidence)


@pytest.mark.parametrize("target", ["192.0.2.99", "2001:db8:1::99"])
@pytest.mark.parametrize(
    ("params", "evidence"),
    [(IcmpParams(), "no echo reply within 500 ms"), (NeighbourParams(), "within 500 ms")],
)
def test_a_machine_that_is_not_there_times_out(params: KindParams, evidence: str, target: str) -> None:
    finding = probe(params, ip_address(target), timeout=SHORT)
    assert finding.outcome is Outcome.TIMED_OUT
    assert finding.evidence.endswith(evidence)


@pytest.mark.parametrize(("source", "target"), [(OURS, THEIRS), (OURS6, THEIRS6)])
@pytest.mark.parametrize("params", [IcmpParams(), NeighbourParams()])
def test_the_source_can_be_chosen(params: KindParams, source: IPAddress, target: IPAddress) -> None:
    assert probe(params, target, source=source).passed


def test_without_a_way_the_target_is_unreachable() -> None:
    for params in (IcmpParams(), NeighbourParams(), TcpParams(80)):
        assert probe(params, IPv4Address("203.0.113.1")).outcome is Outcome.UNREACHABLE


def test_an_icmp_error_from_the_router_ends_the_probe_at_once() -> None:
    finding = probe(IcmpParams(), BEHIND, timeout=20)
    assert (finding.outcome, finding.evidence) == (Outcome.UNREACHABLE, "host unreachable, no echo reply")
    assert finding.took < timedelta(seconds=10)
    assert probe(UdpParams(53), BEHIND, timeout=20).outcome is Outcome.UNREACHABLE


def test_a_neighbour_behind_a_router_is_not_asked_for() -> None:
    finding = probe(NeighbourParams(), BEHIND)
    assert (finding.outcome, finding.evidence) == (Outcome.NOT_RUN, f"{BEHIND} is behind a router")


def test_the_neighbour_check_asks_the_machine_and_not_the_kernels_table() -> None:
    ip("-n", US, "neighbour", "replace", "192.0.2.77", "lladdr", "02:00:00:00:00:77", "dev", "eth0", "nud", "permanent")
    assert probe(NeighbourParams(), IPv4Address("192.0.2.77"), timeout=SHORT).outcome is Outcome.TIMED_OUT


def test_the_route_names_interface_source_and_whether_a_router_comes_next() -> None:
    assert inside(US, lambda: route_to(THEIRS)) == Route("eth0", 2, OURS)
    assert inside(US, lambda: route_to(THEIRS6)) == Route("eth0", 2, OURS6)
    assert inside(US, lambda: route_to(BEHIND)) == Route("eth0", 2, OURS, THEIRS)
    with pytest.raises(ActuatorError, match="Network is unreachable"):
        inside(US, lambda: route_to(IPv4Address("203.0.113.1")))


@pytest.mark.req("B-24")
def test_a_tracked_route_is_there_as_long_as_the_kernel_would_take_it() -> None:
    far, far_6 = IPv4Address("203.0.113.1"), IPv6Address("2001:db8:9::1")
    for target, length, gateway, words in ((far, 24, THEIRS, ()), (far_6, 48, THEIRS6, ("-6",))):
        prefix = f"{ip_network((target, length), strict=False)}"
        assert probe(RouteParams(length), target).evidence == "no route"
        ip(*words, "-n", US, "route", "add", "default", "via", str(gateway))
        assert probe(RouteParams(length), target).evidence == "no route of its own, only a /0 by eth0"
        assert probe(RouteParams(0), target).passed
        ip(*words, "-n", US, "route", "add", prefix, "via", str(gateway))
        assert probe(RouteParams(length), target).evidence == f"a /{length} route by eth0"
        ip(*words, "-n", US, "route", "replace", "blackhole", prefix, *(("metric", "1") if words else ()))
        assert not probe(RouteParams(length), target).passed
        ip(*words, "-n", US, "route", "del", "blackhole", prefix)
        ip(*words, "-n", US, "route", "del", "default")


@pytest.mark.req("B-24")
@pytest.mark.parametrize("target", [IPv4Address("0.0.0.1"), IPv6Address("2000::1")], ids=["IPv4", "IPv6"])
def test_the_default_route_is_found_by_the_first_host_of_everything(target: IPAddress) -> None:
    gateway = THEIRS if target.version == 4 else THEIRS6
    assert not probe(RouteParams(0), target).passed
    ip("-n", US, "route", "add", "default", "via", str(gateway))
    assert probe(RouteParams(0), target).evidence == "a /0 route by eth0"
    ip("-n", US, f"-{target.version}", "route", "del", "default")


def flows() -> int:
    """How many flows connection tracking knows on our side."""
    command = ["ip", "netns", "exec", US, "cat", "/proc/sys/net/netfilter/nf_conntrack_count"]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def all_kinds(web: int, echo: int) -> list[Finding]:
    return [
        probe(TcpParams(web), THEIRS),
        probe(HttpParams(web, body="alive"), THEIRS),
        probe(UdpParams(echo, send=b"ping", expect=b"ping"), THEIRS),
        probe(IcmpParams(), THEIRS),
        probe(IcmpParams(), THEIRS6),
    ]


def test_probes_leave_no_trace_in_connection_tracking(servers: tuple[int, int]) -> None:
    # A rule that looks at the state switches tracking on in this namespace.
    nft = ["ip", "netns", "exec", US, "nft", "-f", "-"]
    subprocess.run(nft, input=TRACKING, text=True, check=True)
    before = flows()
    assert all(finding.passed for finding in all_kinds(*servers))
    tracked = flows()
    assert tracked >= before + 4  # so the count does see probes

    inside(US, probe_rules.ensure)
    subprocess.run(["ip", "netns", "exec", US, "conntrack", "-F"], check=True, capture_output=True)
    before = flows()
    for _ in range(3):
        assert all(finding.passed for finding in all_kinds(*servers))
    assert flows() <= before

    made = ruleset(US)
    assert str(OURS) in made  # the rules know where probes come from
    inside(US, probe_rules.ensure)
    assert handles(ruleset(US)) == handles(made)


def ruleset(namespace: str) -> str:
    command = ["ip", "netns", "exec", namespace, "nft", "-a", "list", "ruleset"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def handles(listing: str) -> list[str]:
    return re.findall(r"# handle \d+", listing)


def test_the_rules_are_made_once_mended_when_bent_and_removed_without_a_trace() -> None:
    empty = ruleset(THEM)
    inside(THEM, probe_rules.ensure)
    made = ruleset(THEM)
    assert "socket mark 0x59410001 notrack" in made
    inside(THEM, probe_rules.ensure)
    assert ruleset(THEM) == made  # the very same handles: nothing was touched
    inside(THEM, lambda: subprocess.run(["nft", "flush", "table", "inet", probe_rules.TABLE], check=True))
    inside(THEM, probe_rules.ensure)
    assert "socket mark 0x59410001 notrack" in ruleset(THEM)
    inside(THEM, probe_rules.remove)
    inside(THEM, probe_rules.remove)
    assert ruleset(THEM) == empty
