"""Windows Server 2008 and 2008 R2: the VIP on a loopback adapter, and three interfaces' ends made weak.

The strong host model holds for both IP versions: a packet is taken only for an address of the interface where it
arrives, and leaves only by the interface that has its source. The real interface must receive weakly, the adapter
receive and send weakly.
"""

from yaoki.lb.realserver import netsh
from yaoki.lb.realserver.procedure import Procedure, Shell, Step
from yaoki.lb.realserver.task import RealServerTask


def procedure(task: RealServerTask) -> Procedure:
    """Windows Server 2008 and 2008 R2."""
    setup = [
        Step(
            "Note what holds now: Weak Host Receives. The undo is right where this says disabled.",
            tuple(f'netsh interface ipv{version} show interface "{task.interface}"' for version in task.versions),
            Shell.CMD,
        ),
        Step(
            "Add the adapter: hdwwiz; select from a list; Network adapters; Microsoft; Microsoft Loopback Adapter. "
            f'Then rename the new connection to "{task.loopback}", if it is called otherwise.',
            ("hdwwiz",),
            Shell.CMD,
        ),
        Step(
            "Take packets for the VIP on the real interface, and answer through it.",
            tuple(line for version in task.versions for line in _weak(task, version)),
            Shell.CMD,
        ),
        Step(
            "The adapter is the last choice of any route, and asks nobody for its addresses.",
            tuple(
                f'netsh interface ipv{version} set interface "{task.loopback}" metric={netsh.METRIC} dadtransmits=0'
                for version in task.versions
            ),
            Shell.CMD,
        ),
    ]
    if task.of_version(4):
        setup += [
            netsh.addresses(task, task.of_version(4), "ipv4", lambda vip: f"address={vip.ip} mask=255.255.255.255"),
            Step(
                "Nobody shall find the server under the VIP in DNS.",
                (
                    f'netsh interface ipv4 set dnsservers name="{task.loopback}" source=static address=none '
                    "register=none validate=no",
                ),
                Shell.CMD,
            ),
        ]
    if task.of_version(6):
        lines = tuple(f'netsh interface ipv6 add address "{task.loopback}" {vip.ip}/128' for vip in task.of_version(6))
        setup.append(Step("The VIP, as one address and no prefix.", lines, Shell.CMD))
    local = ",".join(str(vip.ip) for vip in task.vips)
    rule = f'name="yaoki {task.service}"'
    opened = (
        f"netsh advfirewall firewall add rule {rule} dir=in action=allow "
        f"protocol={task.protocol.value} localport={task.port} localip={local}"
    )
    setup.append(Step("The firewall lets requests to the VIP in.", (opened,), Shell.CMD))
    undo = [Step("The firewall as it was.", (f"netsh advfirewall firewall delete rule {rule}",), Shell.CMD)]
    gone = tuple(f'netsh interface ipv{vip.version} delete address "{task.loopback}" {vip.ip}' for vip in task.given_up)
    if gone:
        undo.append(Step("The VIP leaves the adapter.", gone, Shell.CMD))
    strong = tuple(
        f'netsh interface ipv{version} set interface "{task.interface}" weakhostreceive=disabled'
        for version in task.versions
    )
    last = (Step("The real interface as it was.", strong, Shell.CMD), netsh.uninstalled(task))
    shared = last if task.others else ()
    undo += () if task.others else last
    return Procedure(task, tuple(setup), netsh.confirm(task), tuple(undo), shared, notes=tuple(netsh.notes(task)))


def _weak(task: RealServerTask, version: int) -> tuple[str, ...]:
    set_ = f"netsh interface ipv{version} set interface"
    return (
        f'{set_} "{task.interface}" weakhostreceive=enabled',
        f'{set_} "{task.loopback}" weakhostreceive=enabled',
        f'{set_} "{task.loopback}" weakhostsend=enabled',
    )
