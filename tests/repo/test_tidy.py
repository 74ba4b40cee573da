"""What keeps the house in order, checked by reading the tree as text."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

LONGEST_FILE = 500
LONGEST_FUNCTION = 80
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError)\b")
MOCKING = re.compile(r"\b(unittest\.mock|MagicMock|mocker|monkeypatch\.(setattr|setitem|delattr))\b")


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def complaints(path: Path) -> Iterator[str]:
    text = path.read_text()
    if text.count("\n") > LONGEST_FILE:
        yield "a second idea is hiding in this file"
    if path.stem in BANNED_NAMES:
        yield "its name says nothing"
    if found := UNFINISHED.search(text):
        yield f"{found[0]} is left in it"
    for function in functions(path):
        length = (function.end_lineno or function.lineno) - function.lineno + 1
        if length > LONGEST_FUNCTION:
            yield f"{function.name} is {length} lines long"


def test_every_source_file_is_of_readable_size_and_finished() -> None:
    assert len(SOURCES) > 200
    assert [f"{name_of(path)}: {what}" for path in SOURCES for what in complaints(path)] == []


def test_tests_use_no_mocks() -> None:
    assert [name_of(path) for path in TESTS if path != Path(__file__) and MOCKING.search(path.read_text())] == []


def test_tests_of_the_lab_are_where_make_test_looks_for_them() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (folders,) = re.findall(r"^LABS +:= (.+)$", makefile, re.MULTILINE)
    marked = [path for path in TESTS if re.search(r"\bmark\.lab\b", path.read_text())]
    assert len(marked) > 10
    assert [name_of(path) for path in marked if not name_of(path).startswith(tuple(folders.split()))] == []


def test_architecture_fits_in_one_reading() -> None:
    assert (ROOT / "ARCHITECTURE.md").read_text().count("\n") <= 300
    assert (ROOT / "CONTRIBUTING.md").read_text().count("\n") <= 100


@pytest.mark.parametrize("path", sorted((ROOT / "docs/adr").glob("0*.md")), ids=name_of)
def test_a_decision_says_what_was_rejected_and_what_follows(path: Path) -> None:
    text = path.read_text()
    headings = re.findall(r"^## (\w+)", text, re.MULTILINE)
    assert headings == ["Context", "Decision", "Rejected", "Consequences"]
    assert "Status: " in text
    assert text.count("\n") <= 60


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "docs/adr").glob("0*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_package_of_the_map_exists_and_is_on_it() -> None:
    described = set(re.findall(r"^\| `(\w+)/?` \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE))
    packages = {path.parent.name for path in (ROOT / "src/yaoki").glob("*/__init__.py")}
    assert described == packages
