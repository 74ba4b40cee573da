"""A small network of namespaces for tests of the real daemon: a bridge, balancers, servers and a client on it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

PREFIX = "ykf-"
ROOT = Path(__file__).parents[2]


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def eventually(condition: Callable[[], bool], *, within: float = 30.0, what: str | Callable[[], str] = "") -> None:
    """Wait until it is so; the time is that of a machine that has other things to do."""
    until = time.monotonic() + within
    while not condition():
        if time.monotonic() > until:
            raise AssertionError(f"not within {within} s: {what() if callable(what) else what}")
        time.sleep(0.05)


class Network:
    """Namespaces on one bridge; `close` removes them and ends what was started in them."""

    def __init__(self) -> None:
        self._name = f"{PREFIX}{os.getpid()}"
        self._namespaces: list[str] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self._add("net")
        ip("-n", self.namespace("net"), "link", "add", "br0", "type", "bridge")
        ip("-n", self.namespace("net"), "link", "set", "br0", "up")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes:
            process.kill()
            process.wait()
        for namespace in reversed(self._namespaces):
            for pid in ip("netns", "pids", namespace).split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
            ip("netns", "del", namespace)

    def namespace(self, name: str) -> str:
        return f"{self._name}-{name}"

    def add(self, name: str, *addresses: str, gateway: str | None = None) -> None:
        """A machine on the bridge with these addresses on eth0."""
        self._add(name)
        inside, net = self.namespace(name), self.namespace("net")
        ip("-n", inside, "link", "add", "eth0", "type", "veth", "peer", "name", f"p-{name}", "netns", net)
        ip("-n", net, "link", "set", f"p-{name}", "master", "br0", "up")
        for address in addresses:
            ip("-n", inside, "address", "add", address, "dev", "eth0", *(["nodad"] if ":" in address else []))
        ip("-n", inside, "link", "set", "eth0", "up")
        if gateway is not None:
            ip("-n", inside, "route", "add", "default", "via", gateway)

    def run(self, name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self.namespace(name), *words],
            capture_output=True,
            text=True,
            check=check,
            timeout=60,
        )

    def start(self, name: str, *words: str, log: Path | None = None) -> subprocess.Popen[bytes]:
        out = subprocess.DEVNULL if log is None else log.open("ab")
        process = subprocess.Popen(["ip", "netns", "exec", self.namespace(name), *words], stdout=out, stderr=out)
        if log is not None:
            assert not isinstance(out, int)
            out.close()
        self.processes.append(process)
        return process

    def pids(self, name: str) -> list[int]:
        """The processes that run on a machine."""
        return [int(pid) for pid in ip("netns", "pids", self.namespace(name)).split()]

    def kill(self, pid: int, signal_: signal.Signals) -> None:
        os.kill(pid, signal_)

    def picture(self, name: str) -> str:
        """What a clean-up must leave as it was: addresses, rules, routes, tables, kernel parameters."""
        commands = (
            "ip -br address",
            "ip rule",
            "ip route show table all",
            "ip -6 rule",
            "nft list ruleset",
            "ip -br link",
        )
        shown = [self.run(name, *command.split()).stdout for command in commands]
        parameters = ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding", "net.ipv4.conf")
        shown.append(self.run(name, "sysctl", "-a", "-r", "|".join(parameters)).stdout)
        return "\n".join(shown)

    def _add(self, name: str) -> None:
        namespace = self.namespace(name)
        ip("netns", "add", namespace)
        self._namespaces.append(namespace)
        ip("-n", namespace, "link", "set", "lo", "up")


class DaemonOn:
    """`yaoki node` on one machine of a network, and the command line that talks to it."""

    def __init__(self, network: Network, node: str, site: Path, directory: Path) -> None:
        self._network = network
        self.node = node
        self.site = site
        self.run_dir = directory / f"{node}-run"
        self.state_dir = directory / f"{node}-state"
        self.log = directory / f"{node}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.options: tuple[str, ...] = ()

    def start(self, program: str | None = None) -> None:
        """Start it and wait until it answers. `program` is run instead of `yaoki node`, with the same in four words."""
        if program is None:
            words = ["-m", "yaoki.cli", "node", "--site", str(self.site), "--node", self.node]
            words += ["--run-dir", str(self.run_dir), "--state-dir", str(self.state_dir), *self.options]
        else:
            words = [program, str(self.site), self.node, str(self.run_dir), str(self.state_dir)]
        self.process = self._network.start(self.node, sys.executable, *words, log=self.log)
        eventually(lambda: self.ask("status", check=False).returncode in (0, 1), what=self.text)

    def ask(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "yaoki.cli", *words, "--run-dir", str(self.run_dir)]
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert not check or result.returncode == 0, f"{words}: {result.stdout}{result.stderr}\n{self.text()}"
        return result

    def reload(self) -> None:
        os.kill(self.part("yaoki.cli"), signal.SIGHUP)

    def terminate(self) -> None:
        """SIGTERM, and wait for the end."""
        os.kill(self.part("yaoki.cli"), signal.SIGTERM)
        assert self.process is not None
        assert self.process.wait(30) == 0, self.text()

    def kill(self) -> None:
        """SIGKILL to the node process alone."""
        os.kill(self.part("yaoki.cli"), signal.SIGKILL)
        assert self.process is not None
        self.process.wait(30)

    def part(self, module: str) -> int:
        """The process of this node that runs a module."""
        for pid in self._network.pids(self.node):
            with suppress(FileNotFoundError, ProcessLookupError):
                if module in Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0"):
                    return pid
        raise AssertionError(f"{module} does not run on {self.node}: {self.text()}")

    def text(self) -> str:
        """The log so far."""
        return self.log.read_text() if self.log.exists() else ""


@contextmanager
def network() -> Iterator[Network]:
    with Network() as built:
        yield built
