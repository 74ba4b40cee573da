"""The keys of heartbeats: what goes to a peer is signed, and what comes from it is verified before the brain sees it.

Each way to a peer has its numbers and its marks. As for advertisements, secrets are read when peers are configured, and
nothing of them goes further than this object; heartbeats that should be signed and cannot be are not sent.

Invariants: to and from a peer without `authentication` a payload passes untouched; what is judged carries no trailer
any more.
"""

from collections.abc import Callable

from yaoki.core.address import IPAddress
from yaoki.core.event import EventBody
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import SendHeartbeat
from yaoki.node.speaker_events import HeartbeatKeyUnavailable
from yaoki.runtime.secret_file import SecretUnavailable
from yaoki.runtime.speaker_authentication import Signing, read_key, wall_ns
from yaoki.vrrp.authentication import Key
from yaoki.vrrp.heartbeat import HeartbeatFlaw
from yaoki.vrrp.heartbeat_signature import covered, divided, signed
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams

Place = tuple[str, IPAddress, IPAddress]
"""Our interface and address, and the peer's address."""


class HeartbeatAuthentication:
    """`tell` takes events of this process."""

    def __init__(self, tell: Callable[[EventBody], None]) -> None:
        self._tell = tell
        self._ways: dict[Place, Signing] = {}

    def configure(self, params: HeartbeatParams) -> None:
        """Read the keys of these peers; ways whose keys are what they were go on where they are."""
        before, self._ways = self._ways, {}
        for peer in params.peers:
            if peer.authentication is None:
                continue
            keys = self._keys(peer)
            for path in peer.paths:
                place = path.interface, path.own, path.peer
                self._ways[place] = Signing(peer.authentication, keys).going_on(before.get(place))

    def _keys(self, peer: PeerParams) -> tuple[Key, ...]:
        found = []
        for ref in () if peer.authentication is None else peer.authentication.keys:
            try:
                found.append(read_key(ref))
            except SecretUnavailable as error:
                self._tell(HeartbeatKeyUnavailable(peer.node, str(error)))
        return tuple(found)

    def sign(self, effect: SendHeartbeat) -> bytes | None:
        """The payload to send; None if it should be signed and cannot be."""
        way = self._ways.get((effect.interface, effect.source, effect.destination))
        if way is None or not way.signs:
            return effect.payload
        if (key := way.signer) is None:
            return None
        return signed(effect.payload, effect.source, effect.destination, key, way.next_sequence())

    def judge(self, interface: str, datagram: Datagram) -> tuple[bytes, HeartbeatFlaw | None]:
        """The heartbeat without a trailer, and why it is not to be taken."""
        way = self._ways.get((interface, datagram.destination, datagram.source))
        if way is None:
            return datagram.payload, None
        heartbeat, trailer = divided(datagram.payload)
        source, destination = datagram.source, datagram.destination
        flaw = way.verifier.judge(trailer, source, wall_ns(), lambda: covered(heartbeat, source, destination))
        return heartbeat, None if flaw is None else HeartbeatFlaw(flaw.value)
