"""Invariants of virtual services: which servers the tables of a node send new flows to."""

from dataclasses import dataclass
from functools import partial

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.node.messages import VerdictChanged
from yaoki.pool.member import Health
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.truth import SLACK_US, Truth, ranks
from yaoki.sim.ledger import Ledger
from yaoki.sim.main_process import ASK_AGAIN_US
from yaoki.sim.topology import Virtual
from yaoki.site.node_plan import ServerPlan, ServicePlan


class TablesTrue(Invariant):
    """See `holds`."""

    name = "tables true"
    holds = (
        "a node that minds its checks sends new flows to every server that passes and to no other, at the latest when "
        "detection, links and one apply have passed, and after a refusal the pause before the next try"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._truth = Truth(ledger)

    def servers_changed(self, host: str, /) -> None:
        for node in self.ledger.world.topology.nodes:
            self._plan_look(node, host)

    def decided(self, node: str, /) -> None:
        for host in self.ledger.world.topology.hosts:
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
        servers = service.servers if ranks(service) else (server,)
        for each in servers:
            minding = self._truth.minding_since(node, each)
            if minding is None or minding > since or self.ledger.server_changed_at(node, each.name) > since:
                return
            if self._truth.found_out(node, service, each):
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
        self._truth = Truth(ledger)
        self._served: dict[tuple[str, str, str], tuple[int, bool]] = {}

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
        others = service.servers if ranks(service) else (server,)
        since = max(self.ledger.server_changed_at(node, other.name) for other in others)
        if ought or len(others) > 1:
            # That a server passes is seen only if it is reached; that one fails is seen in any case.
            reached = [self._truth.reached_since(node, other) for other in others]
            if None in reached:
                return
            since = max(since, *(at for at in reached if at is not None))
        if serves is ought or not all(self._seen(node, other, since) for other in others):
            return
        if any(self._truth.found_out(node, service, other) for other in others):
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
