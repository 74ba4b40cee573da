"""Abbreviated words are expanded only when they can mean one thing."""

import pytest

from yaoki.cli.prefix import expand
from yaoki.core.error import UsageError

WORDS = ("show", "status", "stop", "schema")


def test_an_unambiguous_beginning_stands_for_the_word() -> None:
    assert expand("sh", WORDS, what="command") == "show"
    assert expand("stop", WORDS, what="command") == "stop"


def test_a_whole_word_wins_over_longer_ones() -> None:
    assert expand("stop", ("stop", "stopped"), what="command") == "stop"


def test_an_ambiguous_beginning_names_the_candidates() -> None:
    with pytest.raises(UsageError, match='the command "st" could be status or stop; type more of it'):
        expand("st", WORDS, what="command")


def test_no_word_at_all_abbreviates_nothing_even_where_there_is_one_choice() -> None:
    with pytest.raises(UsageError, match='there is no VIP ""; there are: web-vip'):
        expand("", ["web-vip"], what="VIP")


def test_a_misspelt_word_gets_the_nearest_one() -> None:
    with pytest.raises(UsageError, match=r'there is no command "shwo"; did you mean "show"\?'):
        expand("shwo", WORDS, what="command")
    with pytest.raises(UsageError, match='there is no command "xyz"; there are: show, status, stop, schema'):
        expand("xyz", WORDS, what="command")
