"""The real server's side of direct return: what has to be set up on a server, as steps and as changes.

Invariants: a procedure is a function of its task alone; what --apply changes on Linux (`changes`) and what a person
types (`procedure`) come to the same.
"""

from collections.abc import Callable, Mapping

from yaoki.lb.realserver import freebsd, linux, windows, windows_2003, windows_2008
from yaoki.lb.realserver.linux import changes, refusals
from yaoki.lb.realserver.procedure import Procedure, Shell, Step, Way
from yaoki.lb.realserver.task import OperatingSystem, RealServerTask

PROCEDURES: Mapping[OperatingSystem, Callable[[RealServerTask], Procedure]] = {
    OperatingSystem.LINUX: linux.procedure,
    OperatingSystem.DEBIAN: linux.procedure,
    OperatingSystem.RHEL: linux.procedure,
    OperatingSystem.FREEBSD: freebsd.procedure,
    OperatingSystem.WINDOWS_2003: windows_2003.procedure,
    OperatingSystem.WINDOWS_2008: windows_2008.procedure,
    OperatingSystem.WINDOWS: windows.procedure,
}

__all__ = [
    "PROCEDURES",
    "OperatingSystem",
    "Procedure",
    "RealServerTask",
    "Shell",
    "Step",
    "Way",
    "changes",
    "refusals",
]
