"""What has to be asked to prove that a service's servers are right for direct return, taken from a node's plan."""

from dataclasses import dataclass

from yaoki.checks.check import CheckSpec, UdpParams
from yaoki.core.address import IPAddress
from yaoki.core.error import UsageError
from yaoki.lb.service import Forward, ServiceKey
from yaoki.site.compile import compile_node
from yaoki.site.model import Site

MOST_TARGETS = 1000


@dataclass(frozen=True, slots=True)
class ProofTarget:
    """One server on one address of the VIP. `address` is its own, `source` this node's beside it; `payload` is what its
    check sends in a datagram."""

    server: str
    key: ServiceKey
    address: IPAddress
    source: IPAddress | None
    payload: bytes
    checks: tuple[CheckSpec, ...]


@dataclass(frozen=True, slots=True)
class ProofTask:
    """Everything about one service on one node. `members` are the nodes that may own the VIP with their own addresses,
    `taken` all addresses that the site names."""

    service: str
    node: str
    interface: str
    targets: tuple[ProofTarget, ...]
    members: tuple[tuple[str, tuple[IPAddress, ...]], ...]
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
            if server.forward is Forward.DIRECT:
                checks = tuple(specs[id_] for id_ in server.checks)
                sent = [spec.id.params.send for spec in checks if isinstance(spec.id.params, UdpParams)]
                source = next((spec.id.source for spec in checks), None)
                payload = sent[0] if sent else b""
                targets.append(ProofTarget(server.name, one.key, server.address, source, payload, checks))
    if not targets:
        raise UsageError(f"no server of {service} is of direct return (forward: direct): there is nothing to prove")
    if len(targets) > MOST_TARGETS:
        raise UsageError(f"{service} has {len(targets)} servers and addresses; {MOST_TARGETS} can be asked at most")
    wires = [wire for wire in plan.wires if wire.vip == plans[0].vip]
    members_of = {member.node: member.addresses for wire in wires for member in wire.members}
    taken = {one.ip for machine in site.machines for interface in machine.interfaces for one in interface.addresses}
    taken |= {address.ip for vip in site.vips for address in vip.addresses}
    interface = plans[0].interface
    return ProofTask(service, node, interface, tuple(targets), tuple(members_of.items()), frozenset(taken))
