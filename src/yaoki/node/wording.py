"""One sentence for each event, in English or Japanese. Text for people is made here, at the edge, and nowhere else."""

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from enum import Enum

from yaoki.checks.check import CheckId, Finding
from yaoki.core.event import EventBody
from yaoki.node.hook_environment import kind_of
from yaoki.node.sentences import SENTENCES
from yaoki.node.terms import TERMS

ENGLISH = "en"
JAPANESE = "ja"
LANGUAGES = (ENGLISH, JAPANESE)

# What a field that is empty leaves behind: its brackets, and the word before it.
_EMPTY_BRACKETS = re.compile(r" ?\((\w+ )?\)")


def language_of(environment: Mapping[str, str]) -> str:
    """The language that a person's environment asks for; English unless it is Japanese."""
    wanted = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return JAPANESE if wanted.lower().startswith("ja") else ENGLISH


def sentence(body: EventBody, language: str = ENGLISH) -> str:
    """What happened, in one sentence without a full stop."""
    template = SENTENCES.get(type(body))
    words = {field.name: word(getattr(body, field.name), language) for field in fields(body)}
    if template is None:
        return f"{kind_of(body)}: " + ", ".join(f"{name} {text}" for name, text in words.items())
    text = template[LANGUAGES.index(language)].format_map(words)
    return _EMPTY_BRACKETS.sub("", text).rstrip().removesuffix(":")


def word(value: object, language: str) -> str:
    """One value as people write it."""
    if isinstance(value, Enum):
        words = TERMS.get(type(value), {}).get(value)
        return str(value.value) if words is None else words[LANGUAGES.index(language)]
    match value:
        case None:
            return ""
        case timedelta():
            return duration(value)
        case CheckId():
            return str(value.target)
        case Finding():
            return value.evidence
        case tuple():
            return ", ".join(word(item, language) for item in value)
        case _:
            return str(value)


def duration(value: timedelta) -> str:
    """A duration with the unit that suits it: "35 ms", "2.5 s", "3 min 20 s", "2 h 5 min", "4 d 1 h"."""
    seconds = value.total_seconds()
    if seconds < 0:
        return "-" + duration(-value)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    for size, unit, smaller_size, smaller in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if seconds >= size:
            rest = int(seconds % size // smaller_size)
            return f"{int(seconds // size)} {unit}" + (f" {rest} {smaller}" if rest else "")
    raise AssertionError("every duration of a minute or more is covered")
