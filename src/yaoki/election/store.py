"""The store of leases as values: what is asked of it and what it answers. Which store it is, only its driver knows.

What the machine relies on: reads and swaps of one key are linearizable, and a swap succeeds only if the key's revision
is still the expected one; revisions grow with every write. Nothing else is trusted: a request may be lost, late,
carried out though no answer comes, or answered twice.
"""

from dataclasses import dataclass

ABSENT = 0
"""The revision of a key that does not exist."""


@dataclass(frozen=True, slots=True)
class KeyState:
    """A key at one moment: the revision of its last write (ABSENT if it does not exist) and its value."""

    revision: int
    value: bytes | None


@dataclass(frozen=True, slots=True)
class ReadKey:
    """Ask for the key's newest state, linearizably. `request` numbers the requests of one key and comes back with the
    answer; a later request of the same key takes the place of an earlier one, whose answer is no longer wanted."""

    key: str
    request: int


@dataclass(frozen=True, slots=True)
class SwapKey:
    """Write `value` if the key's revision is still `expected` (ABSENT: if it does not exist)."""

    key: str
    request: int
    expected: int
    value: bytes


StoreRequest = ReadKey | SwapKey


@dataclass(frozen=True, slots=True)
class KeyRead:
    """Answer to ReadKey."""

    state: KeyState


@dataclass(frozen=True, slots=True)
class Swapped:
    """Answer to SwapKey: written, and this is the key's revision now."""

    revision: int


@dataclass(frozen=True, slots=True)
class NotSwapped:
    """Answer to SwapKey: the key was not as expected but thus."""

    state: KeyState


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """No answer from the store, or a refusal. A swap may have been carried out all the same, or may be yet."""

    why: str


StoreResult = KeyRead | Swapped | NotSwapped | StoreFailed
