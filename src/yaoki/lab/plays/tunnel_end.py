"""The end of a tunnel on a host of the lab: `python -m yaoki.lab.plays.tunnel_end [PORT ...]` in its namespace.

Servers have the kernel's own devices for it (`yaoki realserver setup`); the kernel that a lab runs on may be without.
The program stays at the interfaces when the process has ended, and goes with them.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from yaoki.linux.bpf import hooks
from yaoki.linux.bpf.build import object_file
from yaoki.linux.bpf.object import load

PROGRAM = "tunnel_end"


def open_end(ports: Iterable[int]) -> None:
    """Take packets out of others at every interface but the loopback. Raises ActuatorError, CannotBuild."""
    loaded = load(object_file(PROGRAM, Path(__file__).parent))
    try:
        for port in ports:
            loaded.maps["ports"].update(port.to_bytes(2, "big"), b"\1")
        for interface in hooks.interfaces():
            if interface.name != "lo":
                hooks.attach(loaded.programs[PROGRAM], interface)
    finally:
        loaded.close()


if __name__ == "__main__":
    open_end(int(port) for port in sys.argv[1:])
