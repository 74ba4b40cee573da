"""Writes docs/rfc-coverage.md from the marks of the tests: which sections of which RFC are held by which tests.

A test says what it holds by `@pytest.mark.rfc("9568", "6.4.2", "priority zero")`: number, section, and in the sections
of DUTIES the duty. Marks are read from the text of the tests; nothing is run.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "rfc-coverage.md"

DUTIES: dict[tuple[str, str], dict[str, str]] = {
    ("9568", "6.4.1"): {
        "owner": "the owner of the addresses advertises, announces them and becomes Active",
        "other": "any other router takes its own interval and a full Active_Down_Interval and becomes Backup",
    },
    ("9568", "6.4.2"): {
        "no answer": "answers neither ARP requests nor neighbour solicitations for the addresses",
        "no router advertisement": "sends no router advertisements for the virtual router",
        "virtual MAC": "discards packets to the virtual router's MAC",
        "no accept": "accepts no packets to the addresses",
        "shutdown": "on Shutdown goes to Initialize",
        "timer": "when Active_Down_Timer fires: advertises, announces the addresses, becomes Active",
        "priority zero": "on priority zero sets Active_Down_Timer to Skew_Time",
        "equal or higher": "on a priority not lower, or when not preempting: learns the interval, restarts the timer",
        "lower": "on a lower priority when preempting: discards the advertisement",
    },
    ("9568", "6.4.3"): {
        "answer": "answers ARP requests and neighbour solicitations for the addresses",
        "router advertisement": "sends router advertisements for the virtual router",
        "forward": "forwards packets to the virtual router's MAC",
        "accept": "accepts packets to the addresses if it owns them or Accept_Mode is true",
        "shutdown": "on Shutdown advertises priority zero and goes to Initialize",
        "timer": "when Adver_Timer fires: advertises and restarts it",
        "priority zero": "on priority zero advertises at once and restarts Adver_Timer",
        "higher": "on a higher priority, or an equal one from a greater address: learns the interval, becomes Backup",
        "lower": "on any other: discards the advertisement and advertises at once",
    },
}
"""The duties of the sections that are followed sentence by sentence, in our words."""

NOT_OURS: dict[tuple[str, str, str], str] = {
    ("9568", "6.4.2", "no router advertisement"): "Yaoki sends no router advertisements",
    ("9568", "6.4.3", "router advertisement"): "Yaoki sends no router advertisements",
}
"""Duties that do not arise, with the reason."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """One mark: RFC number, section, duty ("" outside DUTIES), and the test that bears it."""

    number: str
    section: str
    duty: str
    file: str
    test: str


@cache
def marks() -> tuple[Mark, ...]:
    """Every `rfc` mark of every test function, in order."""
    found = [mark for path in sorted((ROOT / "tests").rglob("test_*.py")) for mark in _marks_of(path)]
    return tuple(sorted(found))


def _marks_of(path: Path) -> Iterator[Mark]:
    file, text = path.relative_to(ROOT).as_posix(), path.read_text()
    if "mark.rfc" not in text:
        return
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.rfc":
                number, section, *duty = (str(ast.literal_eval(argument)) for argument in decorator.args)
                yield Mark(number, section, "".join(duty), file, node.name)


def without_test(found: tuple[Mark, ...]) -> tuple[tuple[str, str, str], ...]:
    """The duties that arise here and that no test holds."""
    held = {(mark.number, mark.section, mark.duty) for mark in found}
    every = ((number, section, duty) for (number, section), duties in DUTIES.items() for duty in duties)
    return tuple(one for one in every if one not in held and one not in NOT_OURS)


def page() -> str:
    """The whole page."""
    found = marks()
    lines = [
        "# RFC coverage",
        "",
        "Written by `make docs` from the marks of the tests. What is not listed is not held by a test that says so.",
    ]
    for number in sorted({mark.number for mark in found}, key=int):
        lines += ["", f"## RFC {number}", "", "| section | tests |", "|---|---|"]
        by_section: dict[str, list[Mark]] = defaultdict(list)
        for mark in found:
            if mark.number == number:
                by_section[mark.section].append(mark)
        for section in sorted(by_section, key=_order):
            below = "duty by duty below; " if (number, section) in DUTIES else ""
            lines.append(
                f"| {section} | {below}{_tests([mark for mark in by_section[section] if not mark.duty])}".rstrip("; ")
                + " |"
            )
    for (number, section), duties in DUTIES.items():
        lines += ["", f"## RFC {number}, section {section}, duty by duty", "", "| duty | tests |", "|---|---|"]
        for duty, text in duties.items():
            tests = [mark for mark in found if (mark.number, mark.section, mark.duty) == (number, section, duty)]
            reason = NOT_OURS.get((number, section, duty))
            lines.append(f"| {text} | {reason or _tests(tests) or '**none**'} |")
    missing = without_test(found)
    lines += ["", "## Duties of RFC 9568, section 6.4, without a test", ""]
    lines += [f"* {section}: {DUTIES[number, section][duty]}" for number, section, duty in missing] or ["None."]
    return "\n".join(lines) + "\n"


def _order(section: str) -> tuple[tuple[int, str], ...]:
    return tuple((int(part), "") if part.isdigit() else (0, part) for part in section.split("."))


def _tests(found: list[Mark]) -> str:
    by_file: dict[str, list[str]] = defaultdict(list)
    for mark in found:
        if mark.test not in by_file[mark.file]:
            by_file[mark.file].append(mark.test)
    return "; ".join(
        f"[{file}](../{file}): {', '.join(f'`{test}`' for test in tests)}" for file, tests in by_file.items()
    )
