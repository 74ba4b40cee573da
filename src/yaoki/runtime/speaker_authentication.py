"""The speaker's keys: what it sends is signed, and what it hears is verified before the brain sees it.

Secrets are read when routers are configured, and nothing of them goes further than this object. A router without its
first key can neither sign nor be told from a stranger, so the brain is told of it, and does not let it own.

Invariants: without `authentication` a payload passes untouched; what is judged carries no trailer any more.
"""

import time
from collections.abc import Callable, Iterable

from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.linux.vrrp_socket import Datagram
from yaoki.node.messages import KeysFound, SendAdvertisement
from yaoki.node.speaker_events import KeyUnavailable
from yaoki.runtime.secret_file import SecretUnavailable, read_secret
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.authentication import Key, Verifier, divided, key_octets, next_sequence, signed
from yaoki.vrrp.authentication_params import LONGEST_KEY, SHORTEST_KEY, AuthenticationParams, KeyRef, Mode
from yaoki.vrrp.params import RouterKey, RouterParams

Place = tuple[str, Family, int]
"""Interface, family and VRID, as a packet has them."""


class Signing:
    """The keys of one virtual router, or of one way to a peer, what was signed last, and what was verified."""

    def __init__(self, params: AuthenticationParams, keys: tuple[Key, ...]) -> None:
        self.params = params
        self.keys = keys
        self.verifier = Verifier(params, keys)
        self.sequence: int | None = None

    @property
    def signer(self) -> Key | None:
        """The key that signs; None if its secret is not there."""
        return next((key for key in self.keys if key.id == self.params.keys[0].id), None)

    @property
    def signs(self) -> bool:
        """Whether what is sent has to be signed."""
        return self.params.mode is not Mode.RECEIVE_ONLY

    def next_sequence(self) -> int:
        """The sequence of what is signed now."""
        self.sequence = next_sequence(self.sequence, wall_ns(), self.params)
        return self.sequence

    def going_on(self, before: "Signing | None") -> "Signing":
        """What was there before, if it was for the same; a key that was read serves on, though its file is gone."""
        if before is None or before.params != self.params:
            return self
        return before if before.keys == self.keys or self.signer is None else self


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
        message, trailer = divided(payload, datagram.source, datagram.destination)
        return message, router.verifier.flaw(message, trailer, datagram.source, wall_ns())


def read_key(ref: KeyRef) -> Key:
    """The key of a secret as it is now. Raises SecretUnavailable."""
    text = read_secret(ref.secret)
    try:
        return Key(ref.id, key_octets(text))
    except ValueError:
        # The error's own words may hold a part of the value.
        wanted = f"{SHORTEST_KEY} to {LONGEST_KEY} characters, or hex: and two digits for each octet"
        raise SecretUnavailable(f"secret {ref.secret.name}: it does not hold {wanted}") from None


def wall_ns() -> int:
    """Nanoseconds since 1970 (UTC): the draft's clock, on which senders and receivers have to agree."""
    return time.clock_gettime_ns(time.CLOCK_REALTIME)
