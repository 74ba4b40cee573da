import pytest

from yaoki.linux.nftables_objects import NOTHING, Element, Objects, OwnSet, commands

T = "inet t"
PLACE = ("m", "1")


def test_nothing_from_nothing() -> None:
    assert list(commands(T, [(NOTHING, NOTHING)])) == []
    assert not NOTHING


def test_an_element_is_written_with_its_comment_and_data() -> None:
    assert Element().with_key("1 . 2") == "1 . 2"
    assert Element("goto c", "why").with_key("1") == '1 comment "why" : goto c'


def test_things_are_added_before_what_refers_to_them() -> None:
    wanted = Objects(
        {"c": ("accept",)},
        ("n",),
        {"s": OwnSet("set", "type mark;"), "f": OwnSet("map", "x;", ("0 : 1",))},
        {PLACE: Element("goto c")},
    )
    assert list(commands(T, [(NOTHING, wanted)])) == [
        "table inet t {",
        "counter n { }",
        "set s { type mark; }",
        "map f { x; elements = { 0 : 1 }; }",
        "chain c {",
        "accept",
        "}",
        "}",
        "add element inet t m { 1 : goto c }",
    ]


def test_things_are_deleted_after_what_referred_to_them() -> None:
    gone = Objects({"c": ("accept",)}, ("n",), {"s": OwnSet("set", "type mark;")}, {PLACE: Element("goto c")})
    assert list(commands(T, [(gone, NOTHING)])) == [
        "delete element inet t m { 1 }",
        "flush chain inet t c",
        "delete chain inet t c",
        "delete set inet t s",
        "delete counter inet t n",
    ]


def slots(*servers: str) -> Objects:
    contents = tuple(f"{slot} : {server}" for slot, server in enumerate(servers))
    return Objects(sets={"slots": OwnSet("map", "x;", contents)})


def test_of_slots_those_that_change_are_replaced_and_with_most_of_them_all() -> None:
    before = slots("a", "b", "a", "b")
    assert list(commands(T, [(before, slots("a", "b", "a", "c"))])) == [
        "delete element inet t slots { 3 }",
        "add element inet t slots { 3 : c }",
    ]
    assert list(commands(T, [(before, slots("a", "b", "a"))])) == ["delete element inet t slots { 3 }"]
    assert list(commands(T, [(before, slots("a", "b", "a", "b", "c"))])) == ["add element inet t slots { 4 : c }"]
    assert list(commands(T, [(before, slots("c", "c", "c", "b"))])) == [
        "flush map inet t slots",
        "add element inet t slots { 0 : c, 1 : c, 2 : c, 3 : b }",
    ]
    assert list(commands(T, [(before, before)])) == []


def test_what_slots_held_before_is_not_always_known() -> None:
    unknown = Objects(sets={"slots": OwnSet("map")})
    assert list(commands(T, [(unknown, slots("a"))])) == [
        "flush map inet t slots",
        "add element inet t slots { 0 : a }",
    ]


def test_a_chain_is_written_anew_only_when_its_rules_change_or_are_not_known() -> None:
    before = Objects({"same": ("a",), "other": ("b",), "unknown": None, "empty": ()})
    after = Objects({"same": ("a",), "other": ("B",), "unknown": (), "empty": ()})
    assert list(commands(T, [(before, after)])) == [
        "flush chain inet t other",
        "flush chain inet t unknown",
        "add rule inet t other B",
    ]


def test_an_element_that_changes_is_replaced_and_others_stay() -> None:
    before = Objects(elements={PLACE: Element("goto a"), ("m", "2"): Element("goto b")})
    after = Objects(elements={PLACE: Element("goto c"), ("m", "2"): Element("goto b")})
    assert list(commands(T, [(before, after)])) == [
        "delete element inet t m { 1 }",
        "add element inet t m { 1 : goto c }",
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, None, []),
        (("0 : 1",), ("0 : 1",), []),
        (("0 : 1",), ("0 : 2",), ["flush map inet t s", "add element inet t s { 0 : 2 }"]),
        (None, ("0 : 1",), ["flush map inet t s", "add element inet t s { 0 : 1 }"]),
    ],
)
def test_contents_are_replaced_when_they_change_and_flows_never(
    before: tuple[str, ...] | None, after: tuple[str, ...] | None, expected: list[str]
) -> None:
    old, new = (Objects(sets={"s": OwnSet("map", "x;", contents)}) for contents in (before, after))
    assert list(commands(T, [(old, new)])) == expected


def test_counters_of_those_who_stay_are_not_mentioned() -> None:
    assert list(commands(T, [(Objects(counters=("a", "b")), Objects(counters=("b", "c")))])) == [
        "table inet t {",
        "counter c { }",
        "}",
        "delete counter inet t a",
    ]


def test_a_chain_that_is_new_is_there_even_without_rules() -> None:
    assert list(commands(T, [(NOTHING, Objects({"c": ()}))])) == ["table inet t {", "chain c {", "}", "}"]


def test_many_changes_are_one_block_in_which_sets_that_rules_fill_come_first() -> None:
    first, second = (
        Objects(
            {name: (f"goto {name}",)},
            (f"n{name}",),
            {f"s{name}": OwnSet("map", "x;", ("0 : 1",)), f"f{name}": OwnSet("map", "y;")},
            {("m", name): Element(f"goto {name}")},
        )
        for name in "ab"
    )
    gone = Objects({"c": ("accept",)}, elements={("m", "c"): Element("goto c")})
    assert list(commands(T, [(NOTHING, first), (gone, NOTHING), (NOTHING, second), (first, first)])) == [
        "delete element inet t m { c }",
        "flush chain inet t c",
        "table inet t {",
        "counter na { }",
        "counter nb { }",
        "map fa { y; }",
        "map fb { y; }",
        "map sa { x; elements = { 0 : 1 }; }",
        "map sb { x; elements = { 0 : 1 }; }",
        "chain a {",
        "goto a",
        "}",
        "chain b {",
        "goto b",
        "}",
        "}",
        "add element inet t m { a : goto a, b : goto b }",
        "delete chain inet t c",
    ]
