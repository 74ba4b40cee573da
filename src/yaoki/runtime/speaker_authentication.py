"""The speaker's keys: what it sends is signed, and what it hears is verified before the brain sees it.

Secrets are read when routers are configured, and nothing of them goes further than this object. A router without its
first key can neither sign nor be told from a stranger, so the brain is told of it, and does not let it own.

Invariants: without `authentication` a payload passes untouched; what is judged carries no trailer any more.
"""

from collections.abc import Callable, Iterable

from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import KeysFound, SendAdvertisement
from yaoki.node.speaker_events import KeyUnavailable
from yaoki.packet.authentication import Key
from yaoki.packet.authentication_params import KeyRef
from yaoki.runtime.secret_file import SecretUnavailable
from yaoki.runtime.signing import Signing, read_key, wall_ns
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.advertisement_signature import covered, divided, signed
from yaoki.vrrp.params import RouterKey, RouterParams

Place = tuple[str, Family, int]
"""Interface, family and VRID, as a packet has them."""


class SpeakerAuthentication:
    """`tell` takes events of this process."""

    def __init__(self, tell: Callable[[EventBody], None]) -> None:
        self._tell = tell
        self._routers: dict[Place, Signing] = {}

    def configure(self, routers: Iterable[RouterParams]) -> KeysFound:
        """Read the keys of these routers; those whose keys are what they were go on where they are."""
        before, self._routers = self._routers, {}
        missing: list[RouterKey] = []
        for router in routers:
            if (params := router.authentication) is None:
                continue
            place = router.key.interface, router.key.family, router.key.vrid
            found = Signing(params, tuple(self._keys(router, params.keys))).going_on(before.get(place))
            self._routers[place] = found
            if found.signer is None:
                missing.append(router.key)
        return KeysFound(tuple(missing))

    def _keys(self, router: RouterParams, wanted: tuple[KeyRef, ...]) -> Iterable[Key]:
        for ref in wanted:
            try:
                yield read_key(ref)
            except SecretUnavailable as error:
                self._tell(KeyUnavailable(router.key, router.vip, str(error)))

    def sign(self, effect: SendAdvertisement) -> bytes | None:
        """The payload to send; None if it should be signed and cannot be."""
        router = self._routers.get((effect.interface, effect.family, effect.payload[1]))
        if router is None or not router.signs:
            return effect.payload
        if (key := router.signer) is None:
            return None
        return signed(effect.payload, effect.source, effect.destination, key, router.next_sequence())

    def judge(self, interface: str, family: Family, datagram: Datagram) -> tuple[bytes, Rejection | None]:
        """The message without a trailer, and why it is not to be taken."""
        payload = datagram.payload
        router = self._routers.get((interface, family, payload[1])) if len(payload) > 1 else None
        if router is None:
            return payload, None
        source = datagram.source
        message, trailer = divided(payload, source, datagram.destination)
        flaw = router.verifier.judge(trailer, source, wall_ns(), lambda: covered(message, source))
        return message, None if flaw is None else Rejection(flaw.value)
