"""Take the balancer's program away from every interface of this network namespace, with all that it knows.

    python -m yaoki.linux.bpf.detach

What a power cut does; a lab's machine that is switched on again must not find what it had.
"""

from yaoki.linux.bpf import hooks
from yaoki.linux.bpf.drivers import Drivers
from yaoki.linux.bpf.hooks import PROGRAM


def detach_all() -> None:
    """Raises ActuatorError."""
    Drivers().leave()
    for interface in hooks.interfaces():
        for program in hooks.attached(interface):
            if program.name == PROGRAM:
                hooks.detach(program, interface)
            program.close()


if __name__ == "__main__":
    detach_all()
