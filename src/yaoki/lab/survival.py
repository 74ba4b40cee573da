"""Whether a site can keep a service through a fault, and why: computed from the topology before anything is broken.

The judgement is made for one probed target. Ways are static, as the lab routes them: a dead router on a client's way
is not gone around. Invariant: every Survival bears its reason and the names that the reason speaks of.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from yaoki.checks.check import (
    DirectParams,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    RouteParams,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
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
from yaoki.lab.plays.roles import serves_http, store_members
from yaoki.lab.probes.targets import Target
from yaoki.lab.software import Part
from yaoki.lab.topology import next_hop
from yaoki.lb.service import Protocol
from yaoki.site.default_checks import default_checks
from yaoki.site.model import CheckDefinition, Election, Machine, Service, Site, Vip, VipMember
from yaoki.site.survival import store_answers
from yaoki.site.what_if import vips_with

_MOST_HOPS = 16


class Reason(StrEnum):
    """Why a service survives or does not."""

    UNTOUCHED = "untouched"
    TAKEOVER = "takeover"
    KERNEL_GOES_ON = "kernel-goes-on"
    OTHER_SERVERS = "other-servers"
    HEALS_ITSELF = "heals-itself"
    PLANNED = "planned"
    HANDED_OVER = "handed-over"
    RECONCILES = "reconciles"
    NO_OTHER_MEMBER = "no-other-member"
    NO_OTHER_SERVER = "no-other-server"
    NO_CHECK_NOTICES = "no-check-notices"
    NO_OTHER_WAY = "no-other-way"
    NEEDS_LEASE = "needs-lease"
    NO_MAJORITY = "no-majority"


SURVIVED = frozenset(
    {
        Reason.UNTOUCHED,
        Reason.TAKEOVER,
        Reason.KERNEL_GOES_ON,
        Reason.OTHER_SERVERS,
        Reason.HEALS_ITSELF,
        Reason.PLANNED,
        Reason.HANDED_OVER,
        Reason.RECONCILES,
    }
)


@dataclass(frozen=True, slots=True)
class Survival:
    """The judgement for one target. `names` are who takes over, what is dead on the way, which checks see nothing."""

    reason: Reason
    names: tuple[str, ...] = ()

    @property
    def survives(self) -> bool:
        return self.reason in SURVIVED


def survival(site: Site, fault: Fault, target: Target, *, mended: bool = False) -> Survival:
    """Whether what `target` probes survives `fault`, or the mending of it."""
    vip = site.vip(target.vip)
    if mended:
        if isinstance(fault, Partition) and vip.election is Election.VRRP:
            return Survival(Reason.RECONCILES)
        return Survival(Reason.PLANNED if vip.election is Election.VRRP else Reason.HANDED_OVER)
    dead = dead_elements(site, fault)
    blocked = sorted(str(part) for part in dead & way(site, site.machine(target.client), vip.network))
    if blocked:
        return Survival(Reason.NO_OTHER_WAY, tuple(blocked))
    judgements = [_of_vip(site, fault, vip, dead)]
    if target.service:
        judgements.append(_of_service(site, fault, site.service(target.service), dead))
    # The gravest speaks: not surviving before surviving, and any effect before none.
    return min(judgements, key=lambda j: (j.survives, j.reason is Reason.UNTOUCHED))


def dead_elements(site: Site, fault: Fault) -> frozenset[Element]:
    """The parts that carry nothing while the fault lasts."""
    match fault:
        case PowerOff(name):
            return _without_power(site, name)
        case PowerOffTogether(names):
            return frozenset().union(*(_without_power(site, name) for name in names))
        case CutLink(name, interface) | BlackholeLink(name, interface) | FlapLink(name, interface):
            return frozenset({element.link(name, interface)})
        case NetworkDown(name):
            return frozenset({element.network(name)})
        case _:
            return frozenset()


def way(site: Site, start: Machine, goal: str) -> frozenset[Element]:
    """The parts on the way from a machine to a network, both included; a way that does not exist ends where it ends."""
    parts: set[Element] = {_machine(start)}
    here = start
    for _ in range(_MOST_HOPS):
        near = here.on_network(goal)
        if near is not None:
            return frozenset(parts | {element.link(here.name, near.name), element.network(goal)})
        step = _next_machine(site, here, goal)
        if step is None:
            break
        network, there = step
        for machine in (here, there):
            interface = machine.on_network(network)
            if interface is not None:
                parts.add(element.link(machine.name, interface.name))
        parts |= {element.network(network), _machine(there)}
        here = there
    return frozenset(parts)


def checks_of(site: Site, service: Service) -> tuple[CheckDefinition, ...]:
    """The checks that a service has, its default one included."""
    return tuple(site.check(name) for name in service.checks) or default_checks(service)


def notices(params: KindParams, trouble: Trouble) -> bool:
    """Whether a kind of check can tell that a server is in this trouble. A script is trusted to."""
    match params:
        case IcmpParams() | NeighbourParams() | RouteParams():
            return False
        case TcpParams() | DirectParams():
            return trouble is Trouble.KILLED
        case UdpParams(require_answer=required):
            return trouble is Trouble.KILLED or (required and trouble is Trouble.HUNG)
        case TlsParams():
            return trouble is not Trouble.ERRORS
        case HttpParams(status=status):
            return trouble is not Trouble.ERRORS or 500 not in status
        case ScriptParams():
            return True
        case _:
            assert_never(params)


def owner_of(vip: Vip) -> VipMember:
    """Who owns a VIP in a healthy site: the highest priority; of equals, the first."""
    return max(vip.members, key=lambda member: member.priority)


def _without_power(site: Site, name: str) -> frozenset[Element]:
    machine = site.machine(name)
    links = {element.link(name, interface.name) for interface in machine.interfaces}
    return frozenset(links | {_machine(machine)})


def _silent_members(site: Site, dead: frozenset[Element]) -> tuple[str, ...]:
    """The members of the store that nobody reaches."""
    return tuple(
        name
        for name in store_members(site)
        if _machine(site.machine(name)) in dead
        or all(
            element.link(name, interface.name) in dead or element.network(interface.network) in dead
            for interface in site.machine(name).interfaces
        )
    )


def _of_vip(site: Site, fault: Fault, vip: Vip, dead: frozenset[Element]) -> Survival:
    owner = owner_of(vip).node
    silent = _silent_members(site, dead)
    if vip.election is Election.LEASE and silent and not store_answers(site.store, silent):
        return Survival(Reason.NO_MAJORITY, silent)
    together = vips_with(site, vip)
    able = [m.node for m in vip.members if all(_alive(site, m.node, each, dead) for each in together)]
    others = tuple(node for node in able if node != owner)
    match fault:
        case Partition(network, nodes):
            apart = sum(member.node in nodes for member in vip.members) > 1 and vip.network == network
            return Survival(Reason.NEEDS_LEASE if apart and vip.election is Election.VRRP else Reason.UNTOUCHED)
        case StopNode(node) if node == owner:
            return Survival(Reason.TAKEOVER, others) if others else Survival(Reason.NO_OTHER_MEMBER)
        case KillNode(node, part) | HangNode(node, part) if node == owner:
            if part is Part.MAIN or not others:
                return Survival(Reason.KERNEL_GOES_ON, (node,))
            return Survival(Reason.TAKEOVER, others)
        case RestartNode() | Reconfigure() | DrainServer() | RemoveServer():
            return Survival(Reason.PLANNED)
        case FlapLink() if not _alive(site, owner, vip, dead):
            return Survival(Reason.HEALS_ITSELF)
        case _ if not _alive(site, owner, vip, dead):
            return Survival(Reason.TAKEOVER, others) if others else Survival(Reason.NO_OTHER_MEMBER)
        case CutLink() if owner not in able and others:
            # It goes with a VIP of its sync group, which has lost its interface.
            return Survival(Reason.TAKEOVER, others)
        case _:
            return Survival(Reason.UNTOUCHED)


def _of_service(site: Site, fault: Fault, service: Service, dead: frozenset[Element]) -> Survival:
    servers = [server.host for server in service.servers if server.weight > 0]
    hit = [host for host in servers if _hit(site, fault, host, service, dead)]
    rest = tuple(host for host in servers if host not in hit)
    if not hit:
        return Survival(Reason.UNTOUCHED)
    if not rest:
        return Survival(Reason.NO_OTHER_SERVER)
    checks = checks_of(site, service)
    match fault:
        case DrainServer() | RemoveServer():
            return Survival(Reason.PLANNED, rest)
        case ServerTrouble(_, trouble) if not any(notices(check.params, trouble) for check in checks):
            return Survival(Reason.NO_CHECK_NOTICES, tuple(check.name for check in checks))
        case FlapLink():
            return Survival(Reason.HEALS_ITSELF)
        case _:
            return Survival(Reason.OTHER_SERVERS, rest)


def _hit(site: Site, fault: Fault, host: str, service: Service, dead: frozenset[Element]) -> bool:
    match fault:
        case ServerTrouble(name, Trouble.ERRORS):
            return name == host and service.protocol is Protocol.TCP and serves_http(site, service.name)
        case ServerTrouble(name) | DrainServer(name) | RemoveServer(name):
            return name == host
        case _:
            return bool(dead & way(site, site.machine(host), site.vip(service.vip).network))


def _alive(site: Site, node: str, vip: Vip, dead: frozenset[Element]) -> bool:
    return not dead & way(site, site.machine(node), vip.network)


def _next_machine(site: Site, here: Machine, goal: str) -> tuple[str, Machine] | None:
    """Over which network the way goes on, and to which machine."""
    if here.forwards:
        hop = next_hop(site, here, site.network(goal))
        if hop is not None:
            return hop
    for interface in here.interfaces:
        name = here.gateway or site.network(interface.network).gateway
        if name is None or name == here.name:
            continue
        machine = site.machine(owner_of(site.vip(name)).node) if site.has_vip(name) else site.machine(name)
        return interface.network, machine
    return None


def _machine(machine: Machine) -> Element:
    return element.node(machine.name) if machine.is_node else element.host(machine.name)
