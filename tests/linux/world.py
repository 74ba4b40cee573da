"""A network of namespaces to try the balancer plane in: client behind a router, balancer, three servers, one bridge.

    client 198.51.100.9 -- router .1 | 192.0.2.1 -- bridge -- balancer .11 (VIP .50), servers .21 .22 .23, near .9

The programs that run in the namespaces are `agent.py`'s; they speak JSON lines.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from yaoki.core.codec import Codec
from yaoki.lb.service import Desired, VirtualService

CODEC = Codec()
AGENT = Path(__file__).with_name("agent.py")
XDP_PROGRAM = Path(__file__).with_name("xdp_program.py")
# Each worker of a parallel run has namespaces of its own.
PREFIX = f"ykd{os.environ.get('PYTEST_XDIST_WORKER', '')}-"
VIP4, VIP6 = "192.0.2.50", "2001:db8:1::50"
SERVERS = ("s1", "s2", "s3")


def run(*words: str, text: str | None = None, check: bool = True) -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, timeout=60, check=False)
    assert not check or done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


@contextmanager
def listening(name: str, address: str, port: int) -> Iterator[None]:
    """A server of TCP in a namespace, on this address only."""
    listen = f"import socket, time; s = socket.create_server(('{address}', {port})); print(flush=True); time.sleep(60)"
    words = ["ip", "netns", "exec", PREFIX + name, "python3", "-c", listen]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as listener:
        try:
            assert listener.stdout is not None
            listener.stdout.readline()
            yield
        finally:
            listener.kill()


class Agent:
    """A program in a namespace; `ask` sends one request and waits for its answer."""

    def __init__(self, namespace: str) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, str(AGENT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, do: str, **arguments: object) -> Any:  # noqa: ANN401 - whatever the agent answers
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        line = self._process.stdout.readline()
        assert line, f"the agent died of {do}"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["result"]

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()


class World:
    """The namespaces, and an agent in each."""

    def __init__(self) -> None:
        self.agents: dict[str, Agent] = {}
        self._xdp_sends = False

    def balance(self, *services: VirtualService, remove: bool = True) -> dict[str, Any]:
        """Bring the balancer's plane to these services, and with `remove` remove the flows that it lets go of."""
        desired = CODEC.encode(Desired(services)).decode()
        result: dict[str, Any] = self.agents["lb"].ask("balance", desired=desired, remove=remove)
        return result

    def take_out(self, *services: VirtualService) -> None:
        """Begin to bring the plane to these services: whoever takes less by them gets nothing more."""
        self.agents["lb"].ask("take_out", desired=CODEC.encode(Desired(services)).decode())

    def overtaken(self, first: Sequence[VirtualService], later: Sequence[VirtualService], **when: object) -> None:
        """Bring the plane to the first; meanwhile, whoever takes less by the later wish gets nothing more."""
        wishes = [CODEC.encode(Desired(tuple(services))).decode() for services in (first, later)]
        self.agents["lb"].ask("overtaken", desired=wishes[0], later=wishes[1], **when)

    def names(self, family: int, protocol: str, *, times: int, by: str = "client", **more: object) -> list[str]:
        """Which server answered each of some new flows to port 80, or how the flow failed."""
        vip = VIP4 if family == 4 else VIP6
        answers = self.agents[by].ask(f"ask_{protocol}", address=vip, port=80, times=times, **more)
        return [answer if answer.startswith("[Errno") else answer.split()[0] for answer in map(str, answers)]

    def ruleset(self) -> str:
        """The balancer's whole ruleset as nft prints it."""
        return self.inside("lb", "nft", "list", "ruleset")

    def build(self) -> None:
        for name in ("sw", "router", "client", "near", "lb", *SERVERS):
            run("ip", "netns", "add", PREFIX + name)
            self.ip(name, "link set lo up")
            for family in ("ipv4", "ipv6"):
                self.sysctl(name, f"net/{family}/conf/all/forwarding", "1" if name == "router" else "0")
            # Each refusal is an ICMP error, and these tests want more of them in a second than a kernel likes to send.
            self.sysctl(name, "net/ipv4/icmp_ratelimit", "0")
            self.sysctl(name, "net/ipv4/icmp_msgs_per_sec", "100000")
            self.sysctl(name, "net/ipv6/icmp/ratelimit", "0")
            for conf in ("all", "default"):
                self.sysctl(name, f"net/ipv6/conf/{conf}/accept_dad", "0")
                self.sysctl(name, f"net/ipv4/conf/{conf}/rp_filter", "0")
        self.ip("sw", "link add br0 type bridge mcast_snooping 0")
        self.ip("sw", "link set br0 up")
        for number, name in ((1, "router"), (9, "near"), (11, "lb"), (21, "s1"), (22, "s2"), (23, "s3")):
            self._plug(name, number)
        self._client()
        for name in ("near", "lb", *SERVERS):
            self.ip(name, "route add default via 192.0.2.1")
            self.ip(name, "-6 route add default via 2001:db8:1::1")
        self.own_vip("lb")
        for name in ("client", "near", "lb", *SERVERS):
            self.agents[name] = Agent(PREFIX + name)

    def _plug(self, name: str, number: int) -> None:
        self.ip("sw", f"link add p-{name} type veth peer name eth0 netns {PREFIX}{name}")
        self.ip(name, f"link set eth0 address 02:00:00:00:00:{number:02d}")
        self.ip("sw", f"link set p-{name} master br0 up")
        self.ip(name, f"addr add 192.0.2.{number}/24 dev eth0")
        self.ip(name, f"addr add 2001:db8:1::{number}/64 dev eth0 nodad")
        self.ip(name, "link set eth0 up")

    def _client(self) -> None:
        self.ip("router", f"link add eth1 type veth peer name eth0 netns {PREFIX}client")
        for name, interface, number in (("router", "eth1", 1), ("client", "eth0", 9)):
            self.ip(name, f"addr add 198.51.100.{number}/24 dev {interface}")
            self.ip(name, f"addr add 2001:db8:2::{number}/64 dev {interface} nodad")
            self.ip(name, f"link set {interface} up")
        # Ports below are the tests' own: one that the kernel had chosen a moment ago could not be had.
        self.sysctl("client", "net/ipv4/ip_local_port_range", "44000 60999")
        self.ip("client", "route add default via 198.51.100.1")
        self.ip("client", "-6 route add default via 2001:db8:2::1")

    def ip(self, name: str, command: str, *, check: bool = True) -> str:
        return run("ip", "-n", PREFIX + name, *command.split(), check=check)

    def inside(self, name: str, *words: str, text: str | None = None, check: bool = True) -> str:
        return run("ip", "netns", "exec", PREFIX + name, *words, text=text, check=check)

    def sysctl(self, name: str, parameter: str, value: str) -> None:
        self.inside(name, "sh", "-c", f"echo {value} > /proc/sys/{parameter}")

    def clean_up(self) -> None:
        """Take the balancer's plane away, when clients' connections have said their last words: they would take turns
        of the next test's servers."""
        for name in ("client", "near"):
            self.agents[name].ask("let_close", seconds=5.0)
        self.agents["lb"].ask("cleanup")

    def own_vip(self, name: str, *, family: int = 0) -> None:
        if family != 6:
            self.ip(name, f"addr add {VIP4}/24 dev eth0")
        if family != 4:
            self.ip(name, f"addr add {VIP6}/64 dev eth0 nodad")

    def gateway_is_vip(self) -> None:
        """As `nat` wants it: what servers answer leaves through the balancer."""
        for name in SERVERS:
            self.ip(name, f"route replace default via {VIP4}")
            self.ip(name, f"-6 route replace default via {VIP6}")

    def servers_hold_vip(self) -> None:
        """As `direct` wants it: the VIP on the loopback, and never a word about it to the neighbours."""
        for name in SERVERS:
            self.sysctl(name, "net/ipv4/conf/all/arp_ignore", "1")
            self.sysctl(name, "net/ipv4/conf/all/arp_announce", "2")
            self.ip(name, f"addr add {VIP4}/32 dev lo")
            self.ip(name, f"addr add {VIP6}/128 dev lo nodad")

    def xdp_sends(self) -> None:
        """Make the balancer's port of the switch one to which XDP at the balancer's end can send: there is a program at
        that end, too, and checksums are complete when frames arrive."""
        if not self._xdp_sends:
            self._xdp_sends = True
            self.inside("sw", "ethtool", "-K", "p-lb", "tx", "off")
            self.xdp_program("sw", "p-lb")

    def xdp_program(self, name: str, interface: str, *, off: bool = False) -> None:
        """Somebody else's program, in the driver of an interface."""
        self.inside(name, sys.executable, str(XDP_PROGRAM), interface, *(["off"] if off else []))

    def destroy(self) -> None:
        for agent in self.agents.values():
            agent.close()
        for name in ("client", "router", "near", "lb", *SERVERS, "sw"):
            run("ip", "netns", "del", PREFIX + name, check=False)


@contextmanager
def world() -> Iterator[World]:
    """A world for the length of a `with`; what an earlier run left behind is removed first."""
    built = World()
    built.destroy()
    try:
        built.build()
        yield built
    finally:
        built.destroy()
