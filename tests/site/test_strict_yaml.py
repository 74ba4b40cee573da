"""Strict YAML: what means what, and that no text whatever makes the parser raise."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yaoki.core.error import Problem
from yaoki.site.document import Broken, Mapping, Node, Scalar, Sequence, location
from yaoki.site.strict_yaml import MAX_DEPTH, MAX_PROBLEMS, json_value, parse


def read(text: str) -> tuple[Node | None, list[Problem]]:
    problems: list[Problem] = []
    return parse(text.encode(), "f.yaml", problems), problems


def plain(node: Node | None) -> object:
    """The tree as JSON would have it."""
    match node:
        case Scalar():
            return json_value(node)
        case Sequence():
            return [plain(item) for item in node.items]
        case Mapping():
            return {name: plain(value) for name, (_, value) in node.items.items()}
        case Broken() | None:
            raise AssertionError("nothing is broken here")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-0.5", -0.5),
        ("1e3", 1000.0),
        ("true", True),
        ("null", None),
        ("''", ""),
        ('"1"', "1"),
        ("tcp/80", "tcp/80"),
        ("300ms", "300ms"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("|\n  no\n", "no\n"),
        ("1" * 400, float("inf")),
    ],
)
def test_a_scalar_is_what_json_says_and_a_text_otherwise(text: str, value: object) -> None:
    node, problems = read(f"a: {text}\n")
    assert problems == []
    assert plain(node) == {"a": value}


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "Yes",
        "on",
        "OFF",
        "True",
        "~",
        "NULL",
        "1:30",
        "1_000",
        "010",
        "0x1f",
        "0o17",
        "+1",
        ".5",
        ".inf",
        "2026-01-02",
    ],
)
def test_what_other_readers_take_for_something_else_is_refused_where_it_stands(text: str) -> None:
    _, problems = read(f"a: {text}\n")
    assert [(problem.rule, problem.where.line, problem.where.column) for problem in problems] == [
        ("ambiguous-scalar", 1, 4)
    ]


def test_positions_are_those_of_the_first_character_and_of_the_key_for_blocks() -> None:
    node, _ = read("a:\n  b: [x, 'y']\n")
    assert isinstance(node, Mapping)
    inner = node.items["a"][1]
    assert isinstance(inner, Mapping)
    items = inner.items["b"][1]
    assert isinstance(items, Sequence)
    places = [location(place) for place in (node, inner, items, *items.items)]
    assert [(place.line, place.column) for place in places] == [(1, 1), (1, 1), (2, 6), (2, 7), (2, 10)]
    assert places[-1].text == "  b: [x, 'y']"


def test_a_byte_order_mark_and_windows_line_ends_are_read() -> None:
    problems: list[Problem] = []
    node = parse(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "f.yaml", problems)
    assert (plain(node), problems) == ({"a": 1, "b": 2}, [])


def test_nesting_is_bounded() -> None:
    node, problems = read("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    assert node is not None
    assert problems == []
    node, problems = read("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    assert node is None
    assert [problem.what for problem in problems] == [f"nested deeper than {MAX_DEPTH} levels"]


def test_the_number_of_problems_is_bounded() -> None:
    _, problems = read("a: 1\n" * (2 * MAX_PROBLEMS))
    assert len(problems) == MAX_PROBLEMS


# JSON writes what lies beyond the first plane as two surrogates, which YAML does not know.
texts = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
# YAML 1.2, 7.4.2: a key within a line has at most 1024 characters, escapes included.
keys = texts.filter(lambda text: len(json.dumps(text)) <= 1024)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=12,
)


@given(json_values)
def test_what_json_writes_is_read_as_json_reads_it(value: object) -> None:
    node, problems = read(json.dumps({"a": value}))
    assert problems == []
    assert plain(node) == {"a": value}


@given(st.binary(max_size=200))
def test_no_bytes_make_the_parser_raise(data: bytes) -> None:
    problems: list[Problem] = []
    parse(data, "f.yaml", problems)
    assert all(problem.what and problem.where.line >= 1 for problem in problems)


MARKS = ["? ", "- ", "[", "]", "{", "}", ", ", ": ", "|", ">", "'", '"', "&x ", "*x", "!t ", "<<: ", "---", "...", "#c"]
WORDS = [
    "a",
    "b: ",
    "no",
    "1:30",
    "0x1",
    "%YAML 1.1",
    "\n",
    "  ",
    "\t",
    "\r",
    "\x85",
    "\u2028",
    "\ufeff",
    "\0",
    "\ud7ff",
]
PIECES = st.sampled_from([*MARKS, *WORDS])


@given(st.lists(PIECES, max_size=40).map("".join))
@example("? - a\n  - b\n: c")
@example("a: !!binary x")
@example("&a [*a]")
def test_no_heap_of_yaml_makes_the_parser_raise_and_places_are_in_the_text(text: str) -> None:
    _, problems = read(text)
    for problem in problems:
        assert problem.what
        assert problem.where.line >= 1
        assert 1 <= problem.where.column <= len(problem.where.text) + 1 or not problem.where.text
