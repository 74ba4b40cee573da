"""The end of a tunnel as `yaoki realserver setup --apply` makes it, in Debian's kernel: packets that the balancer's
program has wrapped come out of it, the server answers straight, and --undo leaves nothing.

    client 198.51.100.9 -- router .1 | 192.0.2.1 -- balancer .11 (VIP .50)
                           router 203.0.113.1 -- the machine under QEMU .21 (VIP on its loopback)
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.lb.samples import far, service
from tests.linux.test_tunnel_ways import WAY
from tests.linux.tunnel_world import FAR, VIP, own_as_speaker
from tests.linux.vm import Machine, lacks, machine
from tests.linux.world import PREFIX, World, run, world
from yaoki.cli.verify_text import sentence
from yaoki.core.address import MacAddress, parse_address
from yaoki.lb.proof import Result, Saying, findings
from yaoki.lb.service import Encapsulation, Protocol, Tunnel, VirtualService, Way
from yaoki.linux.network_namespace import inside
from yaoki.runtime.prover import Prover
from yaoki.site.load import load_site
from yaoki.site.proof_task import proof_task

pytestmark = [
    pytest.mark.netns,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(lacks() is not None, reason=str(lacks())),
]

TOP = Path(__file__).parents[2]
AGENT = Path(__file__).with_name("agent.py")
GUE = Tunnel(Encapsulation.GUE)
SITE = """
version: 1
site: tokyo
networks:
  front: {{prefixes: [192.0.2.0/24, "2001:db8:1::/64"], gateway: edge}}
  far: {{prefixes: [203.0.113.0/24, "2001:db8:9::/64"], gateway: edge}}
nodes:
  lb: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.11, "2001:db8:1::11"]}}}}}}
hosts:
  edge:
    forwards: true
    interfaces:
      eth0: {{network: front, addresses: [192.0.2.1, "2001:db8:1::1"]}}
      eth1: {{network: far, addresses: [203.0.113.1, "2001:db8:9::1"]}}
  far: {{os: linux, interfaces: {{eth0: {{network: far, addresses: [203.0.113.21, "2001:db8:9::21"]}}}}}}
vips:
  web-vip: {{network: front, addresses: [192.0.2.50, "2001:db8:1::50"], vrid: 51, members: {{lb: {{priority: 100}}}}}}
services:
  web: {{vip: web-vip, listen: tcp/80, forward: tunnel, encapsulation: {encapsulation}, servers: {{far: {{}}}}}}
"""
STATE = (
    "ip -o link show; ip -o address show; ip fou show || true; sysctl -a 2>/dev/null | grep -E 'rp_filter|arp_' || true"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Machine]]:
    with world() as built, machine(tmp_path_factory.mktemp("vm"), PREFIX + "router", "eth2") as server:
        server.wait_for_boot()
        own_as_speaker(built)
        built.ip("router", "addr add 203.0.113.1/24 dev eth2")
        built.ip("router", "addr add 2001:db8:9::1/64 dev eth2 nodad")
        built.ip("router", "link set eth2 up")
        server.run(
            "ip link set lo up; ip address add 203.0.113.21/24 dev eth0",
            "ip address add 2001:db8:9::21/64 dev eth0 nodad",
            "sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.default.rp_filter=1 net.ipv4.conf.eth0.rp_filter=1",
            "ip link set eth0 up; ip route add default via 203.0.113.1; ip -6 route add default via 2001:db8:9::1",
        )
        serve = '{"do": "serve", "name": "far", "port": 80}'
        agent = f"PYTHONPATH={TOP}/src:{TOP} {sys.executable} {AGENT}"
        server.run(f"(echo '{serve}'; exec sleep 100000) | {agent} >/run/agent 2>&1 &")
        yield built, server


def behind(tunnel: Tunnel, family: int, protocol: Protocol) -> VirtualService:
    interface, own, next_hop, mac, source, mtu = WAY[family].split()
    way = Way(
        interface,
        MacAddress.parse(own),
        parse_address(next_hop),
        MacAddress.parse(mac),
        parse_address(source),
        int(mtu),
    )
    server = replace(far(1, tunnel, family=family), name="far", address=parse_address(FAR[family]), way=way)
    return service(server, family=family, protocol=protocol)


@pytest.mark.req("D-05", "D-03")
@pytest.mark.parametrize("tunnel", [Tunnel(), GUE], ids=str)
def test_what_is_wrapped_comes_out_and_the_answer_comes_straight(
    network: tuple[World, Machine], tunnel: Tunnel, tmp_path: Path
) -> None:
    built, server = network
    before = server.run(STATE)
    yaoki = f"PYTHONPATH={TOP}/src {sys.executable} -m yaoki.cli realserver setup web far"
    server.run(
        f"cat > /run/site.yaml <<'END'\n{SITE.format(encapsulation=tunnel.encapsulation.value)}\nEND",
        f"{yaoki} --site /run/site.yaml --state-dir /run/state --apply",
    )
    again = server.run(f"{yaoki} --site /run/site.yaml --state-dir /run/state --apply")
    assert again == "nothing to change\n"
    (server_site := tmp_path / "site.yaml").write_text(SITE.format(encapsulation=tunnel.encapsulation.value))
    task = proof_task(load_site(server_site).site, "web", "lb")
    found = findings(*inside(PREFIX + "lb", lambda: Prover(task).run()))
    assert [sentence(one) for one in found if one.result is not Result.RIGHT] == []
    assert [one.saying for one in found].count(Saying.PLAIN) == 2
    built.agents["lb"].ask("new_balancer", plane="bpf")
    try:
        built.balance(*(behind(tunnel, family, protocol) for family in (4, 6) for protocol in Protocol))
        for family in (4, 6):
            wanted = [f"far {'198.51.100.9' if family == 4 else '2001:db8:2::9'}"] * 3
            for protocol in ("tcp", "udp"):
                asked = built.agents["client"].ask(f"ask_{protocol}", address=VIP[family], port=80, times=3, timeout=10)
                assert [" ".join(answer.split()[:2]) for answer in asked] == wanted, (family, protocol)
            assert built.agents["client"].ask("send", address=VIP[family], port=80, octets=100_000) == "far"
            in_by_tunnel = server.run(
                f"cat /sys/class/net/{ {4: 'yk-ipip', 6: 'yk-ip6ip6'}[family] }/statistics/rx_packets"
            )
            assert int(in_by_tunnel) > 20
            run("ip", "-n", PREFIX + "client", *(["-6"] if family == 6 else []), "route", "flush", "cache")
    finally:
        built.agents["lb"].ask("cleanup")
    server.run(f"{yaoki} --state-dir /run/state --undo")
    after = server.run(STATE)
    # The modules stay, and with them devices of their own, which are down; a link-local address takes its time.
    others = ("tunl0", "ip6tnl0", "inet6 fe80::")
    new = [line for line in after.splitlines() if line not in before]
    assert [line for line in new if not any(name in line for name in others)] == []
    assert "yk-" not in after
