"""The lease machine with one mistake: its own source text with a few words changed, so that each mistake is one that
somebody could make there."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.election.lease_model import Machine
from yaoki.election import lease, lease_timing


@dataclass(frozen=True, slots=True)
class Mistake:
    """In the module's text `right` is replaced by `wrong`, wherever it stands; it must stand there."""

    name: str
    right: str
    wrong: str


MISTAKES = (
    Mistake(
        "the newest revision is confirmed, not the one that was waited with",
        """\
            case Confirming() as phase:
                if state.revision > phase.seen.revision:
                    self._watch(state)
""",
        """\
            case Confirming() as phase:
                if state.revision > phase.seen.revision:
                    self.phase = replace(phase, seen=Seen.of(state, self._now))
""",
    ),
    Mistake(
        "the swap is against what was just read, not against the snapshot",
        """\
                if result.state.revision != phase.seen.revision:
                    self._watch(result.state)
                elif wished""",
        """\
                phase = replace(phase, seen=Seen.of(result.state, self._now))
                if wished""",
    ),
    Mistake(
        "a lease is valid from the answer, not from the question",
        "valid_until = request.sent + request.duration",
        "valid_until = self._now + request.duration",
    ),
    Mistake(
        "a challenger waits no longer than the owner trusts",
        "since + wait_out(record.duration)",
        "since + record.duration",
    ),
)


def mutant(mistake: Mistake) -> Machine:
    """The machine with this mistake."""
    timing = _namespace(lease_timing.__file__, mistake, {})
    machine = _namespace(
        lease.__file__, mistake, {name: timing[name] for name in ("challenge_at", "deadline", "wished")}
    )
    assert mistake.right in Path(lease.__file__).read_text() + Path(lease_timing.__file__).read_text()
    return Machine(machine["step"], timing["deadline"])


def _namespace(file: str, mistake: Mistake, instead: dict[str, Any]) -> dict[str, Any]:
    text = Path(file).read_text().replace(mistake.right, mistake.wrong)
    namespace: dict[str, Any] = {"__name__": f"mutant of {Path(file).stem}"}
    exec(compile(text, file, "exec"), namespace)
    namespace.update(instead)
    return namespace
