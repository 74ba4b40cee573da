"""Parameters of the authentication trailer: its secrets, and what is demanded of others. See
yaoki.packet.authentication."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from yaoki.core.secret import SecretRef

# The draft's.
SHORTEST_KEY, LONGEST_KEY = 32, 64
SHORTEST_WINDOW, LONGEST_WINDOW = timedelta(seconds=1), timedelta(seconds=300)
LEAST_DEFAULT_WINDOW = timedelta(seconds=5)
LOST_ADVERTISEMENTS = 3

_SECOND = timedelta(seconds=1)


class Mode(StrEnum):
    """How far a migration has come: verify what is signed; sign as well; take nothing that is not signed."""

    RECEIVE_ONLY = "receive-only"
    PERMISSIVE = "permissive"
    ENFORCE = "enforce"


class Replay(StrEnum):
    """What a captured advertisement is known by: it is older than the window, for which clocks must agree, or only by
    its number, which must grow."""

    TIME = "time"
    MONOTONIC = "monotonic"


@dataclass(frozen=True, slots=True)
class KeyRef:
    """A key by its id on the wire (1..255), and the secret that it is."""

    id: int
    secret: SecretRef


@dataclass(frozen=True, slots=True)
class AuthenticationParams:
    """How a virtual router, or a way to a peer, signs and verifies. The first of `keys` signs; all of them verify.
    `window` is in whole seconds, SHORTEST_WINDOW to LONGEST_WINDOW."""

    keys: tuple[KeyRef, ...]
    mode: Mode = Mode.ENFORCE
    replay: Replay = Replay.TIME
    window: timedelta = LEAST_DEFAULT_WINDOW


def strictest(params: Iterable[AuthenticationParams]) -> AuthenticationParams | None:
    """The one that demands most, the first of equals, with the keys of all of them; None of none."""
    ranked = sorted(params, key=lambda each: list(Mode).index(each.mode), reverse=True)
    if not ranked:
        return None
    return replace(ranked[0], keys=tuple(dict.fromkeys(key for each in ranked for key in each.keys)))


def default_window(interval: timedelta) -> timedelta:
    """Three advertisement intervals in whole seconds, and five seconds at least."""
    intervals = -(-LOST_ADVERTISEMENTS * interval // _SECOND) * _SECOND
    return min(max(intervals, LEAST_DEFAULT_WINDOW), LONGEST_WINDOW)
