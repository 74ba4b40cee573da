"""What signing costs a flow copier: CPU for one datagram, of one flow and of as many as fit, beside the rest of its
work on it. Sockets and the kernel's table are not in it."""

import hmac
import tempfile
import time
from collections.abc import Callable
from ipaddress import IPv4Address, ip_address
from pathlib import Path

from bench.row import Row, median_of
from yaoki.core.instant import Instant
from yaoki.core.secret import SecretRef
from yaoki.lb.flow import CopiedService, Flow, Stage
from yaoki.lb.flow_datagram import MAX_OCTETS, FlowDatagram, Told, encode, portions
from yaoki.lb.flow_signature import FLOW_SIGNATURE
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.flow_copier import FlowCopier
from yaoki.node.flow_messages import ConfigureFlows, DatagramArrived, FlowsSeen
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef
from yaoki.runtime.peer_authentication import PeerAuthentication
from yaoki.vrrp.peer_params import PeerParams, PeerPath

OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
WEB = ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80)
SERVER = ip_address("10.0.0.21"), 8080
APART_US = 3_000
"""So far apart are datagrams that no limit on a second is met."""
KEY = bytes(range(32))
MICROSECONDS = 1e6


def rows(quick: bool) -> list[Row]:
    """Microseconds of CPU, medians."""
    runs, turns = (5, 500) if quick else (21, 2000)
    found = []
    for count in (1, len(next(portions(_flows(MAX_OCTETS))).flows)):
        flows = _flows(count)
        payloads = [encode(FlowDatagram(1, number, Told(flows))) for number in range(1, turns + 1)]
        costs = {
            "tell": lambda flows=flows: _telling(flows, turns),
            "HMAC of": lambda payloads=payloads: _hmac(payloads),
            "sign": lambda payloads=payloads: _signing(payloads),
            "judge": lambda payloads=payloads: _judging(payloads),
            "refuse a forgery": lambda payloads=payloads: _judging(payloads, forged=True),
            "take": lambda payloads=payloads: _taking(payloads),
        }
        of = "1 flow" if count == 1 else f"{count} flows"
        found += [Row(f"{what} a datagram of {of}", median_of(runs, cost), "us") for what, cost in costs.items()]
    return found


def _flows(count: int) -> tuple[Flow, ...]:
    client = ip_address("198.51.100.9")
    return tuple(Flow(WEB, client, 1024 + n, *SERVER, Stage.ESTABLISHED, 1000) for n in range(count))


def _telling(flows: tuple[Flow, ...], turns: int) -> float:
    machine = _machine()
    seen = FlowsSeen(flows)
    return _each(turns, lambda number: machine.handle(_at(number), seen))


def _taking(payloads: list[bytes]) -> float:
    machine = _machine()
    arrived = [DatagramArrived("eth0", PEER, 255, payload) for payload in payloads]
    return _each(len(arrived), lambda number: machine.handle(_at(number), arrived[number]))


def _hmac(payloads: list[bytes]) -> float:
    return _each(len(payloads), lambda number: hmac.digest(KEY, payloads[number], "sha256"))


def _signing(payloads: list[bytes]) -> float:
    ours, place = _keys(OWN, PEER), ("eth0", OWN, PEER)
    return _each(len(payloads), lambda number: ours.sign(place, payloads[number]))


def _judging(payloads: list[bytes], *, forged: bool = False) -> float:
    ours, theirs = _keys(OWN, PEER), _keys(PEER, OWN)
    datagrams = []
    for payload in payloads:
        signed = theirs.sign(("eth0", PEER, OWN), payload)
        assert signed is not None
        datagrams.append(Datagram(PEER, OWN, 255, signed[:-1] + bytes((signed[-1] ^ 1,)) if forged else signed, 0))
    return _each(len(datagrams), lambda number: ours.judge("eth0", datagrams[number]))


def _each(turns: int, once: Callable[[int], object]) -> float:
    began = time.process_time()
    for number in range(turns):
        once(number)
    return (time.process_time() - began) / turns * MICROSECONDS


def _at(number: int) -> Instant:
    return Instant(number * APART_US)


def _machine() -> FlowCopier:
    machine = FlowCopier("a", 1, 432_000)
    peer = PeerParams("b", ("web-vip",), (PeerPath("eth0", OWN, PEER),))
    machine.handle(_at(0), ConfigureFlows((peer,), (CopiedService(WEB, (SERVER,)),)))
    return machine


def _keys(own: IPv4Address, peer: IPv4Address) -> PeerAuthentication:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "key"
        file.write_text("hex:" + KEY.hex())
        file.chmod(0o600)
        found = PeerAuthentication(FLOW_SIGNATURE, _missing)
        params = AuthenticationParams((KeyRef(1, SecretRef(str(file))),))
        found.configure([PeerParams("b", ("web-vip",), (PeerPath("eth0", own, peer),), authentication=params)])
    return found


def _missing(peer: str, why: str) -> None:
    raise AssertionError(f"no key for {peer}: {why}")
