"""The part of the vocabulary for the quarantine of stateful VIPs; see yaoki.site.vocabulary."""

from datetime import timedelta

from yaoki.site.kinds import Duration, Text, Word
from yaoki.site.shapes import Key, ListOf, Record
from yaoki.vrrp.params import Quarantine

_MS = timedelta(milliseconds=1)
_S = timedelta(seconds=1)

DATA_CHECK = Record(
    "a data check",
    (
        Key(
            "command",
            ListOf(Text(), least=1),
            "a program and its arguments: exit status 0 says that the data here is current",
            required=True,
        ),
        Key("user", Text("an account name", r"[a-z_][a-z0-9_-]*"), "the account it runs as", "nobody"),
        Key("timeout", Duration(10 * _MS, timedelta(hours=1)), "it is killed after this, which is no", "10s"),
        Key("interval", Duration(_S, timedelta(days=1)), "from its end to the next try", "10s"),
    ),
)

QUARANTINE = Record(
    "a quarantine",
    (
        Key(
            "alone",
            Word(
                {
                    "wait": "nobody owns the VIP until the node is released",
                    "own": "the quarantine ends, and with it what is not here is lost",
                },
                {"wait": Quarantine.WAIT, "own": Quarantine.LAST}.__getitem__,
            ),
            "while a node waits and no other owns",
            "wait",
        ),
        Key("data-check", DATA_CHECK, "releases the node by itself"),
    ),
)
