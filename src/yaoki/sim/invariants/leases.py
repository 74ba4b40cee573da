"""Invariants of VIPs that are owned by lease."""

from datetime import timedelta
from functools import partial

from yaoki.election.lease_params import LeaseParams, longest_takeover, wait_out
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.timeline import MILLISECOND
from yaoki.sim.topology import Virtual

# The processes' wake-ups, two ways to the store and back, and what a watch is late.
SLACK_US = 60 * MILLISECOND


class NeverTwoOwners(Invariant):
    """See `holds`."""

    name = "never two owners"
    holds = (
        "two nodes never answer for a leased VIP, not for a moment, whatever is lost, late, stopped or cut; but for a "
        "machine that was frozen, whose clock counted nothing meanwhile, until its lease is over by that clock"
    )

    def owners_changed(self, virtual: Virtual, /) -> None:
        lease = virtual.lease
        if lease is None:
            return
        owners = [node for node in self.ledger.holders[virtual] if not self._was_frozen(node, lease)]
        if len(owners) > 1:
            self.broken(f"{' and '.join(owners)} answer for {virtual}")

    def _was_frozen(self, node: str, lease: LeaseParams) -> bool:
        thawed_at = self.ledger.world.nodes[node].thawed_at
        return thawed_at is not None and self.ledger.now - thawed_at <= _us(wait_out(lease.duration))


class LeaseTakenInTime(Invariant):
    """See `holds`."""

    name = "lease taken in time"
    holds = (
        "while a member could own and the store answers it, nobody owns a leased VIP for at most 1.1 times its lease"
    )

    def owners_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def fitness_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def looked_at(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def _consider(self, virtual: Virtual) -> None:
        lease = virtual.lease
        if lease is None or self.ledger.holders[virtual]:
            return
        longest = _us(longest_takeover(lease.duration)) + SLACK_US
        for node, _ in virtual.members:
            able = self._able(virtual, node)
            if able is None:
                continue
            limit = max(self.ledger.holders_since[virtual], able) + longest
            if self.ledger.now >= limit:
                waited = (self.ledger.now - limit + longest) / MILLISECOND
                self.broken(f"nobody has owned {virtual} for {waited:.1f} ms, and {node} could all the time")
            self.look_again(virtual, limit, partial(self._consider, virtual))

    def _able(self, virtual: Virtual, node: str) -> int | None:
        """Since when a member could take the lease; None: it could not."""
        fit, keeping = self.ledger.fit_since(virtual, node), self.ledger.keeping_since(node)
        return None if fit is None or keeping is None else max(fit, keeping)


def _us(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1_000_000)
