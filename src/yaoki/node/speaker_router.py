"""One virtual router as the speaker keeps it: the machine, its encoded advertisements, what is known of its peer.

Invariants: an advertisement is encoded once for each (priority, form, parameters) and decoded once for each distinct
packet of the peer; `status` is what RouterStatus reports.
"""

from collections.abc import Callable, Container
from dataclasses import replace
from ipaddress import IPv6Interface

from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.core.event import EventBody, EventId
from yaoki.core.instant import Instant
from yaoki.node.messages import InterfaceFound, PacketArrived, RouterState, RouterStatus, SendAdvertisement
from yaoki.node.speaker_peers import SpeakerPeers
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.advertisement import GROUP_IPV4, GROUP_IPV6, Advertisement, Rejection, decode
from yaoki.vrrp.events import (
    AddressListMismatch,
    Admitted,
    Barred,
    BecameActive,
    BecameBackup,
    ChecksumFormLearnt,
    HandOverBegun,
    HeldOut,
    InStepWithOwner,
    OutOfStepWithOwner,
    PeerMayBeDeaf,
    PeerReleased,
    PriorityChanged,
    Quarantined,
    QuarantineLifted,
    Reason,
    RouterInitialized,
    SecondOwnerSuspected,
    Unbarred,
)
from yaoki.vrrp.leased_router import LeasedRouter, Wanted
from yaoki.vrrp.leased_state import Bidding, GiveWay, LeasedInput, LeaseElsewhere, LeaseGone, LeaseHeld, Resume, Standby
from yaoki.vrrp.params import ChecksumForm, OutOfStep, RouterParams
from yaoki.vrrp.router_state import Active, Backup, Effect, Initialize, Leaving, Owning, Yielding
from yaoki.vrrp.standing import GREATEST_PRIORITY, OWNER_PRIORITY, Standing, standing
from yaoki.vrrp.virtual_router import VirtualRouter

_Wire = tuple[bytes, IPAddress, int, IPAddress]

_REASONS: dict[type[EventBody], Reason] = {
    HeldOut: Reason.HELD_OUT,
    Quarantined: Reason.QUARANTINED,
    Admitted: Reason.ADMITTED,
    QuarantineLifted: Reason.ADMITTED,
}
"""Why a router is what it is, after events that do not change its state."""


class SpeakerRouter:
    """See the module. `configured` is what was ordered; `machine.params` has its effective priority and source.
    `ordered` and `barred` are what the Brain's tracks leave of the priority, before the interfaces' weights. `relief`:
    it may not own, and a peer may.

    `number` is its name on the agenda, because a RouterKey is slow to hash.
    """

    def __init__(self, configured: RouterParams, number: int, *, now: Instant, because: EventId | None) -> None:
        self.configured = configured
        self.ordered = configured.priority
        self.barred = False
        self._last = False
        """Whether it was said that it takes over last."""
        self.relief = False
        self.gateless = False
        """The kernel has refused the gate without which it may not own."""
        self.hindered = False
        """Whether it may not own for another router of its sync group."""
        self.keyless = False
        """Whether it may not own because it cannot sign its advertisements."""
        self.placed = False
        """Whether it has found its interface."""
        self.replaced = False
        """Whether it may not own because another node has taken this one's place."""
        self.number = number
        self.machine = VirtualRouter(configured) if configured.lease is None else LeasedRouter(configured)
        self.peer: IPAddress | None = None
        self.peer_priority: int | None = None
        self.peer_heard: Instant | None = None
        self.peer_peak = 0
        self.reported_at = now
        self.going = False
        """Not wanted any more: it leaves, and is forgotten when it has."""
        self._wish: Wanted | None = None
        self._since = now
        self._reason = Reason.CONFIGURED
        self._because = because
        self._form = _initial_form(configured)
        self._encoded: dict[tuple[int, bool], tuple[SendAdvertisement, ...]] = {}
        self._last_wire: _Wire | None = None
        self._last_advertisement: Advertisement | None = None
        self._mismatch: tuple[IPAddress, tuple[IPAddress, ...]] | None = None
        self._causes: dict[Reason, EventId] = {}

    # --- tracking

    def tracks(self, interface: str) -> bool:
        """Whether the state of an interface changes the priority."""
        return any(track.interface == interface for track in self.configured.tracks)

    def news_of_step(self, peers: SpeakerPeers) -> EventBody | None:
        """Whether it has begun, or ended, to be a spare that takes over after those that run what the owner runs."""
        last = self._comes_last(peers)
        if last == self._last:
            return None
        self._last = last
        body = OutOfStepWithOwner if last else InStepWithOwner
        return body(self.configured.key, self.configured.vip)

    def _comes_last(self, peers: SpeakerPeers) -> bool:
        asked = self.configured.out_of_step is OutOfStep.LAST and isinstance(self.machine.state, Initialize | Backup)
        return asked and peers.out_of_step(self.configured.vip, self.configured.key.family)

    def standing(self, is_up: Callable[[str], bool], peers: SpeakerPeers) -> Standing:
        """What the Brain's orders, the interfaces as they are and the owner's generation leave of the priority."""
        configured = self.configured
        lost = [track.weight for track in configured.tracks if is_up(track.interface) == track.reverse]
        if self._comes_last(peers):
            lost.append(-GREATEST_PRIORITY)
        return standing(
            configured.priority,
            [self.ordered - configured.priority, *lost],
            barred=self.barred or self.gateless or self.keyless or self.replaced,
        )

    def ranked(self, params: RouterParams, left: Standing) -> RouterParams:
        """The parameters with what is left of the priority."""
        lowered = max(0, self.configured.priority - left.priority)
        return replace(params, priority=left.priority, barred=left.barred, lowered=lowered)

    def owned_at(self, interface: str) -> tuple[IPInterface, ...]:
        """The addresses that an interface shall hold for it now."""
        params = self.machine.params
        owning = params.key.interface == interface and isinstance(self.machine.state, Owning)
        return params.addresses if owning else ()

    def missing(self, interface: str, held: Container[IPInterface]) -> tuple[IPInterface, ...]:
        """Those of `owned_at` that are not held, and would be marked as VIPs if they were."""
        # The owner's addresses are the interface's own, which the kernel does not mark.
        if self.machine.params.priority == OWNER_PRIORITY:
            return ()
        return tuple(address for address in self.owned_at(interface) if address not in held)

    def source_in(self, found: InterfaceFound) -> IPAddress | None:
        """The address to send from on its interface as that is found."""
        configured = self.configured
        if configured.source is not None:
            # The kernel drops global IPv6 addresses when an interface is set down, and does not bring them back.
            there = configured.key.family is Family.IPV4 or configured.source in (*found.ipv6, found.ipv6_link_local)
            return configured.source if there else None
        return found.ipv4 if configured.key.family is Family.IPV4 else found.ipv6_link_local

    @property
    def refuses_delivery(self) -> bool:
        """RFC 9568 6.4.3: whether packets to its addresses are not accepted here; the address owner always does."""
        return not self.configured.accept and self.configured.priority != OWNER_PRIORITY

    # --- its lease

    def handle(self, now: Instant, input_: LeasedInput) -> list[Effect]:
        """Give the machine its input; what concerns a lease is nothing to a router without one."""
        if isinstance(self.machine, LeasedRouter):
            return self.machine.handle(now, input_)
        assert not isinstance(input_, LeaseHeld | Resume | LeaseGone | LeaseElsewhere | GiveWay), "it has no lease"
        return self.machine.handle(now, input_)

    def wish(self, now: Instant) -> Wanted | None:
        """The lease that it wants, if any."""
        return self.machine.wish(now) if isinstance(self.machine, LeasedRouter) else None

    @property
    def lease_key(self) -> str | None:
        """The lease that its owner must hold, if it must hold one."""
        return None if self.configured.lease is None else self.configured.lease.key

    def wish_changed(self, now: Instant) -> bool:
        """Whether it wants another lease, or another patience, than when this was last asked."""
        before, self._wish = self._wish, self.wish(now)
        return self._wish != before

    # --- sending

    def advertisements(self, priority: int) -> tuple[SendAdvertisement, ...]:
        """The effects that advertise `priority`: one to the group, or one to each peer.

        RFC 9568 7.2: from the virtual MAC, so that bridges learn where it is. Who is about to leave, has heard another
        owner or only bids would teach them wrong, and sends from its own.
        """
        here = isinstance(self.machine.state, Active)
        ready = self._encoded.get((priority, here))
        if ready is None:
            ready = self._encoded[priority, here] = self._encode(priority, here=here)
        return ready

    def params_changed(self) -> None:
        """Forget what was encoded and decoded with the former parameters."""
        self._encoded.clear()
        self._last_wire = None
        self._mismatch = None
        if self.configured.checksum is not ChecksumForm.AS_HEARD:
            self._form = _initial_form(self.configured)

    def _encode(self, priority: int, *, here: bool) -> tuple[SendAdvertisement, ...]:
        params = self.machine.params
        # Unicast goes through the kernel, which knows the peers' MACs and sends from the interface's own.
        mac = params.mac if here and params.peers is None else None
        key, source = params.key, params.source
        assert source is not None, "a router starts only when it has a source address"
        group: IPAddress = GROUP_IPV4 if key.family is Family.IPV4 else GROUP_IPV6
        advertisement = Advertisement(
            params.version, key.vrid, priority, params.interval, advertised_addresses(params), self._form
        )
        # The pseudo-header has the destination, so each peer gets a checksum of its own.
        return tuple(
            SendAdvertisement(
                key.interface, key.family, source, destination, advertisement.encode(source, destination), mac
            )
            for destination in ((group,) if params.peers is None else params.peers)
        )

    # --- hearing

    def known(self, packet: PacketArrived) -> Advertisement | None:
        """The advertisement in a packet that repeats the one accepted last, as nearly all do."""
        return self._last_advertisement if _wire(packet) == self._last_wire else None

    def accept(self, packet: PacketArrived) -> Advertisement | Malformed[Rejection]:
        """The advertisement in a packet for this VRID, after the checks that need its parameters."""
        params = self.machine.params
        advertisement = decode(
            packet.payload, source=packet.source, destination=packet.destination, hop_limit=packet.hop_limit
        )
        if isinstance(advertisement, Malformed):
            return advertisement
        if advertisement.version != params.version:
            return Malformed(Rejection.VERSION, 0)
        # RFC 3768 5.3.6: type 0 is the only one left.
        if advertisement.authentication_type != 0:
            return Malformed(Rejection.AUTHENTICATION, 4)
        # RFC 3768 7.1: an interval other than ours MUST be discarded; version 3 learns it.
        if advertisement.version == 2 and advertisement.interval != params.interval:
            return Malformed(Rejection.INTERVAL, 5)
        if packet.source == params.source:
            return Malformed(Rejection.OWN_ADDRESS, 0)
        if not _may_speak(params, packet.source):
            return Malformed(Rejection.NOT_A_PEER, 0)
        self._last_wire, self._last_advertisement = _wire(packet), advertisement
        return advertisement

    def learns(self, source: IPAddress, advertisement: Advertisement) -> list[EventBody]:
        """What an advertisement that is not the last one again tells besides."""
        key, news = self.configured.key, list[EventBody]()
        if self.learns_form(advertisement.checksum):
            news.append(ChecksumFormLearnt(key, source, advertisement.checksum))
        if self.new_mismatch(source, advertisement.addresses):
            ours = advertised_addresses(self.machine.params)
            news.append(AddressListMismatch(key, source, advertisement.addresses, ours))
        return news

    def learns_form(self, form: ChecksumForm) -> bool:
        """Whether `form`, just heard, is to be sent from now on instead of another."""
        params = self.machine.params
        if params.checksum is not ChecksumForm.AS_HEARD or params.version != 3 or params.key.family is Family.IPV6:
            return False
        if form is self._form:
            return False
        self._form = form
        self._encoded.clear()
        return True

    def new_mismatch(self, peer: IPAddress, theirs: tuple[IPAddress, ...]) -> bool:
        """Whether a peer advertises other addresses than ours, and that is news."""
        if set(theirs) == {address.ip for address in self.machine.params.addresses}:
            if self._mismatch is not None and self._mismatch[0] == peer:
                self._mismatch = None
            return False
        if self._mismatch == (peer, theirs):
            return False
        self._mismatch = (peer, theirs)
        return True

    def suspects_deafness(self, body: EventBody) -> PeerMayBeDeaf | None:
        """What explains that another router is Active beside this one: it may take none of our advertisements."""
        if not isinstance(body, SecondOwnerSuspected) or self._mismatch is None or self._mismatch[0] != body.peer:
            return None
        params = self.machine.params
        return PeerMayBeDeaf(params.key, params.vip, body.peer, self._mismatch[1], advertised_addresses(params))

    def note_peer(self, peer: IPAddress, priority: int, at: Instant) -> bool:
        """Remember who was heard; whether that is another router or priority than before."""
        news = (priority, peer) != (self.peer_priority, self.peer)
        self.peer_peak = max(self.peer_peak, priority) if peer == self.peer else priority
        self.peer, self.peer_priority, self.peer_heard = peer, priority, at
        return news

    # --- reporting

    def cause_of(self, body: EventBody) -> EventId | None:
        """The earlier event of this router that explains `body`, if one does."""
        match body:
            case BecameActive(reason=reason) | BecameBackup(reason=reason):
                return self._causes.get(reason)
            case Quarantined():
                return self._because
            case _:
                return None

    def note_cause(self, reason: Reason, event: EventId) -> None:
        """Remember an event that would explain a takeover for this reason."""
        self._causes[reason] = event

    def note_event(self, body: EventBody, event: EventId, now: Instant) -> bool:
        """Remember what `body` means for the status and as a cause; whether the status has changed by it."""
        match body:
            case (
                BecameActive(reason=reason)
                | BecameBackup(reason=reason)
                | HandOverBegun(reason=reason)
                | RouterInitialized(reason=reason)
            ):
                self.peer_peak = 0
                self._since, self._reason, self._because = now, reason, event
                self._causes.clear()
                return True
            case HeldOut() | Quarantined() | Admitted() | QuarantineLifted():
                self._reason, self._because = _REASONS[type(body)], event
                return True
            case PeerReleased():
                self._causes[Reason.ACTIVE_RELEASED] = event
                return False
            case PriorityChanged(before=before, after=after):
                self._causes.clear()
                lost = (Reason.HIGHER_PRIORITY, Reason.GREATER_ADDRESS)
                for reason in lost if after < before else (Reason.PREEMPTED_LOWER,):
                    self._causes[reason] = event
                return True
            case Barred():
                self._causes = dict.fromkeys((Reason.HIGHER_PRIORITY, Reason.GREATER_ADDRESS), event)
                return True
            case Unbarred():
                self._causes = {Reason.PREEMPTED_LOWER: event}
                state = self.machine.state
                if isinstance(state, Backup) and state.active_down_at <= now:
                    self._causes[state.outlook] = event
                return True
            case _:
                return False

    def note_waiting(self, reason: Reason, because: EventId | None) -> bool:
        """Why the router is still in Initialize; whether that is news."""
        if reason is self._reason:
            return False
        self._reason, self._because = reason, because
        return True

    @property
    def on_the_way(self) -> bool:
        """Whether it leaves, gives way, bids, or is about to relieve one that leaves."""
        state = self.machine.state
        if isinstance(state, Backup) and state.outlook is Reason.ACTIVE_RELEASED:
            return not (state.held_out or self.machine.params.barred)
        return isinstance(state, Leaving | Yielding | Bidding)

    @property
    def quarantined(self) -> bool:
        """Whether it is held out because its node has returned, and its VIP is stateful."""
        state = self.machine.state
        return isinstance(state, Backup | Standby) and state.held_out and self.machine.params.quarantines

    @property
    def reason(self) -> Reason:
        """How it came into its state, or why it waits."""
        return self._reason

    @property
    def because(self) -> EventId | None:
        """The event that made its state."""
        return self._because

    @property
    def state(self) -> RouterState:
        """The name of the machine's state."""
        match self.machine.state:
            case Initialize():
                return RouterState.INITIALIZE
            case Backup() | Standby() | Bidding():
                return RouterState.BACKUP
            case Active():
                return RouterState.ACTIVE
            case Leaving() | Yielding():
                return RouterState.LEAVING

    @property
    def yields(self) -> bool:
        """Whether it has heard the next owner, for which that one waits."""
        return isinstance(self.machine.state, Yielding)

    def status(self) -> RouterStatus:
        params = self.machine.params
        return RouterStatus(
            router=params.key,
            vip=params.vip,
            state=self.state,
            since=self._since,
            priority=Standing(params.priority, params.barred).effective,
            reason=self._why().value,
            peer=self.peer,
            peer_priority=self.peer_priority,
            peer_heard=self.peer_heard,
            because=self._because,
        )

    def _why(self) -> Reason:
        """Why the router is in its state; that it is barred comes before how it came there."""
        if self.gateless:
            return Reason.NO_GATE
        if self.keyless:
            return Reason.NO_KEY
        if self.quarantined:
            return Reason.QUARANTINED
        if self.replaced and isinstance(self.machine.state, Backup | Standby | Bidding):
            return Reason.REPLACED
        if self.machine.params.barred and isinstance(self.machine.state, Backup | Standby | Bidding):
            return Reason.HINDERED if self.hindered else Reason.BARRED
        if self.machine.params.barred and isinstance(self.machine.state, Active):
            return Reason.KEPT
        return self._reason


def _wire(packet: PacketArrived) -> _Wire:
    """All that makes one packet differ from another to a router. As a tuple, because comparing tuples is quick where
    their items are the same objects."""
    return packet.payload, packet.source, packet.hop_limit, packet.destination


def _may_speak(params: RouterParams, source: IPAddress) -> bool:
    """Whether a router by unicast listens to `source`: to its peers, to whatever address they send, so that a change
    from multicast to unicast, node by node, never makes two owners. Over IPv6 a peer by multicast, or a keepalived
    without unicast_src_ip, sends from a link-local address, which the site file does not know."""
    return params.peers is None or source in params.peers or (source.version == 6 and source.is_link_local)


def advertised_addresses(params: RouterParams) -> tuple[IPAddress, ...]:
    """In the order of the parameters; RFC 9568 5.2.9: the first IPv6 address MUST be link-local, if there is one."""
    first = tuple(a.ip for a in params.addresses if isinstance(a, IPv6Interface) and a.is_link_local)
    return first + tuple(a.ip for a in params.addresses if a.ip not in first)


def source_of(params: RouterParams, found: InterfaceFound) -> IPAddress | None:
    """The address that a router sends from on an interface as it was found; None: there is none."""
    if params.source is not None:
        # The kernel drops global IPv6 addresses when an interface is set down, and does not bring them back.
        return params.source if params.key.family is Family.IPV4 or params.source in found.ipv6 else None
    return found.ipv4 if params.key.family is Family.IPV4 else found.ipv6_link_local


def _initial_form(params: RouterParams) -> ChecksumForm:
    if params.version == 2:
        return ChecksumForm.MESSAGE_ONLY
    if params.key.family is Family.IPV6 or params.checksum is ChecksumForm.AS_HEARD:
        return ChecksumForm.PSEUDO_HEADER
    return params.checksum
