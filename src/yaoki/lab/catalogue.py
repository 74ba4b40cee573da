"""Every failure that a rehearsal goes through, derived from the topology: each part of the site fails at least once.

The owner of a VIP fails in every way that a node can; other nodes lose their processes, their power and their links.
The first real server of each service that promises a server-outage fails in every way that a server can, the others are
killed. Order: nodes, networks, servers, hosts; planned work last.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

from yaoki.core.error import UsageError
from yaoki.lab import element
from yaoki.lab.element import Element
from yaoki.lab.fault import (
    BlackholeLink,
    CutLink,
    DrainServer,
    Fault,
    FlapLink,
    HangNode,
    KillNode,
    NetworkDown,
    Partition,
    PowerOff,
    PowerOffTogether,
    Reconfigure,
    RemoveServer,
    RestartNode,
    ServerTrouble,
    StopNode,
    Trouble,
)
from yaoki.lab.plays.roles import STORES, serves_http, store_members
from yaoki.lab.software import Part
from yaoki.lab.survival import owner_of
from yaoki.lb.service import Protocol
from yaoki.site.model import Machine, Site


class Promise(StrEnum):
    """Which figure of a service's slo a scenario is held against; planned work promises to lose nothing."""

    OUTAGE = "outage"
    SERVER_OUTAGE = "server-outage"
    NOTHING_LOST = "nothing-lost"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row. With `mends` the fault is there before, and its end is what is measured."""

    name: str
    fault: Fault
    promise: Promise = Promise.OUTAGE
    covers: tuple[Element, ...] = ()
    mends: bool = False


def catalogue(site: Site) -> tuple[Scenario, ...]:
    """All scenarios of a site; names are unique."""
    owners = {owner_of(vip).node for vip in site.vips}
    rows: list[Scenario] = []
    for node in site.nodes:
        rows += _owner(site, node) if node.name in owners else _other_node(site, node)
    rows += _networks(site)
    rows += _servers(site)
    rows += _hosts(site)
    rows += _store(site)
    rows += [Scenario(f"{node}-restart", RestartNode(node), Promise.NOTHING_LOST) for node in sorted(owners)]
    if site.services:
        rows.append(Scenario("reconfigure", Reconfigure(), Promise.NOTHING_LOST))
    return tuple(rows)


def chosen(scenarios: tuple[Scenario, ...], patterns: tuple[str, ...]) -> tuple[Scenario, ...]:
    """Those whose name fits a pattern: a shell pattern, or a part of the name. Raises UsageError if none fits one."""
    for pattern in patterns:
        if not any(_fits(scenario, pattern) for scenario in scenarios):
            raise UsageError(f'no scenario fits "{pattern}"; `yaoki rehearse SITE --list` shows them')
    return tuple(s for s in scenarios if not patterns or any(_fits(s, pattern) for pattern in patterns))


def _fits(scenario: Scenario, pattern: str) -> bool:
    return fnmatchcase(scenario.name, pattern) or pattern in scenario.name


def _owner(site: Site, node: Machine) -> Iterator[Scenario]:
    name = node.name
    member = element.memberships_of(site, name)
    processes = (element.processes(name),)
    yield Scenario(f"{name}-stop", StopNode(name), covers=member)
    for part in Part:
        yield Scenario(f"{name}-kill-{part.value}", KillNode(name, part), covers=processes)
    for part in Part:
        yield Scenario(f"{name}-hang-{part.value}", HangNode(name, part), covers=processes)
    yield Scenario(f"{name}-power-off", PowerOff(name), covers=(element.node(name), *member))
    yield Scenario(f"{name}-failback", PowerOff(name), covers=member, mends=True)
    for interface in node.interfaces:
        link = (element.link(name, interface.name),)
        yield Scenario(f"{name}-{interface.name}-cut", CutLink(name, interface.name), covers=link)
        yield Scenario(f"{name}-{interface.name}-blackhole", BlackholeLink(name, interface.name), covers=link)
        yield Scenario(f"{name}-{interface.name}-flap", FlapLink(name, interface.name), covers=link)


def _other_node(site: Site, node: Machine) -> Iterator[Scenario]:
    name = node.name
    covers = (element.node(name), *element.memberships_of(site, name))
    yield Scenario(f"{name}-kill-all", KillNode(name, Part.ALL), covers=(element.processes(name),))
    yield Scenario(f"{name}-power-off", PowerOff(name), covers=covers)
    yield from _links(node, Promise.OUTAGE)


def _networks(site: Site) -> Iterator[Scenario]:
    for network in site.networks:
        together = [
            member.node
            for vip in site.vips
            if vip.network == network.name and len(vip.members) > 1
            for member in vip.members
        ]
        nodes = tuple(dict.fromkeys(together))
        if nodes:
            apart = Partition(network.name, nodes)
            yield Scenario(f"{network.name}-partition", apart)
            yield Scenario(f"{network.name}-heal", apart, mends=True)
        yield Scenario(f"{network.name}-down", NetworkDown(network.name), covers=(element.network(network.name),))


def _servers(site: Site) -> Iterator[Scenario]:
    promising = [service for service in site.services if service.slo.server_outage is not None] or site.services[:1]
    thorough = {service.servers[0].host for service in promising if service.servers}
    hosts = dict.fromkeys(server.host for service in site.services for server in service.servers)
    for host in hosts:
        covers = element.servers_at(site, host) + (() if site.machine(host).is_node else (element.host(host),))
        served = Promise.SERVER_OUTAGE
        yield Scenario(f"{host}-killed", ServerTrouble(host, Trouble.KILLED), served, covers)
        if host in thorough:
            yield Scenario(f"{host}-hung", ServerTrouble(host, Trouble.HUNG), served, covers)
            if _answers_http(site, host):
                yield Scenario(f"{host}-http-500", ServerTrouble(host, Trouble.ERRORS), served, covers)
            yield Scenario(f"{host}-drained", DrainServer(host), Promise.NOTHING_LOST, covers)
            yield Scenario(f"{host}-added", RemoveServer(host), Promise.NOTHING_LOST, covers, mends=True)


def _hosts(site: Site) -> Iterator[Scenario]:
    serving = {server.host for service in site.services for server in service.servers}
    for host in site.hosts:
        if host.name in serving:
            yield from _links(host, Promise.SERVER_OUTAGE)
        elif "client" in host.plays:
            # A client without power asks nothing; what can be measured of its failure is that of its links.
            yield from _links(host, Promise.OUTAGE, also=(element.host(host.name),))
        else:
            yield Scenario(f"{host.name}-power-off", PowerOff(host.name), covers=(element.host(host.name),))
            yield from _links(host, Promise.OUTAGE)


def _store(site: Site) -> Iterator[Scenario]:
    """The loss of one member is a row of its own as that of any host; here the majority goes, and comes back."""
    played = tuple(name for name in store_members(site) if not set(STORES).isdisjoint(site.machine(name).plays))
    if site.store is None or not site.leased_vips or len(played) < site.store.majority:
        return
    majority = PowerOffTogether(played[: site.store.majority])
    yield Scenario("store-majority-off", majority)
    yield Scenario("store-back", majority, mends=True)


def _links(machine: Machine, promise: Promise, *, also: tuple[Element, ...] = ()) -> Iterator[Scenario]:
    for interface in machine.interfaces:
        covers = (element.link(machine.name, interface.name), *also)
        yield Scenario(f"{machine.name}-{interface.name}-cut", CutLink(machine.name, interface.name), promise, covers)


def _answers_http(site: Site, host: str) -> bool:
    return any(
        service.protocol is Protocol.TCP and serves_http(site, service.name)
        for service in site.services
        if any(server.host == host for server in service.servers)
    )
