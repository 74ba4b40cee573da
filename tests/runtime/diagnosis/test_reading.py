"""What may be typed to the diagnostic shell, and that nothing else becomes a word of a program."""

import re
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import event, example, given
from hypothesis import strategies as st

from yaoki.core.error import UsageError
from yaoki.runtime.diagnosis.operands import Name, Url
from yaoki.runtime.diagnosis.reading import MAX_LINE, read
from yaoki.runtime.diagnosis.table import DIAGNOSES, Program

pytestmark = pytest.mark.req("D-29")

OPTIONS = {"-n", "-q", "-w", "-m", "-t", "-br", "-tuanp", "-tulnp", "+time=2", "+tries=2", "+nocmd"}
"""All that programs are called with and that is no operand."""
OPERAND = re.compile(r"@?[A-Za-z0-9_:][A-Za-z0-9_.:%-]*")
TEMPTING = [
    *(
        "-f",
        "--",
        "-oProxyCommand=x",
        "+short",
        "@192.0.2.1",
        "$(id)",
        "`id`",
        ";",
        "id",
        "|",
        "&&",
        ">",
        "$IFS",
        "'",
        '"',
    ),
    *(
        "192.0.2.1",
        "127.1",
        "1.2.3.4;id",
        "fe80::1%eth0",
        "fe80::1%;id",
        "fe80::1%-f",
        "::1%lo",
        "/etc/passwd",
        "~root",
    ),
    *(
        "http://192.0.2.1/",
        "http://a;b/",
        "file:///etc/shadow",
        "http://u:p@192.0.2.1/",
        "http://192.0.2.1/$(id)",
        "all",
    ),
    *(
        "http://192.0.2.1:99999/",
        "4",
        "0",
        "21",
        "99999",
        "A",
        "a.b.",
        "-a.b",
        "a..b",
        "é.example",
        "\u0661",
        "*",
        "%00",
    ),
    *("..", "../../etc", "_x._tcp.example.org"),
]
NOT_EVEN_WORDS = ["", "\n", "a b", "a\x00b", "\x1b[2J", "www.example.org -f", "192.0.2.1\n"]
WORDS = st.one_of(
    st.sampled_from([*TEMPTING, *NOT_EVEN_WORDS]),
    st.text(max_size=20),
    st.from_regex(r"[a-z0-9.:%/-]{1,20}", fullmatch=True),
)
GOOD = {
    "HOST": ["192.0.2.1", "2001:db8::1", "fe80::1%eth0", "www.example.org", "a-b_c"],
    "ADDRESS": ["192.0.2.1", "2001:db8::1", "fe80::1%eth0"],
    "SERVER": ["192.0.2.53", "2001:db8::53", "fe80::1%eth0"],
    "NAME": ["www.example.org", "a-b_c", "_x._tcp.example.org."],
    "PORT": ["1", "443", "65535"],
    "COUNT": ["1", "20"],
    "URL": ["http://192.0.2.50/healthz", "https://[2001:db8::1]:8443/?a=%20"],
    "TYPE": ["A", "mx"],
    "listening|all": ["all", "listening"],
}
"""Of each operand, by what it is called in the usage."""


@st.composite
def lines(draw: st.DrawFn) -> tuple[str, list[str]]:
    """What is right, with words among it that are not; or anything."""
    if draw(st.integers(0, 4)) == 0:
        return draw(WORDS), draw(st.lists(WORDS, max_size=3))
    diagnosis = draw(st.sampled_from(DIAGNOSES))
    right = [draw(st.sampled_from(GOOD[operand.shown])) for operand in diagnosis.operands]
    if draw(st.booleans()):
        right.insert(draw(st.integers(0, len(right))), draw(WORDS))
    if draw(st.booleans()) and right:
        right.pop(draw(st.integers(0, len(right) - 1)))
    return diagnosis.name, right


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("ping 192.0.2.1", [IPv4Address("192.0.2.1"), 4]),
        ("ping www.example.org 20", [Name("www.example.org"), 20]),
        ("p fe80::1%eth0", [IPv6Address("fe80::1%eth0"), 4]),
        ("arping 2001:db8::1 1", [IPv6Address("2001:db8::1"), 1]),
        ("connect web1 65535", [Name("web1"), 65535]),
        ("get http://192.0.2.50", [Url(False, IPv4Address("192.0.2.50"), 80, "/")]),
        ("get https://[2001:db8::1]:8443/a?b=c", [Url(True, IPv6Address("2001:db8::1"), 8443, "/a?b=c")]),
        ("lookup _ldap._tcp.example.org.", [Name("_ldap._tcp.example.org.")]),
        ("dig example.org mx 192.0.2.53", [Name("example.org"), "MX", IPv4Address("192.0.2.53")]),
        ("dig example.org", [Name("example.org"), "A", None]),
        ("sockets", ["listening"]),
        ("routes", [None]),
    ],
)  # fmt: skip
def test_what_is_understood(line: str, values: list[object]) -> None:
    assert read(line.split()).values == values


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("reboot", "'reboot' is no diagnosis; there are: ping, arping, "),
        ("a 192.0.2.1", "'a' is no diagnosis; could be: arping, addresses"),
        ("ping", "usage: ping HOST [COUNT]"),
        ("ping 192.0.2.1 4 -f", "usage: ping HOST [COUNT]"),
        ("ping -f", "'-f' is not an address or a name"),
        ("ping 127.1", "'127.1' is not an address or a name"),
        ("ping 192.0.2.1 21", "'21' is not a count 1..20"),
        ("ping 192.0.2.1;id", "'192.0.2.1;id' is not an address or a name"),
        ("ping 2001:db8::1%eth0", "'2001:db8::1%eth0' is not an address or a name"),
        ("connect web1 0", "'0' is not a port 1..65535"),
        ("get file:///etc/passwd", "'file:///etc/passwd' is not a URL such as"),
        ("get http://root@192.0.2.1/", "'http://root@192.0.2.1/' is not an address or a name"),
        ("dig example.org AXFR", "'AXFR' is not one of A, AAAA"),
        ("dig example.org A @192.0.2.53", "'@192.0.2.53' is not an address"),
        ("dig +short", "'+short' is not a name"),
        ("lookup " + "a" * 3000, f"longer than {MAX_LINE} characters"),
        ("lookup " + "a" * 64, "is not a name of letters"),
        ("neighbours dev", "usage: neighbours"),
    ],
)
def test_what_is_refused_and_what_it_says(line: str, why: str) -> None:
    with pytest.raises(UsageError) as refused:
        read(line.split())
    assert why in str(refused.value)
    assert str(refused.value).isprintable()


@given(lines())
@example(("ping", ["fe80::1%;id"]))
@example(("dig", ["-f/etc/passwd"]))
@example(("dig", ["www.example.org", "MX", "fe80::1%eth0"]))
def test_no_word_that_is_typed_becomes_an_option_or_more_than_a_word(line: tuple[str, list[str]]) -> None:
    name, typed = line
    asked = None
    why = ""
    try:
        asked = read([name, *typed])
    except UsageError as refused:
        why = str(refused)
    assert why.isprintable(), "what is refused is recorded, and shown to others"
    event("refused" if asked is None else "understood")
    if asked is None:
        return
    assert asked.text.isprintable()
    make = asked.diagnosis.make
    if isinstance(make, Program):
        for way in make.ways.values():
            argv = way(asked.values)
            assert all(word in OPTIONS or OPERAND.fullmatch(word) for word in argv), argv


def test_the_way_to_an_address_of_one_interface_is_asked_for_there() -> None:
    asked = read(["routes", "fe80::1%eth0"])
    make = asked.diagnosis.make
    assert isinstance(make, Program)
    assert make.ways["ip"](asked.values) == ["route", "get", "fe80::1", "dev", "eth0"]
    assert make.ways["ip"](read(["routes", "192.0.2.1"]).values) == ["route", "get", "192.0.2.1"]
