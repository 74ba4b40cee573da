"""A typed line as a diagnosis of the table with its values; whatever is not one is refused."""

from collections.abc import Sequence
from dataclasses import dataclass

from yaoki.core.error import UsageError
from yaoki.runtime.diagnosis.operands import Value
from yaoki.runtime.diagnosis.programs import Result, Tell
from yaoki.runtime.diagnosis.table import DIAGNOSES, Diagnosis

MAX_LINE = 2048


@dataclass(frozen=True, slots=True)
class Asked:
    """A diagnosis that may be made."""

    diagnosis: Diagnosis
    values: list[Value | None]
    text: str
    """As it is recorded: the table's name and the words behind it."""

    def make(self, tell: Tell) -> Result:
        """Make it."""
        return self.diagnosis.make(self.values, tell)


def read(words: Sequence[str]) -> Asked:
    """Raises UsageError, with what may be typed."""
    if sum(map(len, words)) + len(words) > MAX_LINE:
        raise UsageError(f"longer than {MAX_LINE} characters")
    name, *typed = words
    diagnosis = _named(name)
    operands = diagnosis.operands
    least = sum(not operand.optional for operand in operands)
    if not least <= len(typed) <= len(operands):
        raise UsageError(f"usage: {diagnosis.usage}")
    values = [operand.default for operand in operands]
    for number, (operand, word) in enumerate(zip(operands, typed, strict=False)):
        try:
            values[number] = operand.read(word)
        except ValueError as error:
            raise UsageError(f"{shown(word)} is not {error}; usage: {diagnosis.usage}") from None
    return Asked(diagnosis, values, " ".join((diagnosis.name, *typed)))


def _named(name: str) -> Diagnosis:
    """By its name or an unambiguous beginning of it."""
    found = [each for each in DIAGNOSES if each.name.startswith(name)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(each.name for each in found or DIAGNOSES)
    raise UsageError(f"{shown(name)} is no diagnosis; {'could be' if found else 'there are'}: {known}")


def shown(text: str) -> str:
    """A typed word that can be repeated to anybody."""
    return ascii(text[:80]) + ("..." if len(text) > 80 else "")
