"""Invariants of virtual services: which servers the tables of a node send new flows to."""

from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.lb.service import RealServer
from yaoki.node.balancer_wish import LONGEST_RETRY
from yaoki.node.messages import VerdictChanged
from yaoki.pool.member import AdminState, Health
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.main_process import APPLY_US, ASK_AGAIN_US
from yaoki.sim.neighbours import NEIGHBOURS
from yaoki.sim.timeline import MILLISECOND
from yaoki.sim.topology import Virtual
from yaoki.site.node_plan import ServerPlan, ServicePlan

# Links, wake-ups and one apply that was under way already.
SLACK_US = 2 * APPLY_US[1] + 50 * MILLISECOND
LONGEST_RETRY_US = int(LONGEST_RETRY.total_seconds() * 1_000_000)


class _Truth:
    """What ought to be in the tables, from the servers' condition and the operators' wishes."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._specs = {(plan.node, spec.id): spec for plan in ledger.world.topology.plans for spec in plan.checks}

    def well(self, node: str, server: ServerPlan) -> bool:
        """Whether every check of a server would pass, if the node reached it."""
        return all(self._ledger.world.servers.passes(self._specs[node, check]) for check in server.checks)

    def wanted(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether nobody has taken the server out."""
        decisions = self._ledger.world.nodes[node].main.decisions
        admin = decisions.admin(server.name, service.name)
        return admin is AdminState.READY and decisions.weight(server.name, service.name, server.weight) > 0

    def ought(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether the server is to get new flows, where somebody is well: those of the highest priority that are."""
        if server.sorry or not self._serves_well(node, service, server):
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

    def reached_since(self, node: str, server: ServerPlan) -> int | None:
        """Since when nothing between node and server makes probes fail."""
        world = self._ledger.world
        attachment = world.topology.towards(node, server.address)
        network = world.networks[attachment.network]
        out, back = network.way(node, NEIGHBOURS), network.way(NEIGHBOURS, node)
        if not out.clean or not back.clean or not world.nodes[node].ports[attachment.interface].live:
            return None
        return max(out.changed_at, back.changed_at, world.nodes[node].port_changed_at)


def _ranks(service: ServicePlan) -> bool:
    """Whether what is right for one server depends on how the others are."""
    return len({(server.priority, server.sorry) for server in service.servers}) > 1


class TablesTrue(Invariant):
    """See `holds`."""

    name = "tables true"
    holds = (
        "a node that minds its checks sends new flows to every server that passes and to no other, at the latest when "
        "detection, links and one apply have passed, and after a refusal the pause before the next try"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._truth = _Truth(ledger)
        self._changed_at: dict[str, int] = {}

    def servers_changed(self, host: str, /) -> None:
        self._changed_at[host] = self.ledger.now
        for node in self.ledger.world.topology.nodes:
            self._plan_look(node, host)

    def decided(self, node: str, /) -> None:
        for host in self.ledger.world.topology.hosts:
            self._changed_at[host] = self.ledger.now
            self._plan_look(node, host)

    def settled(self) -> None:
        for node in self.ledger.world.topology.nodes:
            for service in self.ledger.plan(node).services:
                for server in service.servers:
                    self._check(node, service, server)

    def _plan_look(self, node: str, host: str) -> None:
        for service in self.ledger.plan(node).services:
            for server in service.servers:
                if server.name == host:
                    wait = self._truth.detection(node, server) + SLACK_US + ASK_AGAIN_US
                    look = partial(self._look, node, service, server, self.ledger.now)
                    self.ledger.timeline.after(wait, look)

    def _look(self, node: str, service: ServicePlan, server: ServerPlan, since: int) -> None:
        """Where servers stand in for each other, it is about all of them; and nothing may have changed of any."""
        servers = service.servers if _ranks(service) else (server,)
        for each in servers:
            minding = self._truth.minding_since(node, each)
            if minding is None or minding > since or self._changed_at.get(each.name, since) > since:
                return
        again = self._truth.tried_again_by(node)
        if again > self.ledger.now:
            self.ledger.timeline.at(again, partial(self._look, node, service, server, since))
            return
        for each in servers:
            self._check(node, service, each)

    def _check(self, node: str, service: ServicePlan, server: ServerPlan) -> None:
        if service.panic_threshold or not self._truth.somebody_well(node, service):
            return
        ought = self._truth.ought(node, service, server)
        if self._truth.serves(node, service, server) != ought:
            entry = self._truth.entry(node, service, server)
            verb = "sends no" if ought else "sends"
            self.broken(f"{node} {verb} new flows of {service.name} to {server.name}; its entry is {entry}")


class TablesKept(Invariant):
    """See `holds`."""

    name = "tables kept"
    holds = (
        "a node that has seen that a server passes and is wanted keeps it in its tables, and one that has seen it fail "
        "keeps it out, whatever is restarted"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._truth = _Truth(ledger)
        self._served: dict[tuple[str, str, str], tuple[int, bool]] = {}
        self._changed_at: dict[tuple[str, str], int] = {}

    def servers_changed(self, host: str, /) -> None:
        for node in self.ledger.world.topology.nodes:
            self._changed_at[node, host] = self.ledger.now

    def decided(self, node: str, /) -> None:
        for host in self.ledger.world.topology.hosts:
            self._changed_at[node, host] = self.ledger.now

    def table_changed(self, node: str, /) -> None:
        cycles = self.ledger.world.nodes[node].power_cycles
        for service in self.ledger.plan(node).services:
            for server in service.servers:
                key = node, str(service.key), server.name
                serves, before = self._truth.serves(node, service, server), self._served.get(key)
                self._served[key] = cycles, serves
                if before == (cycles, not serves):
                    self._check(node, service, server, serves)

    def _check(self, node: str, service: ServicePlan, server: ServerPlan, serves: bool) -> None:
        ought = self._truth.ought(node, service, server)
        others = service.servers if _ranks(service) else (server,)
        since = max(self._changed_at.get((node, other.name), 0) for other in others)
        if ought or len(others) > 1:
            # That a server passes is seen only if it is reached; that one fails is seen in any case.
            reached = [self._truth.reached_since(node, other) for other in others]
            if None in reached:
                return
            since = max(since, *(at for at in reached if at is not None))
        if serves is ought or not all(self._seen(node, other, since) for other in others):
            return
        if ought:
            self.broken(f"{node} took {server.name} out of {service.name}, though it was well all the time")
        elif not service.panic_threshold and self._truth.somebody_well(node, service):
            self.broken(f"{node} put {server.name} back into {service.name}, though nothing had changed")

    def _seen(self, node: str, server: ServerPlan, since: int) -> bool:
        """Whether the node has had the time to see the server as it is: what it knew before may still be under way."""
        return self.ledger.minded_for(node, self._truth.detection(node, server) + SLACK_US, after=since)


class OwnerHasTables(Invariant):
    """See `holds`."""

    name = "owner has tables"
    holds = "a node that takes a VIP has the tables of its services already, unless the kernel refused them"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._before: dict[Virtual, tuple[str, ...]] = {}
        self._decided_at: dict[str, int] = {}

    def decided(self, node: str, /) -> None:
        self._decided_at[node] = self.ledger.now

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        self._before[virtual] = holders
        for node in holders:
            if node not in before and not self._excused(node):
                self._check(virtual, node)

    def _check(self, virtual: Virtual, node: str) -> None:
        held = {service.key for service in self.ledger.world.nodes[node].kernel.table.services}
        for service in self.ledger.plan(node).services:
            wanted = service.vip == virtual.name and service.key.family is virtual.family and service.enabled
            if wanted and service.key not in held:
                self.broken(f"{node} took {virtual} and has no tables of {service.name}")

    def _excused(self, node: str) -> bool:
        """The kernel refused its tables since the power came, or its site file was altered just now."""
        here, decided = self.ledger.world.nodes[node], self._decided_at.get(node)
        if here.main.refused_in == here.power_cycles:
            return True
        minding = self.ledger.minding_since(node)
        return decided is not None and (minding is None or self.ledger.now - max(minding, decided) < SLACK_US)


@dataclass(slots=True, eq=False)
class _Run:
    """The latest results in a row of one check that are alike, and its verdict."""

    check: CheckSpec
    passed: bool = False
    length: int = 0
    verdict: Health = Health.UNKNOWN

    def __str__(self) -> str:
        return f"{self.length} {'passes' if self.passed else 'failures'} in a row"


class VerdictsEarned(Invariant):
    """See `holds`."""

    name = "verdicts earned"
    holds = (
        "a check falls on exactly `fall` failures in a row and rises on `rise` passes (one, if it never had a verdict)"
    )
    wants_probes = True

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._runs: dict[str, dict[CheckId, _Run]] = {node: {} for node in ledger.world.topology.nodes}
        self._configured: dict[str, frozenset[CheckId]] = {}
        # By identity of the spec, which lives as long as its entry: hashing a check costs more than a probe.
        self._by_spec: dict[int, tuple[CheckSpec, str, _Run]] = {}

    def started(self, process: str, /) -> None:
        node, _, part = process.partition("/")
        if part == "checks":
            self._runs[node].clear()
            self._configured.pop(node, None)
            self._by_spec.clear()

    def checks_configured(self, node: str, checks: tuple[CheckId, ...], /) -> None:
        before, runs = self._configured.get(node, frozenset()), self._runs[node]
        self._configured[node] = frozenset(checks)
        for check in tuple(runs):
            if check not in before or check not in self._configured[node]:
                del runs[check]
                self._by_spec.clear()

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None:
        found = self._by_spec.get(id(check))
        if found is None or found[1] != node:
            run = self._runs[node].setdefault(check.id, _Run(check))
            self._by_spec[id(check)] = (check, node, run)
        else:
            run = found[2]
        passed = finding.passed
        if run.length:
            self._owed(node, run)
        run.passed, run.length = passed, run.length + 1 if run.passed is passed else 1

    def judged(self, node: str, verdict: VerdictChanged, /) -> None:
        run = self._runs[node].get(verdict.check)
        if run is None:
            self.broken(f"{node}: {verdict.check} is {verdict.health} without a probe")
        before, run.verdict = run.verdict, verdict.health
        if before is run.verdict:
            return
        schedule = run.check.schedule
        if run.verdict is Health.DOWN and (run.passed or run.length != schedule.fall):
            self.broken(f"{node}: {run.check.name} fell after {run}")
        if run.verdict is Health.UP and (not run.passed or (before is Health.DOWN and run.length < schedule.rise)):
            self.broken(f"{node}: {run.check.name} rose after {run}")

    def _owed(self, node: str, run: _Run) -> None:
        """Whether the results before this one had to change the verdict and did not."""
        verdict, schedule = run.verdict, run.check.schedule
        if run.passed:
            enough = schedule.rise if verdict is Health.DOWN else 1
            owed = verdict is not Health.UP and run.length >= enough and not schedule.hold_down
        else:
            owed = verdict is not Health.DOWN and run.length >= schedule.fall
        if owed:
            self.broken(f"{node}: {run.check.name} is {verdict} after {run}")
