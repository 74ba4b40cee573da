"""What the lease keeper is asked for, what it reported, and the epoch under which this node owns each VIP.

Invariant: apart from a repeat for a new keeper, nothing is sent that the keeper was told already. A node that never had
a leased VIP has no keeper, and asks for nothing.
"""

from collections.abc import Iterable

from yaoki.election.lease_params import LeaseParams
from yaoki.election.store import LocalStore
from yaoki.node.brain_messages import KeepEpoch
from yaoki.node.lease_messages import ConfigureLeases, KeeperOrder, LeaseStatus, RepeatLeaseStatus
from yaoki.node.messages import RouterState, RouterStatus
from yaoki.site.node_plan import NodePlan


class LeaseWish:
    """The leases of a node as its Brain sees them."""

    def __init__(self) -> None:
        self.statuses: dict[str, LeaseStatus] = {}
        self._epochs: dict[str, int | None] = {}
        self._told: ConfigureLeases | None = None
        self._keys: dict[str, str] = {}
        """The lease of each leased VIP: those of a sync group share one."""

    def apply(self, plan: NodePlan) -> list[ConfigureLeases]:
        """What to tell the keeper now."""
        self._keys = {router.vip: router.lease.key for router in plan.routers if router.lease is not None}
        wanted = ConfigureLeases(plan.store or LocalStore(), plan.leases)
        if wanted == self._told or (self._told is None and not plan.leases):
            return []
        self._told = wanted
        keys = {lease.key for lease in plan.leases}
        self.statuses = {key: status for key, status in self.statuses.items() if key in keys}
        return [wanted]

    @property
    def epochs(self) -> dict[str, int]:
        """The epochs of the VIPs' leases by the store's latest word, where it is known."""
        known = {key: status.epoch for key, status in self.statuses.items() if status.epoch}
        return {vip: known[key] for vip, key in self._keys.items() if key in known}

    def repeat(self) -> list[KeeperOrder]:
        """The whole wish again, for a keeper that may know nothing."""
        return [] if self._told is None else [self._told, RepeatLeaseStatus()]

    def note(self, status: LeaseStatus) -> None:
        """Remember what the keeper says of one lease."""
        if any(lease.key == status.key for lease in self._listed):
            self.statuses[status.key] = status

    def new_epoch(self, vip: str, statuses: Iterable[RouterStatus]) -> KeepEpoch | None:
        """The epoch under which a VIP is owned by what its routers say, if that is news. The first word always is: what
        an earlier life of this process wrote may be old."""
        if vip not in self._keys:
            return None
        epochs = [status.epoch for status in statuses if status.vip == vip and status.state is RouterState.ACTIVE]
        owned = max((epoch for epoch in epochs if epoch is not None), default=None)
        if vip in self._epochs and self._epochs[vip] == owned:
            return None
        self._epochs[vip] = owned
        return KeepEpoch(vip, owned)

    @property
    def _listed(self) -> tuple[LeaseParams, ...]:
        return () if self._told is None else self._told.leases
