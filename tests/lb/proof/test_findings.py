"""Every finding, from what was seen to its words and its cure."""

from dataclasses import replace
from ipaddress import IPv4Address

import pytest

from yaoki.cli.verify_text import CURES, SENTENCES, cure, sentence
from yaoki.core.address import BROADCAST, MacAddress
from yaoki.lb.proof import Answer, Finding, Kind, Neighbourhood, Question, Result, Saying, Tried, findings
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.packet.claim import Claim, Form

VIP = IPv4Address("192.0.2.50")
LB1, LB2, WEB1, STRANGE = (MacAddress(bytes((2, 0, 0, 0, 0, number))) for number in (0x11, 0x12, 0x21, 0x99))
NAMES = ((LB1, "lb1"), (LB2, "lb2"), (WEB1, "web1"))
TCP, UDP = ServiceKey(VIP, Protocol.TCP, 80), ServiceKey(VIP, Protocol.UDP, 7)
RIGHT, WRONG, UNKNOWN = Result.RIGHT, Result.WRONG, Result.UNKNOWN


def near(*claims: tuple[MacAddress, Form], owned: bool = True) -> Neighbourhood:
    seen = tuple(Claim(VIP, mac, form, BROADCAST) for mac, form in claims)
    return Neighbourhood(VIP, owned, seen, NAMES, ("lb1", "lb2"), ("web1",))


def tried(*answers: Kind, key: ServiceKey = TCP, own: bool = True, mac: MacAddress = WEB1) -> Tried:
    return Tried("web1", key, WEB1, tuple(Answer(kind, mac) for kind in answers), own, "page on web1: HTTP 200")


def of(question: Question, found: tuple[Finding, ...]) -> list[tuple[Result, Saying]]:
    return [(one.result, one.saying) for one in found if one.question is question]


ANSWER, ANNOUNCED, QUESTION = Form.ANSWER, Form.ANNOUNCEMENT, Form.QUESTION


@pytest.mark.req("D-09", "D-26")
@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (near(), [(RIGHT, Saying.THIS_NODE_ALONE)]),
        (near((LB1, ANSWER), owned=False), [(RIGHT, Saying.OWNER_ALONE)]),
        (near(owned=False), [(UNKNOWN, Saying.NOBODY)]),
        (near((LB2, ANSWER)), [(WRONG, Saying.TWO_OWNERS)]),
        (near((LB1, ANSWER), (LB2, ANNOUNCED), owned=False), [(WRONG, Saying.TWO_OWNERS)]),
        (near((STRANGE, ANSWER)), [(WRONG, Saying.STRANGER)]),
        (near((STRANGE, ANSWER), owned=False), [(WRONG, Saying.STRANGER)]),
        (
            near((LB1, ANSWER), (STRANGE, QUESTION), owned=False),
            [(WRONG, Saying.STRANGER), (RIGHT, Saying.OWNER_ALONE)],
        ),
        (near((WEB1, ANSWER)), [(RIGHT, Saying.THIS_NODE_ALONE)]),
    ],
)
def test_who_answers_for_the_vip(seen: Neighbourhood, expected: list[tuple[Result, Saying]]) -> None:
    assert of(Question.OWNER, findings((seen,), ())) == expected


@pytest.mark.req("D-09", "D-10")
@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (near((LB1, ANSWER), owned=False), (RIGHT, Saying.SILENT)),
        (near((WEB1, ANSWER)), (WRONG, Saying.LEAKS)),
        (near((WEB1, QUESTION), (WEB1, ANNOUNCED)), (WRONG, Saying.LEAKS)),
        (near((WEB1, QUESTION)), (WRONG, Saying.NAMES_VIP)),
    ],
)
def test_a_server_that_claims_the_vip(seen: Neighbourhood, expected: tuple[Result, Saying]) -> None:
    assert of(Question.QUIET, findings((seen,), ())) == [expected]


@pytest.mark.req("D-11", "D-23")
@pytest.mark.parametrize(
    ("one", "takes", "listens"),
    [
        (tried(Kind.ACCEPTED, Kind.ECHOED), (RIGHT, Saying.TAKEN), (RIGHT, Saying.LISTENING)),
        (tried(Kind.ACCEPTED), (RIGHT, Saying.TAKEN), (RIGHT, Saying.LISTENING)),
        (tried(Kind.REPLIED, key=UDP), (RIGHT, Saying.TAKEN), (RIGHT, Saying.LISTENING)),
        (tried(), (WRONG, Saying.NOT_TAKEN), None),
        (tried(Kind.REFUSED), (RIGHT, Saying.TAKEN), (WRONG, Saying.OWN_ADDRESS_ONLY)),
        (tried(Kind.REFUSED, own=False), (RIGHT, Saying.TAKEN), (WRONG, Saying.NOWHERE)),
        (tried(Kind.PROHIBITED), (RIGHT, Saying.TAKEN), (WRONG, Saying.PROHIBITED)),
        (tried(Kind.ECHOED), (RIGHT, Saying.TAKEN), (WRONG, Saying.FILTERED)),
        (tried(Kind.ECHOED, key=UDP), (RIGHT, Saying.TAKEN), (UNKNOWN, Saying.UNPROVEN)),
        (tried(Kind.REFUSED, Kind.ECHOED, key=UDP), (RIGHT, Saying.TAKEN), (WRONG, Saying.OWN_ADDRESS_ONLY)),
        (Tried("web1", TCP, None, (), False, "no answer"), (UNKNOWN, Saying.NO_MAC), None),
        (Tried("web1", TCP, WEB1, (), True, "", probed=False), (UNKNOWN, Saying.NO_SOURCE), None),
    ],
)
def test_a_server_asked_through_the_path(
    one: Tried, takes: tuple[Result, Saying], listens: tuple[Result, Saying] | None
) -> None:
    found = findings((near(),), (one,))
    assert of(Question.TAKES, found) == [takes]
    assert of(Question.LISTENS, found) == ([] if listens is None else [listens])


@pytest.mark.req("D-11")
@pytest.mark.parametrize(
    ("mac", "expected", "who"),
    [
        (WEB1, (RIGHT, Saying.STRAIGHT), ""),
        (LB2, (WRONG, Saying.DETOUR), "lb2"),
        (STRANGE, (WRONG, Saying.DETOUR), ""),
    ],
)
def test_the_mac_that_an_answer_comes_from(mac: MacAddress, expected: tuple[Result, Saying], who: str) -> None:
    found = findings((near(),), (tried(Kind.ACCEPTED, mac=mac),))
    assert of(Question.STRAIGHT, found) == [expected]
    assert found[-1].who == who


THROUGH = "ipip to 203.0.113.21"


@pytest.mark.req("D-05", "D-11")
def test_through_a_tunnel_an_answer_comes_by_way_of_a_router() -> None:
    """Its MAC says nothing of the server; and a server far off is not asked whether it claims the VIP."""
    far = replace(near(), servers=())
    answered = replace(tried(Kind.ACCEPTED, Kind.ECHOED, mac=STRANGE), mac=LB2, through=THROUGH)
    found = findings((far,), (answered,))
    assert [(one.question, one.result, one.saying) for one in found[1:]] == [
        (Question.TAKES, RIGHT, Saying.TAKEN),
        (Question.LISTENS, RIGHT, Saying.LISTENING),
        (Question.STRAIGHT, RIGHT, Saying.PLAIN),
    ]
    assert sentence(found[1]) == f"web1 takes packets for 192.0.2.50 (accepted, echoed, through {THROUGH})"
    assert sentence(found[3]) == "web1 answers from 192.0.2.50 outside any tunnel, by way of 02:00:00:00:00:99"


@pytest.mark.req("D-05", "D-11")
def test_a_tunnel_that_nothing_comes_out_of_and_one_without_a_way() -> None:
    (found,) = of_server(replace(tried(), mac=LB2, through=THROUGH))
    assert (found.result, found.saying) == (WRONG, Saying.NOT_TAKEN)
    assert sentence(found) == (
        "web1 takes no packet for 192.0.2.50: no answer to what goes through ipip to 203.0.113.21 by 02:00:00:00:00:12 "
        "(page on web1: HTTP 200)"
    )
    assert "the end of the tunnel" in cure(found, "web")
    (found,) = of_server(replace(tried(), mac=None, through=THROUGH))
    assert (found.result, found.saying) == (UNKNOWN, Saying.NO_WAY)
    (found,) = of_server(replace(tried(), mac=None, through=THROUGH, probed=False))
    assert (found.result, found.saying) == (UNKNOWN, Saying.NO_SOURCE)


def of_server(one: Tried) -> tuple[Finding, ...]:
    return findings((replace(near(), servers=()),), (one,))[1:]


def test_every_saying_has_a_sentence_and_every_wrong_one_a_cure() -> None:
    right = {
        Saying.THIS_NODE_ALONE,
        Saying.OWNER_ALONE,
        Saying.SILENT,
        Saying.TAKEN,
        Saying.LISTENING,
        Saying.STRAIGHT,
        Saying.PLAIN,
    }
    assert set(SENTENCES) == set(Saying)
    assert set(CURES) == set(Saying) - right
    for saying in Saying:
        finding = Finding(Question.TAKES, WRONG, saying, VIP, "web1", WEB1, "lb2", "answer")
        assert "None" not in sentence(finding)
        assert bool(cure(finding, "web")) == (saying in CURES)
        assert bool(cure(replace(finding, through="ipip to 203.0.113.21"), "web")) == (saying in CURES)


def test_the_cure_of_a_leak_is_the_set_up_of_that_server() -> None:
    found = findings((near((WEB1, ANSWER)),), (tried(Kind.ACCEPTED),))
    (leak,) = [one for one in found if one.saying is Saying.LEAKS]
    assert sentence(leak) == "web1 claims 192.0.2.50 by an answer, at 02:00:00:00:00:21"
    assert cure(leak, "web").startswith("set it up: yaoki realserver setup web web1")
