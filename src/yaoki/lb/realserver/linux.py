"""Linux: the VIP on the loopback, and two parameters that keep it off the wire.

What decides (Documentation/networking/ip-sysctl.rst): of arp_ignore and arp_announce the larger of conf/all and
conf/INTERFACE counts, on the interface where a request arrives or a packet leaves. arp_ignore=1 on lo alone is
therefore without effect, arp_ignore=3 answers for the VIP again, and without arp_announce=2 the server's own ARP
requests name the VIP as their sender. IPv6 needs none of it: Linux answers a solicitation only for an address of the
interface where it arrives.
"""

from collections.abc import Iterable, Mapping

from yaoki.core.address import IPInterface
from yaoki.lb.realserver.linux_commands import add, alone, delete, here
from yaoki.lb.realserver.linux_files import SYSCTL_FILE, files, links
from yaoki.lb.realserver.linux_tunnel import tunnel_changes, tunnel_confirm, tunnel_notes, tunnel_setup, tunnel_undo
from yaoki.lb.realserver.linux_ways import ways
from yaoki.lb.realserver.places import THERE, Change, Place, PlaceKind
from yaoki.lb.realserver.procedure import Procedure, Step, asked_beside, listening_note
from yaoki.lb.realserver.task import OperatingSystem, RealServerTask

_ALL = "net/ipv4/conf/all"
_QUIET_VALUES = ("1", "2", "8")
"""Values of arp_ignore under which an address of the loopback is not answered for on another interface."""
_BEFORE = "/var/lib/yaoki/realserver.before"


def changes(task: RealServerTask) -> tuple[Change, ...]:
    """What --apply brings about, in this order: quiet first, then the addresses, then the tunnel, then what a
    restart needs."""
    return (
        *_sysctls(task),
        *(Change(Place(PlaceKind.ADDRESS, alone(vip)), THERE) for vip in task.vips),
        *tunnel_changes(task),
        *(Change(Place(PlaceKind.FILE, path), text) for path, text in files(task)),
        *(Change(Place(PlaceKind.LINK, path), target) for path, target in links(task)),
    )


def refusals(
    task: RealServerTask, addresses: Iterable[tuple[str, IPInterface]], arp_ignore: Mapping[str, str]
) -> tuple[str, ...]:
    """Why nothing should be changed on this machine. `addresses`: every one with its interface; `arp_ignore`: that of
    every interface."""
    held = tuple(addresses)
    found = []
    if not {address.ip for _, address in held} & set(task.own):
        own = ", ".join(map(str, task.own))
        found.append(f"this machine is not {task.server}: it has no address of it ({own})")
    for interface, address in held:
        if address.ip not in {vip.ip for vip in task.vips}:
            continue
        if interface != "lo":
            found.append(
                f"{address} is on {interface}, where the server answers for it: take it away first "
                f"(ip address del {address} dev {interface})"
            )
        elif address.network.prefixlen != address.max_prefixlen:
            found.append(
                f"{address} is on lo, which makes the whole prefix local: take it away first "
                f"(ip address del {address} dev lo)"
            )
    if task.of_version(4):
        for interface, value in sorted(arp_ignore.items()):
            if value not in ("0", *_QUIET_VALUES):
                name = f"net/ipv4/conf/{interface}/arp_ignore"
                found.append(f"{name} is {value}, under which the VIP is answered for: set it to 0 or 1")
    return tuple(found)


def procedure(task: RealServerTask) -> Procedure:
    """The steps as a person types them."""
    return Procedure(
        task, _setup(task), _confirm(task), _undo(task), _undo_shared(task), tuple(ways(task)), tuple(_notes(task))
    )


def _sysctls(task: RealServerTask) -> tuple[Change, ...]:
    if not task.of_version(4):
        return ()
    return (
        Change(Place(PlaceKind.SYSCTL, f"{_ALL}/arp_ignore"), "1", _QUIET_VALUES),
        Change(Place(PlaceKind.SYSCTL, f"{_ALL}/arp_announce"), "2"),
    )


def _setup(task: RealServerTask) -> tuple[Step, ...]:
    looks = tuple(f"ip address show to {vip.ip}" for vip in task.vips)
    steps = [Step("Look: these print nothing yet. A VIP on any other interface than lo must go first.", looks)]
    if task.of_version(4):
        note = f"test -e {_BEFORE} || sysctl net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce > {_BEFORE}"
        steps += [
            Step("Note what holds now; the undo reads it.", ("install -d -m 0700 /var/lib/yaoki", note)),
            Step(
                "Answer no ARP for the VIP, and never name it as the sender of one. On lo alone this would do nothing.",
                ("sysctl -w net.ipv4.conf.all.arp_ignore=1", "sysctl -w net.ipv4.conf.all.arp_announce=2"),
            ),
        ]
    steps.append(Step("The VIP on the loopback, as one address and no prefix.", tuple(map(add, task.vips))))
    steps += tunnel_setup(task)
    for path, text in files(task):
        steps.append(Step(f"The same after a restart: {path}", here(path, text)))
    for path, target in links(task):
        steps.append(Step("Have it started with the machine.", (f"ln -sf {target} {path}", "systemctl daemon-reload")))
    return tuple(steps)


def _confirm(task: RealServerTask) -> tuple[Step, ...]:
    steps = [
        Step(
            "Packets to the VIP are the server's own: each of these begins with local.",
            tuple(f"ip route get {vip.ip}" for vip in task.vips),
        ),
        Step(
            "The service listens on the VIP, or on every address.",
            (f"ss -Hln{'t' if task.protocol.value == 'tcp' else 'u'} sport = :{task.port}",),
        ),
    ]
    if task.of_version(4):
        steps.append(
            Step(
                "None of these prints 3 to 7: the larger of an interface's own value and that of all counts.",
                ("grep . /proc/sys/net/ipv4/conf/*/arp_ignore",),
            )
        )
    steps += tunnel_confirm(task) if task.tunnel is not None else (asked_beside(task),)
    return tuple(steps)


def _undo(task: RealServerTask) -> tuple[Step, ...]:
    steps = [Step("No more with the machine.", (f"rm -f {path}",)) for path, _ in links(task)]
    own = [f"rm -f {path}" for path, _ in files(task) if path != SYSCTL_FILE]
    if own:
        again = ("systemctl daemon-reload",) if links(task) else ()
        steps.append(Step("What a restart would bring back.", (*own, *again)))
    if not task.tunnel_kept:
        steps += tunnel_undo(task)
    if task.given_up:
        steps.append(Step("The VIP leaves the loopback.", tuple(map(delete, task.given_up))))
    return (*steps, *(() if task.others else _loud_again(task)))


def _undo_shared(task: RealServerTask) -> tuple[Step, ...]:
    steps = [*tunnel_undo(task)] if task.tunnel_kept else []
    if task.shared:
        steps.append(Step("The VIP leaves the loopback.", tuple(map(delete, task.shared))))
    return (*steps, *_loud_again(task)) if task.others else ()


def _loud_again(task: RealServerTask) -> tuple[Step, ...]:
    if not task.of_version(4):
        return ()
    kept = tuple(f"rm -f {path}" for path, _ in files(task) if path == SYSCTL_FILE)
    back = f"sysctl -p {_BEFORE} && rm -f {_BEFORE}"
    return (Step("The parameters are what they were.", (*kept, back)),)


def _notes(task: RealServerTask) -> Iterable[str]:
    yield listening_note(task)
    yield from tunnel_notes(task)
    if task.os is OperatingSystem.LINUX:
        yield "This lasts until the machine starts again; --os debian and --os rhel make it last."
    if task.os is OperatingSystem.DEBIAN:
        yield "/etc/network/interfaces must have a line `source /etc/network/interfaces.d/*`, as it has when installed."
    if task.of_version(4):
        yield (
            "An alias on an interface that is down, as old instructions have it (ifconfig eth0:1 VIP down), holds no "
            "address on Linux; and lo0:1 is lo:1 here."
        )
