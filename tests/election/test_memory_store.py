"""The store in memory: compare and swap by revision, revisions that only grow."""

from yaoki.election.memory_store import MemoryStore
from yaoki.election.store import ABSENT, KeyRead, KeyState, NotSwapped, ReadKey, SwapKey, Swapped


def test_a_swap_succeeds_only_against_the_newest_revision() -> None:
    store = MemoryStore()
    assert store.carry_out(ReadKey("a", 1)) == KeyRead(KeyState(ABSENT, None))
    assert store.carry_out(SwapKey("a", 2, ABSENT, b"one")) == Swapped(1)
    assert store.carry_out(SwapKey("a", 3, ABSENT, b"two")) == NotSwapped(KeyState(1, b"one"))
    assert store.carry_out(SwapKey("a", 4, 1, b"two")) == Swapped(2)
    assert store.carry_out(SwapKey("a", 5, 1, b"three")) == NotSwapped(KeyState(2, b"two"))
    assert store.state("a") == KeyState(2, b"two")


def test_revisions_grow_over_all_keys() -> None:
    store = MemoryStore({"a": KeyState(7, b"one")})
    assert store.carry_out(SwapKey("b", 1, ABSENT, b"two")) == Swapped(8)
    assert store.state("a") == KeyState(7, b"one")
