"""Every event has its sentence in both languages."""

from dataclasses import fields
from datetime import timedelta
from enum import Enum
from ipaddress import IPv4Address

import pytest

from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.node.brain_events import Part, PartLost, ServerAdministered, ServerDutyChanged
from yaoki.node.events import EVENT_KINDS, KIND_NAMES
from yaoki.node.sentences import SENTENCES
from yaoki.node.terms import TERMS
from yaoki.node.wording import ENGLISH, JAPANESE, duration, language_of, sentence
from yaoki.pool.member import AdminState, Duty
from yaoki.pool.policy import Reason
from yaoki.vrrp.events import BecameActive
from yaoki.vrrp.events import Reason as RouterReason
from yaoki.vrrp.params import RouterKey


def test_every_event_kind_has_a_sentence() -> None:
    assert set(SENTENCES) == set(EVENT_KINDS.values())


@pytest.mark.parametrize("kind", EVENT_KINDS.values(), ids=lambda kind: kind.__name__)
def test_a_sentence_names_fields_that_exist(kind: type[EventBody]) -> None:
    names = {field.name: "x" for field in fields(kind)}
    for text in SENTENCES[kind]:
        assert text.format_map(names)


@pytest.mark.parametrize("enum", TERMS, ids=repr)
def test_a_set_of_words_is_whole(enum: type[Enum]) -> None:
    assert [member for member in enum if member not in TERMS[enum]] == []


def test_kinds_are_named_as_people_write_them() -> None:
    assert "became-active" in KIND_NAMES
    assert "server-duty-changed" in KIND_NAMES


def test_a_sentence_in_both_languages() -> None:
    body = ServerDutyChanged("web", IPv4Address("192.0.2.50"), "web2", Duty.OUT, Reason.DOWN, "HTTP 500")
    assert sentence(body, ENGLISH) == "web2 is out for web on 192.0.2.50: its check failed (HTTP 500)"
    assert sentence(body, JAPANESE) == "web (192.0.2.50) の web2 が離脱: チェック失敗 (HTTP 500)"


def test_equal_texts_of_two_classes_have_words_of_their_own() -> None:
    drained = ServerDutyChanged("web", IPv4Address("192.0.2.50"), "web2", Duty.DRAIN, Reason.DRAINED)
    assert sentence(drained) == "web2 keeps only the flows it has for web on 192.0.2.50: drained by an operator"


def test_empty_fields_leave_no_brackets() -> None:
    assert sentence(ServerAdministered("web1", None, AdminState.DRAIN)) == "an operator set web1 to drain"
    assert sentence(PartLost(Part.SPEAKER, "")) == "the speaker is out of reach"


@pytest.mark.parametrize(("epoch", "end"), [(None, "fell silent"), (7, "fell silent (epoch 7)")])
def test_a_word_in_brackets_goes_with_its_empty_field(epoch: int | None, end: str) -> None:
    router = RouterKey("eth0", Family.IPV4, 51)
    assert sentence(BecameActive(router, "web-vip", RouterReason.ACTIVE_SILENT, 100, epoch)).endswith(end)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.035, "35 ms"), (2.5, "2.5 s"), (59, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min"), (349200, "4 d 1 h")],
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert duration(timedelta(seconds=seconds)) == text


def test_the_language_follows_the_environment() -> None:
    assert language_of({"LANG": "ja_JP.UTF-8"}) == JAPANESE
    assert language_of({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}) == ENGLISH
    assert language_of({}) == ENGLISH
