"""The part of the vocabulary for checks; see yaoki.site.vocabulary."""

from datetime import timedelta

from yaoki.checks.check import UdpParams
from yaoki.site.kinds import REGULAR_EXPRESSION, Boolean, Duration, Integer, Secret, Size, Text, Word
from yaoki.site.shapes import Key, ListOf, Record, Tagged, WordOr
from yaoki.site.vocabulary_machines import ACKNOWLEDGE, NETWORK_NAME

_MS = timedelta(milliseconds=1)
_S = timedelta(seconds=1)
_PORT = Integer(1, 65535)

_CHECK_INTERVAL = Duration(10 * _MS, timedelta(days=1))
_CHECK_SCHEDULE = (
    Key("interval", _CHECK_INTERVAL, "from one probe to the next", "1s"),
    Key("timeout", Duration(_MS, timedelta(hours=1)), "no answer within this is a failure", "half the interval"),
    Key("fall", Integer(1, 100), "failures in a row that make a server down", "3"),
    Key("rise", Integer(1, 100), "passes in a row that make it up again", "2"),
    Key("fast-interval", _CHECK_INTERVAL, "the interval while results contradict the verdict", "the interval"),
    Key("hold-down", Duration(0 * _S, timedelta(days=1)), "after a fall, the first rise waits at least this", "0s"),
    ACKNOWLEDGE,
)
_CHECK_PORT = Key("port", _PORT, "the port to probe", "the server's port")
_SOURCE = Key(
    "source",
    NETWORK_NAME,
    "the network from whose address of the node probes are sent",
    "the server's own if the node is on it, else the VIP's",
)


_OCTETS = WordOr(
    Text("a text", parse=str.encode),
    Record(
        "octets",
        (Key("hex", Text("hexadecimal octets", parse=bytes.fromhex, example='"00ff"'), "the octets", required=True),),
        make=lambda values: values["hex"],
    ),
)
_STATUS = ListOf(Integer(100, 599), least=1, or_one=True)
_HTTP_EXPECT = Record(
    "an expectation",
    (
        Key("status", _STATUS, "the accepted status, or several", "200"),
        Key("body", REGULAR_EXPRESSION, "found in the body"),
        Key("within", Size(1, 16 * 1024 * 1024), "how much of the body is read and searched", "64k"),
        Key(
            "header",
            Record(
                "a header",
                (
                    Key("name", Text("a header name", r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"), "its name", required=True),
                    Key("value", REGULAR_EXPRESSION, "found in its value", ".*"),
                ),
            ),
            "a header that must be there",
        ),
    ),
)
_HTTP = (
    _CHECK_PORT,
    _SOURCE,
    Key("path", Text("a path that begins with /", r"/[!-~]*", example="/healthz"), "the path asked for", "/"),
    Key("method", Word({"GET": "", "HEAD": "", "OPTIONS": "", "POST": ""}), "the request method", "GET"),
    Key("host", Text("a host name", r"[!-~]+"), "the Host header (and TLS server name)", "the server's address"),
    Key("authorization", Secret(), "the secret sent in the Authorization header"),
    Key("expect", _HTTP_EXPECT, "what a healthy answer is like", "{status: 200}"),
)
_VERIFY = Key("verify", Boolean(), "whether the certificate's chain and name must be right", "false")
_KIND = Key("kind", Text(), "the kind of the check", required=True)


def _check(noun: str, *keys: Key) -> Record:
    return Record(noun, (_KIND, *keys, *_CHECK_SCHEDULE))


CHECK = Tagged(
    "kind",
    {
        "icmp": _check("an icmp check", _SOURCE),
        "neighbour": _check("a neighbour check"),
        "tcp": _check("a tcp check", _CHECK_PORT, _SOURCE),
        "udp": _check(
            "a udp check",
            _CHECK_PORT,
            _SOURCE,
            Key("send", _OCTETS, "the datagram's payload, a text or {hex: ...}", '""'),
            Key("expect", _OCTETS, "what the answer must begin with", '""'),
            Key("require-answer", Boolean(), "whether silence is a failure", str(UdpParams(0).require_answer).lower()),
        ),
        "tls": _check(
            "a tls check",
            _CHECK_PORT,
            _SOURCE,
            Key("server-name", Text("a host name", r"[!-~]+"), "the name asked for (SNI)"),
            _VERIFY,
            Key("min-days", Integer(0, 3650), "the certificate must be valid for so many days more", "0"),
        ),
        "http": _check("an http check", *_HTTP),
        "https": _check("an https check", *_HTTP, _VERIFY),
        "direct": _check("a direct check"),
        "script": _check(
            "a script check",
            _SOURCE,
            Key("command", ListOf(Text(), least=1), "the program and its arguments; status 0 is a pass", required=True),
            Key("user", Text("an account name", r"[a-z_][a-z0-9_-]*"), "the account it runs as", "nobody"),
        ),
    },
)
