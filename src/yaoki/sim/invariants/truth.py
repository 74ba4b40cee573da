"""What ought to be in the tables of a node, by what the world knows and the node can."""

from datetime import timedelta

from yaoki.lb.service import RealServer
from yaoki.node.arp_leaks import QUIET, minds
from yaoki.node.balancer_wish import LONGEST_RETRY
from yaoki.pool.member import AdminState
from yaoki.sim.ledger import Ledger
from yaoki.sim.main_process import APPLY_US, ASK_AGAIN_US
from yaoki.sim.neighbours import NEIGHBOURS
from yaoki.sim.timeline import MILLISECOND, SECOND
from yaoki.site.node_plan import ServerPlan, ServicePlan
from yaoki.vrrp.answer_watch import ANSWER_TIME
from yaoki.vrrp.claim_watch import VERIFY_TIME
from yaoki.vrrp.wire_params import LONGEST_PAUSE

# Links, wake-ups and one apply that was under way already.
SLACK_US = 2 * APPLY_US[1] + 50 * MILLISECOND
LONGEST_RETRY_US = int(LONGEST_RETRY.total_seconds() * 1_000_000)
QUIET_US = int(QUIET.total_seconds() * SECOND)
CAUGHT_US = int((LONGEST_PAUSE + ANSWER_TIME + VERIFY_TIME).total_seconds() * SECOND) + ASK_AGAIN_US + SECOND
"""From the first answer that a server has for a VIP to tables without it: the next question, its verification, and the
server's MAC, all by timers that may be late."""


class Truth:
    """What ought to be in the tables, from the servers' condition and the operators' wishes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._specs = {(plan.node, spec.id): spec for plan in ledger.world.topology.plans for spec in plan.checks}

    def well(self, node: str, server: ServerPlan) -> bool:
        """Whether every check of a server would pass, if the node reached it."""
        return all(self._ledger.world.servers.passes(self._specs[node, check]) for check in server.checks)

    def served(self, node: str, service: ServicePlan) -> bool:
        """Whether the service is enabled."""
        return self._ledger.world.nodes[node].main.decisions.enabled(service.name, service.enabled)

    def wanted(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether nobody has taken the server out."""
        decisions = self._ledger.world.nodes[node].main.decisions
        admin = decisions.admin(server.name, service.name)
        return admin is AdminState.READY and decisions.weight(server.name, service.name, server.weight) > 0

    def ought(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether the server is to get new flows, where somebody is well: those of the highest priority that are."""
        if not self.served(node, service) or server.sorry or not self._serves_well(node, service, server):
            return False
        before = (other for other in service.servers if not other.sorry and other.priority > server.priority)
        return not any(self._serves_well(node, service, other) for other in before)

    def _serves_well(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        return self.well(node, server) and self.wanted(node, service, server)

    def serves(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether the node's tables send it new flows."""
        found = self.entry(node, service, server)
        return found is not None and found.eligible

    def entry(self, node: str, service: ServicePlan, server: ServerPlan) -> RealServer | None:
        """The server in the tables."""
        for virtual_service in self._ledger.world.nodes[node].kernel.table.services:
            if virtual_service.key == service.key:
                return next((s for s in virtual_service.servers if s.name == server.name), None)
        return None

    def somebody_well(self, node: str, service: ServicePlan) -> bool:
        """Whether a policy for desperate times has no say."""
        return any(self._serves_well(node, service, server) for server in service.servers if not server.sorry)

    def detection(self, node: str, server: ServerPlan) -> int:
        """The longest that it may take until the node knows how the server is now: its checks fall, or rise."""
        well, longest = self.well(node, server), timedelta(0)
        for check in server.checks:
            schedule = self._specs[node, check].schedule
            rise = schedule.hold_down + (schedule.rise + 1) * max(schedule.interval, schedule.timeout)
            longest = max(longest, rise if well else schedule.longest_detection)
        return int(longest.total_seconds() * 1_000_000)

    def minding_since(self, node: str, server: ServerPlan) -> int | None:
        """Since when the node has seen the server as it is: its processes work and its network is a plain LAN."""
        minding, reached = self._ledger.minding_since(node), self.reached_since(node, server)
        return None if minding is None or reached is None else max(minding, reached)

    def tried_again_by(self, node: str) -> int:
        """When a node whose kernel refused its tables, and refuses none now, has asked again at the latest."""
        main, minding = self._ledger.world.nodes[node].main, self._ledger.minding_since(node)
        if minding is None or not main.refused:
            return 0
        return minding + LONGEST_RETRY_US + main.process.lateness_us + SLACK_US

    def found_out(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether it may be because of a leak that a server gets no new flows: it leaks, or has and is not let off."""
        leaked_at = self._ledger.leaked_at(server.name, service.key.address)
        if leaked_at is None or not minds(service, server):
            return False
        since, thawed_at = self.minding_since(node, server), self._ledger.world.nodes[node].thawed_at
        return since is None or self._ledger.now < max(leaked_at, since, thawed_at or 0) + QUIET_US + CAUGHT_US

    def reached_since(self, node: str, server: ServerPlan) -> int | None:
        """Since when nothing between node and server makes probes fail."""
        world = self._ledger.world
        attachment = world.topology.towards(node, server.address)
        network = world.networks[attachment.network]
        out, back = network.way(node, NEIGHBOURS), network.way(NEIGHBOURS, node)
        if not out.clean or not back.clean or not world.nodes[node].ports[attachment.interface].live:
            return None
        return max(out.changed_at, back.changed_at, world.nodes[node].port_changed_at)


def ranks(service: ServicePlan) -> bool:
    """Whether what is right for one server depends on how the others are."""
    return len({(server.priority, server.sorry) for server in service.servers}) > 1
