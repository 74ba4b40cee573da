"""A warm standby: the service does not run on the node that stands by, a hook starts it when the VIP comes."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.network import DaemonOn, Network, eventually, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(120)]

START_S = 1.0
SITE = """
version: 1
site: warm
networks: {front: {prefixes: [192.0.2.0/24]}}
nodes:
  n1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  n2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
vips:
  web:
    network: front
    addresses: [192.0.2.50]
    vrid: 51
    advertise: 100ms
    members: {n1: {priority: 150}, n2: {priority: 100}}
hooks:
  start:
    events: [became-active]
    user: root
    timeout: 5s
    command: [/bin/sh, -c, 'touch DIRECTORY/started-$YAOKI_NODE']
"""
SERVICE = f"""
import http.server, pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
time.sleep({START_S})
http.server.HTTPServer(("", 80), http.server.SimpleHTTPRequestHandler).serve_forever()
"""
REQUEST = "import urllib.request; urllib.request.urlopen('http://192.0.2.50/', timeout=0.3).read()"


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as net:
        for name, address in (("n1", 11), ("n2", 12), ("client", 60)):
            net.add(name, f"192.0.2.{address}/24")
        yield net


@pytest.mark.req("B-04")
def test_the_time_of_a_takeover_includes_the_start_of_the_service(net: Network, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE.replace("DIRECTORY", str(tmp_path)))
    n1, n2 = DaemonOn(net, "n1", site, tmp_path), DaemonOn(net, "n2", site, tmp_path)
    for daemon in (n1, n2):
        net.start(daemon.node, sys.executable, "-c", SERVICE, str(tmp_path / f"started-{daemon.node}"))
        daemon.start()

    def served() -> bool:
        return net.run("client", sys.executable, "-c", REQUEST, check=False).returncode == 0

    eventually(served, what="n1 owns the VIP and has started the service")
    assert not (tmp_path / "started-n2").exists(), "it does not run where nobody needs it"
    began = time.monotonic()
    n1.terminate()
    eventually(served, what="n2 owns the VIP and has started the service")
    assert time.monotonic() - began >= START_S
    assert (tmp_path / "started-n2").exists()
