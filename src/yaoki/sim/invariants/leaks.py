"""Invariants of real servers that claim a VIP."""

from collections.abc import Iterator
from functools import partial

from yaoki.core.address import IPAddress
from yaoki.core.event import Event
from yaoki.lb.service import Forward
from yaoki.node.arp_leaks import minds
from yaoki.sim.invariants.claims import TOLD_US
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.truth import CAUGHT_US, QUIET_US, SLACK_US, Truth
from yaoki.sim.ledger import Ledger
from yaoki.sim.servers import Condition
from yaoki.sim.timeline import SECOND
from yaoki.site.node_plan import ServerPlan, ServicePlan
from yaoki.vrrp.wire_events import ArpLeaked


class LeakersOut(Invariant):
    """See `holds`."""

    name = "leakers out"
    holds = (
        "a server that answers for a VIP is told of when it has been asked; where it is to be removed, it then gets no "
        "new flows while another is up that does not, whatever is restarted, and again when it was quiet for a minute"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._truth = Truth(ledger)
        self._leaks: dict[tuple[str, IPAddress], int] = {}
        """Since when each lasts."""
        self._told_at: dict[tuple[str, str, IPAddress], int] = {}
        self._served: dict[tuple[str, str, str], tuple[int, bool]] = {}
        """While it leaks: in which power cycle, and whether, a node sent a server new flows."""

    def leaks_changed(self, host: str, address: IPAddress, /) -> None:
        key, now = (host, address), self.ledger.now
        if not self.ledger.world.servers.leaks(host, address):
            del self._leaks[key]
            self._served = {place: served for place, served in self._served.items() if place[2] != host}
            self.ledger.timeline.after(QUIET_US + CAUGHT_US, partial(self._look_whether_back, host, address, now))
        elif key not in self._leaks:
            self._leaks[key] = now
            self.ledger.timeline.after(CAUGHT_US, partial(self._look_each_second, host, address, now))

    def published(self, node: str, event: Event, /) -> None:
        if isinstance(event.body, ArpLeaked):
            self._told_at[node, event.body.server, event.body.address] = self.ledger.now

    def table_changed(self, node: str, /) -> None:
        cycles = self.ledger.world.nodes[node].power_cycles
        for host, address in self._leaks:
            self._look(node, host, address)
            for service, server in self._of(node, host, address):
                key, serves = (node, str(service.key), host), self._truth.serves(node, service, server)
                before, self._served[key] = self._served.get(key), (cycles, serves)
                if before == (cycles, False) and serves and self._was_caught(node, service, server):
                    self.broken(f"{node} put {host} back into {service.name}, though it claims {address} as before")

    def _look_each_second(self, host: str, address: IPAddress, since: int) -> None:
        if self._leaks.get((host, address)) == since:
            for node in self.ledger.world.topology.nodes:
                self._look(node, host, address)
            self.ledger.timeline.after(SECOND, partial(self._look_each_second, host, address, since))

    def _look(self, node: str, host: str, address: IPAddress) -> None:
        for service, server in self._of(node, host, address):
            since = self._known_since(node, server, self._leaks[host, address])
            if since is None or self.ledger.now - since < CAUGHT_US:
                continue
            told = self._told_at.get((node, host, address))
            if told is None or told < since - TOLD_US:
                self.broken(f"{node} has not told that {host} claims {address}")
            others = (other for other in service.servers if other is not server)
            if (
                minds(service, server)
                and self._truth.serves(node, service, server)
                and not self._refused(node)
                and any(self._is_better(node, service, other) for other in others)
            ):
                self.broken(f"{node} sends new flows of {service.name} to {host}, which claims {address}")

    def _was_caught(self, node: str, service: ServicePlan, server: ServerPlan) -> bool:
        """Whether a node has had the time to find out what a server claims, and that another is better, be it before a
        restart."""
        if not minds(service, server) or service.panic_threshold:
            return False
        since = self._leaks[server.name, service.key.address]
        if not self._has_seen(node, server, since, CAUGHT_US):
            return False
        return any(
            self._truth.ought(node, service, other)
            and not self._truth.found_out(node, service, other)
            and self._has_seen(node, other, 0, self._truth.detection(node, other) + SLACK_US)
            for other in service.servers
            if other is not server
        )

    def _has_seen(self, node: str, server: ServerPlan, since: int, us: int) -> bool:
        """Whether a node worked for so long at a stretch while a server was as it is now."""
        reached, thawed_at = self._truth.reached_since(node, server), self.ledger.world.nodes[node].thawed_at
        if reached is None or self.ledger.world.servers.condition(server.name) is Condition.DEAD:
            return False
        changed = self.ledger.server_changed_at(node, server.name)
        return self.ledger.minded_for(node, us, after=max(since, reached, thawed_at or 0, changed))

    def _look_whether_back(self, host: str, address: IPAddress, since: int) -> None:
        if self.ledger.leaked_at(host, address) != since:
            return
        for node in self.ledger.world.topology.nodes:
            for service, server in self._of(node, host, address):
                known = self._known_since(node, server, since)
                waits = known is None or self._truth.found_out(node, service, server)
                if not waits and known is not None and self._knows(node, server, known):
                    ought = self._truth.ought(node, service, server) or service.panic_threshold > 0
                    if ought and not self._truth.serves(node, service, server) and not self._refused(node):
                        self.broken(f"{node} sends no new flows of {service.name} to {host}, which claims nothing")

    def _refused(self, node: str) -> bool:
        return self._truth.tried_again_by(node) > self.ledger.now

    def _of(self, node: str, host: str, address: IPAddress) -> Iterator[tuple[ServicePlan, ServerPlan]]:
        """The services on an address that a server serves directly."""
        for service in self.ledger.plan(node).services:
            if service.key.address == address:
                for server in service.servers:
                    if server.name == host and server.forward is Forward.DIRECT:
                        yield service, server

    def _known_since(self, node: str, server: ServerPlan, since: int) -> int | None:
        """Since when a node could ask a server that answers, and see what comes."""
        condition = self.ledger.world.servers.condition(server.name)
        minding, thawed_at = self._truth.minding_since(node, server), self.ledger.world.nodes[node].thawed_at
        if minding is None or condition is Condition.DEAD:
            return None
        return max(since, minding, thawed_at or 0, self.ledger.server_changed_at(node, server.name))

    def _is_better(self, node: str, service: ServicePlan, other: ServerPlan) -> bool:
        """Whether a node has to know that another server is up and claims nothing."""
        well = self._truth.well(node, other) and self._truth.wanted(node, service, other) and not other.sorry
        if not well or service.panic_threshold or self._truth.found_out(node, service, other):
            return False
        known = self._known_since(node, other, 0)
        return known is not None and self._knows(node, other, known)

    def _knows(self, node: str, server: ServerPlan, since: int) -> bool:
        return self.ledger.now - since >= self._truth.detection(node, server) + SLACK_US
