"""Keys as they are read from secrets, and what each of their users has signed and verified.

A key goes no further than a Signing: it is in no parameter, message or event.
"""

import time

from yaoki.packet.authentication import Key, Verifier, key_octets, next_sequence
from yaoki.packet.authentication_params import LONGEST_KEY, SHORTEST_KEY, AuthenticationParams, KeyRef, Mode
from yaoki.runtime.secret_file import SecretUnavailable, read_secret


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
