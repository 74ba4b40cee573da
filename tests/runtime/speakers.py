"""Real speakers in namespaces on one bridge, each told what to do by the test in place of a node process."""

import contextlib
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Self

from yaoki.core.address import Family
from yaoki.core.codec import Codec
from yaoki.core.event import Event, EventBody
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.node.events import EVENT_KINDS
from yaoki.node.messages import (
    ConfigureRouters,
    PeerStatus,
    Published,
    ReleaseRouters,
    RouterState,
    RouterStatus,
    SpeakerOrder,
    SpeakerReport,
)
from yaoki.vrrp.params import ChecksumForm, RouterKey, RouterParams

ROOT = Path(__file__).parents[2]
PREFIX = "ykb-"
VIP, VIP_6 = "192.0.2.50/24", "2001:db8:1::50/64"
MAC = "02:00:00:00:00:{:02x}"
PATIENCE_S = 20.0
SPEAKER = "yaoki.runtime.speaker"


def ip(*words: str, check: bool = True) -> str:
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True, timeout=30).stdout


def params(
    priority: int,
    *,
    family: Family = Family.IPV4,
    interval: timedelta = timedelta(milliseconds=100),
    version: int = 3,
    checksum: ChecksumForm = ChecksumForm.AS_HEARD,
    vips: tuple[str, ...] | None = None,
    source: str | None = None,
    peers: tuple[str, ...] | None = None,
) -> RouterParams:
    addresses = vips or ((VIP,) if family is Family.IPV4 else (VIP_6,))
    return RouterParams(
        "web-vip",
        RouterKey("eth0", family, 51),
        priority,
        interval,
        tuple(ip_interface(address) for address in addresses),
        version=version,
        checksum=checksum,
        source=None if source is None else ip_address(source),
        peers=None if peers is None else tuple(ip_address(peer) for peer in peers),
    )


class Segment:
    """A bridge in a namespace, and machines on it."""

    def __init__(self) -> None:
        self._name = f"{PREFIX}{os.getpid()}"
        self.machines: list[str] = []
        self.speakers: list[RunningSpeaker] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self._namespace("net")
        ip("-n", self.namespace("net"), "link", "add", "br0", "type", "bridge", "mcast_snooping", "0")
        ip("-n", self.namespace("net"), "link", "set", "br0", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for speaker in self.speakers:
            speaker.close()
        for process in self.processes:
            process.kill()
            process.wait()
        for name in reversed(self.machines):
            ip("netns", "del", self.namespace(name), check=False)

    def namespace(self, name: str) -> str:
        return f"{self._name}-{name}"

    def add(self, name: str, number: int) -> None:
        """A machine with 192.0.2.number and fe80::number on its eth0."""
        self._namespace(name)
        self.plug(name, number)

    def plug(self, name: str, number: int, *, interface: str = "eth0", prefix: str = "192.0.2") -> None:
        """Give a machine its eth0, or another one in a network of its own on the same bridge."""
        inside, net = self.namespace(name), self.namespace("net")
        port = name if interface == "eth0" else f"{name}-{interface}"
        mac = MAC.format(number) if interface == "eth0" else MAC.format(number + 0x80)
        ip("-n", inside, "link", "add", interface, "address", mac, "type", "veth",
           "peer", "name", port, "netns", net)  # fmt: skip
        self.sysctl(name, f"net.ipv6.conf.{interface}.addr_gen_mode", "1")
        if interface != "eth0":
            # As if the networks were apart: each interface answers for its own addresses only.
            self.sysctl(name, "net.ipv4.conf.all.arp_ignore", "1")
        ip("-n", inside, "address", "add", f"{prefix}.{number}/24", "dev", interface)
        ip("-n", inside, "link", "set", interface, "up")
        ip("-n", inside, "address", "add", f"fe80::{number}/64", "dev", interface, "nodad")
        network = 1 if interface == "eth0" else 2
        ip("-n", inside, "address", "add", f"2001:db8:{network}::{number}/64", "dev", interface, "nodad")
        ip("-n", net, "link", "set", "dev", port, "master", "br0", "up")

    def speaker(self, name: str, run_dir: Path, *through: str, program: str = SPEAKER) -> "RunningSpeaker":
        """A speaker on a machine, started through another command if one is given."""
        speaker = RunningSpeaker(self.namespace(name), name, run_dir, *through, program=program)
        self.speakers.append(speaker)
        return speaker

    def successor(self, older: "RunningSpeaker", name: str, run_dir: Path) -> "RunningSpeaker":
        """A speaker that takes the place of another one on its machine; when it has."""
        speaker = RunningSpeaker(self.namespace(name), name, run_dir, older=older)
        self.speakers.append(speaker)
        return speaker

    def run(self, name: str, *command: str) -> subprocess.Popen[bytes]:
        """A program in a machine's namespace, ended with the segment."""
        process = subprocess.Popen(["ip", "netns", "exec", self.namespace(name), *command])
        self.processes.append(process)
        return process

    def pings(self, name: str, vip: str, directory: Path, *, every_ms: int = 2) -> "Pings":
        """Packets to a VIP from a machine, begun now and ended with the segment at the latest."""
        log = directory / f"pings{ip_interface(vip).version}"
        pings = Pings(self.namespace(name), vip.partition("/")[0], log, every_ms)
        self.processes.append(pings.process)
        return pings

    def sysctl(self, name: str, key: str, value: str) -> None:
        words = ["ip", "netns", "exec", self.namespace(name), "sysctl", "-qw", f"{key}={value}"]
        subprocess.run(words, check=True, timeout=30)

    def nft(self, name: str, rules: str) -> None:
        """Give a machine's kernel these rules."""
        words = ["ip", "netns", "exec", self.namespace(name), "nft", "-f", "-"]
        subprocess.run(words, input=rules, text=True, check=True, timeout=30)

    def cut(self, name: str) -> None:
        ip("-n", self.namespace("net"), "link", "set", "dev", name, "down")

    def mend(self, name: str) -> None:
        ip("-n", self.namespace("net"), "link", "set", "dev", name, "up")

    def addresses(self, name: str) -> set[str]:
        """Addresses on a machine's eth0, with their lengths."""
        (link,) = json.loads(ip("-n", self.namespace(name), "-j", "address", "show", "dev", "eth0"))
        return {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]}

    def holders(self, vip: str) -> list[str]:
        """Machines with the address, on eth0 or at a virtual MAC beside it."""
        return [name for name in self.machines if name != "net" and vip in self._everywhere(name)]

    def _everywhere(self, name: str) -> set[str]:
        links = json.loads(ip("-n", self.namespace(name), "-j", "address", "show"))
        # What holds nothing is shown as nothing.
        return {f"{a['local']}/{a['prefixlen']}" for link in links for a in link.get("addr_info", ()) if "local" in a}

    def _namespace(self, name: str) -> None:
        ip("netns", "add", self.namespace(name))
        self.machines.append(name)
        ip("-n", self.namespace(name), "link", "set", "lo", "up")


class Pings:
    """Packets to an address at a steady pace, counted by their numbers."""

    def __init__(self, namespace: str, address: str, log: Path, every_ms: int) -> None:
        self._log = log
        command = ["ip", "netns", "exec", namespace, "ping", "-n", "-i", f"{every_ms / 1000}", address]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdout=out)
        eventually(lambda: len(self._numbers()) > 10, "packets come back")

    def lost(self) -> int:
        """End it when everything is answered again; how many were not."""
        seen = max(self._numbers())
        eventually(lambda: max(self._numbers()) > seen + 100, "packets come back")
        self.process.send_signal(signal.SIGINT)
        self.process.wait(PATIENCE_S)
        numbers = self._numbers()
        return max(numbers) - min(numbers) + 1 - len(numbers)

    def _numbers(self) -> set[int]:
        return {int(number) for number in re.findall(r"icmp_seq=(\d+) ", self._log.read_text())}


class RunningSpeaker:
    """A speaker process and the link to it."""

    def __init__(
        self,
        namespace: str,
        node: str,
        run_dir: Path,
        *through: str,
        program: str = SPEAKER,
        older: "RunningSpeaker | None" = None,
    ) -> None:
        self._codec = Codec(EVENT_KINDS)
        self._path = run_dir / "speaker.sock"
        self._socket: socket.socket | None = None
        self.statuses: list[RouterStatus] = []
        self.peers: dict[str, PeerStatus] = {}
        self.events: list[EventBody] = []
        self.published: list[Event] = []
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *through, sys.executable, "-m", program,
             "--node", node, "--run-dir", str(run_dir), *(["--succeed"] if older else [])],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        if older is not None:
            assert older.process.wait(PATIENCE_S) == 0
        self.connect()

    def connect(self) -> None:
        """Be its node process from now on."""
        self.disconnect()
        until = time.monotonic() + PATIENCE_S
        while True:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
                self._socket.connect(str(self._path))
                break
            self._socket.close()
            assert time.monotonic() < until, "the speaker does not listen"
            assert self.process.poll() is None, f"the speaker ended with {self.process.returncode}"
            time.sleep(0.02)
        self._joiner = Joiner()

    def displaced_by_another(self) -> bool:
        """Connect anew without closing the connection there is; whether that is closed by the speaker."""
        older, self._socket = self._socket, None
        assert older is not None
        self.connect()
        older.settimeout(PATIENCE_S)
        with older, contextlib.suppress(ConnectionResetError):
            while older.recv(MAX_DATAGRAM):
                pass
        return True

    def disconnect(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def tell(self, order: SpeakerOrder) -> None:
        self.send(self._codec.encode(order))

    def send(self, message: bytes) -> None:
        assert self._socket is not None
        for datagram in split(message):
            self._socket.send(datagram)

    def configure(self, *routers: RouterParams) -> None:
        self.tell(ConfigureRouters(routers))

    def listen(self, within: float = 0.0) -> None:
        """Take in the reports that come within this time."""
        until = time.monotonic() + within
        while self._socket is not None:
            readable, _, _ = select.select([self._socket], [], [], max(0.0, until - time.monotonic()))
            if not readable:
                return
            try:
                datagram = self._socket.recv(MAX_DATAGRAM)
            except ConnectionResetError:
                datagram = b""
            if not datagram:
                self.disconnect()
                return
            message = self._joiner.join(datagram)
            if message is None:
                continue
            report: SpeakerReport = self._codec.decode(message, SpeakerReport)
            if isinstance(report, Published):
                self.events.append(report.event.body)
                self.published.append(report.event)
            elif isinstance(report, RouterStatus):
                self.statuses.append(report)
            else:
                self.peers[report.node] = report

    def state(self, family: Family = Family.IPV4) -> RouterState | None:
        """The state reported last."""
        self.listen()
        last = [status.state for status in self.statuses if status.router.family is family]
        return last[-1] if last else None

    def hears(self, priority: int, *families: Family) -> bool:
        """Whether a peer of this priority was reported, in one of these families if any are named."""
        self.listen()
        statuses = [status for status in self.statuses if not families or status.router.family in families]
        return any(status.peer_priority == priority for status in statuses)

    def told(self, kind: type[EventBody]) -> list[EventBody]:
        self.listen()
        return [body for body in self.events if isinstance(body, kind)]

    def release(self) -> int:
        """Have it release and end; its exit status."""
        self.tell(ReleaseRouters())
        return self.process.wait(PATIENCE_S)

    def close(self) -> None:
        """Have it release nothing: that would wait for a peer, and all goes with the namespace."""
        self.disconnect()
        self.process.kill()
        self.process.wait()


def eventually(condition: Callable[[], bool], what: str, *, within: float = PATIENCE_S) -> None:
    until = time.monotonic() + within
    while not condition():
        assert time.monotonic() < until, f"not within {within} s: {what}"
        time.sleep(0.02)


def never(condition: Callable[[], bool], what: str, *, within: float) -> None:
    """As long as this, `condition` does not come true."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        assert not condition(), what
        time.sleep(0.02)
