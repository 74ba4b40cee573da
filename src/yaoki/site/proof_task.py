"""What has to be asked to prove that a service's servers are right for direct return, taken from a node's plan."""

from dataclasses import dataclass

from yaoki.checks.check import CheckId, CheckSpec, DirectParams, TcpParams, UdpParams
from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.error import UsageError
from yaoki.lb.service import Protocol, ServiceKey, Tunnel
from yaoki.site.compile import compile_node
from yaoki.site.default_checks import DEFAULT_SCHEDULE
from yaoki.site.model import Site
from yaoki.site.node_plan import ServerPlan, ServicePlan

MOST_TARGETS = 1000


@dataclass(frozen=True, slots=True)
class ProofTarget:
    """One server on one address of the VIP. `address` is its own, `source` this node's beside it; `payload` is what its
    check sends in a datagram; `checks` are those of its own address; `tunnel`: what its packets go inside."""

    server: str
    key: ServiceKey
    address: IPAddress
    source: IPAddress | None
    payload: bytes
    checks: tuple[CheckSpec, ...]
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class ProofTask:
    """Everything about one service on one node. `members` are the nodes that may own the VIP with their own addresses,
    `virtual` the MACs that whoever owns it may have, with what they are called; `taken` all addresses that the site
    names."""

    service: str
    node: str
    interface: str
    targets: tuple[ProofTarget, ...]
    members: tuple[tuple[str, tuple[IPAddress, ...]], ...]
    virtual: tuple[tuple[MacAddress, str], ...]
    taken: frozenset[IPAddress]

    @property
    def vips(self) -> tuple[IPAddress, ...]:
        """The service's addresses."""
        return tuple(dict.fromkeys(target.key.address for target in self.targets))

    @property
    def names(self) -> dict[IPAddress, str]:
        """Whose an own address is."""
        names = {target.address: target.server for target in self.targets}
        return names | {address: node for node, addresses in self.members for address in addresses}


def proof_task(site: Site, service: str, node: str) -> ProofTask:
    """The task of a member of the VIP. Raises UsageError."""
    plan = compile_node(site, node)
    plans = tuple(one for one in plan.services if one.name == service)
    if not plans:
        members = ", ".join(member.node for member in site.vip(site.service(service).vip).members)
        raise UsageError(f"{node} does not balance {service}; run it on one of {members}")
    specs = {spec.id: spec for spec in plan.checks}
    targets = []
    for one in plans:
        for server in one.servers:
            if server.forward.returns_directly:
                targets.append(_target(one, server, tuple(specs[id_] for id_ in server.checks)))
    if not targets:
        raise UsageError(
            f"no server of {service} is of direct return (forward: direct or tunnel): there is nothing to prove"
        )
    if len(targets) > MOST_TARGETS:
        raise UsageError(f"{service} has {len(targets)} servers and addresses; {MOST_TARGETS} can be asked at most")
    wires = [wire for wire in plan.wires if wire.vip == plans[0].vip]
    members_of = {member.node: member.addresses for wire in wires for member in wire.members}
    virtual = tuple((wire.virtual_mac, f"VRID {wire.router.vrid}") for wire in wires)
    taken = {one.ip for machine in site.machines for interface in machine.interfaces for one in interface.addresses}
    taken |= {address.ip for vip in site.vips for address in vip.addresses}
    interface = plans[0].interface
    return ProofTask(service, node, interface, tuple(targets), tuple(members_of.items()), virtual, frozenset(taken))


def _target(service: ServicePlan, server: ServerPlan, checks: tuple[CheckSpec, ...]) -> ProofTarget:
    """What asks for the VIP is no check of the server's own address; where no other is named, a connection is one."""
    source = next((spec.id.source for spec in checks), None)
    own = tuple(spec for spec in checks if not isinstance(spec.id.params, DirectParams))
    if not own and service.key.protocol is Protocol.TCP:
        identity = CheckId(server.address, TcpParams(server.port), source)
        own = (CheckSpec(identity, DEFAULT_SCHEDULE, f"tcp on {server.name}"),)
    sent = [spec.id.params.send for spec in own if isinstance(spec.id.params, UdpParams)]
    return ProofTarget(server.name, service.key, server.address, source, sent[0] if sent else b"", own, server.tunnel)
