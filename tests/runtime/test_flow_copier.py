"""A real flow copier that a forger on the link cannot tell anything, and one without keys that it can."""

import contextlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from ipaddress import IPv4Address, ip_address
from pathlib import Path

import pytest

from tests.linux.flow_table_agent import Read, Told
from tests.runtime.forger import FORGER, packet
from tests.runtime.signing_keys import FIRST, put
from tests.runtime.speakers import PATIENCE_S, ROOT, Segment, eventually
from yaoki.core.codec import Codec
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.lb import flow_datagram
from yaoki.lb.flow import CopiedService, Flow, Stage
from yaoki.lb.flow_datagram import PORT, DatagramFlaw, FlowDatagram, encode
from yaoki.lb.flow_events import FlowDatagramRefused
from yaoki.lb.flow_signature import FLOW_SIGNATURE
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.node.events import EVENT_KINDS
from yaoki.node.flow_messages import ConfigureFlows, CopierReport
from yaoki.node.messages import Published
from yaoki.packet.authentication import Key, clock_sequence
from yaoki.packet.authentication_params import AuthenticationParams
from yaoki.runtime.flow_copier import SOCKET_NAME
from yaoki.runtime.signing import wall_ns
from yaoki.vrrp.peer_params import PeerParams, PeerPath

pytestmark = pytest.mark.netns

OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
WEB = ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80)
SERVER = ip_address("192.0.2.21"), 8080
KEY = Key(FIRST.id, bytes(range(32)))
MINUTE_NS = 60_000_000_000


class RunningCopier:
    """The process, and the link to it."""

    def __init__(self, namespace: str, run_dir: Path) -> None:
        self._codec = Codec(EVENT_KINDS)
        self._joiner = Joiner()
        self.refused: set[DatagramFlaw] = set()
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", "yaoki.runtime.flow_copier",
             "--node", "lb1", "--run-dir", str(run_dir)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        eventually(partial(self._connects, run_dir / SOCKET_NAME), "the copier listens")

    def _connects(self, path: Path) -> bool:
        with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
            self._socket.connect(str(path))
            return True
        return False

    def tell(self, order: ConfigureFlows) -> None:
        for part in split(self._codec.encode(order)):
            self._socket.send(part)

    def has_refused(self, *flaws: DatagramFlaw) -> bool:
        while select.select([self._socket], [], [], 0)[0]:
            message = self._joiner.join(self._socket.recv(MAX_DATAGRAM))
            report: CopierReport | None = None if message is None else self._codec.decode(message, CopierReport)
            if isinstance(report, Published) and isinstance(report.event.body, FlowDatagramRefused):
                self.refused.add(report.event.body.flaw)
        return set(flaws) <= self.refused

    def close(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(PATIENCE_S)


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        segment.add("a", 11)
        segment.add("c", 13)
        yield segment


def table(segment: Segment) -> set[int]:
    """The ports of the clients whose flows the kernel of `a` has."""
    command = ["ip", "netns", "exec", segment.namespace("a"), sys.executable, "-m", "tests.linux.flow_table_agent"]
    codec = Codec()
    line = codec.encode(Read((WEB,))) + b"\n"
    done = subprocess.run(command, input=line, capture_output=True, check=True, timeout=60)
    told: Told = codec.decode(done.stdout.strip(), Told)
    return {flow.client_port for flow in told.flows}


def told(port: int, boot: int) -> bytes:
    """What a copier in some life of its own says of a flow from a client's port."""
    flow = Flow(WEB, ip_address("198.51.100.9"), port, *SERVER, Stage.ESTABLISHED, 1000)
    return encode(FlowDatagram(boot, 1, flow_datagram.Told((flow,))))


def signed(datagram: bytes, key: Key, *, ago_ns: int = 0) -> bytes:
    return FLOW_SIGNATURE.signed(datagram, PEER, OWN, key, clock_sequence(wall_ns() - ago_ns))


@pytest.mark.req("B-14")
def test_a_forger_on_the_link_puts_no_flow_into_the_kernel_where_there_is_a_key_and_does_where_there_is_none(
    segment: Segment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YAOKI_SECRETS", str(tmp_path))
    put(tmp_path, "first", "hex:" + KEY.octets.hex())
    path = PeerPath("eth0", OWN, PEER)
    peer = PeerParams("lb2", ("web-vip",), (path,), authentication=AuthenticationParams((FIRST,)))
    wish = ConfigureFlows((peer,), (CopiedService(WEB, (SERVER,)),))
    copier = RunningCopier(segment.namespace("a"), tmp_path)

    def send(*payloads: bytes) -> None:
        packets = [packet(payload, PORT, PEER, OWN) for payload in payloads]
        segment.run("c", sys.executable, "-c", FORGER, *packets).wait(PATIENCE_S)

    try:
        copier.tell(wish)
        forged = told(1001, 1)
        # It has just started, and has heard nobody: the last of these was true a minute ago.
        wrong = signed(told(1002, 2), Key(FIRST.id, bytes(32))), signed(told(1003, 3), KEY, ago_ns=MINUTE_NS)
        three = DatagramFlaw.UNSIGNED, DatagramFlaw.WRONG_HMAC, DatagramFlaw.STALE

        def all_refused() -> bool:
            send(forged, *wrong)
            return copier.has_refused(*three)

        eventually(all_refused, "each reason is told")
        assert table(segment) == set()
        send(signed(told(1004, 4), KEY))
        eventually(partial(copier.has_refused, DatagramFlaw.REPLAYED), "the second of it is refused")
        assert table(segment) == {1004}
        copier.tell(replace(wish, peers=(replace(peer, authentication=None),)))

        def taken() -> bool:
            send(forged)
            return table(segment) == {1001, 1004}

        eventually(taken, "without a key it is taken")
    finally:
        copier.close()
