"""What `make bench-lb` sends, and what it counts: HTTP by wrk, one stream by iperf3, small datagrams by lb_flood.

Everything runs on the cores of one machine, clients and servers included, so a figure says what all of them together
were able to do, and the processor time of a connection is that of all of them and of the kernel. The datagrams are sent
by one real-time process on one core, where the kernel then does all that happens to them: other work on the machine
changes little about them. A proxy needs a core for itself, so to one they are sent by a process like any other.
"""

import json
import os
import re
import resource
import shutil
import subprocess
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from bench.check_cost import cpu_s
from bench.lb_lab import BULK, CLIENT, PACKETS, SERVERS, WEB
from yaoki.lab import namespaces
from yaoki.lab.lab import Lab, real_time

THREADS, CONNECTIONS = 3, 96
FLOWS = 1024
BULK_TRIES = 5
LOST_SHARE = 0.001
"""So small a share of the datagrams may be lost in a rate "without loss": as many as a hiccup of the machine costs."""
SEARCH_STEPS = 5
_REAL_TIME = 1
"""The lowest real-time priority: Yaoki's speaker comes before it."""
_COMMAND_LIMIT_S = 30.0
_TICKS_PER_S = 100
_SPREAD = """\
local addresses, threads = {{ {addresses} }}, 0
function setup(thread)
  thread.addr = wrk.lookup(addresses[threads % #addresses + 1], "{port}")[1]
  threads = threads + 1
end
"""
"""For wrk: each of its threads goes to another server."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the load goes: a VIP and the MAC of its balancer, or the servers themselves (`spread`). `proxy`: a process
    of the balancer takes every packet into its hands."""

    name: str
    address: IPv4Address
    mac: str
    source: IPv4Address
    spread: bool = False
    proxy: bool = False


@dataclass(frozen=True, slots=True)
class Web:
    """What wrk saw. `cpu_us` is the processor time of one request, everywhere."""

    per_second: float
    cpu_us: float


class Load:
    """The client's tools in a lab that is up. Raises RuntimeError where clang cannot compile lb_flood."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._directory: AbstractContextManager[str] = tempfile.TemporaryDirectory()
        directory = Path(self._directory.__enter__())
        self._script = directory / "spread.lua"
        addresses = ", ".join(f'"{address}"' for address in SERVERS.values())
        self._script.write_text(_SPREAD.format(addresses=addresses, port=WEB))
        self._flood = directory / "lb_flood"
        self._alone = ["taskset", "-c", str(max(os.sched_getaffinity(0))), *real_time(_REAL_TIME)]
        source = Path(__file__).with_name("lb_flood.c")
        clang = shutil.which("clang") or shutil.which("cc")
        if clang is None:
            raise RuntimeError("neither clang nor cc is here to compile bench/lb_flood.c")
        subprocess.run([clang, "-O2", "-o", str(self._flood), str(source)], check=True, timeout=_COMMAND_LIMIT_S)

    def close(self) -> None:
        """Remove what was compiled."""
        self._directory.__exit__(None, None, None)

    def web(self, target: Target, seconds: int, *, keep: bool) -> Web:
        """HTTP requests, on connections that are kept or with one connection each. Raises RuntimeError if more than a
        hundredth of them fail."""
        command = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "5s"]
        command += [] if keep else ["-H", "Connection: close"]
        command += ["-s", str(self._script)] if target.spread else []
        before = self._busy_s()
        text = self._on_client([*command, f"http://{target.address}:{WEB}/"])
        busy_us = (self._busy_s() - before) * 1_000_000
        requests, took = _first(r"(\d+) requests in", text), _first(r"requests in ([\d.]+)s", text)
        errors = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
        if requests == 0 or errors > requests / 100:
            raise RuntimeError(f"{target.name}: {requests:.0f} requests, {errors} errors; wrk says:\n{text}")
        return Web(requests / took, busy_us / requests)

    def bulk(self, target: Target, seconds: int) -> float:
        """Gbit/s of one TCP stream from the client to a server, as that server received it. A server that is still busy
        with the stream before is asked again. Raises RuntimeError with what iperf3 says."""
        command = ["iperf3", "-c", str(target.address), "-p", str(BULK), "-t", str(seconds), "-J"]
        error = ""
        for _ in range(BULK_TRIES):
            report = json.loads(self._on_client([*command, "--connect-timeout", "2000"]))
            error = str(report.get("error", ""))
            if not error:
                return float(report["end"]["sum_received"]["bits_per_second"]) / 1e9
            if "busy" not in error:
                break
            time.sleep(1)
        raise RuntimeError(f"{target.name}: iperf3 says: {error}")

    def packets(self, target: Target, seconds: float) -> float:
        """Datagrams of 60 octets a second that the servers receive with at most LOST_SHARE lost: as fast as the client
        can send, or where too many are lost, at the greatest rate found by halving at which they are not."""
        sent, arrived = self._flooded(target, seconds, 0)
        if sent - arrived <= LOST_SHARE * sent:
            return arrived / seconds
        low, high, found = 0.0, sent / seconds, 0.0
        for _ in range(SEARCH_STEPS):
            rate = (low + high) / 2
            sent, arrived = self._flooded(target, seconds, rate)
            if sent - arrived <= LOST_SHARE * sent:
                low, found = rate, arrived / seconds
            else:
                high = rate
        return found

    def _flooded(self, target: Target, seconds: float, rate: float) -> tuple[int, int]:
        """How many were sent, and how many of them arrived."""
        before = self._arrived()
        command = [
            *self._alone,
            str(self._flood),
            "eth0",
            target.mac,
            str(target.source),
            str(target.address),
            str(PACKETS),
        ]
        text = self._on_client([*command, str(FLOWS), str(seconds), str(rate)])
        return int(text.split()[0]), self._arrived() - before

    def _arrived(self) -> int:
        total = 0
        for server in SERVERS:
            command = ["nft", "list", "counter", "netdev", "sink", "arrived"]
            total += int(
                _first(r"packets (\d+)", namespaces.run(namespaces.inside(self._lab.namespace(server), command)))
            )
        return total

    def _busy_s(self) -> float:
        """Processor time of all processes in the lab, of the client's tools that have ended, and of the kernel's
        network, which is that of the whole machine."""
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        *_, interrupts, softly, _stolen, _guest, _guest_nice = map(int, Path("/proc/stat").read_text().split()[1:11])
        running = sum(cpu_s(pid) for pid in namespaces.processes(self._lab.plan.all_namespaces))
        return running + ended.ru_utime + ended.ru_stime + (interrupts + softly) / _TICKS_PER_S

    def _on_client(self, command: list[str]) -> str:
        done = subprocess.run(
            namespaces.inside(self._lab.namespace(CLIENT), command),
            capture_output=True, text=True, timeout=_COMMAND_LIMIT_S, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout


def _first(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"no {pattern!r} in:\n{text}")
    return float(found[1])
