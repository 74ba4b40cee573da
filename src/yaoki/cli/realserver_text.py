"""A procedure as a person reads and pastes it: commands at the beginning of the line, everything else as comments."""

import textwrap
from collections.abc import Iterable

from yaoki.lb.realserver import Procedure, Shell, Step

_WIDTH = 100


def text(procedure: Procedure) -> str:
    """The whole of it."""
    task, mark = procedure.task, procedure.shell.comment
    vips = ", ".join(str(vip.ip) for vip in task.vips)
    lines = [*_comment(f"{task.service} on {task.server} ({task.os.value}) by direct return: {vips}", mark)]
    lines += _comment("Copy what stands below; run it as root or administrator, one part at a time.", mark)
    for note in procedure.notes:
        lines += ["", *_comment(note, mark)]
    for title, steps in (
        ("Set up", procedure.setup),
        ("Look whether it is right", procedure.confirm),
        ("Undo", procedure.undo),
        (f"Undo, once {', '.join(task.others)} is undone as well", procedure.undo_shared),
    ):
        if not steps:
            continue
        lines += ["", f"{mark} --- {title} ---", *_steps(steps, mark)]
    for way in procedure.ways:
        lines += ["", f"{mark} --- Another way ---", *_comment(way.what, mark), *way.lines]
        lines += [f"{mark} Undo of it:", *way.undo]
    return "\n".join(lines) + "\n"


def _steps(steps: Iterable[Step], mark: str) -> Iterable[str]:
    for number, step in enumerate(steps, start=1):
        yield ""
        yield from _comment(f"{number}. {step.what}", mark)
        by_hand = step.shell is Shell.HAND
        yield from (f"{mark}    {line}" if by_hand else line for line in step.lines)


def _comment(sentence: str, mark: str) -> list[str]:
    return [
        f"{mark} {line}" for line in textwrap.wrap(sentence, _WIDTH, break_long_words=False, break_on_hyphens=False)
    ]
