"""What becomes of the effects of a speaker's routers: addresses, announcements, gates, events, statuses, deadlines.

The half of the speaker's assembly that all its inputs have in common; which input leads where is in
yaoki.node.speaker_brain, and so are the invariants.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Instant
from yaoki.node.messages import (
    AnnounceAddress,
    ClaimAddress,
    DisarmGate,
    InterfaceFound,
    Published,
    RefuseDelivery,
    ReleaseAddress,
    SpeakerEffect,
)
from yaoki.node.speaker_announcing import SpeakerAnnouncing
from yaoki.node.speaker_events import Overslept
from yaoki.node.speaker_gates import GateOutcome, SpeakerGates
from yaoki.node.speaker_hushing import SpeakerHushing
from yaoki.node.speaker_leases import SpeakerLeases
from yaoki.node.speaker_peering import SpeakerPeering
from yaoki.node.speaker_reception import SpeakerReception
from yaoki.node.speaker_router import SpeakerRouter
from yaoki.vrrp import router_state as vr
from yaoki.vrrp.events import BecameActive, Reason
from yaoki.vrrp.leased_router import LeasedRouter
from yaoki.vrrp.leased_state import GiveWay, LeasedInput, LeaseHeld, Resume, Standby
from yaoki.vrrp.params import RouterKey, RouterParams
from yaoki.vrrp.standing import OWNER_PRIORITY

# A Backup that hears its Active router repeats its status this often, so that readers see fresh evidence.
STATUS_REFRESH = timedelta(seconds=10)
# On the agenda, beside the numbers of the routers, which begin with 1.
_PEERING = 0

Effects = list[SpeakerEffect]


class SpeakerWorks:
    """The state of a speaker, and what its routers' effects do to it. `source` and `boot` are as for SpeakerBrain."""

    def __init__(self, source: str, *, boot: int = 0) -> None:
        self._releasing = False
        self.peering = SpeakerPeering(boot)
        self._gates = SpeakerGates(self.peering.peers)
        self._peers_to_tell = False
        self._gone: list[SpeakerRouter] = []
        self._numbering = EventNumbering(source)
        self._routers: dict[RouterKey, SpeakerRouter] = {}
        self._by_wire: dict[tuple[str, int, int], SpeakerRouter] = {}
        self._by_number: dict[int, SpeakerRouter] = {}
        self._numbers = 0
        self._agenda: Agenda[int] = Agenda()
        self._interfaces: dict[str, InterfaceFound] = {}
        self._held: dict[str, dict[IPInterface, None]] = {}
        self._hushing = SpeakerHushing(self.peering.peers)
        self._announcing = SpeakerAnnouncing(self._hushing)
        self._configured = False
        self._reception = SpeakerReception()
        self.leases = SpeakerLeases()
        self._wish_changed = False
        self._refused: tuple[IPAddress, ...] = ()
        self._delivery_changed = False
        self._told_of_us: EventId | None = None
        """The event by which a peer said last whether another node has taken this one's place."""
        self._stirred: dict[str, None] = {}
        """Sync groups of which a router has changed its state."""

    def _place(self, out: Effects, now: Instant, router: SpeakerRouter, because: EventId | None = None) -> None:
        """Start or stop a router as its interface allows, and give it the address to send from."""
        found = self._interfaces.get(router.configured.key.interface)
        if found is None:
            return
        self._wish_changed = self.leases.placed(router) or self._wish_changed
        source = router.source_in(found)
        initialized = isinstance(router.machine.state, vr.Initialize)
        if not found.up or source is None:
            reason = Reason.NO_SOURCE_ADDRESS if found.up else Reason.INTERFACE_DOWN
            if not initialized:
                self._run(out, now, router, vr.InterfaceLost(reason), because)
            elif router.note_waiting(reason, because):
                self._report(out, now, router)
            return
        params = router.machine.params
        if params.source != source:
            self._run(out, now, router, vr.Reconfigure(replace(params, source=source)), because)
        if initialized and not router.going:
            ours = self._held.get(found.interface, {})
            # If an earlier life was silenced, somebody else may own them by now.
            held = any(address in ours for address in params.addresses)
            held = held and not self._gates.left_shut(now, params.addresses)
            epoch = self.leases.epoch(router.lease_key)
            if router.lease_key is not None and held and self._gates.left_open(now, params.addresses):
                if epoch is not None:
                    # No sooner shut than by the kernel, and opened anew with the next grant.
                    self._gates.take_up(params.addresses)
                    self._run(out, now, router, Resume(epoch), because)
                    return
                if self.leases.await_word(router, until=self._gates.shut_at(params.addresses)):
                    # The keeper may hold the lease still. Until it says so, the kernel answers as it was told to last.
                    self._wish_changed = True
                    return
            self._run(out, now, router, vr.Startup(held), because)
            if epoch is not None:
                self._arm_and_hold(out, now, router, LeaseHeld(epoch))

    def _is_up(self, interface: str) -> bool:
        found = self._interfaces.get(interface)
        return found is not None and found.up

    def _wanted(self, interface: str, address: IPInterface) -> bool:
        return any(
            address in router.owned_at(interface)
            or (self._awaits_word(router, interface) and address in router.machine.params.addresses)
            for router in self._routers.values()
        )

    def _awaits_word(self, router: SpeakerRouter, interface: str) -> bool:
        """Whether what an earlier life holds for it is left alone until the keeper has said whose the lease is."""
        waits = isinstance(router.machine.state, vr.Initialize) and self.leases.awaits_word(router)
        return waits and router.configured.key.interface == interface

    def _run(
        self, out: Effects, now: Instant, router: SpeakerRouter, input_: LeasedInput, because: EventId | None = None
    ) -> bool:
        """Give a router an input, turn its effects into the speaker's, and note its next deadline.

        Answers whether its status changed, and was reported.
        """
        self._wake(out, now, router)
        if router.number not in self._by_number:
            return False  # it was to leave, and has left on waking
        machine, before, yielded = router.machine, router.state, router.yields
        stood = machine.state
        effects = router.handle(now, input_)
        if isinstance(input_, vr.Reconfigure):
            router.params_changed()
        changed = self._perform(out, now, router, effects, because) or router.state is not before
        self._peers_to_tell = self._peers_to_tell or changed or router.yields is not yielded
        if changed:
            self._report(out, now, router)
            if router.configured.group is not None:
                self._stirred[router.configured.group] = None
        self._wait(router)
        self._wish_changed = router.wish_changed(now) or self._wish_changed
        if isinstance(machine, LeasedRouter) and (shared := _shared(now, machine, stood, input_)) is not None:
            self._lease_says(out, now, machine.lease.key, shared, because, without=router)
        return changed

    def _perform(
        self, out: Effects, now: Instant, router: SpeakerRouter, effects: list[vr.Effect], because: EventId | None
    ) -> bool:
        """Turn a router's effects into the speaker's; whether its status has changed by them."""
        params = router.machine.params
        key, changed = params.key, False
        for effect in effects:
            match effect:
                case vr.Advertise(priority):
                    out.extend(self._gates.advertise(now, router.number, params))
                    out.extend(router.advertisements(priority))
                case vr.AnnounceAddresses(addresses):
                    out.extend(AnnounceAddress(key.interface, address.ip, params.mac) for address in addresses)
                case vr.HushAddresses(addresses):
                    self._hush(out, router, addresses)
                case vr.ClaimAddresses(addresses):
                    relieving = any(isinstance(each, Emit) and _relieves(each.body) for each in effects)
                    self._take_over(out, now, router, addresses, relieving=relieving)
                case vr.ReleaseAddresses(addresses):
                    self._release_all(out, router, addresses)
                case Emit(body, cause):
                    changed = self._say(out, now, router, Emit(body, cause or because)) or changed
                case _:
                    assert_never(effect)
        return changed

    def _take_over(
        self, out: Effects, now: Instant, router: SpeakerRouter, addresses: tuple[IPInterface, ...], *, relieving: bool
    ) -> None:
        """Put addresses where they belong. The gate comes first: what is not hooked in hushes nobody."""
        params = router.machine.params
        hushed = relieving and self._gates.works and self._hushing.succeeds(params)
        if not hushed:
            out += self._hushing.answer_again(params.key.interface, addresses)
        if router.lease_key is None:
            self._guard(out, now, router, self._gates.claim(now, router.number, params, addresses))
        if hushed:
            self._hush(out, router, addresses)
            self._hushing.succeed(router.number, params, addresses)
        for address in addresses:
            self._claim(out, now, params, address, relieving=relieving)

    def _wait(self, router: SpeakerRouter) -> None:
        """For its next deadline; a router that has left is forgotten."""
        self._agenda.set(router.number, router.machine.deadline())
        self._agenda.set(-router.number, self._gates.deadline(router.number))
        if router.going and isinstance(router.machine.state, vr.Initialize):
            key = router.configured.key
            del self._routers[key], self._by_number[router.number]
            del self._by_wire[key.interface, key.family.value, key.vrid]
            self._gone.append(router)
            self._delivery_changed = True
            self._peers_to_tell = True

    def _say(self, out: Effects, now: Instant, router: SpeakerRouter, emit: Emit) -> bool:
        """Publish what a router tells, and what follows from it; whether its status changed by that."""
        body = emit.body
        event = self._publish(out, now, body, emit.because or router.cause_of(body))
        if (deaf := router.suspects_deafness(body)) is not None:
            self._publish(out, now, deaf, event)
        return router.note_event(body, event, now)

    def _lease_says(
        self,
        out: Effects,
        now: Instant,
        key: str,
        input_: LeasedInput,
        because: EventId | None = None,
        *,
        without: SpeakerRouter | None = None,
    ) -> None:
        """One input to every router of a lease."""
        for router in tuple(self._routers.values()):
            if router.lease_key == key and router is not without:
                if isinstance(input_, LeaseHeld):
                    if isinstance(router.machine.state, vr.Initialize):
                        # It waited for this word, or has no interface.
                        self._place(out, now, router, because)
                    self._arm_and_hold(out, now, router, input_)
                else:
                    self._run(out, now, router, input_, because)

    def _arm_and_hold(self, out: Effects, now: Instant, router: SpeakerRouter, held: LeaseHeld) -> None:
        """Have the gate opened for as long as the lease is good; the router is told when the kernel has done it."""
        arming = self.leases.gate_to_open(now, router, self._gates.tick)
        if arming:
            self._gates.take_up(router.machine.params.addresses)
            self.leases.await_gate(router, held)
            out += arming

    def _wake(self, out: Effects, now: Instant, router: SpeakerRouter) -> None:
        if (asleep := self._gates.asleep(now, router.number)) is not None:
            self._step_down(out, now, router, asleep)

    def _step_down(self, out: Effects, now: Instant, router: SpeakerRouter, asleep: timedelta | None) -> None:
        """Give the addresses up without a word, for the others have gone on without us, and join anew."""
        params = router.machine.params
        because = self._publish(out, now, Overslept(params.key, params.vip, asleep))
        self._gates.give_up(router.number)
        self._run(out, now, router, vr.InterfaceLost(Reason.OVERSLEPT), because)
        self._place(out, now, router, because)

    def _review_gates(self, out: Effects, now: Instant) -> None:
        """Peers have come or gone."""
        for router in self._routers.values():
            self._guard(out, now, router, self._gates.review(now, router.number, router.machine.params))

    def _guard(self, out: Effects, now: Instant, router: SpeakerRouter, outcome: GateOutcome) -> None:
        effects, news = outcome
        out.extend(effects)
        self._publish_all(out, now, news)
        self._agenda.set(-router.number, self._gates.deadline(router.number))

    def _release_all(self, out: Effects, router: SpeakerRouter, addresses: tuple[IPInterface, ...]) -> None:
        interface = router.machine.params.key.interface
        gone = tuple(address for address in addresses if not self._wanted(interface, address))
        out += self.leases.gate_to_shut(router, gone, self._gates.tick)
        for address in gone:
            self._let_go(out, interface, address)
        if router.lease_key is None:
            out.extend(self._gates.release(router.number, addresses, disarm=gone))
        elif gone:
            out.append(DisarmGate(tuple(address.ip for address in gone)))
        out += self._hushing.answer_again(interface, addresses)

    def _hush(self, out: Effects, router: SpeakerRouter, addresses: tuple[IPInterface, ...]) -> None:
        """Nobody is told any more that they are here, unless another router owns them, or they are the interface's."""
        interface = router.machine.params.key.interface
        others = [other for other in self._routers.values() if other is not router]
        kept = {each for other in others for each in other.owned_at(interface)}
        if router.machine.params.priority != OWNER_PRIORITY:
            hushed = tuple(address.ip for address in addresses if address not in kept)
            self._announcing.hushed(interface, hushed)
            out += self._hushing.hush(interface, hushed)

    def _settle_delivery(self, out: Effects) -> None:
        """Routers have come or gone: which addresses take nothing. That is said before any of them is claimed, and no
        sooner taken back than they are released."""
        self._delivery_changed = False
        found: set[IPAddress] = set()
        for router in filter(lambda router: router.refuses_delivery, self._routers.values()):
            found |= {a.ip for a in (*router.configured.addresses, *router.machine.params.addresses)}
        refused = tuple(sorted(found, key=lambda address: (address.version, int(address))))
        if refused != self._refused:
            out.insert(len(out) if found < set(self._refused) else 0, RefuseDelivery(refused))
            self._refused = refused

    def _claim(
        self, out: Effects, now: Instant, params: RouterParams, address: IPInterface, *, relieving: bool = False
    ) -> None:
        interface = params.key.interface
        self._held.setdefault(interface, {})[address] = None
        self._announcing.claimed(now, interface, address.ip, relieving=relieving)
        out.append(ClaimAddress(interface, address, params.mac))

    def _let_go(self, out: Effects, interface: str, address: IPInterface) -> None:
        self._held.setdefault(interface, {}).pop(address, None)
        self._announcing.released(interface, address.ip)
        out.append(ReleaseAddress(interface, address))

    def _report(self, out: Effects, now: Instant, router: SpeakerRouter) -> None:
        router.reported_at = now
        out.append(self.leases.completed(router))

    def _publish_all(self, out: Effects, now: Instant, news: list[EventBody], because: EventId | None = None) -> None:
        for body in news:
            self._publish(out, now, body, because)

    def _publish(self, out: Effects, now: Instant, body: EventBody, because: EventId | None = None) -> EventId:
        event = self._numbering.event(now, Emit(body, because))
        out.append(Published(event))
        return event.id


def _shared(now: Instant, machine: LeasedRouter, before: object, input_: LeasedInput) -> GiveWay | vr.Admit | None:
    """What an input has done to one router of a lease that the others do as well: the lease is given up for all of
    them, and granted to all, so one that stayed out would be owned by nobody."""
    if machine.gave_way(now) and not isinstance(input_, GiveWay):
        return GiveWay()
    after = machine.state
    was_out = isinstance(before, Standby) and before.held_out
    is_in = isinstance(after, Standby) and not after.held_out
    # A file in which nobody is held out says so to each.
    return vr.Admit() if was_out and is_in and not isinstance(input_, vr.Reconfigure) else None


def _relieves(body: EventBody) -> bool:
    """Whether a router takes over from an owner that lives and serves until then."""
    alive = (Reason.ACTIVE_RELEASED, Reason.PREEMPTED_LOWER, Reason.ACTIVE_FAILING)
    return isinstance(body, BecameActive) and body.reason in alive
