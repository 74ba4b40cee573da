"""Invariants of services that are disabled, and of what becomes of their VIPs."""

from functools import partial

from yaoki.lb.service import VirtualService
from yaoki.node.router_wish import STARTUP_HOLD
from yaoki.sim.faults import Between
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.truth import SLACK_US, Truth
from yaoki.sim.ledger import Ledger
from yaoki.sim.process import LATENESS_US
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Virtual
from yaoki.site.model import WhenDisabled
from yaoki.site.node_plan import ServicePlan
from yaoki.vrrp.timing import leaving_limit


class DisabledAsDeclared(Invariant):
    """See `holds`."""

    name = "disabled as declared"
    holds = (
        "a node has no tables of a service that is disabled, or, where its flows go on, tables without new ones; it "
        "answers for no VIP that is withdrawn, and takes part in every other, once it has had the time to follow"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._truth = Truth(ledger)
        self._decided_at: dict[str, int] = {}
        self._speaking_since: dict[str, int] = {}

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            here = self.ledger.world.nodes[node]
            if here.speaking() and here.speaker.process.lateness_us <= LATENESS_US:
                self._speaking_since.setdefault(node, self.ledger.now)
            else:
                self._speaking_since.pop(node, None)

    def decided(self, node: str, /) -> None:
        if self.ledger.world.topology.disables:
            since = self._decided_at[node] = self.ledger.now
            self.ledger.timeline.after(SLACK_US, partial(self._look_each_second, node, since))
            for virtual in self.ledger.world.topology.virtuals:
                wait = self._longest_wait(virtual) + SLACK_US
                self.ledger.timeline.after(wait, partial(self._look_at_vips, node, since))

    def settled(self) -> None:
        for node in self._decided_at:
            self._look_at_services(node)

    def _look_each_second(self, node: str, since: int) -> None:
        """As long as something is disabled, whatever is restarted meanwhile."""
        if self._decided_at[node] == since:
            self._look_at_services(node)
            self._look_at_vips(node, since)
            if not all(self._truth.served(node, service) for service in self.ledger.plan(node).services):
                self.ledger.timeline.after(SECOND, partial(self._look_each_second, node, since))

    def _look_at_services(self, node: str) -> None:
        minding, now = self.ledger.minding_since(node), self.ledger.now
        main = self.ledger.world.nodes[node].main
        late = SLACK_US + main.process.lateness_us
        if minding is None or now - max(minding, self._decided_at[node]) < late:
            return
        if self._truth.tried_again_by(node) > now:
            return
        held = {service.key: service for service in self.ledger.world.nodes[node].kernel.table.services}
        for service in self.ledger.plan(node).services:
            self._check(node, service, held.get(service.key))

    def _check(self, node: str, service: ServicePlan, held: VirtualService | None) -> None:
        if self._truth.served(node, service):
            if held is None:
                self.broken(f"{node} has no tables of {service.name} on {service.key}")
        elif service.when_disabled is WhenDisabled.CUT:
            if held is not None:
                self.broken(f"{node} has tables of {service.name} on {service.key}, which is disabled")
        elif held is None or held.eligible:
            what = "no tables" if held is None else f"new flows to {', '.join(server.name for server in held.eligible)}"
            self.broken(f"{node} has {what} of {service.name} on {service.key}, which is disabled and drained")

    def _look_at_vips(self, node: str, since: int) -> None:
        if self._decided_at[node] != since:
            return
        for virtual in self.ledger.world.topology.virtuals:
            if any(name == node for name, _ in virtual.members):
                told = self._told_since(node)
                if told is not None and self.ledger.now - max(told, since) >= self._longest_wait(virtual):
                    self._check_vip(virtual, node)

    def _check_vip(self, virtual: Virtual, node: str) -> None:
        here, params = self.ledger.world.nodes[node], virtual.params(node)
        takes_part = here.speaker.takes_part_in(params.key)
        held = any(here.kernel.holds(params.key.interface, address) for address in params.addresses)
        withdrawn = self.ledger.withdraws(virtual, node)
        if withdrawn and (takes_part or held):
            self.broken(f"{node} takes part in {virtual}, which is withdrawn")
        if not withdrawn and not takes_part:
            self.broken(f"{node} takes no part in {virtual}, which is not withdrawn")

    def _told_since(self, node: str) -> int | None:
        """Since when main process, speaker and what is between them have worked."""
        here = self.ledger.world.nodes[node]
        times = (
            self.ledger.minding_since(node),
            self._speaking_since.get(node),
            here.links[Between.SPEAKER].flowing_since,
        )
        if any(time is None for time in times):
            return None
        return max(here.port_changed_at, *(time for time in times if time is not None))

    def _longest_wait(self, virtual: Virtual) -> int:
        """The hold for tables, and as long as a router may take to leave."""
        leaving = leaving_limit(version=virtual.members[0][1].version, interval=virtual.interval)
        return int((STARTUP_HOLD + leaving).total_seconds() * SECOND) + SECOND
