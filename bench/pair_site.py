"""A pair of nodes with one VIP that has all services, and what one of them makes of its site file: the plan, then the
wish for its balancer plane.

All checks have passed and all MACs are known before the file is there, so that the wish is as large as it can be. The
Brain is the node's own, and so is what it is asked with.
"""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from yaoki.checks.check import Finding, Outcome
from yaoki.core.instant import Instant
from yaoki.lb.service import Desired, Forward, VirtualService
from yaoki.node.brain import Brain
from yaoki.node.brain_messages import ApplyBalancer, BalancerFound, NeighbourFound, NewPlan
from yaoki.node.messages import VerdictChanged
from yaoki.pool.member import Health
from yaoki.site.compile import compile_node
from yaoki.site.load import load_site
from yaoki.site.model import Site

NODE = "lb1"
_NOW = Instant(1_000_000_000)


def pair_site(services: list[VirtualService]) -> Site:
    """The site whose node NODE has these services of equal servers, by what a file of it says."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "site.yaml"
        path.write_text(_text(services))
        return load_site(path).site


def prepared(site: Site, services: list[VirtualService]) -> Brain:
    """The Brain of NODE as it is just before it is given a plan."""
    brain = Brain(NODE)
    brain.handle(_NOW, BalancerFound(Desired()))
    for server in services[0].servers:
        brain.handle(_NOW, NeighbourFound(server.address, server.mac))
    passed = Finding(Outcome.PASSED, "", timedelta(0))
    for check in compile_node(site, NODE).checks:
        brain.handle(_NOW, VerdictChanged(check.id, Health.UP, passed, _NOW))
    return brain


def wish(site: Site, brain: Brain) -> Desired:
    """What the node wants in the kernel, from what its site file says."""
    effects = brain.handle(_NOW, NewPlan(compile_node(site, NODE)))
    return next(effect.desired for effect in effects if isinstance(effect, ApplyBalancer))


def _text(services: list[VirtualService]) -> str:
    vip = services[0].key.address
    lines = ["version: 1", "site: pair", "networks: {front: {prefixes: [192.0.2.0/24, 198.51.100.0/24]}}", "nodes:"]
    for number in (1, 2):
        addresses = f"[192.0.2.{number}, 198.51.100.{100 + number}]"
        lines.append(f"  lb{number}: {{interfaces: {{eth0: {{network: front, addresses: {addresses}}}}}}}")
    lines.append("hosts:")
    for server in services[0].servers:
        gateway = "" if server.forward is Forward.DIRECT else "gateway: shop, "
        interfaces = f"interfaces: {{eth0: {{network: front, addresses: [{server.address}]}}}}"
        lines.append(f"  {server.name}: {{{gateway}{interfaces}}}")
    members = "{lb1: {priority: 150}, lb2: {priority: 100}}"
    lines += ["vips:", f"  shop: {{network: front, addresses: [{vip}], vrid: 1, advertise: 100ms, members: {members}}}"]
    lines.append("services:")
    for service in services:
        lines += [
            f"  {service.name}:",
            "    vip: shop",
            f"    listen: {service.key.protocol}/{service.key.port}",
            f"    forward: {service.servers[0].forward}",
            f"    scheduler: {service.scheduler}",
            "    servers:",
            *(f"      {server.name}: {{port: {server.port}, weight: {server.weight}}}" for server in service.servers),
        ]
    return "\n".join(lines) + "\n"
