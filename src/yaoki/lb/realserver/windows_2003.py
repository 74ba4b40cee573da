"""Windows 2000 and 2003: the VIP on a loopback adapter, which is on no wire and so answers no ARP there.

Their IPv4 is of the weak host model, so nothing else is needed; their IPv6 of the strong one, which cannot be changed.
"""

from yaoki.core.error import UsageError
from yaoki.lb.realserver import netsh
from yaoki.lb.realserver.procedure import Procedure, Shell, Step
from yaoki.lb.realserver.task import RealServerTask


def procedure(task: RealServerTask) -> Procedure:
    """Windows 2000 and 2003. Raises UsageError for a service that has IPv6 addresses only."""
    vips = task.of_version(4)
    if not vips:
        raise UsageError(
            f"{task.service} has IPv6 addresses only, and Windows 2003 takes packets for an IPv6 address on no other "
            "interface than its own: use nat or fullnat for this server"
        )
    name = f'name="{task.loopback}"'
    setup = [
        Step(
            "Add the adapter: Control Panel, Add Hardware; yes, the hardware is connected; Add a new hardware device; "
            "select from a list; Network adapters; Microsoft; Microsoft Loopback Adapter. "
            f'Then rename the new connection to "{task.loopback}", if it is called otherwise.',
            (),
            Shell.HAND,
        ),
        netsh.addresses(task, vips, "ip", lambda vip: f"addr={vip.ip} mask={vip.netmask}"),
        Step(
            "Nobody shall find the server under the VIP in DNS.",
            (f"netsh interface ip set dns {name} source=static addr=none register=none",),
            Shell.CMD,
        ),
        Step(
            f'Properties of "{task.loopback}": untick Client for Microsoft Networks and File and Printer Sharing. Then '
            f"Internet Protocol (TCP/IP), Advanced: untick Automatic metric and write {netsh.METRIC}. Else Windows may "
            "send what is for the network to the adapter, where it is lost. It has nothing to do with ARP.",
            (),
            Shell.HAND,
        ),
        Step(
            f"If Windows Firewall is on (as of SP1): let {task.protocol.value}/{task.port} in, by the adapter too.",
            (),
            Shell.HAND,
        ),
    ]
    gone = tuple(f"netsh interface ip delete address {name} addr={vip.ip}" for vip in vips if vip in task.given_up)
    leaves = (Step("The VIP leaves the adapter.", gone, Shell.CMD),) if gone else ()
    last = (netsh.uninstalled(task),)
    notes = list(netsh.notes(task))
    if task.of_version(6):
        left = ", ".join(str(vip.ip) for vip in task.of_version(6))
        notes.append(
            f"{left} cannot be served by direct return here: IPv6 of Windows 2003 knows the strong host model only."
        )
    undo, shared = (leaves, last) if task.others else (last, ())
    return Procedure(task, tuple(setup), netsh.confirm(task), undo, shared, notes=tuple(notes))
