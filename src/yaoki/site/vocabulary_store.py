"""The part of the vocabulary for the store of leases; see yaoki.site.vocabulary."""

from datetime import timedelta

from yaoki.site.kinds import Duration, Endpoint, Secret, Text
from yaoki.site.model import DEFAULT_ELECTION_TIMEOUT
from yaoki.site.shapes import Key, ListOf, Record, Tagged
from yaoki.site.units import duration_text
from yaoki.site.vocabulary_machines import ACKNOWLEDGE

_MS = timedelta(milliseconds=1)
_S = timedelta(seconds=1)

_PEM = "a PEM file under /etc/yaoki/secrets"
_TLS = (
    Key("ca", Secret(), f"speaks TLS, and trusts what this signed; {_PEM}"),
    Key("certificate", Secret(), f"this node's own, for a store that asks for one; {_PEM}"),
    Key("key", Secret(), f"the certificate's private key; {_PEM}"),
)
STORE = Tagged(
    "kind",
    {
        "etcd": Record(
            "an etcd store",
            (
                Key("kind", Text(), "an etcd cluster that all nodes reach", required=True),
                Key(
                    "endpoints", ListOf(Endpoint(), least=1), "its members, as their clients reach them", required=True
                ),
                Key(
                    "election-timeout",
                    Duration(50 * _MS, 50 * _S),
                    "what its members were started with; the shortest safe lease follows from it",
                    duration_text(DEFAULT_ELECTION_TIMEOUT),
                ),
                *_TLS,
                ACKNOWLEDGE,
            ),
        ),
        "witness": Record(
            "a witness",
            (
                Key("kind", Text(), "`yaoki witness` on a machine that owns no leased VIP", required=True),
                Key("endpoint", Endpoint(), "where it serves: a machine of the site or an address", required=True),
                *_TLS,
                ACKNOWLEDGE,
            ),
        ),
        "in-process": Record(
            "an in-process store",
            (Key("kind", Text(), "the memory of the node itself: for a site of one node", required=True), ACKNOWLEDGE),
        ),
    },
)
