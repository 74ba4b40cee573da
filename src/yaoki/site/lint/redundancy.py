"""Redundancy: circles in which one failure feeds itself, and what exists only once."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, server_path
from yaoki.site.source_map import Path

_Pool = tuple[str, str]
"""A section and a name: ("vips", "web-vip")."""


def _cycles(view: View) -> Iterable[Finding]:
    """The edges along which ill health spreads: a VIP falls with the services that it tracks, and a service with the
    VIPs that its servers are reached through. That a service names its VIP is no such edge."""
    edges: dict[_Pool, list[tuple[_Pool, Path]]] = {}
    for vip in view.site.vips:
        edges["vips", vip.name] = [
            (("services", name), ("vips", vip.name, "track", index)) for index, name, _ in vip.tracked_services
        ]
    for service in view.site.services:
        found: dict[_Pool, Path] = {}
        for server in service.servers:
            for vip in view.vips_on_the_way(service, server):
                found.setdefault(("vips", vip.name), server_path(service, server))
        edges["services", service.name] = list(found.items())
    for circle in _circles(edges):
        names = " -> ".join(name for (_, name), _ in (*circle, circle[0]))
        what = f"the health of {circle[0][0][1]} depends on itself: {names}"
        cure = "remove a track, or reach the servers by another way"
        yield Finding(circle[0][1], what, cure, circle[-1][1])


def _circles(edges: dict[_Pool, list[tuple[_Pool, Path]]]) -> Iterable[list[tuple[_Pool, Path]]]:
    """One circle for each edge that closes one, as pools each with the place of the edge that leaves it."""
    done: set[_Pool] = set()
    for start, leaving in edges.items():
        trail: list[tuple[_Pool, Path]] = []
        on_trail: dict[_Pool, int] = {start: 0}
        stack = [(start, iter(leaving))]
        while stack and start not in done:
            pool, rest = stack[-1]
            step = next(rest, None)
            if step is None:
                stack.pop()
                done.add(pool)
                on_trail.pop(pool, None)
                if trail:
                    trail.pop()
                continue
            target, place = step
            if target in on_trail:
                yield [*trail[on_trail[target] :], (pool, place)]
            elif target not in done:
                trail.append((pool, place))
                on_trail[target] = len(trail)
                stack.append((target, iter(edges.get(target, ()))))


def _single_member(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if len(vip.members) == 1:
            node = vip.members[0].node
            what = f"{vip.name} has one member: when {node} fails, nobody takes it over"
            yield Finding(("vips", vip.name, "members"), what, "add a second node as member", ("nodes", node))


def _single_server(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        serving = [server for server in service.servers if server.weight > 0]
        if len(serving) == 1 and service.enabled:
            what = f"{service.name} has one server: when {serving[0].host} fails, nothing serves it"
            place = server_path(service, serving[0])
            yield Finding(place, what, "add a second server", ("hosts", serving[0].host))


def _single_gateway(view: View) -> Iterable[Finding]:
    for network in view.site.networks:
        gateway = network.gateway
        if gateway is not None and not view.site.has_vip(gateway):
            what = f"{gateway} is the only way out of {network.name}"
            section = "nodes" if view.site.machine(gateway).is_node else "hosts"
            cure = "make the gateway a VIP of two nodes, if this is yours to decide"
            yield Finding(("networks", network.name, "gateway"), what, cure, (section, gateway))


RULES = (
    Rule("cycle", Severity.ERROR, "the health of a VIP or service depends on itself", _cycles, firm=True),
    Rule("single-member", Severity.NOTICE, "a VIP can be owned by one node only", _single_member),
    Rule("single-server", Severity.NOTICE, "a service has one server only", _single_server),
    Rule("single-gateway", Severity.NOTICE, "a network has one way out, which is one machine", _single_gateway),
)
