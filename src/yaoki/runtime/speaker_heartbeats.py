"""The heartbeat sockets of the speaker, opened when first sent by, closed when their path is wanted no more.

Invariant: a path without an interface, a carrier or an address has no socket and makes no noise; its peer's silence
says enough.
"""

import errno
from collections.abc import Callable, Iterable
from functools import partial

from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.linux.heartbeat_socket import HeartbeatSocket
from yaoki.linux.interface_watch import InterfaceState
from yaoki.node.messages import HeartbeatArrived, SendHeartbeat, SpeakerInput
from yaoki.node.speaker_events import HeartbeatKeyUnavailable
from yaoki.runtime.peer_authentication import PeerAuthentication, Place
from yaoki.runtime.select_loop import READABLE, SelectLoop
from yaoki.vrrp.heartbeat import PORT, HeartbeatFlaw
from yaoki.vrrp.heartbeat_signature import HEARTBEAT_SIGNATURE
from yaoki.vrrp.peer_params import HeartbeatParams

_NOT_YET = (errno.EADDRNOTAVAIL, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENODEV, errno.ENETDOWN)


class SpeakerHeartbeats:
    """`give` takes what arrives, `tell` the events of this process."""

    def __init__(
        self, loop: SelectLoop, give: Callable[[SpeakerInput], None], tell: Callable[[EventBody], None]
    ) -> None:
        self._loop = loop
        self._give = give
        self.authentication = PeerAuthentication(
            HEARTBEAT_SIGNATURE, lambda peer, why: tell(HeartbeatKeyUnavailable(peer, why))
        )
        self._sockets: dict[Place, HeartbeatSocket] = {}

    def send(self, effect: SendHeartbeat, state: InterfaceState | None) -> None:
        """Send one heartbeat. Raises ActuatorError."""
        place = effect.interface, effect.source, effect.destination
        sock = self._sockets.get(place)
        if sock is None and state is not None and state.up:
            sock = self._open(place, state)
        if sock is not None and (payload := self.authentication.sign(place, effect.payload)) is not None:
            sock.send(payload)

    def hear(self) -> None:
        """Everything that has arrived."""
        for sock in list(self._sockets.values()):
            self._hear(sock)

    def keep(self, params: HeartbeatParams) -> None:
        """Close the sockets of other paths than these."""
        wanted = {(path.interface, path.own, path.peer) for peer in params.peers for path in peer.paths}
        self._close(place for place in list(self._sockets) if place not in wanted)

    def moved(self, state: InterfaceState) -> None:
        """An interface as it is now: sockets of an earlier one of its name are closed."""
        here = [place for place, sock in self._sockets.items() if place[0] == state.name]
        self._close(place for place in here if self._sockets[place].index != state.index)

    def close(self) -> None:
        self._close(list(self._sockets))

    def _open(self, place: Place, state: InterfaceState) -> HeartbeatSocket | None:
        interface, own, peer = place
        try:
            sock = HeartbeatSocket(interface, state.index, own, peer, PORT)
        except ActuatorError as error:
            if error.errno in _NOT_YET:
                return None
            raise
        self._sockets[place] = sock
        self._loop.attach(sock.fileno(), READABLE, partial(self._hear_ready, sock))
        return sock

    def _close(self, places: Iterable[Place]) -> None:
        for place in places:
            sock = self._sockets.pop(place)
            self._loop.detach(sock.fileno())
            sock.close()

    def _hear_ready(self, sock: HeartbeatSocket, _: int) -> None:
        self._hear(sock)

    def _hear(self, sock: HeartbeatSocket) -> None:
        for datagram in sock.read():
            received = Instant(datagram.received_ns // 1000)
            payload, found = self.authentication.judge(sock.interface, datagram)
            flaw = None if found is None else HeartbeatFlaw(found.value)
            self._give(HeartbeatArrived(sock.interface, datagram.source, datagram.hop_limit, payload, received, flaw))
