"""Entries put into YAML texts of every notation: nothing there changes, and the text says the entry, too."""

from random import Random  # noqa: TID251 - seeded by hypothesis, for one draw per choice takes seconds

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st

from yaoki.core.error import UsageError
from yaoki.site.document import Node
from yaoki.site.insertion import Entry, with_entry
from yaoki.site.notation import block, read, word, written

pytestmark = pytest.mark.req("D-15")

SERVICE = Entry("api", block({"vip": word("gate"), "servers": block({"web1": block({})})}), lines=1)
SERVER = Entry("web3", block({"weight": read("--weight", "500")}))


def added(text: str, *path: str, entry: Entry = SERVICE) -> str:
    return with_entry(text, path, entry)


IN_LINES = """\
  api:
    vip: gate
    servers: {web1: {}}
"""


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("version: 1\n", "version: 1\nservices:\n" + IN_LINES),
        ("version: 1", "version: 1\nservices:\n" + IN_LINES),
        ("a: {}\n\nvips: {}\n\n# the end\n", "a: {}\n\nvips: {}\n\nservices:\n" + IN_LINES + "\n# the end\n"),
        ("services:\n", "services:\n" + IN_LINES),
        ("services:  # none\n  # yet\n\nvips: {}\n", "services:  # none\n  # yet\n" + IN_LINES + "\nvips: {}\n"),
        ("services: {}  # none\n", "services: {api: {vip: gate, servers: {web1: {}}}}  # none\n"),
        ("services:\n  web: {}  # one\nvips: {}\n", "services:\n  web: {}  # one\n" + IN_LINES + "vips: {}\n"),
        ("services:\n  a: {}\n    # of a\n  # end\n", "services:\n  a: {}\n    # of a\n" + IN_LINES + "  # end\n"),
        ("services:\n  a: {}\n\n  # b\n  b: {}\n", "services:\n  a: {}\n\n  # b\n  b: {}\n\n" + IN_LINES),
        ("services:\n  a: |\n    x\n\nvips: {}\n", "services:\n  a: |\n    x\n\n" + IN_LINES + "vips: {}\n"),
        ("services:\r\n  web: {}\r\n", "services:\r\n  web: {}\r\n" + IN_LINES.replace("\n", "\r\n")),
        ("\ufeffservices: {}", "\ufeffservices: {api: {vip: gate, servers: {web1: {}}}}"),
        ('{"services": {}}', '{"services": {"api": {"vip": "gate", "servers": {"web1": {}}}}}'),
        ("---\nservices:\n  web: {}\n...\n", "---\nservices:\n  web: {}\n" + IN_LINES + "...\n"),
    ],
)  # fmt: skip
def test_a_service_is_written_in_the_notation_of_its_section(before: str, expected: str) -> None:
    assert added(before, "services") == expected


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("{web1: {}, web2: {}}  # two", "{web1: {}, web2: {}, web3: {weight: 500}}  # two"),
        ("{web1: {}, web2: {},}", "{web1: {}, web2: {}, web3: {weight: 500},}"),
        ("{}", "{web3: {weight: 500}}"),
        ("{ # none\n  }", "{web3: {weight: 500} # none\n  }"),
        ("{\n  web1: {},\n  web2: {}\n  }", "{\n  web1: {},\n  web2: {},\n  web3: {weight: 500}\n  }"),
        ("{\n  web1: {}  # old\n  }", "{\n  web1: {},  # old\n  web3: {weight: 500}\n  }"),
        ("{\n  web1: {},  # old\n  }", "{\n  web1: {},  # old\n  web3: {weight: 500},\n  }"),
        ("{web1: {},\n  web2: {}}", "{web1: {},\n  web2: {},\n" + " " * 14 + "web3: {weight: 500}}"),
        ('{"web1": {}}', '{"web1": {}, "web3": {"weight": 500}}'),
        ("\n      web1: {}\n      # spare\n", "\n      web1: {}\n      web3: {weight: 500}\n      # spare\n"),
    ],
)
def test_a_server_is_written_in_the_notation_of_the_others(before: str, expected: str) -> None:
    text = "services:\n  web:\n    servers: {}\n    slo: {}\n"
    made = added(text.replace("{}", before, 1), "services", "web", "servers", entry=SERVER)
    assert made == text.replace("{}", expected, 1)


def test_a_line_that_would_be_too_long_is_broken() -> None:
    servers = ", ".join(f"web{number}: {{weight: 1000}}" for number in range(10, 15))
    assert added(f"servers: {{{servers}}}\n", "servers", entry=SERVER) == (
        f"servers: {{{servers},\n          web3: {{weight: 500}}}}\n"
    )
    x = "x" * 50
    long = Entry("web", block({key: word(x) for key in "abc"}))
    assert added("services: {}\n", "services", entry=long) == (
        f"services: {{\n  web: {{a: {x},\n        b: {x},\n        c: {x}}}}}\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: []\n", "services is no block of keys, so api cannot be added to it"),
        ("services: none\n", "services is no block of keys, so api cannot be added to it"),
        ("{services: }\n", "services is no block of keys, so api cannot be added to it"),
        ("services:\n  a: |\n    x", "no place was found for it in services; write it there by hand: api: {"),
    ],
)
def test_what_has_no_place_for_it_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as refused:
        added(text, "services")
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("text", ["no", "1:30", "a: b", "x # y", "}", "", "8", "true", "é😀", "a\nb", '"'])
def test_a_text_is_written_so_that_it_stays_one(text: str) -> None:
    assert yaml.safe_load("{k: " + written(word(text)) + "}") == {"k": text}


# --- any text ---------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["web", "api", "n-1", "80", "servers", "a b"])
COMMENTS = ("", "", "  # why", " # a: {b: c}", "  #")
Tree = dict[str, "Tree | str"]
TREES = st.recursive(
    st.sampled_from(["x", "tcp/80", "5", "two words", "2001:db8::1", "it's"]),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
MAPPINGS = st.dictionaries(NAMES, TREES, min_size=1, max_size=4)


class Pen:
    """Writes a tree in notations that are chosen by a seed for each part of it."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def text(self, tree: Tree) -> str:
        """A whole file."""
        lines = [self.braces(tree, 1)] if self.chance.random() < 0.2 else self.lines(tree, 0)
        text = "\n".join(lines) + self.chance.choice(["\n", "", "\n\n# end\n"])
        return text.replace("\n", self.chance.choice(["\n", "\n", "\r\n"]))

    def lines(self, tree: Tree, column: int) -> list[str]:
        """A mapping in block style."""
        out: list[str] = []
        indent, step = " " * column, self.chance.randint(1, 4)
        for key, value in tree.items():
            out += self.between(column)
            name = self.word(key)
            if isinstance(value, str):
                out.append(f"{indent}{name}: {self.word(value)}{self.comment()}")
            elif value and self.chance.random() < 0.5:
                out.append(f"{indent}{name}:{self.comment()}")
                out += self.lines(value, column + step)
            else:
                out += f"{indent}{name}: {self.braces(value, column + step + 1)}{self.comment()}".split("\n")
            out += self.between(column)
        return out

    def between(self, column: int) -> list[str]:
        """Empty lines and comments, deeper than the entries or not."""
        kinds = ["", "   ", f"{' ' * column}# here", f"{' ' * (column + 3)}# deeper", "# at the edge"]
        return self.chance.choices(kinds, k=2) if self.chance.random() < 0.3 else []

    def braces(self, tree: Tree, column: int) -> str:
        """A mapping in flow style, on one line or several, some with comments and a comma at the end."""
        parts = []
        for key, value in tree.items():
            told = self.word(value) if isinstance(value, str) else self.braces(value, column + 2)
            parts.append(f"{self.word(key)}: {told}")
        gap = f"{self.comment()}\n{' ' * column}" if self.chance.random() < 0.5 else " "
        comma = "," if parts and self.chance.random() < 0.3 else ""
        # A comment ends only with its line.
        edge = gap if "\n" in gap and self.chance.random() < 0.5 else ""
        return "{" + edge + f",{gap}".join(parts) + comma + edge + "}"

    def comment(self) -> str:
        return self.chance.choice(COMMENTS)

    def word(self, text: str) -> str:
        plain = text.isalnum() or text in ("tcp/80", "n-1", "two words", "a b")
        return text if plain and self.chance.random() < 0.6 else '"' + text + '"'


def is_within(old: str, new: str) -> bool:
    """Whether all characters of one text are in another, in their order."""
    letters = iter(new)
    return all(letter in letters for letter in old)


@given(MAPPINGS, st.integers(0, 2**32), st.lists(NAMES, max_size=3), MAPPINGS, st.integers(0, 2))
def test_any_text_keeps_every_line_and_says_the_entry_too(
    tree: Tree, seed: int, path: list[str], value: Tree, lines: int
) -> None:
    text = Pen(seed).text(tree)
    assert said_by(text) == plain(tree)
    place: Tree | str = tree
    for step in path:
        place = place.setdefault(step, {}) if isinstance(place, dict) else place
    entry = Entry("new", node_of(value), lines)
    if isinstance(place, str):
        event("refused")
        with pytest.raises(UsageError, match="is no block of keys"):
            with_entry(text, path, entry)
        return
    made = with_entry(text, path, entry)
    event("in lines" if "\nnew" in made.replace(" ", "") else "within braces")
    place["new"] = value
    assert said_by(made) == plain(tree)
    assert is_within(text, made)
    # Within braces one line gets a comma or the entry; every other line is there as it was, in its order.
    assert lines_lost(text.splitlines(), made.splitlines()) <= 1
    assert text.count("#") == made.count("#")


def said_by(text: str) -> object:
    """By a reader that is not ours."""
    return plain(yaml.load(text, yaml.CSafeLoader))


def lines_lost(old: list[str], new: list[str]) -> int:
    """How many lines of the old text are missing in the new one, from the first that is to the last."""
    before = 0
    while before < min(len(old), len(new)) and old[before] == new[before]:
        before += 1
    rest_old, rest_new = old[before:], new[before:]
    while rest_old and rest_new and rest_old[-1] == rest_new[-1]:
        rest_old.pop()
        rest_new.pop()
    return len(rest_old)


def plain(value: object) -> object:
    """As texts, for the file's numbers are texts in the trees of this test."""
    return {str(k): plain(v) for k, v in value.items()} if isinstance(value, dict) else str(value)


def node_of(value: Tree | str) -> Node:
    return word(value) if isinstance(value, str) else block({key: node_of(inner) for key, inner in value.items()})
