"""How a real server is set up for direct return, as values: steps that a person copies, each with its reason.

Invariants: the lines of a step can be pasted into its shell as they are; a step of Shell.HAND is an instruction, its
lines are for another machine, and both are only ever shown as comments; what `setup` does, `undo` takes back.
"""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.lb.realserver.task import RealServerTask


class Shell(StrEnum):
    """Where the lines of a step are typed; `hand`: with the mouse."""

    SH = "sh"
    CMD = "cmd"
    POWERSHELL = "powershell"
    HAND = "hand"

    @property
    def comment(self) -> str:
        """What begins a line that this shell passes over."""
        return "rem" if self is Shell.CMD else "#"


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it does and why, and its lines."""

    what: str
    lines: tuple[str, ...]
    shell: Shell = Shell.SH


@dataclass(frozen=True, slots=True)
class Way:
    """Another way to the same end, in place of some of the steps."""

    what: str
    lines: tuple[str, ...]
    undo: tuple[str, ...]
    shell: Shell = Shell.SH


@dataclass(frozen=True, slots=True)
class Procedure:
    """All of it. `confirm` shows on the server, and from a neighbour, that it is right; `notes` are what to know.
    `undo_shared` is for what other services of the server need as well, once these are undone."""

    task: RealServerTask
    setup: tuple[Step, ...]
    confirm: tuple[Step, ...]
    undo: tuple[Step, ...]
    undo_shared: tuple[Step, ...] = ()
    ways: tuple[Way, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def shell(self) -> Shell:
        """The shell that the commands are for."""
        return next((step.shell for step in self.setup if step.shell is not Shell.HAND), Shell.HAND)


def listening_note(task: RealServerTask) -> str:
    """What holds whatever the server runs (requirement D-23)."""
    own = " and ".join(map(str, task.own))
    vips = " and ".join(str(vip.ip) for vip in task.vips)
    return (
        f"The service itself must listen on {task.protocol.value}/{task.port} of {vips} as well as of {own}: requests "
        "go to the VIP, health checks to the server's own address. A server that listens on every address does."
    )


def asked_beside(task: RealServerTask) -> Step:
    """What shows on another machine that the server keeps quiet (requirement D-26)."""
    node, interface = task.neighbour
    lines = tuple(
        f"arping -c 3 -I {interface} {vip.ip}" if vip.version == 4 else f"ndisc6 -m {vip.ip} {interface}"
        for vip in task.vips
    )
    return Step(f"On {node}, not here: this server's MAC does not answer.", lines, Shell.HAND)
