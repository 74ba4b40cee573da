"""The kernel's neighbour cache as we read it, and that a stale entry lasts as long as we say, and no longer."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from yaoki.core.codec import Codec
from yaoki.vrrp.neighbour_cache import CacheState, NeighbourCache

pytestmark = pytest.mark.netns

NAME = f"ykn-{os.getpid()}"
MACS = {"a": "02:00:00:00:00:0a", "b": "02:00:00:00:00:0b"}
READ = """
import sys
from yaoki.core.codec import Codec
from yaoki.linux.neighbour_cache import read
sys.stdout.buffer.write(Codec().encode(read(sys.argv[1:])))
"""
# As short as the kernel takes them: a second is the unit of delay_first_probe_time.
PARAMETERS = {"base_reachable_time_ms": 1000, "delay_first_probe_time": 1, "retrans_time_ms": 200, "ucast_solicit": 3}


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


def inside(name: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = ["ip", "netns", "exec", f"{NAME}-{name}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=check, timeout=60)


@pytest.fixture(scope="module", autouse=True)
def network() -> Iterator[None]:
    """A client with short timers, and two machines that take turns with 192.0.2.50."""
    names = ("net", "client", "a", "b")
    for name in names:
        ip("netns", "add", f"{NAME}-{name}")
    try:
        ip("-n", f"{NAME}-net", "link", "add", "br0", "up", "type", "bridge")
        for name in names[1:]:
            mac = ["address", MACS[name]] if name in MACS else []
            ip("-n", f"{NAME}-{name}", "link", "add", "eth0", *mac, "type", "veth", "peer", "name", name,
               "netns", f"{NAME}-net")  # fmt: skip
            ip("-n", f"{NAME}-net", "link", "set", "dev", name, "master", "br0", "up")
            ip("-n", f"{NAME}-{name}", "link", "set", "eth0", "up")
        ip("-n", f"{NAME}-client", "address", "add", "192.0.2.9/24", "dev", "eth0")
        for parameter, value in PARAMETERS.items():
            inside("client", "sysctl", "-qw", f"net.ipv4.neigh.eth0.{parameter}={value}")
        yield
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", f"{NAME}-{name}"], check=False, capture_output=True)


def cache() -> NeighbourCache:
    found: NeighbourCache = Codec().decode(
        inside("client", sys.executable, "-c", READ, "eth0", "eth9").stdout.encode(), NeighbourCache
    )
    return found


def reached() -> bool:
    return inside("client", "ping", "-c", "1", "-W", "1", "192.0.2.50", check=False).returncode == 0


def move(source: str, target: str) -> None:
    """Without a word to anybody."""
    ip("-n", f"{NAME}-{source}", "address", "del", "192.0.2.50/24", "dev", "eth0")
    ip("-n", f"{NAME}-{target}", "address", "add", "192.0.2.50/24", "dev", "eth0")


@pytest.mark.req("B-08")
def test_a_stale_entry_lasts_no_longer_than_is_said_and_an_announcement_ends_it() -> None:
    ip("-n", f"{NAME}-a", "address", "add", "192.0.2.50/24", "dev", "eth0")
    assert reached()
    before = cache()
    (entry,) = before.entries
    assert (str(entry.address), str(entry.mac), entry.interface) == ("192.0.2.50", MACS["a"], "eth0")
    assert entry.state in (CacheState.REACHABLE, CacheState.DELAY, CacheState.STALE)
    assert entry.confirmed is not None
    assert entry.confirmed.total_seconds() < 30
    (longest,) = [timers.longest_stale.total_seconds() for timers in before.timers if timers.family.value == 4]
    assert longest == pytest.approx(1.5 + 1 + 0.6)

    began = time.monotonic()
    move("a", "b")
    while not reached():
        assert time.monotonic() - began < longest + 5, cache()
    lasted = time.monotonic() - began
    # At the least the first probe is waited for; at the most a ping was under way when it ended.
    assert 0.5 < lasted < longest + 3
    assert {str(entry.mac) for entry in cache().entries} == {MACS["b"]}

    assert reached()
    move("b", "a")
    inside("a", "arping", "-c", "1", "-A", "-I", "eth0", "192.0.2.50", check=False)
    assert {str(entry.mac) for entry in cache().entries} == {MACS["a"]}
