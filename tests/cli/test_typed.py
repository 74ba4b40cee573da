"""Numbers as they are typed."""

import argparse

import pytest

from yaoki.cli import main
from yaoki.cli.typed import amount, endpoint, whole_number
from yaoki.core.error import UsageError

ODD = ["", "²", "-1", "+1", " 1", "1_0", "0x1", "\uff11", "1" * 5000]


def test_whole_numbers_are_of_decimal_digits_and_within_their_bound() -> None:
    assert [whole_number(text, 65535) for text in ("0", "65535", "007", "65536")] == [0, 65535, 7, None]
    assert [whole_number(text) for text in ODD] == [None] * len(ODD)


def test_an_endpoint_has_a_host_or_none_and_a_port() -> None:
    found = [endpoint(text, least_port=0, example="x") for text in ("192.0.2.1:80", "[2001:db8::1]:2379", ":0", "a:1")]
    assert found == [("192.0.2.1", 80), ("2001:db8::1", 2379), ("", 0), ("a", 1)]


@pytest.mark.parametrize("text", ["192.0.2.1", "80", "", *(f"192.0.2.1:{port}" for port in ("0", "65536", *ODD))])
def test_what_is_no_endpoint_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"for example 192\.0\.2\.1:80"):
        endpoint(text, least_port=1, example="192.0.2.1:80")


def test_an_amount_is_finite_and_not_negative() -> None:
    assert [amount(text) for text in ("0", "0.5", "1e-05", "90")] == [0, 0.5, 0.00001, 90]
    for text in ("nan", "inf", "-1", "x", "", "1e999"):
        with pytest.raises(argparse.ArgumentTypeError, match="is no number, 0 or more"):
            amount(text)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sim", "--hours", "nan"], "nan"),
        (["sim", "--seed", "1", "--faults", "3:inf"], "--faults takes numbers"),
        (["server", "weight", "web1", "²"], '"²" is no weight'),
        (["server", "drain", "web1", "--wait", "--timeout", "nan"], '"nan" is no number'),
        (["server", "maint", "web1", "--wait"], "--wait goes with the action drain"),
        (["node", "wake", "lb3", "--site", "x", "--node", "lb1", "--wait", "inf"], '"inf" is no number'),
        (["node", "--site", "x", "--node", "lb1", "--metrics", "127.0.0.1:²"], "is no ADDRESS:PORT"),
        (["witness", "--listen", "127.0.0.1:²"], "is no ADDRESS:PORT"),
    ],
)
def test_what_is_no_number_is_refused_where_it_is_typed(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
