"""The kernel's side of the speaker: sockets, addresses and announcements for its effects; packets and interfaces in.

Invariants: a refusal is told as an event and never ends the process; what was refused is tried again by looking at the
interfaces anew (yaoki.runtime.speaker_refusals).
"""

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.linux.announce import Announcer
from yaoki.linux.dead_man_gate import DeadManGate
from yaoki.linux.interface_watch import InterfaceState, InterfaceWatch
from yaoki.linux.vip_addresses import VipAddresses
from yaoki.linux.vip_delivery import VipDelivery
from yaoki.linux.vrrp_socket import Datagram, VrrpSocket
from yaoki.node.messages import (
    AddressEffect,
    AddressTaken,
    AnnounceAddress,
    AnswerAgain,
    ArmedAddress,
    ArmGate,
    ClaimAddress,
    DisarmGate,
    GateEffect,
    GateFound,
    GateOpened,
    GateRefused,
    GateShut,
    HushAddresses,
    InterfaceFound,
    LimitAddress,
    PacketArrived,
    RefreshGate,
    RefuseDelivery,
    ReleaseAddress,
    SendAdvertisement,
    SendHeartbeat,
    SpeakerInput,
)
from yaoki.node.speaker_events import AddressNotOurs, GateRebuilt, GateUnavailable, ProgramsGuarded
from yaoki.runtime.select_loop import READABLE, SelectLoop, monotonic_now
from yaoki.runtime.speaker_authentication import SpeakerAuthentication
from yaoki.runtime.speaker_heartbeats import SpeakerHeartbeats
from yaoki.runtime.speaker_macs import SpeakerMacs
from yaoki.runtime.speaker_refusals import SpeakerRefusals
from yaoki.runtime.speaker_voice import SpeakerVoice
from yaoki.vrrp.params import RouterKey, RouterParams

STRAYS_EVERY = timedelta(seconds=1)
"""How often packets that the filter stopped are looked at, so that they are counted."""

LOOK_AT_FRESH = timedelta(microseconds=300)
"""How often it is looked whether a fresh IPv6 address is taken, which it is in less than a millisecond as a rule."""
WATCH_FRESH = timedelta(milliseconds=50)
"""For how long that is done; whoever waits for it has given up long before."""

KernelEffect = SendAdvertisement | SendHeartbeat | AddressEffect | GateEffect
Place = tuple[str, Family]
_SAID_BEFORE_REFRESH = (SendAdvertisement, LimitAddress, RefreshGate)
"""Effects that do not have the gates refreshed before them: yaoki.runtime.speaker_voice."""


class SpeakerKernel:
    """`give` takes the brain's inputs, `tell` the events of this process."""

    def __init__(
        self, loop: SelectLoop, *, give: Callable[[SpeakerInput], None], tell: Callable[[EventBody], None]
    ) -> None:
        self._loop = loop
        self._give = give
        self._tell = tell
        self._watch = InterfaceWatch()
        self._gate: DeadManGate | None = None
        self._hooked: dict[str, int] = {}
        self.outcomes: list[GateShut | GateOpened | GateRefused | AddressTaken] = []
        """What has become of effects, to be given to the brain once all of them are carried out."""
        self._fresh: dict[tuple[str, IPAddress], tuple[int, Instant]] = {}
        self._addresses = VipAddresses()
        self._delivery = VipDelivery()
        self._undelivered: RefuseDelivery | None = None
        """What was wanted of it last in this life."""
        self._delivery_failed = False
        self._announcer = Announcer()
        self.heartbeats = SpeakerHeartbeats(loop, give, tell)
        self.authentication = SpeakerAuthentication(tell)
        self.voice = SpeakerVoice()
        self._wanted: tuple[Place, ...] = ()
        self._sockets: dict[Place, VrrpSocket] = {}
        self._refusals = SpeakerRefusals(tell)
        self._macs = SpeakerMacs(self._watch, self._addresses, self._refusals.note)
        self._strays_at = monotonic_now() + STRAYS_EVERY
        loop.attach(self._watch.fileno(), READABLE, lambda _: self._interfaces(self._watch.read()))

    def close(self) -> None:
        self._loop.detach(self._watch.fileno())
        self._watch.close()
        self._addresses.close()
        self._macs.close()
        self._announcer.close()
        self.heartbeats.close()
        if self._gate is not None:
            self._gate.close()
        for place in list(self._sockets):
            self._close_socket(place)

    def prepare(self, routers: Iterable[RouterParams]) -> None:
        """Have everything ready for these routers before it is for us to act: sockets, the gate and its hooks, and the
        interfaces of virtual MACs."""
        routers = tuple(routers)
        self._make_gate()
        self.guard_programs(everywhere=True)
        self._watch.read()
        self._wanted = _places(params.key for params in routers)
        self._open_sockets()
        self._macs.want(routers)

    def _make_gate(self) -> None:
        if self._gate is None:
            try:
                self._gate = DeadManGate(lambda programs: self._tell(ProgramsGuarded(programs)))
            except ActuatorError as error:
                self._tell(GateUnavailable(str(error)))

    def find_gate(self) -> bool:
        """Make the dead-man gate, or find the one of an earlier life and tell of it; whether there is one."""
        self._make_gate()
        if self._gate is None:
            return False
        try:
            armed = self._gate.take_up()
        except ActuatorError as error:
            self._gate = None
            self._tell(GateUnavailable(str(error)))
            return False
        if armed:
            self._give(GateFound(tuple(ArmedAddress(each.address, each.open_for) for each in armed)))
        return True

    def guard_programs(self, *, everywhere: bool = False) -> None:
        """The gate shall hold for whatever programs the balancer has now."""
        if self._gate is not None:
            try:
                self._gate.deadlines.follow(everywhere=everywhere)
                self._gate.deadlines.repeat()
            except ActuatorError as error:
                self._refusals.note(", ".join(self._hooked), error)

    def remove_gate(self) -> None:
        """Nothing is held any more: leave no trace of the gate, of virtual MACs, and of what was refused."""
        with suppress(ActuatorError):
            self._delivery.refuse(())
        with suppress(ActuatorError):
            self._macs.remove()
        if self._gate is not None:
            with suppress(ActuatorError):
                self._gate.remove()

    # --- what the brain wants

    def perform(self, effect: KernelEffect) -> None:
        """Carry one effect out; a refusal is told. To be followed by `refresh_gates` at the end."""
        if not isinstance(effect, _SAID_BEFORE_REFRESH):
            self.refresh_gates()
        try:
            match effect:
                case SendAdvertisement():
                    self._advertise(effect)
                case SendHeartbeat():
                    self.heartbeats.send(effect, self._watch.state(effect.interface))
                case RefuseDelivery():
                    self._refuse_delivery(effect)
                case AnnounceAddress():
                    state = self._watch.state(effect.interface)
                    mac = effect.mac if effect.mac is not None or state is None else state.mac
                    if mac is not None:
                        self._announcer.announce(effect.interface, mac, effect.address)
                case ClaimAddress():
                    self._claim(effect)
                case ReleaseAddress():
                    self._release(effect)
                case ArmGate() | RefreshGate() | DisarmGate() | LimitAddress() | HushAddresses() | AnswerAgain():
                    self._guard(effect)
        except ActuatorError as error:
            self._refusals.note(_place_of(effect), error)

    def refresh_gates(self) -> None:
        """Keep those gates open of whose routers an advertisement has just been sent."""
        for refresh in self.voice.due():
            try:
                if self._gate is not None:
                    self._refresh(self._gate, refresh)
            except ActuatorError as error:
                self._refusals.note(_place_of(refresh), error)

    def _advertise(self, effect: SendAdvertisement) -> None:
        sock = self._sockets.get((effect.interface, effect.family))
        payload = self.authentication.sign(effect)
        if payload is None or not self.voice.may_send(effect):
            return
        if effect.mac is not None:
            self._macs.send(effect, payload, effect.mac)
        elif sock is not None:
            sock.send(effect.source, effect.destination, payload)

    def _guard(self, effect: GateEffect) -> None:
        match effect:
            case LimitAddress():
                state = self._watch.state(effect.interface)
                if state is not None:
                    marked = effect.address in state.ours
                    bearer = self._watch.bearer(effect.interface, effect.address) or state.index
                    self._addresses.limit(bearer, effect.address, effect.lifetime, marked=marked)
            case ArmGate():
                self._arm(effect)
            case _ if self._gate is None:
                return
            case RefreshGate():
                self.voice.hold_back(effect)
            case DisarmGate():
                self._gate.disarm(effect.addresses)
                self.voice.changed(effect.addresses)
            case HushAddresses():
                self._hush(self._gate, effect)
            case AnswerAgain():
                self._gate.answer_again(effect.addresses)

    def _arm(self, effect: ArmGate) -> None:
        """Whoever waits for it is told what has become of it."""
        try:
            if self._gate is not None:
                self._hook(effect.interface)
                self._arm_anew(self._gate, effect)
        except ActuatorError:
            self._tell_of_gate(effect, GateRefused)
            raise
        self.voice.changed(effect.addresses)
        self._tell_of_gate(effect, GateRefused if self._gate is None else GateOpened)

    def _arm_anew(self, gate: DeadManGate, effect: ArmGate) -> None:
        """Arm the gate; if somebody has flushed the ruleset, make it first."""
        try:
            gate.arm(effect.addresses, effect.limit)
        except ActuatorError as error:
            if error.errno != errno.ENOENT:
                raise
            self._rebuild(gate, effect.interface)
            gate.arm(effect.addresses, effect.limit)

    def _tell_of_gate(self, effect: ArmGate, answer: type[GateOpened | GateRefused]) -> None:
        if effect.router is not None:
            self.outcomes.append(answer(effect.router))

    def _refresh(self, gate: DeadManGate, effect: RefreshGate) -> None:
        """If it has shut, that is told; if somebody flushed the ruleset, nothing was silenced, and it is made anew."""
        if not gate.refresh(effect.addresses, effect.limit):
            if gate.guards(effect.addresses):
                self.outcomes.append(GateShut(effect.router))
                return
            self._tell(GateRebuilt(effect.router))
            self._rebuild(gate, effect.router.interface)
            gate.arm(effect.addresses, effect.limit)
        self.voice.refreshed(effect)

    def _hush(self, gate: DeadManGate, effect: HushAddresses) -> None:
        try:
            gate.hush(effect.addresses)
        except ActuatorError as error:
            if error.errno != errno.ENOENT:
                raise
            self._rebuild(gate, effect.interface)
            gate.hush(effect.addresses)

    def _rebuild(self, gate: DeadManGate, interface: str) -> None:
        gate.make()
        self._hooked.clear()
        self._macs.prepare(anew=True)
        if self._undelivered is not None:
            self.perform(self._undelivered)
        self._hook(interface)

    def _hook(self, interface: str) -> None:
        """Have the gate watch over an interface, if it does not yet."""
        state = self._watch.state(interface)
        if self._gate is not None and state is not None and self._hooked.get(interface) != state.index:
            self._gate.hook(interface, state.index)
            self._hooked[interface] = state.index

    def _claim(self, effect: ClaimAddress) -> None:
        state = self._watch.state(effect.interface)
        if state is None:
            raise ActuatorError(f"add {effect.address}", "there is no such interface")
        bearer = self._macs.bearer(effect.interface, state.index, effect.address, effect.mac)
        if self._addresses.claim(bearer, effect.address):
            self._watch.note_claimed(bearer, effect.address)
        elif effect.address not in state.ours and not self._addresses.put(bearer, effect.address):
            self._tell(AddressNotOurs(effect.interface, effect.address))
        self._macs.settle(effect.interface, effect.address, bearer)
        if effect.address.version == 6 and not self._is_taken(bearer, effect.interface, effect.address.ip):
            until = monotonic_now() + WATCH_FRESH
            self._fresh[effect.interface, effect.address.ip] = (bearer, until)

    def _is_taken(self, index: int, interface: str, address: IPAddress) -> bool:
        """Look whether the kernel takes packets for an address, and tell of it if so."""
        taken = self._addresses.taken(index, address)
        if taken:
            self.outcomes.append(AddressTaken(interface, address))
        return taken

    def _look_at_fresh(self, now: Instant) -> None:
        for (interface, address), (index, until) in list(self._fresh.items()):
            if self._is_taken(index, interface, address) or now >= until:
                del self._fresh[interface, address]
        outcomes, self.outcomes = self.outcomes, []
        for outcome in outcomes:
            self._give(outcome)

    def _refuse_delivery(self, effect: RefuseDelivery) -> None:
        self._undelivered, self._delivery_failed = effect, True
        self._delivery.refuse(effect.addresses)
        self._delivery_failed = False

    def forget_delivery(self) -> None:
        """What an earlier life refused is not refused any more, unless this one was told to refuse anything."""
        if self._undelivered is None:
            self._undelivered = RefuseDelivery(())
            # A kernel without such tables has none to take away.
            with suppress(ActuatorError):
                self._delivery.refuse(())

    def _release(self, effect: ReleaseAddress) -> None:
        state = self._watch.state(effect.interface)
        if state is None:
            return
        self._fresh.pop((effect.interface, effect.address.ip), None)
        marked = effect.address in state.ours
        bearer = self._watch.bearer(effect.interface, effect.address) or state.index
        if self._addresses.release(bearer, effect.address, marked=marked):
            self._watch.note_released(bearer, effect.address)
        self._macs.rest(effect.interface)

    @contextmanager
    def places_for(self, routers: tuple[RouterParams, ...]) -> Iterator[None]:
        """Within it there are sockets, and interfaces of virtual MACs, for these routers and the former ones, after it
        for these only."""
        self._wanted = _places(params.key for params in routers)
        self._open_sockets()
        self._macs.want(routers)
        yield
        self._macs.drop_others()
        for place in [place for place in self._sockets if place not in self._wanted]:
            self._close_socket(place)

    # --- what the world says

    def hear_all(self) -> None:
        """Everything that has arrived, interfaces first: of one that is down nothing can be heard."""
        self._interfaces(self._watch.read())
        for sock in list(self._sockets.values()):
            self._hear(sock)
        self.heartbeats.hear()

    def look_again(self) -> None:
        """Every interface as it is now, after what else was refused."""
        self._refusals.again_at = None
        if self._undelivered is not None and self._delivery_failed:
            self.perform(self._undelivered)
        self._macs.prepare()
        self._interfaces(self._watch.again())

    @property
    def tend_at(self) -> Instant | None:
        """When `tend` has something to do that cannot wait for another occasion."""
        if not self._fresh:
            return self._refusals.again_at
        look_at = monotonic_now() + LOOK_AT_FRESH
        return (
            look_at if self._refusals.again_at is None or look_at < self._refusals.again_at else self._refusals.again_at
        )

    def tend(self, now: Instant) -> None:
        """What is done now and then."""
        if self._fresh:
            self._look_at_fresh(now)
        if self._refusals.again_at is not None and self._refusals.again_at <= now:
            self.look_again()
        if self._strays_at <= now:
            self._strays_at = now + STRAYS_EVERY
            for sock in list(self._sockets.values()):
                for stray in sock.read_strays():
                    self._give(self._packet(sock, stray))

    def _hear_ready(self, sock: VrrpSocket, _: int) -> None:
        self._hear(sock)

    def _hear(self, sock: VrrpSocket) -> None:
        for datagram in sock.read():
            self._give(self._packet(sock, datagram))

    def _packet(self, sock: VrrpSocket, datagram: Datagram) -> PacketArrived:
        payload, flaw = self.authentication.judge(sock.interface, sock.family, datagram)
        return PacketArrived(
            sock.interface,
            sock.family,
            datagram.source,
            datagram.destination,
            datagram.hop_limit,
            payload,
            Instant(datagram.received_ns // 1000),
            flaw,
        )

    def _interfaces(self, states: list[InterfaceState]) -> None:
        for state in states:
            self.heartbeats.moved(state)
            for place, sock in list(self._sockets.items()):
                # The name has gone to another interface: the socket hears and reaches nobody any more.
                if place[0] == state.name and sock.index != state.index:
                    self._close_socket(place)
                    self._addresses.forget(sock.index)
        if states:
            self._open_sockets()
            self._macs.prepare()
        for state in states:
            self._macs.restore(state)
            self._give(
                InterfaceFound(
                    state.name,
                    state.up,
                    state.ipv4,
                    state.ipv6_link_local,
                    state.ours,
                    state.carrier_changes,
                    state.ipv6,
                )
            )

    def _open_sockets(self) -> None:
        for place in self._wanted:
            state = self._watch.state(place[0])
            if place in self._sockets or state is None:
                continue
            try:
                sock = VrrpSocket(place[0], state.index, place[1])
            except ActuatorError as error:
                self._refusals.note(place[0], error)
                continue
            self._sockets[place] = sock
            self._hook_early(place[0])
            self._loop.attach(sock.fileno(), READABLE, partial(self._hear_ready, sock))

    def _hook_early(self, interface: str) -> None:
        """Before a takeover, which has no time for it."""
        try:
            self._hook(interface)
        except ActuatorError as error:
            self._refusals.note(interface, error)

    def _close_socket(self, place: Place) -> None:
        sock = self._sockets.pop(place)
        self._loop.detach(sock.fileno())
        sock.close()


def _places(keys: Iterable[RouterKey]) -> tuple[Place, ...]:
    return tuple(dict.fromkeys((key.interface, key.family) for key in keys))


def _place_of(effect: KernelEffect) -> str:
    """Where an effect was to take place."""
    match effect:
        case RefreshGate():
            return effect.router.interface
        case DisarmGate() | RefuseDelivery():
            return ", ".join(map(str, effect.addresses))
        case _:
            return effect.interface
