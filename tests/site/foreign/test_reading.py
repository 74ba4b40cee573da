"""keepalived's syntax as keepalived.conf(5) has it: words, comments, conditions, definitions, includes, blocks."""

import pytest

from tests.site.foreign.shelf import Shelf
from yaoki.core.error import Problem
from yaoki.site.foreign.keepalived.blocks import MAX_DEPTH, Statement, every, read_blocks
from yaoki.site.foreign.keepalived.lines import MAX_INCLUDE_DEPTH, LineReader
from yaoki.site.foreign.keepalived.words import Unended, Word, split_words, without_comment

pytestmark = pytest.mark.req("B-26")


def words(line: str) -> list[str]:
    found = split_words(line)
    assert not isinstance(found, Unended)
    return [word.text for word in found]


def read(text: str, *, config_id: str | None = "main", **files: str) -> tuple[list[str], list[str]]:
    """The statements in one line each, and the problems with their lines."""
    tree, refused = tree_of(text, config_id=config_id, **files)
    return [str(statement) for statement in every(tree)], [
        f"{problem.where.file}:{problem.where.line}: {problem.what}" for problem in refused
    ]


def tree_of(text: str, *, config_id: str | None = "main", **files: str) -> tuple[tuple[Statement, ...], list[Problem]]:
    refused: list[Problem] = []
    library = Shelf({"top": text, **files})
    return read_blocks(LineReader(library, refused, config_id=config_id).read("top"), refused), refused


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('abcd" efg h jkl "mnop', ["abcd efg h jkl mnop"]),
        ('abcd "efg h jkl" mnop', ["abcd", "efg h jkl", "mnop"]),
        ("a '' b", ["a", "", "b"]),
        (r'"\101\x42\t\cC\"\\"', ['AB\t\x03"\\']),
        (r"\d unquoted", [r"\d", "unquoted"]),
        ("'it \"is\"'", ['it "is"']),
        ("   ", []),
    ],
)
def test_words_are_parted_by_white_space_outside_quotes(line: str, expected: list[str]) -> None:
    assert words(line) == expected


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("priority 100 # the first", "priority 100 "),
        ("priority 100 ! the first", "priority 100 "),
        ("a#b", "a"),
        ('script "a # b" # c', 'script "a # b" '),
        ("script 'a ! b'!c", "script 'a ! b'"),
        (r'script "a \" # b"', r'script "a \" # b"'),
        ("# all of it", ""),
    ],
)
def test_a_comment_begins_at_a_mark_outside_quotes(line: str, kept: str) -> None:
    assert without_comment(line) == kept


def test_a_quote_that_is_not_closed_is_a_problem_at_its_line() -> None:
    assert split_words("a 'b") == Unended(2)
    assert read("one\ntwo 'three\nfour")[1] == ["top:2: a quote is opened and not closed on its line"]


def test_quoted_braces_open_no_block() -> None:
    assert split_words('"{"') == (Word("{", quoted=True),)
    assert read('script "{" "}"\nafter') == (["script { }", "after"], [])


@pytest.mark.parametrize(
    "text",
    [
        "group {\n a\n b\n}\nafter",
        "group\n{\n a\n b }\nafter",
        "group{\n a\n b\n}\nafter",
        "group { a\n b\n}\nafter",
    ],
)
def test_a_block_may_be_written_in_several_ways(text: str) -> None:
    tree, refused = tree_of(text)
    assert refused == []
    assert [statement.keyword for statement in tree] == ["group", "after"]
    assert [statement.keyword for statement in tree[0].items] == ["a", "b"]


def test_braces_that_do_not_match_are_problems_at_their_lines() -> None:
    assert read("a {\n b\n")[1] == ["top:1: the block of a is not closed"]
    assert read("a\n}\nb")[1] == ["top:2: a } closes nothing"]
    assert read("{\n a\n}")[1] == ["top:1: a { belongs to no statement"]
    nested = read("a {\n" * (MAX_DEPTH + 5))[1]
    assert f"blocks are nested more than {MAX_DEPTH} deep" in nested[0]


def test_a_condition_is_for_one_node_or_for_all_but_one() -> None:
    text = "@main priority 200\n@backup priority 100\n@^main peer 192.0.2.1\n@^backup peer 192.0.2.2\n"
    assert read(text) == (["priority 200", "peer 192.0.2.2"], [])
    assert read(text, config_id="backup") == (["priority 100", "peer 192.0.2.1"], [])
    assert read(text, config_id=None) == ([], [])


def test_a_parameter_is_replaced_where_it_is_used() -> None:
    text = """
        $BASE=10.2.${SUB}
        $SUB=0
        ${BASE}.100/32
        $SUB=10
        ${BASE}.100/32
        echo $SUB x$SUB $SUBS ${NONE}
        $EMPTY=
        a$EMPTY
    """
    assert read(text) == (["10.2.0.100/32", "10.2.10.100/32", "echo 10 x10 $SUBS ${NONE}", "a"], [])


def test_a_condition_may_come_out_of_a_parameter() -> None:
    assert read("$IF=@main\n$IF priority 240\n$NOT=@other\n$NOT priority 1") == (["priority 240"], [])


def test_definitions_of_several_lines_nest() -> None:
    text = """
        $RS= \\
            real_server 192.168.${VS}.${N} 80 { \\
                weight ${N} \\
            }
        $VSERVER= \\
            virtual_server 10.0.${VS}.4 80 { \\
                $N=1 \\
                $RS \\
                $N=2 \\
                $RS \\
            }
        $VS=7
        $VSERVER
    """
    tree, refused = tree_of(text)
    assert refused == []
    assert [str(statement) for statement in every(tree)] == [
        "virtual_server 10.0.7.4 80",
        "real_server 192.168.7.1 80",
        "weight 1",
        "real_server 192.168.7.2 80",
        "weight 2",
    ]
    assert tree[0].where.line == 7, "the place is where the definition has it"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("~SEQ(S, 0, 3) ip 10.0.${S}.1", [f"ip 10.0.{n}.1" for n in range(4)]),
        ("~SEQ(S, 3) n $S", ["n 1", "n 2", "n 3"]),
        ("~SEQ(S, 3, -2, 0) n $S", ["n 3", "n 1"]),
        ("~SEQx(S, 0x90, 0x10, 0xc0) a fe80::${S}", ["a fe80::90", "a fe80::a0", "a fe80::b0", "a fe80::c0"]),
        ("~SEQ(A, 1, 2) ~SEQ(B, 1, 2) ${A}.${B}", ["1.1", "1.2", "2.1", "2.2"]),
    ],
)
def test_a_sequence_repeats_its_line(line: str, expected: list[str]) -> None:
    assert read(line) == (expected, [])


def test_files_are_included_in_the_order_of_their_names() -> None:
    found = read("before\ninclude part*\nafter", part2="two", part1="one\n")
    assert found == (["before", "one", "two", "after"], [])


def test_a_file_that_includes_itself_is_refused_with_its_place() -> None:
    statements, refused = read("include again", again="line\ninclude again\n")
    assert statements == ["line"] * MAX_INCLUDE_DEPTH
    assert refused == [f"again:2: files include each other more than {MAX_INCLUDE_DEPTH} deep"]


def test_parameters_that_name_themselves_come_to_an_end() -> None:
    for text in ("$A=${A}x\n${A}", "$A=${A}${A}\n${A}", "$A= \\\n$A \\\n$A\n$A", "$A=${B}\n$B=${A}\n${A}"):
        assert len(read(text)[1]) == 1


def test_marks_of_comments_can_be_written() -> None:
    assert read("color ${_HASH}fff${_BANG}") == (["color #fff!"], [])
    assert read("id ${_INSTANCE} in ${_PWD}") == (["id main in ."], [])
