"""The keys of what nodes tell each other: what goes to a peer is signed, and what comes from it is verified before a
machine sees it. The speaker has one for its heartbeats, the flow copier one for its copies.

Each way to a peer has its numbers and its marks. As for advertisements, secrets are read when peers are configured, and
nothing of them goes further than this object; what should be signed and cannot be is not sent.

Invariants: to and from a peer without `authentication` a payload passes untouched; what is judged carries no trailer
any more.
"""

from collections.abc import Callable, Iterable

from yaoki.core.address import IPAddress
from yaoki.linux.vrrp_socket import Datagram
from yaoki.packet.authentication import Key, SignatureFlaw
from yaoki.packet.datagram_signature import DatagramSignature
from yaoki.runtime.secret_file import SecretUnavailable
from yaoki.runtime.signing import Signing, read_key, wall_ns
from yaoki.vrrp.peer_params import PeerParams

Place = tuple[str, IPAddress, IPAddress]
"""Our interface and address, and the peer's address."""


class PeerAuthentication:
    """`signature` is that of one kind of datagram; `missing` takes the name of a peer, and why a key that it shares
    with us cannot be used."""

    def __init__(self, signature: DatagramSignature, missing: Callable[[str, str], None]) -> None:
        self._signature = signature
        self._missing = missing
        self._ways: dict[Place, Signing] = {}

    def configure(self, peers: Iterable[PeerParams]) -> None:
        """Read the keys of these peers; ways whose keys are what they were go on where they are."""
        before, self._ways = self._ways, {}
        for peer in peers:
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
                self._missing(peer.node, str(error))
        return tuple(found)

    def sign(self, place: Place, message: bytes) -> bytes | None:
        """The payload to send; None if it should be signed and cannot be."""
        way = self._ways.get(place)
        if way is None or not way.signs:
            return message
        if (key := way.signer) is None:
            return None
        _, own, peer = place
        return self._signature.signed(message, own, peer, key, way.next_sequence())

    def judge(self, interface: str, datagram: Datagram) -> tuple[bytes, SignatureFlaw | None]:
        """The message without a trailer, and why it is not to be taken."""
        source, destination = datagram.source, datagram.destination
        way = self._ways.get((interface, destination, source))
        if way is None:
            return datagram.payload, None
        message, trailer = self._signature.divided(datagram.payload)
        covered = self._signature.covered
        return message, way.verifier.judge(trailer, source, wall_ns(), lambda: covered(message, source, destination))
