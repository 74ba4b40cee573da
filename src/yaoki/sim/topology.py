"""What of a site a world is built from: where each node is plugged in, which virtual routers the nodes share, which
hosts the checks probe.

Invariant: everything here is read from the Site and the NodePlans; nothing is decided.
"""

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import IPv6Address

from yaoki.core.address import Family, IPAddress, IPNetwork, MacAddress
from yaoki.core.error import LocalError
from yaoki.election.lease_params import LeaseParams
from yaoki.sim.timeline import SECOND
from yaoki.site.compile import compile_node, compile_site
from yaoki.site.model import ArpLeak, Machine, Site, WhenDisabled
from yaoki.site.node_plan import NodePlan
from yaoki.site.replacement import as_before, replaced_nodes
from yaoki.vrrp.params import Failback, RouterParams
from yaoki.vrrp.timing import leaving_limit

# How much longer than its routers a speaker may take to leave.
STOP_GRACE_US = SECOND

_FIRST_LINK_LOCAL = IPv6Address("fe80::ff:fe00:1")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One interface of a node, and the network it is in. The addresses are the node's own, never a VIP."""

    node: str
    interface: str
    network: str
    ipv4: IPAddress | None
    link_local: IPAddress
    ipv6: IPAddress | None = None

    @property
    def mac(self) -> MacAddress:
        """The address from which the link-local one would be made (RFC 4291, appendix A)."""
        octets = self.link_local.packed[8:]
        return MacAddress(bytes((octets[0] ^ 2, *octets[1:3], *octets[5:])))

    def has(self, address: IPAddress) -> bool:
        """Whether that is an own address of the node here."""
        return address in (self.ipv4, self.ipv6, self.link_local)


@dataclass(frozen=True, slots=True, eq=False)
class Virtual:
    """One virtual router as all its nodes have it: a VIP in one family. `members` are in the order of the plans. It is
    looked up all the time, hence equal to itself only."""

    name: str
    network: str
    vrid: int
    family: Family
    members: tuple[tuple[str, RouterParams], ...]

    @property
    def failback(self) -> Failback:
        """What the site says; equal on all nodes."""
        return self.members[0][1].failback

    @property
    def interval(self) -> timedelta:
        """The longest advertisement interval of any member."""
        return max(params.interval for _, params in self.members)

    @property
    def startup_delay(self) -> timedelta:
        """How long a member that starts waits at least; equal on all nodes."""
        return self.members[0][1].startup_delay

    @property
    def failback_delay(self) -> timedelta:
        """How long a member hears a lower owner before it retakes; equal on all nodes."""
        return self.members[0][1].failback_delay

    @property
    def lease(self) -> LeaseParams | None:
        """The lease that its owner must hold, if it must; equal on all nodes."""
        return self.members[0][1].lease

    @property
    def group(self) -> str | None:
        """The sync group that it is in; equal on all nodes."""
        return self.members[0][1].group

    @property
    def longest_active_down(self) -> timedelta:
        """RFC 9568 6.1: three intervals and the skew; that of priority 1 bounds every other."""
        return 3 * self.interval + self.interval * 255 / 256

    def params(self, node: str) -> RouterParams:
        """How one member is configured."""
        return next(params for name, params in self.members if name == node)

    def __str__(self) -> str:
        return f"{self.name}/ipv{self.family.value}"


@dataclass(frozen=True, slots=True)
class Topology:
    """The whole world's shape. `servers` maps each address that is probed to the host that has it."""

    networks: tuple[tuple[str, tuple[IPNetwork, ...]], ...]
    attachments: tuple[Attachment, ...]
    virtuals: tuple[Virtual, ...]
    servers: tuple[tuple[IPAddress, str], ...]
    plans: tuple[NodePlan, ...]

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(plan.node for plan in self.plans)

    @property
    def replaced(self) -> frozenset[str]:
        """The nodes whose place another one has, by the plans of the others."""
        return frozenset(peer.node for plan in self.plans for peer in plan.heartbeat.peers if peer.replaced)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts that are probed, each once, in the order of the site file."""
        return tuple(dict.fromkeys(host for _, host in self.servers))

    @property
    def stop_grace_us(self) -> int:
        """What an operator's stop gives the processes of a node before they are killed: the longest that a virtual
        router may take to leave, and more."""
        limits = [
            leaving_limit(version=params.version, interval=params.interval)
            for plan in self.plans
            for params in plan.routers
        ]
        return STOP_GRACE_US + int(max(limits, default=timedelta(0)).total_seconds() * SECOND)

    def together(self, virtual: Virtual) -> tuple[Virtual, ...]:
        """The virtual routers that are owned together with one: itself, and those of its sync group."""
        return (virtual,) if virtual.group is None else tuple(v for v in self.virtuals if v.group == virtual.group)

    @property
    def leases(self) -> tuple[LeaseParams, ...]:
        """The leases of all VIPs that are owned by one."""
        return tuple(dict.fromkeys(virtual.lease for virtual in self.virtuals if virtual.lease is not None))

    @property
    def minds_leaks(self) -> bool:
        """Whether a service gives no new flows to a server that claims its address."""
        return any(s.arp_leak is ArpLeak.REMOVE for plan in self.plans for s in plan.services)

    @property
    def disables(self) -> bool:
        """Whether the site says of a VIP or a service what it leaves when it is disabled."""
        services = (service for plan in self.plans for service in plan.services)
        drains = any(service.when_disabled is WhenDisabled.DRAIN for service in services)
        return drains or any(plan.withdrawable for plan in self.plans)

    def plan(self, node: str) -> NodePlan:
        return next(plan for plan in self.plans if plan.node == node)

    def towards(self, node: str, address: IPAddress) -> Attachment:
        """The interface through which a node reaches an address: the one on its network, or else the first."""
        own = self.of_node(node)
        near = {name for name, prefixes in self.networks if any(address in prefix for prefix in prefixes)}
        return next((attachment for attachment in own if attachment.network in near), own[0])

    def at(self, network: str, address: IPAddress) -> str | None:
        """The node that has an own address in a network, if one does."""
        found = (here.node for here in self.attachments if here.network == network and here.has(address))
        return next(found, None)

    def of_node(self, node: str) -> tuple[Attachment, ...]:
        """The interfaces of one node."""
        return tuple(attachment for attachment in self.attachments if attachment.node == node)


def shape_of(site: Site) -> Topology:
    """The world of a site. A node that was replaced has come back, with the site file of before."""
    plans = compile_site(site) | {
        node.name: compile_node(as_before(site, node.name), node.name) for node in replaced_nodes(site)
    }
    return topology(site, tuple(plans.values()))


def topology(site: Site, plans: tuple[NodePlan, ...]) -> Topology:
    """Read the shape of `site`, compiled to `plans`, one for each of its nodes."""
    attachments: list[Attachment] = []
    for machine in site.nodes:
        for interface in machine.interfaces:
            link_local = _FIRST_LINK_LOCAL + len(attachments)
            ipv4 = interface.address(Family.IPV4)
            ipv6 = interface.address(Family.IPV6)
            attachments.append(Attachment(machine.name, interface.name, interface.network, ipv4, link_local, ipv6))
    return Topology(
        networks=tuple((network.name, network.prefixes) for network in site.networks),
        attachments=tuple(attachments),
        virtuals=_virtuals(plans, {(a.node, a.interface): a.network for a in attachments}),
        servers=_servers(site.machines, plans),
        plans=plans,
    )


def _virtuals(plans: tuple[NodePlan, ...], networks: dict[tuple[str, str], str]) -> tuple[Virtual, ...]:
    found: dict[tuple[str, int, Family], list[tuple[str, RouterParams]]] = {}
    for plan in plans:
        for params in plan.routers:
            network = networks.get((plan.node, params.key.interface))
            if network is None:
                raise LocalError(f"{plan.node} has no interface {params.key.interface}")
            found.setdefault((network, params.key.vrid, params.key.family), []).append((plan.node, params))
    return tuple(
        Virtual(members[0][1].vip, network, vrid, family, tuple(members))
        for (network, vrid, family), members in found.items()
    )


def _servers(machines: tuple[Machine, ...], plans: tuple[NodePlan, ...]) -> tuple[tuple[IPAddress, str], ...]:
    probed = {check.id.target for plan in plans for check in plan.checks}
    return tuple(
        (address.ip, machine.name)
        for machine in machines
        for interface in machine.interfaces
        for address in interface.addresses
        if address.ip in probed
    )
