"""Invariants of ownership that follows health."""

from functools import partial

from yaoki.core.event import Event
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import MILLISECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import BecameBackup, Reason
from yaoki.vrrp.leased_router import BID_PAUSE, NEAREST_BID
from yaoki.vrrp.standing import LEAST_PRIORITY
from yaoki.vrrp.timing import active_down_interval

# Frames that are late, and the processes' wake-ups.
SLACK_US = 200 * MILLISECOND


class SickRelieved(Invariant):
    """See `holds`."""

    name = "sick owner relieved"
    holds = (
        "an owner that may not own a VIP keeps it, whatever its failback, for at most the Active_Down_Interval of a "
        "member that may and hears it, and one advertisement interval; by lease, if both reach their keepers and these "
        "the store, for one lease more, in which who has just given way does not want it back, and until the store's "
        "news and a second look at them have come; and for as long as it heeds no bid after having given way in vain"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._kept_since: dict[tuple[Virtual, str], int] = {}
        self._gave_way: dict[tuple[str, str], int] = {}

    def published(self, node: str, event: Event, /) -> None:
        if isinstance(event.body, BecameBackup) and event.body.reason is Reason.HIGHER_PRIORITY:
            self._gave_way[node, event.body.vip] = self.ledger.now

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            status, key = self.ledger.status(virtual, node), (virtual, node)
            if status is not None and status.reason == Reason.KEPT.value and self.ledger.fit_since(*key) is not None:
                self._kept_since.setdefault(key, self.ledger.now)
            else:
                self._kept_since.pop(key, None)
        self._consider(virtual)

    def _consider(self, virtual: Virtual) -> None:
        limits: list[int] = []
        for owner in [node for kept, node in self._kept_since if kept is virtual]:
            for node, _ in virtual.members:
                since = self._could_since(virtual, owner, node)
                if since is None:
                    continue
                limits.append(since + self._longest(virtual, node))
                if self.ledger.now >= limits[-1]:
                    kept = (self.ledger.now - since) / MILLISECOND
                    self.broken(f"{owner} has kept {virtual} for {kept:.1f} ms, which {node} may own and {owner} not")
        if limits:
            self.look_again(virtual, min(limits), partial(self._consider, virtual))

    def _could_since(self, virtual: Virtual, owner: str, node: str) -> int | None:
        """Since when this member could have relieved the owner: well itself, and hearing its advertisements; by lease,
        if both reach their keepers, and these the store."""
        status = self.ledger.status(virtual, node)
        if node == owner or status is None or status.priority <= LEAST_PRIORITY:
            return None
        times = (
            self._kept_since[virtual, owner],
            self.ledger.fit_since(virtual, node),
            self.ledger.clean_since(virtual, owner, node),
            self.ledger.clean_since(virtual, node, owner),
            self.ledger.priority_since(virtual, node),
            *(self.ledger.keeping_since(each) for each in (node, owner) if virtual.lease is not None),
        )
        if virtual.lease is not None:
            # Who has given way in vain, to one whom the store did not answer, heeds no bid for a while.
            given = (self._gave_way.get((owner, each.name)) for each in self.ledger.world.topology.together(virtual))
            pause = int(BID_PAUSE.total_seconds() * 1_000_000)
            times = (*times, *(at + pause for at in given if at is not None))
        return None if None in times else max(time for time in times if time is not None)

    def _longest(self, virtual: Virtual, node: str) -> int:
        params = virtual.params(node)
        down = active_down_interval(version=params.version, priority=LEAST_PRIORITY, interval=virtual.interval)
        if virtual.lease is not None:
            down += virtual.lease.duration + virtual.lease.duration / 2 + NEAREST_BID
        return int((down + virtual.interval).total_seconds() * 1_000_000) + SLACK_US
