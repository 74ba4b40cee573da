"""A stateful VIP with the real daemon: quarantine at the start and after a return, the data check, a person's word."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.network import DaemonOn, Network, eventually, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120), pytest.mark.req("N-13")]

SITE = """
version: 1
site: small
networks: {front: {prefixes: [192.0.2.0/24]}}
nodes:
  db1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  db2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
vips:
  data:
    network: front
    addresses: [192.0.2.50]
    vrid: 51
    advertise: 100ms
    members: {db1: {priority: 150}, db2: {priority: 100}}
    stateful: true
    acknowledge: [stateful-vrrp]
    quarantine:
      data-check: {command: [/bin/sh, -c, 'test -e DIRECTORY/current-$YAOKI_NODE'], user: root, interval: 1s}
"""


class Pair:
    """Two nodes; the file "current-NODE" in `directory` is what their data check looks for."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net = net
        self.directory = directory
        site = directory / "site.yaml"
        site.write_text(SITE.replace("DIRECTORY", str(directory)))
        net.add("db1", "192.0.2.11/24")
        net.add("db2", "192.0.2.12/24")
        self.db1, self.db2 = DaemonOn(net, "db1", site, directory), DaemonOn(net, "db2", site, directory)

    def holds(self, node: str) -> bool:
        return "192.0.2.50" in self.net.run(node, "ip", "-4", "address", "show", "dev", "eth0").stdout

    def in_quarantine(self, daemon: DaemonOn) -> bool:
        return "in quarantine" in daemon.ask("why", "data", check=False).stdout.partition("\n")[0]


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with network() as net:
        yield Pair(net, tmp_path)


def test_who_starts_or_returns_waits_for_its_data_check_or_a_person(pair: Pair) -> None:
    pair.db1.start()
    pair.db2.start()
    eventually(lambda: pair.in_quarantine(pair.db1) and pair.in_quarantine(pair.db2))
    assert not pair.holds("db1")
    assert not pair.holds("db2")
    for node in ("db1", "db2"):
        (pair.directory / f"current-{node}").touch()
        eventually(lambda: pair.holds("db1"), what="its data is current")
    eventually(lambda: not pair.in_quarantine(pair.db2))
    (pair.directory / "current-db1").unlink()
    pair.db1.terminate()
    eventually(lambda: pair.holds("db2") and not pair.holds("db1"))
    pair.db1.start()
    eventually(lambda: pair.in_quarantine(pair.db1))
    pair.db2.terminate()
    eventually(lambda: not pair.holds("db2"))
    eventually(lambda: "nobody owns data" in pair.db1.ask("events").stdout)
    assert not pair.holds("db1")
    pair.db1.ask("vip", "admit", "data")
    eventually(lambda: pair.holds("db1"))
