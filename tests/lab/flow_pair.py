"""Two balancers of a lab, connections through them that last, and clients that come back."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from yaoki.core.error import ActuatorError
from yaoki.lab import namespaces
from yaoki.lab.fault import Fault
from yaoki.lab.injector import Injector
from yaoki.lab.lab import Lab
from yaoki.lab.software_yaoki import Yaoki
from yaoki.runtime.secret_file import DIRECTORY_VARIABLE
from yaoki.site.load import load_site

CLIENT = Path(__file__).with_name("long_connections.py")
CONNECTIONS = 100
PLACES = ("192.0.2.50", "8080", "2001:db8:1::50", "8080")
PATIENCE_S = 30.0
ASKING = Path(__file__).with_name("many_sources.py")
SOURCES = [f"198.51.100.{n}" for n in range(101, 113)], [f"2001:db8:2::{n}" for n in range(101, 113)]


class Pair:
    """The lab with both nodes running. `secrets` is a directory for their keys."""

    def __init__(self, file: Path, secrets: Path) -> None:
        site = load_site(file).site
        key = secrets / "flows"
        key.write_text("hex:" + "5a" * 32 + "\n")
        key.chmod(0o600)
        self.lab = Lab(site, file)
        self.software = Yaoki(self.lab, environment={DIRECTORY_VARIABLE: str(secrets)})
        self.injector = Injector(self.lab, self.software)

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < end, f"waited in vain for: {what}"
            time.sleep(0.05)

    def owner(self) -> str:
        """The node whose kernel has the VIP; of two the second."""
        found = [node for node in ("lb1", "lb2") if self._has_vip(node)]
        return found[-1] if found else ""

    def owned_by(self, node: str) -> None:
        self.until(f"{node} owns alone", lambda: [n for n in ("lb1", "lb2") if self._has_vip(n)] == [node])

    def settled(self, node: str) -> None:
        """A node has nothing to complain of, and its copier follows."""

        def holds() -> bool:
            try:
                return self.software.missing(node) is None
            except ActuatorError:
                return False

        self.until(f"{node} settles", holds)

    def kill_copiers(self) -> None:
        """Of both nodes, at once; they are started again by their nodes, and take up where they were."""
        before = self._copiers()
        assert len(before) == 2
        namespaces.send_signal(before, signal.SIGKILL)
        self.until("copiers live", lambda: len(self._copiers()) == 2 and not set(before) & set(self._copiers()))
        for node in ("lb1", "lb2"):
            self.settled(node)
        time.sleep(1)

    def _copiers(self) -> tuple[int, ...]:
        found = namespaces.processes([self.lab.namespace(node) for node in ("lb1", "lb2")])
        return tuple(pid for pid in found if "yaoki.runtime.flow_copier" in namespaces.command_line(pid))

    def _has_vip(self, node: str) -> bool:
        shown = namespaces.run(["ip", "-n", self.lab.namespace(node), "-j", "addr", "show", "dev", "eth0"])
        return any(a.get("local") == "192.0.2.50" for link in json.loads(shown) for a in link["addr_info"])


@contextmanager
def pair(file: Path) -> Iterator[Pair]:
    with TemporaryDirectory() as secrets:
        yield from _running(Pair(file, Path(secrets)))


def _running(both: Pair) -> Iterator[Pair]:
    both.lab.up()
    try:
        for node in ("lb1", "lb2"):
            both.software.start(node)
        for node in ("lb1", "lb2"):
            both.settled(node)
        both.owned_by("lb1")
        yield both
    finally:
        both.lab.down()


@contextmanager
def connections(
    both: Pair, count: int = CONNECTIONS, places: tuple[str, ...] = PLACES
) -> Iterator[Callable[[], dict[str, Any]]]:
    """So many connections that are open; the value ends them and tells how they fared."""
    command = [sys.executable, str(CLIENT), str(count), *places]
    process = subprocess.Popen(
        namespaces.inside(both.lab.namespace("alice"), command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    opened = json.loads(process.stdout.readline())
    assert opened["open"] == count
    assert len(opened["servers"]) == 2

    def result() -> dict[str, Any]:
        told, _ = process.communicate(timeout=PATIENCE_S)
        found: dict[str, Any] = json.loads(told)
        return found

    try:
        yield result
    finally:
        process.kill()
        process.wait()


def moved_and_back(both: Pair, fault: Fault) -> None:
    both.injector.inject(fault)
    both.owned_by("lb2")
    time.sleep(2)
    both.injector.mend(fault)
    both.settled("lb1")
    both.owned_by("lb1")
    time.sleep(2)


def with_sources(both: Pair) -> None:
    """Give the client the addresses of many."""
    lines = [f"addr add {source}/24 dev eth0" for source in SOURCES[0]]
    lines += [f"addr add {source}/64 dev eth0 nodad" for source in SOURCES[1]]
    namespaces.ip_batch(lines, namespace=both.lab.namespace("alice"))


def servers_of_sources(both: Pair, *, shuffled: bool = False) -> dict[str, str]:
    """Who serves each of many clients, by persistence. `shuffled`: asked in another order, for in the same one a
    balancer that remembers nothing may give the same answers, in turn."""
    ipv4, ipv6 = (each[::2] + each[1::2] if shuffled else each for each in SOURCES)
    asked = ("9090", "192.0.2.50", *ipv4, "--", "2001:db8:1::50", *ipv6)
    command = namespaces.inside(both.lab.namespace("alice"), [sys.executable, str(ASKING), *asked])
    found: dict[str, str] = json.loads(namespaces.run(command))
    return found
