"""The assembly of the speaker process: every virtual router of a node and the heartbeats to its peers, nothing else.

Orders come from the node's Brain, packets and interfaces from the driver; what leaves is packets, addresses,
announcements, and reports for the Brain. It needs nobody to go on: without orders the routers do what they were last
told.

Invariants: an address is held on an interface if and only if a router there owns (mended whenever the kernel is found
to differ); a router whose parameters are unchanged is not touched by ConfigureRouters; one that is not wanted any more
is kept until it has left; every table is bounded by the configuration or by the 255 VRIDs of an interface.
"""

from dataclasses import replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.event import EventBody, EventId
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.core.machine import TimerFired
from yaoki.node.holder_messages import KeeperBack, LeaseOver, LeaseSeen, LeasesInherited, LeaseValid
from yaoki.node.messages import (
    AbilitiesFound,
    AddressTaken,
    AdmitRouter,
    AnnounceAddress,
    AnnounceRouter,
    ArmGate,
    ConfigureRouters,
    DisarmGate,
    GateFound,
    GateInput,
    GateOpened,
    GateRefused,
    GateShut,
    HeartbeatArrived,
    InterfaceFound,
    KeeperInput,
    KeysFound,
    MoveRouter,
    PacketArrived,
    PeerStatus,
    ReleaseRouters,
    RouterStatus,
    SetPriority,
    SpeakerEffect,
    SpeakerInput,
    SpeakerOrder,
)
from yaoki.node.speaker_events import (
    LeaseWithoutGate,
    NodeNotReplaced,
    NodeReplaced,
    PeerHeard,
    PeerOwnsNoMore,
    PeerRestarted,
)
from yaoki.node.speaker_groups import SpeakerGroups
from yaoki.node.speaker_hushing import answered_in_time
from yaoki.node.speaker_leases import lease_key
from yaoki.node.speaker_router import SpeakerRouter
from yaoki.node.speaker_works import Effects
from yaoki.vrrp import router_state as vr
from yaoki.vrrp.events import AddressLost, InterfaceCameUp, InterfaceWentDown, Reason
from yaoki.vrrp.leased_state import GiveWay
from yaoki.vrrp.params import RouterKey, RouterParams

# A Backup that hears its Active router repeats its status this often, so that readers see fresh evidence.
STATUS_REFRESH = timedelta(seconds=10)
# On the agenda, beside the numbers of the routers, which begin with 1.
_PEERING = 0


class SpeakerBrain(SpeakerGroups):
    """The Machine over SpeakerInput and SpeakerEffect. `source` names it in events, such as "lb1/speaker"; `boot` tells
    its peers this life of it from its others."""

    def handle(self, now: Instant, input_: SpeakerInput, /) -> list[SpeakerEffect]:
        """See yaoki.core.machine.Machine."""
        out: Effects = []
        for key, told in self.leases.ran_out(now, input_):
            self._lease_says(out, now, key, told)
        for number in self.leases.awaited_in_vain(now):
            if (router := self._by_number.get(number)) is not None:
                self._place(out, now, router)
                self._mend(out, now, router.configured.key.interface)
            self._wish_changed = True
        self._take(out, now, input_)
        self._try_gates(out, now)
        self._settle_groups(out, now)
        if self._delivery_changed:
            self._settle_delivery(out)
        # Last of all: whatever is not wanted any more is silent by now. Without a gate nothing may own by lease.
        # Not before it was told what to want: its kernel may still answer by the lease of its former life.
        if self._configured and (self._wish_changed or self.leases.is_due(now)):
            self._wish_changed = False
            out += self.leases.wish(now, self._routers.values() if self._gates.works else ())
        if self._peers_to_tell or self.peering.due(now):
            machines = [router.machine for router in (*self._routers.values(), *self._gone)]
            self._peers_to_tell = False
            self._gone.clear()
            out.extend(self.peering.send(now, machines))
        self._agenda.set(_PEERING, self.peering.deadline())
        settled = self._hushing.settle(now, self._announcing.must_wait)
        return answered_in_time(settled, self._announcing.sort(out))

    def _take(self, out: Effects, now: Instant, input_: SpeakerInput) -> None:
        match input_:
            case TimerFired():
                self._timer_fired(out, now, input_)
            case PacketArrived():
                self._packet_arrived(out, now, input_)
            case HeartbeatArrived():
                self._tell_of_peers(out, now, self.peering.hear(now, input_))
                self._rank_spares(out, now)
                for barred in [router for router in self._routers.values() if router.machine.params.barred]:
                    self._relieve(out, now, barred)
            case InterfaceFound():
                self._interface_found(out, now, input_)
            case KeysFound():
                self._keys_found(out, now, input_)
            case AddressTaken(interface, address):
                self._announcing.taken(interface, address)
                for router in [each for each in self._routers.values() if each.configured.key.interface == interface]:
                    # A sleeper does not advertise what waited.
                    self._wake(out, now, router)
            case AbilitiesFound() | GateFound() | GateShut() | GateOpened() | GateRefused():
                self._gate_says(out, now, input_)
            case (
                ConfigureRouters() | SetPriority() | AdmitRouter() | MoveRouter() | AnnounceRouter() | ReleaseRouters()
            ):
                self._take_order(out, now, input_)
            case KeeperBack() | LeasesInherited() | LeaseValid() | LeaseOver() | LeaseSeen():
                self._keeper_says(out, now, input_)
            case _:
                assert_never(input_)

    def _gate_says(self, out: Effects, now: Instant, said: GateInput) -> None:
        match said:
            case AbilitiesFound():
                self._gates.able(said)
                self._wish_changed = True
            case GateFound():
                self._gates.found(now, said)
            case GateShut(key):
                router = self._routers.get(key)
                if router is not None and self._gates.limit(router.number) is not None:
                    self._step_down(out, now, router, None)
            case GateOpened() | GateRefused():
                self._gate_answered(out, now, said)
            case _:
                assert_never(said)

    def _gate_answered(self, out: Effects, now: Instant, answer: GateOpened | GateRefused) -> None:
        """Of a gate for a lease. Without it nothing is owned, and nothing bid for, until the kernel takes one again."""
        router = self._routers.get(answer.router)
        if router is None or router.lease_key is None:
            return
        key, refused = router.lease_key, isinstance(answer, GateRefused)
        if refused and not router.gateless:
            params = router.machine.params
            because = self._publish(out, now, LeaseWithoutGate(params.key, params.vip))
            self._lease_says(out, now, key, GiveWay(Reason.NO_GATE), because)
        held = self.leases.gate_answered(now, router, refused=refused)
        if refused is not router.gateless:
            for each in [each for each in self._routers.values() if each.lease_key == key]:
                each.gateless = refused
                self._rank(out, now, each, None)
        elif held is not None:
            self._run(out, now, router, held)

    def _try_gates(self, out: Effects, now: Instant) -> None:
        """Ask the kernel again for what it has refused; shut and disarmed at once, as nothing is held."""
        for router in self.leases.gates_to_try(now, self._routers.values()):
            params = router.machine.params
            addresses = tuple(address.ip for address in params.addresses)
            out += [ArmGate(params.key.interface, addresses, self._gates.tick, params.key), DisarmGate(addresses)]

    def _keeper_says(self, out: Effects, now: Instant, said: KeeperInput) -> None:
        if isinstance(said, KeeperBack):
            self.leases.keeper_is_new()
            self._wish_changed = True
            return
        if isinstance(said, LeasesInherited):
            self.leases.inherit(said.leases)
            return
        because = None if isinstance(said, LeaseSeen) else said.because
        for lease, told in self.leases.told(now, said):
            self._lease_says(out, now, lease, told, because)

    def _timer_fired(self, out: Effects, now: Instant, fired: TimerFired) -> None:
        due = list(self._agenda.due(now))
        for number in due:
            if (router := self._by_number.get(number)) is not None:
                self._run(out, now, router, fired)
        self._tell_of_peers(out, now, self.peering.peers.pass_time(now))
        self._rank_spares(out, now)
        for number in due:
            if (router := self._by_number.get(-number)) is not None:
                # No advertisement has opened its gate in time, as a router waits to leave: it is opened all the same.
                self._wake(out, now, router)
                self._guard(out, now, router, self._gates.tend(now, router.number, router.machine.params))
        self._publish_all(out, now, self._announcing.pass_time(now))

    def _take_order(self, out: Effects, now: Instant, order: SpeakerOrder) -> None:
        match order:
            case ConfigureRouters(routers, because, heartbeat):
                peers_change = not self._releasing and heartbeat != self.peering.peers.params
                news = self.peering.configure(now, heartbeat) if peers_change else []
                self._configure(out, now, routers, because)
                if peers_change:
                    self._publish_all(out, now, news, because)
                    self._rank_spares(out, now)
                    out.extend(self.peering.statuses())
                    self._review_gates(out, now)
            case SetPriority():
                self._set_priority(out, now, order)
            case AdmitRouter(key, because):
                for each in self._moving_with(key):
                    self._run(out, now, each, vr.Admit(), because)
            case MoveRouter(key, because):
                for each in self._moving_with(key):
                    self._run(out, now, each, vr.StepAside(), because)
            case AnnounceRouter(key, because):
                if (router := self._routers.get(key)) is not None:
                    self._run(out, now, router, vr.LinkRenewed(), because)
            case ReleaseRouters(because):
                self._release(out, now, because)
            case _:
                assert_never(order)

    def deadline(self) -> Deadline | None:
        return earliest(
            self._agenda.next(), self.leases.deadline(), self._announcing.deadline(), self._hushing.deadline()
        )

    def needs_keeper(self) -> bool:
        """Whether any VIP is owned by lease, so that a keeper must be reached."""
        return any(router.lease_key is not None for router in self._routers.values())

    @property
    def released(self) -> bool:
        """Whether all is given up, as ordered."""
        return self._releasing and not self._routers

    @property
    def steady(self) -> bool:
        """Whether nothing is under way: a new speaker that is told `wishes` would be where this one is."""
        under_way = any(router.on_the_way for router in self._routers.values())
        return not (under_way or self._releasing or self._announcing.waits or self._hushing.waits)

    @property
    def owns(self) -> bool:
        """Whether any address is held."""
        return any(router.state.owns for router in self._routers.values())

    def wishes(self) -> list[SpeakerOrder]:
        """Orders that make a new speaker want what this one was last told to want."""
        if not self._configured:
            return []
        routers = tuple(router.configured for router in self._routers.values() if not router.going)
        orders: list[SpeakerOrder] = [ConfigureRouters(routers, heartbeat=self.peering.peers.params)]
        for router in self._routers.values():
            if not router.going and (router.barred or router.ordered != router.configured.priority):
                orders.append(SetPriority(router.configured.key, router.ordered, barred=router.barred))
        return orders

    def statuses(self) -> list[RouterStatus]:
        """The state of every router, for a receiver that has just connected."""
        return [self.leases.completed(router) for router in self._routers.values()]

    def peer_statuses(self) -> list[PeerStatus]:
        """What is known of every peer, for a receiver that has just connected."""
        return self.peering.statuses()

    # --- orders

    def _configure(self, out: Effects, now: Instant, wanted: tuple[RouterParams, ...], because: EventId | None) -> None:
        if self._releasing:
            return
        self._configured = True
        keys = {params.key for params in wanted}
        for params in wanted:
            router = self._routers.get(params.key)
            if router is None or router.lease_key != lease_key(params):
                if router is not None:
                    # Its election changes: nobody owns meanwhile.
                    router.going = True
                    self._run(out, now, router, vr.InterfaceLost(Reason.REMOVED), because)
                router = self._add(out, params, now, because)
                self._rank(out, now, router, because)
                self._report(out, now, router)
                self._place(out, now, router, because)
            elif router.configured != params:
                self._reconfigure(out, now, router, params, because)
            if router.going:
                router.going = False
                self._run(out, now, router, vr.Startup(held=True), because)
        # Last, so that an address that moves to another virtual router is never without an owner.
        for key in [key for key in self._routers if key not in keys]:
            self._dismiss(out, now, key, Reason.REMOVED, because)
        self._group_anew()
        self._delivery_changed = True
        for interface in self._held:
            self._mend(out, now, interface)
        waiting = [r.machine.params for r in self._routers.values() if isinstance(r.machine.state, vr.Initialize)]
        out.extend(self._gates.forget_found(keep={a.ip for params in waiting for a in params.addresses}))

    def _add(self, out: Effects, params: RouterParams, now: Instant, because: EventId | None) -> SpeakerRouter:
        self._numbers += 1
        router = SpeakerRouter(params, self._numbers, now=now, because=because)
        router.machine.params, news = self._gates.safe(params)
        self._publish_all(out, now, news)
        key = params.key
        self._routers[key] = self._by_number[router.number] = router
        self._by_wire[key.interface, key.family.value, key.vrid] = router
        return router

    def _dismiss(self, out: Effects, now: Instant, key: RouterKey, reason: Reason, because: EventId | None) -> None:
        """Have a router leave; one that owns nothing is gone at once."""
        router = self._routers[key]
        if not router.going:
            router.going = True
            self._run(out, now, router, vr.Shutdown(reason), because)

    def _reconfigure(
        self, out: Effects, now: Instant, router: SpeakerRouter, params: RouterParams, because: EventId | None
    ) -> None:
        held = router.machine.params
        if params.priority != router.configured.priority:
            router.ordered, router.barred = params.priority, False
        router.configured = params
        source = params.source if params.source is not None else held.source
        safe, news = self._gates.safe(params)
        self._publish_all(out, now, news, because)
        after = router.ranked(replace(safe, source=source), self._standing_of(router))
        self._run(out, now, router, vr.Reconfigure(after), because)
        if held.virtual_mac is not after.virtual_mac:
            self._move_to_mac(out, now, router)
        self._place(out, now, router, because)
        self._report(out, now, router)
        self._peers_to_tell = True

    def _move_to_mac(self, out: Effects, now: Instant, router: SpeakerRouter) -> None:
        """What it owns is at another MAC from now on, and the neighbours are told."""
        params = router.machine.params
        for address in router.owned_at(params.key.interface):
            self._claim(out, now, params, address)
            out.append(AnnounceAddress(params.key.interface, address.ip, params.mac))

    def _set_priority(self, out: Effects, now: Instant, order: SetPriority) -> None:
        # A router may have been removed while the order was under way.
        if (router := self._routers.get(order.router)) is not None:
            router.ordered = order.priority
            router.barred = router.barred if order.barred is None else order.barred
            self._rank(out, now, router, order.because)

    def _rank_spares(self, out: Effects, now: Instant) -> None:
        for router in self._routers.values():
            if (news := router.news_of_step(self.peering.peers)) is not None:
                self._rank(out, now, router, self._publish(out, now, news))
            elif router.replaced is not self.peering.peers.replaced:
                self._rank(out, now, router, self._told_of_us)
                self._report(out, now, router)

    def _release(self, out: Effects, now: Instant, because: EventId | None) -> None:
        self._releasing = self._configured = True
        for key in list(self._routers):
            self._dismiss(out, now, key, Reason.STOPPED, because)
        for interface in self._held:
            self._mend(out, now, interface)

    # --- interfaces

    def _interface_found(self, out: Effects, now: Instant, found: InterfaceFound) -> None:
        before = self._interfaces.get(found.interface)
        self._interfaces[found.interface] = found
        if found.held is not None:
            self._held[found.interface] = dict.fromkeys(found.held)
        here = [router for router in self._routers.values() if router.configured.key.interface == found.interface]
        tracking = [router for router in self._routers.values() if router.tracks(found.interface)]
        for router in here:
            # Before what is missing is put back: the kernel may have taken it from a sleeper.
            self._wake(out, now, router)
        because: EventId | None = None
        if (here or tracking) and before is not None and before.up != found.up:
            body = InterfaceCameUp(found.interface) if found.up else InterfaceWentDown(found.interface)
            because = self._publish(out, now, body)
        # A router that starts has its priority before, and one that stops says nothing more about it.
        for router in tracking if found.up else ():
            self._rank(out, now, router, because)
        for router in here:
            self._place(out, now, router, because)
        for router in tracking if not found.up else ():
            self._rank(out, now, router, because)
        if before is not None and before.up and found.up and before.carrier_changes != found.carrier_changes:
            for router in here:
                self._run(out, now, router, vr.LinkRenewed())
        self._mend(out, now, found.interface)

    def _mend(self, out: Effects, now: Instant, interface: str) -> None:
        """Bring the kernel's addresses to what the states say: put back what somebody took away, remove leftovers."""
        found = self._interfaces.get(interface)
        held = self._held.get(interface)
        if not self._configured or held is None or found is None:
            return
        for router in self._routers.values():
            params, missing = router.machine.params, router.missing(interface, held)
            for address in missing:
                self._claim(out, now, params, address)
            if missing:
                out.extend(AnnounceAddress(interface, address.ip, params.mac) for address in missing)
                self._publish(out, now, AddressLost(params.key, params.vip, tuple(each.ip for each in missing)))
        for address in [address for address in held if not self._wanted(interface, address)]:
            self._let_go(out, interface, address)

    # --- packets

    def _packet_arrived(self, out: Effects, now: Instant, packet: PacketArrived) -> None:
        vrid = packet.payload[1] if len(packet.payload) > 1 else 0
        router = self._by_wire.get((packet.interface, packet.source.version, vrid))
        if router is None:
            self._publish_all(out, now, self._reception.foreign(now, packet))
            return
        advertisement, told = self._reception.accept(now, router, packet)
        self._publish_all(out, now, told)
        if advertisement is None:
            return
        source, at = packet.source, packet.received if packet.received <= now else now
        news = router.note_peer(source, advertisement.priority, at)
        changed = self._run(out, now, router, vr.Heard(advertisement, source, at, router.peer_peak))
        if not changed and (news or now - router.reported_at >= STATUS_REFRESH):
            self._report(out, now, router)
        if advertisement.priority:
            self._reunite(out, now, router, advertisement.priority)

    # --- peers

    def _tell_of_peers(self, out: Effects, now: Instant, news: list[EventBody]) -> None:
        """Events and statuses; a peer that is new to us shall not have to wait for our next heartbeat."""
        for body in news:
            event = self._publish(out, now, body)
            if isinstance(body, PeerOwnsNoMore):
                self._owner_gone(out, now, body, event)
            elif isinstance(body, NodeReplaced | NodeNotReplaced):
                self._told_of_us = event
        if news:
            out.extend(self.peering.statuses())
            self._review_gates(out, now)
        if any(isinstance(body, PeerHeard | PeerRestarted) for body in news):
            self._peers_to_tell = True

    def _owner_gone(self, out: Effects, now: Instant, gone: PeerOwnsNoMore, because: EventId) -> None:
        """The owner lost its interface and could not say so there: another network has brought the news."""
        peers = self.peering.peers
        for router in list(self._routers.values()):
            params = router.machine.params
            if (params.vip, params.key.family) != (gone.vip, gone.family) or peers.owner_heard(gone.vip, gone.family):
                continue
            next_in_line = peers.next_in_line(gone.vip, gone.family, params.priority)
            router.note_cause(Reason.ACTIVE_RELEASED, because)
            self._run(out, now, router, vr.ActiveGone(now, next_in_line), because)
