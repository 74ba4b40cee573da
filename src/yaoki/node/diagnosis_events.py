"""Events of `yaoki shell`: what a person had diagnosed from this node, with the sentences of them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar

from yaoki.core.event import EventBody, Severity


@dataclass(frozen=True, slots=True)
class DiagnosisBegun(EventBody):
    """A person has a diagnosis made; told before it is made."""

    who: str
    command: str


@dataclass(frozen=True, slots=True)
class DiagnosisEnded(EventBody):
    """What came of a diagnosis."""

    who: str
    command: str
    result: str
    took: timedelta


@dataclass(frozen=True, slots=True)
class DiagnosisRefused(EventBody):
    """A person typed what is no diagnosis; nothing was run."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    who: str
    why: str


DiagnosisEvent = DiagnosisBegun | DiagnosisEnded | DiagnosisRefused

DIAGNOSIS_SENTENCES: dict[type[EventBody], tuple[str, str]] = {
    DiagnosisBegun: ("{who} asks this node: {command}", "{who} がこのノードで診断: {command}"),
    DiagnosisEnded: (
        "{command}, asked by {who}: {result} (after {took})",
        "診断 {command} ({who}): {result} ({took})",
    ),
    DiagnosisRefused: ("the shell refused what {who} typed: {why}", "シェルが {who} の入力を拒否: {why}"),
}
