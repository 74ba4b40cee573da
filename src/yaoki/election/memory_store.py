"""A store of leases in memory: for a site of one node, and for every simulated world.

Invariant: what yaoki.election.store promises; requests take effect one after another, in the order of `carry_out`.
"""

from collections.abc import ItemsView, Mapping
from types import MappingProxyType

from yaoki.election.store import (
    ABSENT,
    KeyRead,
    KeyState,
    NotSwapped,
    ReadKey,
    StoreRequest,
    StoreResult,
    SwapKey,
    Swapped,
)

_NOTHING = KeyState(ABSENT, None)
_EMPTY: Mapping[str, KeyState] = MappingProxyType({})


class MemoryStore:
    """Keys with their revisions. `revision` is that of the last write of any key, as in etcd."""

    def __init__(self, keys: Mapping[str, KeyState] = _EMPTY, *, revision: int = ABSENT) -> None:
        self._keys = dict(keys)
        self.revision = max([revision, *(state.revision for state in keys.values())])

    def state(self, key: str) -> KeyState:
        """A key as it is now."""
        return self._keys.get(key, _NOTHING)

    def items(self) -> ItemsView[str, KeyState]:
        """Every key that exists, as it is now."""
        return self._keys.items()

    def carry_out(self, request: StoreRequest) -> StoreResult:
        """Do as asked, and answer."""
        match request:
            case ReadKey():
                return KeyRead(self.state(request.key))
            case SwapKey():
                if self.state(request.key).revision != request.expected:
                    return NotSwapped(self.state(request.key))
                return Swapped(self.write(request.key, request.value))

    def write(self, key: str, value: bytes) -> int:
        """Write a key whatever it holds; the new revision."""
        self.revision += 1
        self._keys[key] = KeyState(self.revision, value)
        return self.revision
