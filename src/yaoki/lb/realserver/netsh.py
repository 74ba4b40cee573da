"""What the Windows procedures have in common.

The names of interfaces are the operator's own and in any language; what a command prompt could take for something else
is refused in the site file.
"""

from collections.abc import Callable, Iterable

from yaoki.core.address import IPInterface
from yaoki.lb.realserver.procedure import Shell, Step, asked_beside, listening_note
from yaoki.lb.realserver.task import RealServerTask

METRIC = 254
"""The last choice of any route."""


def addresses(
    task: RealServerTask, vips: tuple[IPInterface, ...], context: str, form: Callable[[IPInterface], str]
) -> Step:
    """The VIPs of IPv4 on the adapter. The first address of an adapter is set, which ends DHCP; further ones are
    added."""
    lines = []
    for number, vip in enumerate(vips):
        verb, source = ("add", "") if number or task.after else ("set", " source=static")
        lines.append(f'netsh interface {context} {verb} address name="{task.loopback}"{source} {form(vip)}')
    return Step("The VIP on the adapter, without a gateway.", tuple(lines), Shell.CMD)


def confirm(task: RealServerTask) -> tuple[Step, ...]:
    """How to see that it is right."""
    listening = f'netstat -an | findstr /c:":{task.port} "'
    return (
        Step(f'The VIP is on "{task.loopback}" and nowhere else.', ("ipconfig /all",), Shell.CMD),
        Step("The service listens on the VIP, or on every address.", (listening,), Shell.CMD),
        asked_beside(task),
    )


def uninstalled(task: RealServerTask) -> Step:
    """The adapter goes with the last service."""
    return Step(
        f'Remove the adapter "{task.loopback}", with all that is on it: Device Manager, Network adapters, Uninstall.',
        ("devmgmt.msc",),
        Shell.CMD,
    )


def notes(task: RealServerTask) -> Iterable[str]:
    """What to know."""
    yield listening_note(task)
    if task.after:
        yield f"Set up {task.after[0]} first: its VIP is the first address of the adapter."
