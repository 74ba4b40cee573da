"""The simulated speaker: a SpeakerBrain on a simulated kernel and network.

Invariants: addresses change in the order of the effects, before the next input is handled; what the kernel notifies is
read when the process runs, so an old notification never brings old news.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import assert_never

from yaoki.core.address import IPAddress
from yaoki.core.instant import Instant
from yaoki.node.holder_messages import HoldLeases, LeasesInherited, LeaseValid
from yaoki.node.messages import (
    AbilitiesFound,
    AddressTaken,
    AnnounceAddress,
    AnswerAgain,
    ArmGate,
    ClaimAddress,
    DisarmGate,
    GateEffect,
    GateOpened,
    GateRefused,
    GateShut,
    HeartbeatArrived,
    HushAddresses,
    LimitAddress,
    PacketArrived,
    PeerStatus,
    Published,
    RefreshGate,
    RefuseDelivery,
    ReleaseAddress,
    RouterStatus,
    SendAdvertisement,
    SendHeartbeat,
    SpeakerEffect,
    SpeakerInput,
    SpeakerOrder,
)
from yaoki.node.speaker_brain import SpeakerBrain
from yaoki.sim.kernel import TICK_US
from yaoki.sim.process import Process
from yaoki.sim.surroundings import Surroundings
from yaoki.sim.timeline import MILLISECOND
from yaoki.vrrp.advertisement import HOP_LIMIT
from yaoki.vrrp.params import RouterKey

NOTIFY_US = (20, 150)
LOOK_US = 300
# From the last word of a speaker to the first of the one that takes its place.
SUCCESSION_US = (2 * MILLISECOND, 15 * MILLISECOND)
# What the packet sockets of a stopped speaker hold; later packets are lost, as the kernel loses them.
MAX_UNREAD = 256
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class _Unread:
    """A packet in a socket, stamped by the kernel with the wall clock."""

    interface: str
    frame: SendAdvertisement | SendHeartbeat
    wall: int


class Speaker:
    """The speaker of one node. `send`, `beat` and `announce` go to the network, `report` to the main process, `hold` to
    the lease keeper; `silent` is called when it falls silent for a newer one, and `ended` when it has released
    everything and leaves."""

    def __init__(
        self,
        around: Surroundings,
        *,
        send: Callable[[SendAdvertisement], None],
        announce: Callable[[AnnounceAddress], None],
        beat: Callable[[SendHeartbeat], None],
        report: Callable[[object], None],
        silent: Callable[[], None],
        ended: Callable[[], None],
        hold: Callable[[HoldLeases], None],
    ) -> None:
        self._around = around
        self._send = send
        self._announce = announce
        self._beat = beat
        self._report = report
        self._become_silent = silent
        self._ended = ended
        self._hold = hold
        self._brain: SpeakerBrain | None = None
        self._incarnation = 0
        self._notified: dict[str, None] = {}
        self._unread: list[_Unread] = []
        self._emptied_at = 0
        self._held = False
        self._silent = False
        self._newer_waits = False
        self.process: Process[SpeakerInput, SpeakerEffect] = Process(
            f"{around.node}/speaker",
            around.timeline,
            clock=around.clock,
            chance=around.chance,
            sink=self._perform,
            observer=around.witness,
        )

    @property
    def released(self) -> bool:
        """Whether it lives and has released everything."""
        return self.process.machine is not None and self._brain is not None and self._brain.released

    def start(self) -> None:
        """Begin with a new machine, which is told of every interface."""
        self._begin((), None)

    def _begin(self, orders: Sequence[SpeakerOrder], leases: Sequence[LeaseValid] | None) -> None:
        around, process = self._around, self.process
        self._incarnation += 1
        self._notified.clear()
        self._unread.clear()
        self._held = self._silent = self._newer_waits = False
        self._brain = SpeakerBrain(f"{process.name}.{self._incarnation}", boot=self._incarnation)
        process.start(self._brain)
        around.kernel.forget_hushed()
        found = around.kernel.gate_found()
        if found.armed:
            process.give(found)
        process.give(AbilitiesFound(gate=True, tick=TICK_US * _MICROSECOND))
        if leases is not None:
            process.give(LeasesInherited(tuple(leases)))
        for order in orders:
            process.give(order)
        for interface in around.kernel.interfaces:
            process.give(around.kernel.found(interface))

    def succeed(self) -> None:
        """A newer speaker is ready, and waits for this one to fall silent."""
        if self.process.running and self._brain is not None:
            self._newer_waits = True
            self._give_way(advertised=False)

    def succeed_no_more(self) -> None:
        """The newer one has no patience left."""
        self._newer_waits = False

    def _give_way(self, *, advertised: bool) -> None:
        """As the runtime's speaker at the end of a turn."""
        brain, around = self._brain, self._around
        if not self._newer_waits or brain is None or not self.process.running or not brain.steady:
            return
        if brain.owns and not advertised:
            return
        leases = brain.leases.held(around.clock.instant(around.timeline.now))
        begin = partial(self._take_place, brain.wishes(), leases, self._incarnation)
        self._newer_waits = False
        self._silent = True
        self._emptied_at = around.clock.monotonic(around.timeline.now)
        self.process.pause()
        self._become_silent()
        around.timeline.after(around.chance.between(*SUCCESSION_US), begin)

    def _give_way_soon(self, *, advertised: bool) -> None:
        """After all that is being done now."""
        if self._newer_waits:
            self._around.timeline.after(0, partial(self._give_way, advertised=advertised))

    def _take_place(self, orders: Sequence[SpeakerOrder], leases: Sequence[LeaseValid], predecessor: int) -> None:
        if self._incarnation != predecessor or self.process.machine is None:
            return
        if self._held:
            self._around.timeline.after(MILLISECOND, partial(self._take_place, orders, leases, predecessor))
            return
        self._become_silent()
        read = [self._packet(packet.interface, packet.frame, self._stamp(packet)) for packet in self._unread]
        self._begin(orders, leases)
        for packet in read:
            self.process.give(packet)

    def pause(self) -> None:
        """Stop: what arrives from now on waits in the kernel."""
        if not self.process.paused:
            self._emptied_at = self._around.clock.monotonic(self._around.timeline.now)
        self._held = True
        self.process.pause()

    def resume(self) -> None:
        """Run again: before a timer is acted on, interfaces are looked at and packets read."""
        self._held = False
        if self._silent:
            return
        found = [self._around.kernel.found(interface) for interface in self._notified]
        read = [self._packet(packet.interface, packet.frame, self._stamp(packet)) for packet in self._unread]
        self._notified.clear()
        self._unread.clear()
        self.process.resume([*found, *read])
        self._end_soon_if_released()

    def order(self, message: SpeakerOrder) -> None:
        """A message of the main process arrived."""
        self.process.give(message)
        self._end_soon_if_released()

    def reached(self) -> None:
        """The main process has connected: the state is repeated."""
        if self._brain is not None:
            for status in (*self._brain.statuses(), *self._brain.peer_statuses()):
                self._report(status)

    def peers(self) -> list[PeerStatus]:
        """What the running speaker knows of its peers."""
        return [] if self._brain is None else self._brain.peer_statuses()

    def takes_part_in(self, router: RouterKey) -> bool:
        """Whether the running speaker has a virtual router, be it one that is leaving."""
        return self._brain is not None and any(status.router == router for status in self._brain.statuses())

    @property
    def is_configured(self) -> bool:
        """Whether the running speaker was told of its peers."""
        return bool(self.peers())

    def hear(self, interface: str, frame: SendAdvertisement | SendHeartbeat) -> None:
        """The network card took a packet."""
        around, process = self._around, self.process
        machine = process.machine
        if machine is None or not self._has_socket(interface, frame):
            return
        if not process.paused:
            now = around.clock.instant(around.timeline.now)
            process.take(machine, self._packet(interface, frame, now))
        elif len(self._unread) < MAX_UNREAD:
            self._unread.append(_Unread(interface, frame, around.clock.wall(around.timeline.now)))

    def _has_socket(self, interface: str, frame: SendAdvertisement | SendHeartbeat) -> bool:
        """Heartbeats are heard only where the configuration has a path."""
        if isinstance(frame, SendAdvertisement) or self._brain is None:
            return True
        return self._brain.peering.peers.expected(interface, frame.source) is not None

    def _packet(
        self, interface: str, frame: SendAdvertisement | SendHeartbeat, received: Instant
    ) -> PacketArrived | HeartbeatArrived:
        if isinstance(frame, SendHeartbeat):
            return HeartbeatArrived(interface, frame.source, HOP_LIMIT, frame.payload, received)
        return PacketArrived(
            interface, frame.family, frame.source, frame.destination, HOP_LIMIT, frame.payload, received
        )

    def _stamp(self, packet: _Unread) -> Instant:
        """The wall clock may have been set meanwhile: only the age counts, and only as far as it can be true."""
        around = self._around
        now = around.clock.monotonic(around.timeline.now)
        age = max(around.clock.wall(around.timeline.now) - packet.wall, 0)
        return Instant(now - min(age, now - self._emptied_at))

    def notify(self, interface: str) -> None:
        """The kernel says that something changed at an interface."""
        around = self._around
        around.timeline.after(around.chance.between(*NOTIFY_US), partial(self._notify, interface))

    def _end_soon_if_released(self) -> None:
        """What the last router had to say comes out first, and is looked at."""
        if self._brain is not None and self._brain.released:
            self._around.timeline.at(self._around.timeline.now, self._end_if_released)

    def _end_if_released(self) -> None:
        if self.released:
            self._ended()

    def _notify(self, interface: str) -> None:
        if self.process.running:
            self.process.give(self._around.kernel.found(interface))
        elif self.process.machine is not None:
            self._notified[interface] = None

    def _perform(self, effect: SpeakerEffect) -> None:
        around = self._around
        match effect:
            case SendAdvertisement():
                self._send(effect)
                self._give_way_soon(advertised=True)
            case ClaimAddress() | ReleaseAddress() | RefuseDelivery():
                self._place(effect)
            case SendHeartbeat():
                self._beat(effect)
                self._give_way_soon(advertised=False)
            case AnnounceAddress():
                self._announce(effect)
            case ArmGate() | RefreshGate() | DisarmGate() | LimitAddress() | HushAddresses() | AnswerAgain():
                self._guard(effect)
            case PeerStatus():
                self._report(effect)
            case HoldLeases():
                self._hold(effect)
            case RouterStatus():
                around.witness.reported(around.node, effect)
                self._report(effect)
                self._end_soon_if_released()
            case Published():
                around.witness.published(around.node, effect.event)
                self._report(effect)
            case _:
                assert_never(effect)

    def _look_whether_taken(self, interface: str, address: IPAddress) -> None:
        """Told after all that is being done now, and as soon as it is so."""
        around, process = self._around, self.process
        if around.kernel.takes(interface, address):
            around.timeline.after(0, partial(process.give, AddressTaken(interface, address)))
        elif process.running:
            around.timeline.after(LOOK_US, partial(self._look_whether_taken, interface, address))

    def _place(self, effect: ClaimAddress | ReleaseAddress | RefuseDelivery) -> None:
        kernel = self._around.kernel
        match effect:
            case ClaimAddress():
                kernel.claim(effect.interface, effect.address)
                if effect.address.version == 6:
                    self._look_whether_taken(effect.interface, effect.address.ip)
            case ReleaseAddress():
                kernel.release(effect.interface, effect.address)
            case RefuseDelivery():
                kernel.refused = frozenset(effect.addresses)
            case _:
                assert_never(effect)

    def _guard(self, effect: GateEffect) -> None:
        kernel = self._around.kernel
        match effect:
            case ArmGate():
                armed = kernel.arm(effect.interface, effect.addresses, effect.limit)
                if effect.router is not None:
                    answer = GateOpened(effect.router) if armed else GateRefused(effect.router)
                    self._around.timeline.after(0, partial(self.process.give, answer))
            case RefreshGate():
                if kernel.refresh(effect.addresses, effect.limit):
                    pass
                elif kernel.guards(effect.addresses):
                    # Given after all that is being done now.
                    self._around.timeline.after(0, partial(self.process.give, GateShut(effect.router)))
                else:
                    # As the runtime's driver, which finds nothing that has shut.
                    kernel.arm(effect.router.interface, effect.addresses, effect.limit)
            case DisarmGate():
                kernel.disarm(effect.addresses)
            case LimitAddress():
                kernel.limit(effect.interface, effect.address, effect.lifetime)
            case HushAddresses():
                kernel.hush(effect.interface, effect.addresses)
            case AnswerAgain():
                kernel.answer_again(effect.interface, effect.addresses)
            case _:
                assert_never(effect)
