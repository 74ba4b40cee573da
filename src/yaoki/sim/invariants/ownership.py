"""Invariants of who owns a VIP."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from itertools import combinations

from yaoki.core.event import Event
from yaoki.node.messages import RouterState
from yaoki.node.speaker_events import Overslept
from yaoki.sim.faults import Part
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.kernel import TICK_US
from yaoki.sim.ledger import Ledger
from yaoki.sim.neighbours import INTRUDER
from yaoki.sim.timeline import MILLISECOND
from yaoki.sim.topology import Virtual
from yaoki.vrrp.dead_man import INTERVALS
from yaoki.vrrp.params import Failback
from yaoki.vrrp.standing import LEAST_PRIORITY, standing
from yaoki.vrrp.timing import ANNOUNCEMENT_PAUSES, HOLD, active_down_interval, leaving_limit, skew_time

# A frame's way on a LAN, the kernel's notification and the processes' wake-ups, with room to spare.
SLACK_US = 5 * MILLISECOND
# A frame may still be under way for so long after the network has become a plain LAN again.
LATE_FRAMES_US = 150 * MILLISECOND
# How long a loser holds on after it has told the winner.
HOLD_US = int(HOLD.total_seconds() * 1_000_000)
# The schedule of announcements after a takeover, which outlasts any frame that is late.
FOLLOW_US = int(sum(ANNOUNCEMENT_PAUSES, timedelta(0)).total_seconds() * 1_000_000) + LATE_FRAMES_US


class OneOwner(Invariant):
    """See `holds`."""

    name = "one owner"
    holds = "once things have settled, each VIP is answered for by exactly one node in each family"

    def settled(self) -> None:
        for virtual, holders in self.ledger.holders.items():
            able = [node for node, _ in virtual.members if self.ledger.fit_since(virtual, node) is not None]
            if len(holders) != 1 and able:
                self.broken(f"{virtual} is held by {_listed(holders)}, and {_listed(able)} could")


class RightOwner(Invariant):
    """See `holds`."""

    name = "right owner"
    holds = (
        "once settled, failback `prefer` has the highest priority own, and an owner that nothing disturbed still owns"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._owners: dict[Virtual, str] = {}

    def settled(self) -> None:
        for virtual, holders in self.ledger.holders.items():
            if len(holders) == 1:
                self._check(virtual, holders[0])
                self._owners[virtual] = holders[0]

    def _check(self, virtual: Virtual, owner: str) -> None:
        if virtual.failback is Failback.PREFER:
            best = max(self._ranked(virtual), default=None)
            if best is not None and best[2] != owner:
                self.broken(f"{virtual} is owned by {owner}, but {best[2]} has priority {best[0]}")
        before = self._owners.get(virtual)
        together = self.ledger.world.topology.together(virtual)
        if before is not None and before != owner and all(self._undisturbed(each, before) for each in together):
            self.broken(f"{virtual} moved from {before} to {owner}, though nothing had disturbed {before}")

    def _ranked(self, virtual: Virtual) -> list[tuple[int, int, str]]:
        ranked = []
        for node, params in virtual.members:
            status = self.ledger.status(virtual, node)
            if status is not None and self.ledger.fit_since(virtual, node) is not None:
                ranked.append((status.priority, int(params.source) if params.source is not None else 0, node))
        return ranked

    def _undisturbed(self, virtual: Virtual, owner: str) -> bool:
        since, last = self.ledger.fit_since(virtual, owner), self.ledger.settled_at
        lowered = self.ledger.lowered_at(virtual, owner)
        if since is None or last is None or since > last or (lowered is not None and lowered > last):
            return False
        if virtual.lease is not None:
            keeping = self.ledger.keeping_since(owner)
            if keeping is None or keeping > last:
                return False
        ways = [self.ledger.clean_since(virtual, owner, node) for node, _ in virtual.members if node != owner]
        return all(way is not None and way <= last for way in ways)


class HeldIsActive(Invariant):
    """See `holds`."""

    name = "held is active"
    holds = (
        "a node whose speaker runs holds a VIP's addresses if and only if its virtual router owns, or has just begun "
        "and its kernel answers by the lease of its former life still"
    )

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            if self._wrong(virtual, node):
                self.ledger.timeline.after(SLACK_US, partial(self._look_again, virtual, node, self.ledger.now))

    def _look_again(self, virtual: Virtual, node: str, since: int) -> None:
        """The kernel's notification of what somebody did to an address takes a moment; a stop or a freeze excuses."""
        wrong, fit = self._wrong(virtual, node), self.ledger.fit_since(virtual, node)
        if wrong and fit is not None and fit <= since:
            self.broken(f"{node} {wrong} of {virtual}")

    def _wrong(self, virtual: Virtual, node: str) -> str:
        here, status = self.ledger.world.nodes[node], self.ledger.status(virtual, node)
        if status is None or not here.speaking():
            return ""
        params = virtual.params(node)
        held = [here.kernel.holds(params.key.interface, address) for address in params.addresses]
        if status.state.owns and not all(held):
            return f"is {status.state} and lacks addresses"
        left = [address for address, there in zip(params.addresses, held, strict=True) if there]
        begins = params.lease is not None and status.state is RouterState.INITIALIZE
        if begins and all(here.kernel.is_armed(a.ip) and not here.kernel.silences(a.ip) for a in left):
            return ""
        if not status.state.owns and left:
            return f"is {status.state} and holds addresses"
        return ""


class OwnerlessBounded(Invariant):
    """See `holds`."""

    name = "time without owner"
    holds = (
        "while a member could own and listens, nobody answers for a VIP without lease for at most its "
        "Active_Down_Interval, or its Skew_Time after the owner has left with priority 0, or its startup-delay and "
        "Skew_Time"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._listening: dict[str, int] = {}
        self._owning: set[tuple[Virtual, str]] = set()
        self._owned_at: dict[Virtual, int] = {}
        """When somebody last began to own: the others wait from then on, even if its kernel never came to answer."""

    def started(self, process: str, /) -> None:
        """A speaker that takes another's place listens from the beginning."""
        node, _, part = process.partition("/")
        if part == Part.SPEAKER:
            self._listening[node] = self.ledger.now

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            status, key = self.ledger.status(virtual, node), (virtual, node)
            if status is None or not status.state.owns:
                self._owning.discard(key)
            elif key not in self._owning:
                self._owning.add(key)
                self._owned_at[virtual] = self.ledger.now

    def owners_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def fitness_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def _consider(self, virtual: Virtual) -> None:
        if self.ledger.holders[virtual] or virtual.lease is not None:
            return
        now, begun = self.ledger.now, self.ledger.holders_since[virtual]
        limits: list[int] = []
        for node, _ in virtual.members:
            fit = self.ledger.fit_since(virtual, node)
            if fit is None or self.ledger.has_left(virtual, node):
                continue
            since = max(begun, fit, self._listening.get(node, 0), self._owned_at.get(virtual, 0))
            # A priority that has just changed has just moved the end of its timer.
            ranked = self.ledger.priority_since(virtual, node)
            limits.append(max(since + self._longest(virtual, node, begun), ranked + SLACK_US))
            if now >= limits[-1]:
                waited = (now - since) / MILLISECOND
                self.broken(f"nobody has answered for {virtual} for {waited:.1f} ms, and {node} could all the time")
        if limits:
            self.look_again(virtual, min(limits), partial(self._consider, virtual))

    def _longest(self, virtual: Virtual, node: str, begun: int) -> int:
        params = virtual.params(node)
        lowest = self._lowest_priority(virtual, node)
        if self._was_told(virtual, node, begun):
            duration = skew_time(version=params.version, priority=lowest, interval=virtual.interval)
        else:
            down = active_down_interval(version=params.version, priority=lowest, interval=virtual.interval)
            # A change of priority while the start is waited out moves its end by what it does to the Skew_Time.
            skew = skew_time(version=params.version, priority=lowest, interval=virtual.interval)
            duration = max(down, params.startup_delay + skew)
        quiet = all(
            since is not None and since + LATE_FRAMES_US <= begun
            for since in (
                self.ledger.clean_since(virtual, other, node) for other, _ in virtual.members if other != node
            )
        )
        # A gate may shut a tick before its owner wakes in time to say once more that it is there.
        slack = SLACK_US + TICK_US
        return int(duration.total_seconds() * 1_000_000) + (slack if quiet else slack + LATE_FRAMES_US)

    def _lowest_priority(self, virtual: Virtual, node: str) -> int:
        """With everything that lowers it at once, or as it was last told: a word from the main process may be held
        up."""
        params = virtual.params(node)
        plan = self.ledger.world.topology.plan(node)
        weights = [track.weight for track in plan.tracks if track.router == params.key]
        weights += [track.weight for track in params.tracks]
        if virtual.name in self.ledger.world.nodes[node].main.decisions.moved:
            return LEAST_PRIORITY
        lowest = standing(params.priority, [weight for weight in weights if weight is not None and weight < 0]).priority
        status = self.ledger.status(virtual, node)
        return lowest if status is None else min(lowest, status.priority)

    def _was_told(self, virtual: Virtual, node: str, begun: int) -> bool:
        """Whether the last owner said that it leaves, and this member heard it in time."""
        fit = self.ledger.fit_since(virtual, node)
        if fit is not None:
            fit = max(fit, self._listening.get(node, 0))
        for other, _ in virtual.members:
            left, clean = self.ledger.left_at(virtual, other), self.ledger.clean_since(virtual, other, node)
            heard = left is not None and abs(begun - left) <= SLACK_US and clean is not None and clean <= left
            if other != node and heard and fit is not None and left is not None and fit + SLACK_US <= left:
                return True
        return False


class TwoOwnersBounded(Invariant):
    """See `holds`."""

    name = "two owners"
    holds = (
        "two nodes that hear each other answer for one VIP without lease together for at most one advertisement "
        "interval, or three if the speaker of one that had heard a peer has died or stands still; if both are told to "
        "leave at once, until neither is relieved in time"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._unfit_since: dict[tuple[Virtual, str], int] = {}

    def owners_changed(self, virtual: Virtual, /) -> None:
        self._consider(virtual)

    def fitness_changed(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            if self.ledger.fit_since(virtual, node) is not None:
                self._unfit_since.pop((virtual, node), None)
            else:
                self._unfit_since.setdefault((virtual, node), self.ledger.now)
        self._consider(virtual)

    def _consider(self, virtual: Virtual) -> None:
        if virtual.lease is not None:
            return
        limits: list[int] = []
        for first, second in combinations(self.ledger.holders[virtual], 2):
            longest = self._longest(virtual, first, second)
            since = self._since(virtual, first, second)
            # The network may become whole while nothing else changes: then it is looked at again in time.
            limits.append((self.ledger.now if since is None else since) + longest)
            if since is not None and self.ledger.now >= limits[-1]:
                lasted = (self.ledger.now - since) / MILLISECOND
                self.broken(f"{first} and {second} have both answered for {virtual} for {lasted:.1f} ms")
        if limits:
            self.look_again(virtual, min(limits), partial(self._consider, virtual))

    def _since(self, virtual: Virtual, first: str, second: str) -> int | None:
        """Since when both have answered, been able to or gated, and heard each other."""
        times = (
            self.ledger.holders_since[virtual],
            self._answerable_since(virtual, first),
            self._answerable_since(virtual, second),
            self.ledger.clean_since(virtual, first, second),
            self.ledger.clean_since(virtual, second, first),
        )
        return None if None in times else max(time for time in times if time is not None)

    def _answerable_since(self, virtual: Virtual, node: str) -> int | None:
        """Since when a node has had to give way: its speaker runs, or its kernel was told to silence it without one."""
        fit = self.ledger.fit_since(virtual, node)
        if fit is not None:
            return fit
        here = self.ledger.world.nodes[node]
        gated = all(here.kernel.is_armed(address.ip) for address in virtual.params(node).addresses)
        unfit = self._unfit_since.get((virtual, node), 0)
        return max(here.port_changed_at, unfit) if gated and not here.speaking() else None

    def _longest(self, virtual: Virtual, first: str, second: str) -> int:
        both = all(self.ledger.fit_since(virtual, node) is not None for node in (first, second))
        statuses = [self.ledger.status(virtual, node) for node in (first, second)]
        if all(status is not None and status.state is RouterState.LEAVING for status in statuses):
            limit = leaving_limit(version=virtual.params(first).version, interval=virtual.interval)
            return int(limit.total_seconds() * 1_000_000) + SLACK_US + LATE_FRAMES_US
        intervals = 1 if both else INTERVALS
        return int(intervals * virtual.interval.total_seconds() * 1_000_000) + SLACK_US + LATE_FRAMES_US


class NeighboursFollow(Invariant):
    """See `holds`."""

    name = "neighbours follow"
    holds = "soon after a VIP has got one owner, the last announcement that the neighbours heard was its owner's"

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._before: dict[Virtual, tuple[str, ...]] = {}

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        self._before[virtual] = holders
        if len(holders) != 1:
            return
        owner = holders[0]
        if all(self._gave_way(virtual, other, owner) for other in before if other != owner):
            self.ledger.timeline.after(FOLLOW_US, partial(self._look, virtual, owner, self.ledger.now))

    def _gave_way(self, virtual: Virtual, loser: str, winner: str) -> bool:
        """Whether the loser could tell the winner, which it did a little before it released; of one that died as second
        owner nobody can tell."""
        clean = self.ledger.clean_since(virtual, loser, winner)
        able = self.ledger.fit_since(virtual, loser) is not None
        return able and clean is not None and clean <= self.ledger.now - HOLD_US - SLACK_US

    def _look(self, virtual: Virtual, owner: str, since: int) -> None:
        if self.ledger.holders_since[virtual] != since or self.ledger.fit_since(virtual, owner) is None:
            return
        neighbours = self.ledger.world.neighbours[virtual.network]
        for address in virtual.params(owner).addresses:
            believed = neighbours.believe(address.ip)
            # Whom an intruder has misled, the invariant of claims looks at.
            if believed not in (owner, INTRUDER) and not neighbours.excused(address.ip, owner):
                self.broken(f"the neighbours look for {address.ip} at {believed}, but {owner} owns it")


class NothingMoves(Invariant):
    """See `holds`."""

    name = "nothing moves"
    holds = "faults that reach neither the network nor a speaker nor a machine never move a VIP"

    def owners_changed(self, virtual: Virtual, /) -> None:
        if self.ledger.forwarding_untouched and self.ledger.settled_at is not None:
            self.broken(f"{virtual} is held by {_listed(self.ledger.holders[virtual])} now")


def _listed(nodes: Sequence[str]) -> str:
    return " and ".join(nodes) or "nobody"


class KeptUntilTaken(Invariant):
    """See `holds`."""

    name = "kept until taken"
    holds = (
        "an owner with power and carrier gives a VIP without lease up to another owner or with priority 0, whatever is "
        "restarted, unless its speaker stood still for longer than the others wait"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._before: dict[Virtual, tuple[str, ...]] = {}
        self._shared_at: dict[Virtual, int] = {}
        self._overslept_at: dict[str, int] = {}

    def published(self, node: str, event: Event, /) -> None:
        if isinstance(event.body, Overslept):
            self._overslept_at[node] = self.ledger.now

    def owners_changed(self, virtual: Virtual, /) -> None:
        before, holders = self._before.get(virtual, ()), self.ledger.holders[virtual]
        self._before[virtual] = holders
        if len(before) > 1:
            self._shared_at[virtual] = self.ledger.now
        if not holders and len(before) == 1 and virtual.lease is None and self._gave_up(virtual, before[0]):
            self.broken(f"{before[0]} gave {virtual} up, and nobody has it")

    def _gave_up(self, virtual: Virtual, node: str) -> bool:
        here, status, now = self.ledger.world.nodes[node], self.ledger.status(virtual, node), self.ledger.now
        if status is None or status.state.owns:
            return False  # nobody gave anything up: the addresses were taken from it
        live = here.powered and here.ports[virtual.params(node).key.interface].live
        left = self.ledger.left_at(virtual, node)
        told = left is not None and now - left <= SLACK_US
        # The other owner may die between its last advertisement and our hearing it.
        shared = now - self._shared_at.get(virtual, -LATE_FRAMES_US) <= LATE_FRAMES_US
        # To a machine that was frozen it may be the same moment still.
        frozen = here.thawed_at is not None and now - here.thawed_at <= LATE_FRAMES_US
        return live and not told and not shared and not frozen and self._overslept_at.get(node) != now
