"""The native inner loop of Maglev hashing gives what the one in Python gives, or is not used."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaoki.linux.native_maglev import SOURCE, library_path, native_fill
from yaoki.pool.apportion import apportion
from yaoki.pool.maglev import SIZES, Fill, Walk, fill

SIZE = 1021

pytestmark = pytest.mark.skipif(shutil.which("clang") is None, reason="no compiler here")
walks = st.builds(Walk, st.integers(0, SIZE - 1), st.integers(1, SIZE - 1))
pools = st.lists(st.tuples(walks, st.integers(1, 65535)), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def native() -> Fill:
    found = native_fill()
    assert found is not None
    return found


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return Path(shutil.copy(SOURCE, tmp_path))


@settings(max_examples=200)
@given(pools)
def test_it_makes_the_same_tables(native: Fill, pool: list[tuple[Walk, int]]) -> None:
    found = [walk for walk, _ in pool]
    quota = apportion([weight for _, weight in pool], SIZE)
    assert native(found, quota, SIZE) == fill(found, quota, SIZE)


@pytest.mark.parametrize("size", SIZES)
def test_it_makes_the_same_large_tables(native: Fill, size: int) -> None:
    found = [Walk(97 * number % size, size - 1 - number) for number in range(100)]
    quota = apportion([1 + number % 3 for number in range(100)], size)
    assert native(found, quota, size) == fill(found, quota, size)


def test_it_is_built_once_and_anew_for_another_source(source: Path) -> None:
    assert native_fill(source) is not None
    first = library_path(source)
    built = first.stat().st_mtime_ns
    assert native_fill(source) is not None
    assert first.stat().st_mtime_ns == built
    source.write_text(source.read_text() + "\n")
    assert native_fill(source) is not None
    assert [path.name for path in source.parent.glob("maglev-*")] == [library_path(source).name]


def test_where_it_cannot_be_built_it_is_not_used(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source.write_text("this is not C\n")
    assert native_fill(source) is None
    monkeypatch.setenv("PATH", str(source.parent))
    source.write_text(SOURCE.read_text())
    assert native_fill(source) is None
    library_path(source).write_text("nor is this a library")
    assert native_fill(source) is None
    assert not list(source.parent.glob("maglev-*.so.*"))
