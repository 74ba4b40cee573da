"""Invariants of who answers while a VIP passes from an owner that lives to the next one."""

from functools import partial

from yaoki.node.messages import RouterState
from yaoki.node.speaker_hushing import PATIENCE
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.invariants.ownership import SLACK_US
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import MILLISECOND, SECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.events import Reason
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY

LONGEST_SILENCE_US = int(PATIENCE.total_seconds() * SECOND) + SLACK_US
_RELIEVING = (Reason.ACTIVE_RELEASED.value, Reason.PREEMPTED_LOWER.value, Reason.ACTIVE_FAILING.value)


def serves_hushed(
    ledger: Ledger, virtual: Virtual, node: str, *, states: tuple[RouterState, ...] = (RouterState.ACTIVE,)
) -> bool:
    """Whether a member serves the addresses and waits until the owner before answers for them no more."""
    status, params, kernel = ledger.status(virtual, node), virtual.params(node), ledger.world.nodes[node].kernel
    if status is None or status.state not in states:
        return False
    return all(
        kernel.holds(params.key.interface, each)
        and kernel.takes(params.key.interface, each.ip)
        and kernel.hushes(each.ip)
        and not kernel.silences(each.ip)
        for each in params.addresses
    )


def robbed(ledger: Ledger, virtual: Virtual, node: str, *, within_us: int) -> bool:
    """Whether a member owns, and somebody has deleted an address there since so long, which its speaker puts back."""
    status, params = ledger.status(virtual, node), virtual.params(node)
    if status is None or not status.state.owns:
        return False
    kernel = ledger.world.nodes[node].kernel
    times = (kernel.taken_away_at(params.key.interface, address) for address in params.addresses)
    return any(at is not None and at > ledger.now - within_us for at in times)


class AnsweredByOne(Invariant):
    """See `holds`."""

    name = "answered by one"
    holds = (
        "who relieves an owner without lease that lives answers for the VIP when that owner does so no more: not "
        "before, unless another node has taken that owner's place, and at once, if they have heard each other all the "
        "time, else after a short wait"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._replaced = ledger.world.topology.replaced
        self._before: dict[Virtual, tuple[str, ...]] = {}
        self._changed_at: dict[Virtual, int] = {}

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        changed_at = self._changed_at.get(virtual, 0)
        self._before[virtual], self._changed_at[virtual] = holders, self.ledger.now
        if virtual.lease is not None or virtual.params(virtual.members[0][0]).virtual_mac:
            return  # break before make; both answers are the same
        # Of two that relieve a third one at once, neither has heard the other yet.
        for node in before if changed_at + SLACK_US <= self.ledger.now else ():
            # Who was replaced is no member by the others' files: they share no VIP, and heartbeats tell them of none.
            for other in holders if node not in self._replaced else ():
                if node in holders and other not in before and self._relieves(virtual, other, node):
                    self.broken(f"{other} answers for {virtual} while {node}, which it relieves, still does")
        if not holders:
            for node, _ in virtual.members:
                if serves_hushed(self.ledger, virtual, node):
                    told = any(self._relieves(virtual, node, owner) for owner in before)
                    told = told and not (
                        self._rival_unheard(virtual, node) or self._third_is_gone(virtual, node, before)
                    )
                    longest = SLACK_US if told else LONGEST_SILENCE_US
                    look = partial(self._still_nobody, virtual, node, self.ledger.now)
                    self.ledger.timeline.after(longest, look)

    def _relieves(self, virtual: Virtual, node: str, owner: str) -> bool:
        """Whether a member has just taken over from one that it heard all the time, and that heard it."""
        status = self.ledger.status(virtual, node)
        if status is None or status.reason not in _RELIEVING:
            return False
        # One of the least priority is not believed at once by an owner that came just before.
        if status.priority == LEAST_PRIORITY or virtual.params(owner).priority == OWNER_PRIORITY:
            return False
        since = self.ledger.now - int(virtual.longest_active_down.total_seconds() * SECOND) - SLACK_US
        times = (
            self.ledger.fit_since(virtual, node),
            self.ledger.fit_since(virtual, owner),
            self.ledger.clean_since(virtual, node, owner),
            self.ledger.clean_since(virtual, owner, node),
        )
        return all(time is not None and time <= since for time in times)

    def _rival_unheard(self, virtual: Virtual, node: str) -> bool:
        """Whether another member takes over in the same moment, hushed as well, and one of the two may not have heard
        the other, whose answer is then waited for."""
        rivals = (other for other, _ in virtual.members if other != node and serves_hushed(self.ledger, virtual, other))
        ways = (way for rival in rivals for way in ((rival, node), (node, rival)))
        return any(self.ledger.clean_since(virtual, *way) is None for way in ways)

    def _third_is_gone(self, virtual: Virtual, node: str, before: tuple[str, ...]) -> bool:
        """Whether a member is dead whose last word may have been that it owns, beside the one that is relieved: that
        counts until its heartbeats are missed."""
        others = (other for other, _ in virtual.members if other not in (node, *before))
        return any(self.ledger.fit_since(virtual, other) is None for other in others)

    def _still_nobody(self, virtual: Virtual, node: str, begun: int) -> None:
        fit = self.ledger.fit_since(virtual, node)
        unchanged = self.ledger.holders_since[virtual] == begun and fit is not None and fit <= begun
        if unchanged and serves_hushed(self.ledger, virtual, node):
            silent = (self.ledger.now - begun) / MILLISECOND
            self.broken(
                f"{node} has served {virtual} for {silent:.0f} ms without answering for it, and nobody else does"
            )
