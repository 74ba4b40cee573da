"""The speaker as the holder of leases: what it wants, what it was granted, and until when it may answer.

Both families of a VIP share one lease, and so do all VIPs of a sync group: it is wanted as long as any of its routers
wants it, and all own by it.

Invariants: a grant that has run out is told before anything else is looked at; a lease is left out of the wishes only
when no router wants it, and a router that owns wants it; wishes are repeated WISHES_PER_LIFE times within their life,
so that two may be lost on the way or be late; no gate is open for longer than the lease is good;
nothing is owned unless its gate is armed, and what the kernel refuses to arm is given up; what was inherited is wanted
until all its routers have found their interfaces, but never beyond its own end.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.election.events import LossReason
from yaoki.election.lease_holder import LeaseHolder
from yaoki.node.holder_messages import HolderReport, HoldLeases, LeaseOver, LeaseSeen, LeaseValid, LeaseWish
from yaoki.node.messages import ArmGate, RouterState, RouterStatus
from yaoki.node.speaker_router import SpeakerRouter
from yaoki.vrrp.events import Reason
from yaoki.vrrp.leased_router import Wanted
from yaoki.vrrp.leased_state import LeasedInput, LeaseElsewhere, LeaseGone, LeaseHeld
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.router_state import Initialize

LIVES_PER_DURATION = 4
"""A wish counts for this part of the lease's duration: so much longer does a lease last whose speaker hangs."""
WISHES_PER_LIFE = 3

Told = tuple[str, LeasedInput]
"""A lease's key, and what its routers are told."""


def lease_key(params: RouterParams) -> str | None:
    """The lease that the owner of a router must hold, if it must hold one."""
    return None if params.lease is None else params.lease.key


class SpeakerLeases:
    """Every lease of a speaker, by key."""

    def __init__(self) -> None:
        self._holders: dict[str, LeaseHolder] = {}
        self._wishes: tuple[LeaseWish, ...] = ()
        self._repeat_at: Instant | None = None
        self._life: timedelta | None = None
        self._gates_awaited: dict[int, LeaseHeld] = {}
        self._try_gates_at: dict[RouterKey, Instant] = {}
        self._keeper_is_new = False
        self._unplaced: dict[str, Instant] = {}
        """What was inherited, and until when, while its routers wait for their interface."""
        self._inherited = False
        self._awaited: dict[int, Instant] = {}
        """The routers of which a life that ended without a word may have held the lease, and until when their gates are
        open."""

    def epoch(self, key: str | None) -> int | None:
        """The fencing token of what is held."""
        holder = None if key is None else self._holders.get(key)
        return None if holder is None else holder.epoch

    def answers_until(self, key: str) -> Instant | None:
        """Until when the VIP may be answered for; None: not at all."""
        holder = self._holders.get(key)
        return None if holder is None else holder.answers_until

    def deadline(self) -> Deadline | None:
        """The next repetition, the end of a grant, or another look at a gate that was refused."""
        if not self._holders and not self._try_gates_at and not self._awaited:
            return None if self._repeat_at is None else Deadline(self._repeat_at, "wish for leases")
        repeat = None if self._repeat_at is None else Deadline(self._repeat_at, "wish for leases")
        ends = [holder.answers_until for holder in self._holders.values() if holder.answers_until is not None]
        first = min((*ends, *self._awaited.values()), key=lambda at: at.us, default=None)
        again = min(self._try_gates_at.values(), key=lambda at: at.us, default=None)
        return earliest(
            repeat,
            None if first is None else Deadline(first, "lease runs out"),
            None if again is None else Deadline(again, "refused gate"),
        )

    def is_due(self, now: Instant) -> bool:
        """Whether the wish must be repeated."""
        return self._repeat_at is not None and self._repeat_at <= now

    # --- what the keeper says -----------------------------------------------------------------------------------------

    def ran_out(self, now: Instant, input_: object) -> list[Told]:
        """What is to be said of grants that have ended without another. A renewal that waited while we slept is taken
        first: the lease was ours all the time."""
        if isinstance(input_, LeaseValid):
            self._granted(now, input_)
        over = []
        for key, holder in self._holders.items():
            if holder.answers_until is not None and not holder.answers(now):
                holder.over()
                over.append(key)
        return [(key, LeaseGone(Reason.LEASE_RAN_OUT)) for key in over]

    def told(self, now: Instant, said: HolderReport) -> list[Told]:
        """What the keeper's word means to the routers of a lease."""
        match said:
            case LeaseValid():
                return [(said.key, LeaseHeld(said.epoch))] if self._granted(now, said) else []
            case LeaseOver():
                reason = Reason.LEASE_TAKEN if said.reason is LossReason.TAKEN else Reason.LEASE_RAN_OUT
                return [(said.key, LeaseGone(reason))] if self._over(said) else []
            case LeaseSeen():
                return [(said.key, LeaseElsewhere())]
            case _:
                assert_never(said)

    def _granted(self, now: Instant, valid: LeaseValid) -> bool:
        """Take a grant; whether it is one to own by."""
        holder = self._holders.get(valid.key)
        if holder is None or valid.valid_until <= now:
            return False
        holder.granted(claim=valid.claim, epoch=valid.epoch, valid_until=valid.valid_until)
        return holder.answers(now)

    def _over(self, over: LeaseOver) -> bool:
        """Take a loss; whether anything was held."""
        holder = self._holders.get(over.key)
        if holder is None or holder.answers_until is None:
            return False
        holder.over()
        return True

    # --- what passes from one speaker to the next ---------------------------------------------------------------------

    def held(self, now: Instant) -> tuple[LeaseValid, ...]:
        """What may be relied on, and until when."""
        return tuple(
            LeaseValid(key, holder.claim, holder.epoch, holder.answers_until)
            for key, holder in self._holders.items()
            if holder.epoch is not None and holder.answers_until is not None and holder.answers(now)
        )

    def inherit(self, leases: Iterable[LeaseValid]) -> None:
        """These were held by the speaker whose place this one takes."""
        self._inherited = True
        for lease in leases:
            holder = self._holders[lease.key] = LeaseHolder()
            holder.inherit(claim=lease.claim, epoch=lease.epoch, valid_until=lease.valid_until)
            self._unplaced[lease.key] = lease.valid_until

    def await_word(self, router: SpeakerRouter, *, until: Instant) -> bool:
        """The kernel answers by a lease of which nothing is known but this end: ask whether it is held still. Of one
        that an earlier life could have spoken of, and did not, nothing is asked."""
        if self._inherited:
            return False
        self._awaited[router.number] = until
        return True

    def awaits_word(self, router: SpeakerRouter) -> bool:
        """Whether that is not known yet."""
        return router.number in self._awaited

    def awaited_in_vain(self, now: Instant) -> list[int]:
        """The routers of whose lease no word has come before the kernel has shut their gates."""
        over = [number for number, until in self._awaited.items() if until <= now]
        for number in over:
            del self._awaited[number]
        return over

    def placed(self, router: SpeakerRouter) -> bool:
        """A router has found its interface, and knows by itself what it wants; whether that changes what is wanted."""
        awaited = self._awaited.pop(router.number, None) is not None
        new, router.placed = not router.placed, True
        return awaited or (new and router.lease_key in self._unplaced)

    def _unplaced_wish(self, now: Instant, router: SpeakerRouter) -> Wanted | None:
        lease, until = router.configured.lease, self._awaited.get(router.number)
        if lease is not None and not router.placed:
            until = self._unplaced.get(lease.key, until)
        return Wanted(lease, timedelta(0)) if lease is not None and until is not None and now < until else None

    # --- what follows from it -----------------------------------------------------------------------------------------

    def gate_to_open(self, now: Instant, router: SpeakerRouter, tick: timedelta) -> list[ArmGate]:
        """As long as its lease is good, by the kernel's own timer: it needs nobody to shut it. As the kernel counts in
        ticks, one of them is taken off."""
        params, key = router.machine.params, router.lease_key
        until = None if key is None else self.answers_until(key)
        if until is None or isinstance(router.machine.state, Initialize):
            return []
        limit = max(until - now - tick, tick)
        return [ArmGate(params.key.interface, _ips(params.addresses), limit, params.key)]

    def await_gate(self, router: SpeakerRouter, held: LeaseHeld) -> None:
        """A router is told of its lease when the kernel has answered that its gate is armed, and not before."""
        self._gates_awaited[router.number] = held

    def gate_answered(self, now: Instant, router: SpeakerRouter, *, refused: bool) -> LeaseHeld | None:
        """What the router is to be told, if that still holds and the gate is armed."""
        held = self._gates_awaited.pop(router.number, None)
        self._try_gates_at.pop(router.configured.key, None)
        if refused and router.configured.lease is not None:
            self._try_gates_at[router.configured.key] = now + router.configured.lease.duration
            return None
        holder = None if router.lease_key is None else self._holders.get(router.lease_key)
        if held is None or holder is None or not holder.answers(now) or holder.epoch != held.epoch:
            return None
        return held

    def gate_to_shut(self, router: SpeakerRouter, addresses: Iterable[IPInterface], tick: timedelta) -> list[ArmGate]:
        """Before addresses are released: should the kernel refuse that, nothing answers all the same."""
        interface = router.machine.params.key.interface
        return [] if router.lease_key is None else [ArmGate(interface, _ips(addresses), tick)]

    def completed(self, router: SpeakerRouter) -> RouterStatus:
        """A router's status, with the lease that it owns by."""
        status = router.status()
        holder = None if router.lease_key is None else self._holders.get(router.lease_key)
        if holder is None or status.state is not RouterState.ACTIVE:
            return status
        return replace(status, epoch=holder.epoch, lease_until=holder.answers_until)

    def gates_to_try(self, now: Instant, routers: Iterable[SpeakerRouter]) -> list[SpeakerRouter]:
        """Those whose gate the kernel has refused, a while ago."""
        due = [key for key, at in self._try_gates_at.items() if at <= now]
        for key in due:
            del self._try_gates_at[key]
        return [router for router in routers if router.configured.key in due]

    # --- what is wanted -----------------------------------------------------------------------------------------------

    def wish(self, now: Instant, routers: Iterable[SpeakerRouter]) -> list[HoldLeases]:
        """Want what these routers want, and nothing else: what is to be told to the keeper now, if anything."""
        wanted: dict[str, Wanted] = {}
        for each in filter(None, (router.wish(now) or self._unplaced_wish(now, router) for router in routers)):
            before = wanted.get(each.params.key)
            wanted[each.params.key] = each if before is None or each.patience < before.patience else before
        for key, holder in self._holders.items():
            if key not in wanted:
                holder.gave_up()
        for key in wanted:
            self._holders.setdefault(key, LeaseHolder()).want()
        wishes = tuple(LeaseWish(key, self._holders[key].claim, each.patience) for key, each in wanted.items())
        if wishes == self._wishes and not self._keeper_is_new and not self.is_due(now):
            return []
        self._wishes, self._keeper_is_new = wishes, False
        shortest = min((each.params.duration for each in wanted.values()), default=None)
        self._life = None if shortest is None else shortest / LIVES_PER_DURATION
        life = self._life or timedelta(0)
        self._repeat_at = None if self._life is None else now + life / WISHES_PER_LIFE
        return [HoldLeases(wishes, now + life)]

    def keeper_is_new(self) -> None:
        """It knows nothing of what is wanted, be it nothing."""
        self._keeper_is_new = True


def _ips(addresses: Iterable[IPInterface]) -> tuple[IPAddress, ...]:
    return tuple(address.ip for address in addresses)
