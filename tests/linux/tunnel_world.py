"""The world of tests/linux/world.py with a server across the router.

client 198.51.100.9 -- router .1 | 192.0.2.1 -- balancer .11 (VIP .50)
                       router 203.0.113.1 -- far .21 (VIP on its loopback)
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.linux.world import PREFIX, VIP4, VIP6, Agent, World, run, world

PORT = 6081
"""Of GUE."""
FAR = {4: "203.0.113.21", 6: "2001:db8:9::21"}
VIP = {4: VIP4, 6: VIP6}


@contextmanager
def tunnel_world() -> Iterator[World]:
    """Far takes packets out of others, and answers on port 80."""
    with world() as built:
        run("ip", "netns", "add", PREFIX + "far")
        try:
            _far(built)
            yield built
        finally:
            if "far" in built.agents:
                built.agents.pop("far").close()
            run("ip", "netns", "del", PREFIX + "far", check=False)


def own_as_speaker(built: World) -> None:
    """The balancer's VIPs bear our mark, so no tunnel is from one."""
    for family, length in ((4, 24), (6, 64)):
        built.ip("lb", f"addr del {VIP[family]}/{length} dev eth0")
        built.agents["lb"].ask("own_as_speaker", address=f"{VIP[family]}/{length}")


def _far(built: World) -> None:
    built.ip("far", "link set lo up")
    for conf in ("all", "default"):
        built.sysctl("far", f"net/ipv6/conf/{conf}/accept_dad", "0")
        built.sysctl("far", f"net/ipv4/conf/{conf}/rp_filter", "0")
    built.sysctl("far", "net/ipv4/conf/all/arp_announce", "2")
    built.ip("router", f"link add eth2 type veth peer name eth0 netns {PREFIX}far")
    for name, interface, number in (("router", "eth2", 1), ("far", "eth0", 21)):
        built.ip(name, f"addr add 203.0.113.{number}/24 dev {interface}")
        built.ip(name, f"addr add 2001:db8:9::{number}/64 dev {interface} nodad")
        built.ip(name, f"link set {interface} up")
    for family, gateway, words in ((4, "203.0.113.1", ""), (6, "2001:db8:9::1", "-6 ")):
        built.ip("far", f"{words}route add default via {gateway}")
        built.ip("far", f"addr add {VIP[family]}/{32 if family == 4 else 128} dev lo")
    own_as_speaker(built)
    built.agents["far"] = Agent(PREFIX + "far")
    built.agents["far"].ask("serve", name="far", port=80)
    built.agents["far"].ask("end_tunnels", ports=[PORT])
