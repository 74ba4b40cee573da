"""Invariants of VIPs that are owned by lease."""

from datetime import timedelta
from functools import partial

from yaoki.election.lease_params import LeaseParams, longest_takeover, wait_out
from yaoki.node.speaker_leases import LIVES_PER_DURATION
from yaoki.sim.faults import Between
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
        "while a member could own and the store answers it, nobody owns a leased VIP, or any of the sync group that "
        "shares its lease, for at most 1.1 times that lease, "
        "counted from the last renewal if that was slow on its way to the store, and for a quarter of it more if the "
        "link of another's speaker to its keeper is held up just then, so that it cannot say that it gives way"
    )

    def owners_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def fitness_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def looked_at(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def _consider(self, virtual: Virtual) -> None:
        lease = virtual.lease
        together = self.ledger.world.topology.together(virtual)
        # Who cannot own them all keeps what it can of them, until one that can is heard to want the lease.
        if lease is None or any(self.ledger.holders[each] for each in together):
            return
        ownerless = max(self.ledger.holders_since[each] for each in together)
        begun = max(ownerless, self.ledger.world.lease_store.written_late(lease.key))
        for node, _ in virtual.members:
            able = self._able(virtual, node)
            if able is None:
                continue
            longest = _us(longest_takeover(lease.duration)) + SLACK_US
            if any(self._held_up(other, begun) for other, _ in virtual.members if other != node):
                longest += _us(lease.duration / LIVES_PER_DURATION)
            limit = max(begun, able) + longest
            if self.ledger.now >= limit:
                waited = (self.ledger.now - limit + longest) / MILLISECOND
                self.broken(f"nobody has owned {virtual} for {waited:.1f} ms, and {node} could all the time")
            self.look_again(virtual, limit, partial(self._consider, virtual))

    def _held_up(self, node: str, since: int) -> bool:
        """Whether a speaker's word to its keeper may not have arrived by then: the keeper goes on renewing what its
        speaker wanted, for as long as that counts."""
        return self.ledger.world.nodes[node].links[Between.HOLDER].held_up_since(since)

    def _able(self, virtual: Virtual, node: str) -> int | None:
        """Since when a member could take the lease; None: it could not."""
        together = self.ledger.world.topology.together(virtual)
        if any(self.ledger.has_left(each, node) for each in together):
            return None
        since = (self.ledger.keeping_since(node), *(self.ledger.fit_since(each, node) for each in together))
        known = [each for each in since if each is not None]
        return max(known) if len(known) == len(since) else None


def _us(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1_000_000)
