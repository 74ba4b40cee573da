"""Where the program is in the driver, too: in front of the tcx hook, by XDP, at the interfaces that are asked for.

Both have the same maps. What the one in the driver passes on comes to the one at tcx as ever: frames under a MAC that
the interface did not have when its services were written, frames whose headers are not in one piece. So neither
attaching it nor taking it away moves a flow, and where it cannot be, or somebody takes it away, tcx forwards all.

Invariants: of an interface that refuses, the reason is kept; a program of somebody else's stays where it is.
"""

import errno
import time
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf import hooks, xdp
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.bpf.installation import Installation
from yaoki.linux.bpf.program import Program

AGAIN_AFTER_S = 60.0
"""A driver that refused is asked again after this at the earliest: a card may pause for each try."""

_LONG_AGO = float("-inf")


@dataclass(frozen=True, slots=True)
class _Refusal:
    why: str
    at: float


class Drivers:
    """Of the interfaces in this network namespace, for one plane. Methods raise ActuatorError."""

    def __init__(self) -> None:
        self._attached: set[str] | None = None
        self._refusals: dict[str, _Refusal] = {}

    @property
    def attached(self) -> Set[str]:
        """Names of interfaces where the program is in the driver; the kernel is asked the first time."""
        if self._attached is None:
            self._attached = set(_names_of_ours())
        return self._attached

    @property
    def refusals(self) -> Mapping[str, str]:
        """Why it is not, where it is wanted."""
        return {name: refusal.why for name, refusal in self._refusals.items()}

    def bring(self, wanted: Set[str], installed: Installation | None) -> None:
        """Have it in the drivers of these interfaces and in no other. It must be at their tcx hooks already."""
        wanted = wanted if installed is not None else frozenset()
        for name in list(self._refusals):
            if name not in wanted:
                del self._refusals[name]
        touched = sorted(wanted | self.attached)
        self._attached = set()
        present = {interface.name: interface for interface in hooks.interfaces()} if touched else {}
        for name in touched:
            if name not in present:
                continue
            if name not in wanted:
                _take_away(present[name])
            elif installed is not None and self._put(present[name], installed):
                self._attached.add(name)
                self._refusals.pop(name, None)

    def leave(self) -> None:
        """Take it out of all drivers, those of other versions, too."""
        for interface, program in xdp.ours():
            xdp.detach(program, interface)
            program.close()
        self._attached = set()
        self._refusals.clear()

    def _put(self, interface: Interface, installed: Installation) -> bool:
        """Whether it is there now."""
        try:
            return self._is_put(interface, installed)
        except ActuatorError as error:
            self._refusals[interface.name] = _Refusal(str(error), time.monotonic())
            return False

    def _is_put(self, interface: Interface, installed: Installation) -> bool:
        found = xdp.program_at(xdp.look(interface))
        if found is None:
            last = self._refusals.get(interface.name)
            if last is not None and time.monotonic() - last.at < AGAIN_AFTER_S:
                return False
            xdp.attach(installed.for_driver(), interface)
            return True
        try:
            if found.name != xdp.PROGRAM:
                self._refusals[interface.name] = _Refusal(stranger(found), _LONG_AGO)
                return False
            if not installed.adopts(found):
                xdp.replace(installed.for_driver(), interface, old=found)
            return True
        finally:
            found.close()


def stranger(program: Program) -> str:
    """What to say of somebody else's program that is where ours would be."""
    return f"the program {program.name} (number {hooks.number_of(program)}) is there, and is none of Yaoki's"


def _take_away(interface: Interface) -> None:
    try:
        found = xdp.program_at(xdp.look(interface))
    except ActuatorError as error:
        if error.errno != errno.ENODEV:
            raise
        return
    if found is None:
        return
    if found.name == xdp.PROGRAM:
        xdp.detach(found, interface)
    found.close()


def _names_of_ours() -> Iterator[str]:
    for interface, program in xdp.ours():
        program.close()
        yield interface.name
