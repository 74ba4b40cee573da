"""Invariants of moves that somebody wanted: an operator's stop, and the return of a better owner."""

from functools import partial

from yaoki.core.event import Event, EventId
from yaoki.node.messages import RouterState, RouterStatus
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.ownership import LATE_FRAMES_US, SLACK_US
from yaoki.sim.invariants.succession import robbed, serves_hushed
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import MILLISECOND, SECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import HandedOver, HandOverBegun, NobodyTookOver, Reason
from yaoki.vrrp.standing import LEAST_PRIORITY
from yaoki.vrrp.timing import skew_time

LONGEST_OVERLAP_US = SLACK_US
ROBBED_US = 20 * MILLISECOND
"""In which an address that somebody deleted is put back and of use again."""

# Why a member takes over from an owner that it does not hear.
_SERVING = (RouterState.ACTIVE, RouterState.LEAVING)
_UNHEARD = (Reason.ACTIVE_SILENT.value, Reason.NOBODY_HEARD.value)


class PlannedMoves(Invariant):
    """See `holds`."""

    name = "planned moves"
    holds = (
        "an owner without lease that leaves or gives way is relieved first, if anybody can that is not told to leave "
        "itself, and answers for the addresses beside the next one only until it has heard that one, unless that "
        "one is told to leave as well; whoever can relieve it does so within its Skew_Time"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._before: dict[Virtual, tuple[str, ...]] = {}
        self._known: dict[EventId, None] = {}
        self._begun: dict[Virtual, int] = {}

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        self._before[virtual] = holders
        if virtual.lease is not None:
            return  # break before make
        if not holders:
            for node in before:
                self._left_nobody(virtual, node)
        elif len(before) == 1 and len(holders) > 1:
            others = [node for node in holders if node != before[0]]
            if robbed(self.ledger, virtual, others[0], within_us=ROBBED_US):
                return  # it owned before, and has put back what was deleted there
            look = partial(self._still_two, virtual, before[0], others[0], self.ledger.now)
            self.ledger.timeline.after(LONGEST_OVERLAP_US, look)

    def published(self, node: str, event: Event, /) -> None:
        body = event.body
        # What passes through the main process is published there once more, and perhaps much later.
        if not isinstance(body, HandOverBegun | HandedOver | NobodyTookOver) or event.id in self._known:
            return
        self._known[event.id] = None
        virtual = self.ledger.virtual(node, body.router)
        match body:
            case HandOverBegun():
                self._begun[virtual] = self.ledger.now
            case HandedOver(after=after) | NobodyTookOver(waited=after):
                self._relieved(virtual, node, int(after.total_seconds() * SECOND))

    def _relieved(self, virtual: Virtual, node: str, after: int) -> None:
        """Any member relieves within its Skew_Time, the longest of which is that of the lowest priority."""
        version = virtual.params(node).version
        skew = skew_time(version=version, priority=1, interval=virtual.interval)
        longest = int(skew.total_seconds() * SECOND) + SLACK_US
        if any(self._owns_unheard(virtual, other, node, self.ledger.now - after) for other, _ in virtual.members):
            return  # the others follow that one
        for other, _ in virtual.members:
            if (
                other != node
                and after > longest
                and not self._stops(virtual, other)
                and self._in_touch(virtual, node, other, self._long_ago(virtual, after))
            ):
                waited = after / MILLISECOND
                self.broken(f"{node} waited {waited:.1f} ms to be relieved of {virtual}, and {other} was there")

    def _owns_unheard(self, virtual: Virtual, other: str, node: str, since: int) -> bool:
        """Whether another one owns whose advertisements may not all have come here since then."""
        status, clean = self.ledger.status(virtual, other), self.ledger.clean_since(virtual, other, node)
        owns = status is not None and status.state.owns
        return other != node and owns and (clean is None or clean > since)

    def _left_nobody(self, virtual: Virtual, node: str) -> None:
        """The last owner is gone. If it went by itself, somebody who heard it all the time could have come."""
        status = self.ledger.status(virtual, node)
        if status is None or self.ledger.fit_since(virtual, node) is None:
            return
        kernel, addresses = self.ledger.world.nodes[node].kernel, virtual.params(node).addresses
        if status.state.owns and not any(kernel.hushes(address.ip) for address in addresses):
            return  # it was taken from it
        others = (other for other, _ in virtual.members if other != node)
        if any(serves_hushed(self.ledger, virtual, other, states=_SERVING) for other in others):
            return  # it is relieved by one that is asked for the addresses in a moment
        if any(self._has_just_come(virtual, other) for other, _ in virtual.members if other != node):
            return
        if self._heard_late(virtual, node, status):
            return  # it gave way to one that is gone since it said that it owns
        others = (other for other, _ in virtual.members if other != node)
        if any(robbed(self.ledger, virtual, other, within_us=ROBBED_US) for other in others):
            return
        long_ago = self._long_ago(virtual, 0)
        for other, _ in virtual.members:
            if other != node and not self._stops(virtual, other) and self._in_touch(virtual, node, other, long_ago):
                self.broken(f"{node} left {virtual} to nobody, and {other} could have relieved it")

    def _stops(self, virtual: Virtual, node: str) -> bool:
        """Whether it was told to leave as well: it relieves nobody, and waits itself or has given up waiting."""
        status = self.ledger.status(virtual, node)
        return status is not None and status.reason == Reason.STOPPED.value

    def _heard_late(self, virtual: Virtual, node: str, status: RouterStatus) -> bool:
        """Whether what it heard last of another owner may have been under way for long."""
        for other, _ in virtual.members:
            attachments = self.ledger.world.nodes[other].attachments
            if status.peer is not None and any(each.has(status.peer) for each in attachments):
                clean = self.ledger.clean_since(virtual, other, node)
                return clean is None or clean > self.ledger.now - LATE_FRAMES_US
        return False

    def _has_just_come(self, virtual: Virtual, node: str) -> bool:
        """Whether it took over from an owner that it did not hear, and its kernel takes packets in a moment: who
        believes that nobody serves does not wait for that before it speaks."""
        status, params = self.ledger.status(virtual, node), virtual.params(node)
        if status is None or not status.state.owns or status.reason not in _UNHEARD:
            return False
        kernel, interface = self.ledger.world.nodes[node].kernel, params.key.interface
        return any(
            kernel.holds(interface, address) and not kernel.takes(interface, address.ip) for address in params.addresses
        )

    def _long_ago(self, virtual: Virtual, us: int) -> int:
        """A time at which whoever was there heard of any owner before so many microseconds ago."""
        return self.ledger.now - us - int(virtual.longest_active_down.total_seconds() * SECOND) - SLACK_US

    def _still_two(self, virtual: Virtual, node: str, other: str, begun: int) -> None:
        if self.ledger.holders_since[virtual] != begun:
            return
        if self._stops(virtual, node) and self._stops(virtual, other):
            return  # each was told to leave, and waits for a third until it gives up
        again = self._begun.get(virtual, begun) + LONGEST_OVERLAP_US
        statuses = (self.ledger.status(virtual, each) for each in (node, other))
        if any(status is not None and status.priority <= LEAST_PRIORITY for status in statuses):
            # Who has itself only just taken over waits until such a one is heard again, be it that one that comes or
            # one that goes on because its successor leaves.
            again = max(again, begun + int(virtual.interval.total_seconds() * SECOND) + LONGEST_OVERLAP_US)
        if again > self.ledger.now:
            # The next one leaves as well, before this one has left: another move, with an overlap of its own.
            self.ledger.timeline.at(again, partial(self._still_two, virtual, node, other, begun))
            return
        # Two that had not heard each other for an interval have not moved anything: they have met.
        interval = int(virtual.interval.total_seconds() * SECOND)
        if self._in_touch(virtual, node, other, begun - interval - LATE_FRAMES_US):
            held = LONGEST_OVERLAP_US // MILLISECOND
            self.broken(f"{node} has answered for {virtual} for more than {held} ms since {other} took over")

    def _in_touch(self, virtual: Virtual, node: str, other: str, since: int) -> bool:
        """Whether two members have been able to own and have heard each other since then."""
        times = (
            self.ledger.fit_since(virtual, node),
            self.ledger.fit_since(virtual, other),
            self.ledger.clean_since(virtual, node, other),
            self.ledger.clean_since(virtual, other, node),
        )
        return all(time is not None and time <= since for time in times)
