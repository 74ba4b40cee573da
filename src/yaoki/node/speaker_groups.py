"""What each router of a speaker is worth, alone and in its sync group, and how a group stays together.

All routers of a sync group, of every VIP in it and of both families, have one standing: the lowest priority of any of
them, and one that may not own keeps the others from owning. So they give way together and are taken together. Where a
group has come apart all the same (a network of it was cut, and is whole again), the node of lower priority gives up
what it has of it; of equal ones, the node that has not got the group's first router. Failback `manual` holds a node out
for the sake of an owner: where each node owns a part, and none may own the whole, the better one is held out no more.

As for a single router, nobody gives up to nobody: what no other node takes is kept. The families of a VIP outside of
any group are apart: they share interface, priority and tracks, so only one of them can fail alone, and moving the other
would help nobody.

Invariants: a router in no group is touched by nothing here but its own standing; what is asked of a group is asked at
most once in each REUNION_PAUSE; a router in quarantine is released by nothing here.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.node.messages import KeysFound
from yaoki.node.speaker_events import GroupApart, GroupFree, GroupHindered
from yaoki.node.speaker_router import SpeakerRouter
from yaoki.node.speaker_works import Effects, SpeakerWorks
from yaoki.vrrp import router_state as vr
from yaoki.vrrp.events import Reason
from yaoki.vrrp.leased_state import Standby
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.standing import LEAST_PRIORITY, OWNER_PRIORITY, Standing

REUNION_PAUSE = timedelta(seconds=5)
"""Longer than most routers wait to be relieved: who was asked to give up and was not relieved is not asked at once."""
BETTER_FIRST = timedelta(seconds=5)
"""For so long a node leaves a group that has come apart to a better one, which may be unable to own it."""


@dataclass(slots=True)
class _Group:
    """`routers` in the order that is the same on every node. `hindered` is which router keeps the others from owning,
    and why, as it was told last; `asked_at` is when parts of it were last given up; since `apart_since` a part is owned
    here, and the rest by a node that may not own it all either."""

    routers: list[SpeakerRouter] = field(default_factory=list)
    hindered: tuple[RouterKey, Reason] | None = None
    event: EventId | None = None
    asked_at: Instant | None = None
    apart_since: Instant | None = None

    @property
    def members(self) -> list[SpeakerRouter]:
        """Those that are not on their way out."""
        return [router for router in self.routers if not router.going]


class SpeakerGroups(SpeakerWorks):
    """See the module."""

    def __init__(self, source: str, *, boot: int = 0) -> None:
        super().__init__(source, boot=boot)
        self._groups: dict[str, _Group] = {}
        self._keyless: frozenset[RouterKey] = frozenset()

    def _together(self, router: SpeakerRouter) -> list[SpeakerRouter]:
        """The routers that move with one: itself, and those of its group."""
        group = None if router.configured.group is None else self._groups.get(router.configured.group)
        return [router] if group is None or router not in group.routers else group.members

    def _moving_with(self, key: RouterKey) -> list[SpeakerRouter]:
        """As `_together`, of the router with this key, if there is one."""
        router = self._routers.get(key)
        return [] if router is None else self._together(router)

    def _group_anew(self) -> None:
        """Other routers are wanted: who belongs together is written down again, and every group is looked at."""
        before, self._groups = self._groups, {}
        for router in sorted(self._routers.values(), key=_order):
            if (name := router.configured.group) is not None:
                if name not in self._groups:
                    known = before.get(name, _Group())
                    self._groups[name] = replace(known, routers=[])
                self._groups[name].routers.append(router)
        self._stirred = dict.fromkeys(self._groups)

    # --- standing

    def _standing_of(self, router: SpeakerRouter) -> Standing:
        """What is left to a router: of its own, or of what its group has."""
        shared = self._shared(self._together(router))
        return next((left for each, left in shared if each is router), self._own(router))

    def _own(self, router: SpeakerRouter) -> Standing:
        router.replaced = self.peering.peers.replaced
        router.keyless = router.configured.key in self._keyless
        return router.standing(self._is_up, self.peering.peers)

    def _shared(self, routers: list[SpeakerRouter]) -> list[tuple[SpeakerRouter, Standing]]:
        """What routers that belong together leave to each other."""
        own = [(router, self._own(router)) for router in routers]
        lowest = min((left.priority for _, left in own), default=LEAST_PRIORITY)
        hindering = [router for router, left in own if _hindrance(router, left) is not None]
        shared = []
        for router, left in own:
            router.hindered = any(other is not router for other in hindering) and not left.barred
            if left.priority == OWNER_PRIORITY:
                shared.append((router, left))
            elif left.barred or router.hindered:
                shared.append((router, Standing(LEAST_PRIORITY, barred=True)))
            else:
                shared.append((router, Standing(lowest)))
        return shared

    def _rank(self, out: Effects, now: Instant, router: SpeakerRouter, because: EventId | None) -> None:
        """Give a router, and those that belong to it, the priority that orders, interfaces and the others leave."""
        together = self._together(router)
        why = because if len(together) == 1 else self._tell_group(out, now, together, because)
        for each, left in self._shared(together):
            params = each.machine.params
            after = each.ranked(params, left)
            if after != params:
                order = because if each is router else None
                self._run(out, now, each, vr.Reconfigure(after), order or why)
                self._relieve(out, now, each)

    def _settle_groups(self, out: Effects, now: Instant) -> None:
        """Look at the groups of which a router has changed its state."""
        while self._stirred:
            name, _ = self._stirred.popitem()
            members = self._groups[name].members if name in self._groups else []
            if members:
                self._rank(out, now, members[0], None)

    def _tell_group(
        self, out: Effects, now: Instant, routers: list[SpeakerRouter], because: EventId | None
    ) -> EventId | None:
        """Say it when a group begins or ceases to be kept from owning; the event that explains what follows."""
        name = routers[0].configured.group
        assert name is not None, "what belongs together is a group"
        group = self._groups[name]
        found = [(each, why) for each in routers if (why := _hindrance(each, self._own(each))) is not None]
        hindered = None if not found else (found[0][0].configured.key, found[0][1])
        if hindered == group.hindered:
            return because or group.event
        before, group.hindered = group.hindered, hindered
        if hindered is not None and hindered[1] is not Reason.CONFIGURED:
            router, why = found[0]
            body = GroupHindered(name, router.configured.vip, router.configured.key, why)
            group.event = self._publish(out, now, body, because or router.because)
        elif hindered is None and before is not None and before[1] is not Reason.CONFIGURED:
            group.event = self._publish(out, now, GroupFree(name), because)
        return group.event

    def _relieve(self, out: Effects, now: Instant, router: SpeakerRouter) -> None:
        """An owner that may not own steps aside when it learns that a peer may: it need not wait until that peer has
        heard its low priority for long enough. If nobody takes over it keeps, and does not ask again for the same."""
        params, before = router.machine.params, router.relief
        router.relief = params.barred and bool(self.peering.peers.best_other(params.vip, params.key.family))
        if router.relief and not before and isinstance(router.machine.state, vr.Active):
            reason = Reason.REPLACED if router.replaced else Reason.HINDERED if router.hindered else Reason.BARRED
            self._run(out, now, router, vr.StepAside(reason))

    def _keys_found(self, out: Effects, now: Instant, found: KeysFound) -> None:
        """Which routers can sign, before it is said what they are to be."""
        self._keyless = frozenset(found.missing)
        for router in self._routers.values():
            if router.keyless is not (router.configured.key in self._keyless):
                self._rank(out, now, router, None)
                self._report(out, now, router)

    # --- staying together

    def _reunite(self, out: Effects, now: Instant, router: SpeakerRouter, heard: int) -> None:
        """A router of a group hears an owner of this priority. What this node owns of the group goes there, too."""
        name, params = router.configured.group, router.machine.params
        group = None if name is None else self._groups.get(name)
        if name is None or group is None:
            return
        self._take_whole(out, now, name, router, heard)
        if params.barred or not isinstance(router.machine.state, vr.Backup | vr.Yielding):
            return
        members = group.members
        owned = [each for each in members if isinstance(each.machine.state, vr.Active)]
        if not owned or heard < params.priority or (heard == params.priority and members[0] in owned):
            return
        if group.asked_at is not None and now - group.asked_at < REUNION_PAUSE:
            return
        for each in owned:
            if self._may_be_taken(each):
                group.asked_at = now
                self._run(out, now, each, vr.StepAside(Reason.GROUP_ELSEWHERE), router.because)

    def _take_whole(self, out: Effects, now: Instant, name: str, router: SpeakerRouter, heard: int) -> None:
        """A router of a group hears an owner of this priority. If that may not own the whole group, and this node has
        another part and waits to be admitted to the rest, nobody is served by waiting: it is admitted."""
        group = self._groups[name]
        waiting = [each for each in group.members if _held_out(each)]
        if router not in waiting or heard != LEAST_PRIORITY:
            return
        if not self._is_apart(group, waiting):
            group.apart_since = None
            return
        group.apart_since = group.apart_since or now
        if not self._has_better_claim(group) and now - group.apart_since < BETTER_FIRST:
            return
        group.apart_since = None
        params = router.configured
        because = self._publish(out, now, GroupApart(name, params.vip, params.key, router.peer), router.because)
        for each in waiting:
            self._run(out, now, each, vr.Admit(), because)

    def _is_apart(self, group: _Group, waiting: list[SpeakerRouter]) -> bool:
        """Whether this node has a part that nobody else has, and is kept from the rest by nothing but failback."""
        peers = self.peering.peers
        owned = [each.configured for each in group.members if isinstance(each.machine.state, vr.Active)]
        hindrances = {_hindrance(each, self._own(each)) for each in group.members}
        return (
            bool(owned)
            and hindrances <= {None, Reason.HELD_OUT}
            and all(each.peer_priority == LEAST_PRIORITY for each in waiting)
            and not any(peers.owner_heard(each.vip, each.key.family) for each in owned)
        )

    def _has_better_claim(self, group: _Group) -> bool:
        """Whether no other member comes before this node: by priority, and of equal ones by the first router."""
        first, members = group.members[0], group.members
        others = max(first.configured.others or (OWNER_PRIORITY,))
        own = min(self._own(each).priority for each in members)
        return own > others or (own == others and isinstance(first.machine.state, vr.Active))

    def _may_be_taken(self, router: SpeakerRouter) -> bool:
        """Whether another node may take it over, as far as is known, and does not own it already: the network between
        them is cut then, and each half keeps its owner until it is whole."""
        vip, family = router.configured.vip, router.configured.key.family
        peers = self.peering.peers
        return peers.best_other(vip, family) != 0 and not peers.owner_heard(vip, family)


def _order(router: SpeakerRouter) -> tuple[str, int]:
    return router.configured.vip, router.configured.key.family.value


def _held_out(router: SpeakerRouter) -> bool:
    """Whether a router without a lease waits to be admitted; a group with a lease has one owner."""
    return isinstance(router.machine.state, vr.Backup) and router.machine.state.held_out


def _hindrance(router: SpeakerRouter, left: Standing) -> Reason | None:
    """Why a router keeps its group from owning, if it does."""
    match router.machine.state:
        case vr.Initialize():
            return router.reason
        case vr.Backup(held_out=True) | Standby(held_out=True):
            return Reason.QUARANTINED if router.quarantined else Reason.HELD_OUT
        case _:
            return Reason.BARRED if left.barred else None
