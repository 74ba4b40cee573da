"""The end of a tunnel on a Linux server: a device that takes packets out of others, for GUE a UDP port in front of it.

A device of our own, not tunl0: it takes what comes to the server's own address only, and is taken away again without a
trace. It needs rp_filter 2 (loose), since what comes out of it comes from clients, whose way back is another interface;
the larger of this and conf/all counts (Documentation/networking/ip-sysctl.rst), so nothing else has to be changed. A
loose filter lets nothing pass at an interface without an address (net/ipv4/fib_frontend.c, __fib_validate_source): the
device has the server's own once more, for itself alone. IPv6 knows no such filter.
"""

from collections.abc import Iterable

from yaoki.lb.realserver.places import THERE, Change, Place, PlaceKind
from yaoki.lb.realserver.procedure import Step
from yaoki.lb.realserver.task import RealServerTask
from yaoki.lb.service import Encapsulation

DEVICES = {4: "yk-ipip", 6: "yk-ip6ip6"}
"""By the IP version that comes out of them."""
KINDS = {4: "ipip", 6: "ip6tnl mode ip6ip6"}
_PROTOCOLS = {4: "protocol 4 (IPv4 in IPv4)", 6: "protocol 41 (IPv6 in IPv6)"}


def tunnel_changes(task: RealServerTask) -> Iterable[Change]:
    """What --apply brings about, in this order; none without a tunnel."""
    if task.tunnel is None:
        return
    for version in task.versions:
        yield Change(Place(PlaceKind.DEVICE, DEVICES[version]), str(task.own_of(version)))
        if task.tunnel.encapsulation is Encapsulation.GUE:
            yield Change(Place(PlaceKind.PORT, port_name(task.tunnel.port, version)), THERE)


def port_name(port: int, version: int) -> str:
    """As a place is called."""
    return f"{port} ipv{version}"


def make(task: RealServerTask, version: int) -> tuple[str, ...]:
    """The commands for one IP version."""
    name = DEVICES[version]
    lines = [f"ip link add {name} type {KINDS[version]} local {task.own_of(version)}"]
    if version == 4:
        lines.append(f"ip address add {task.own_of(4)}/32 dev {name} scope host")
        lines.append(f"sysctl -w net.ipv4.conf.{name}.rp_filter=2")
    lines.append(f"ip link set {name} up")
    if task.tunnel is not None and task.tunnel.encapsulation is Encapsulation.GUE:
        lines += ["modprobe fou", f"ip {_family(version)}fou add port {task.tunnel.port} gue"]
    return tuple(lines)


def unmake(task: RealServerTask, version: int) -> tuple[str, ...]:
    """The commands that take it back."""
    lines = []
    if task.tunnel is not None and task.tunnel.encapsulation is Encapsulation.GUE:
        lines.append(f"ip {_family(version)}fou del port {task.tunnel.port}")
    return (*lines, f"ip link del {DEVICES[version]}")


def tunnel_setup(task: RealServerTask) -> Iterable[Step]:
    """The steps that make it."""
    if task.tunnel is None:
        return
    for version in task.versions:
        own = task.own_of(version)
        what = f"The end of the tunnel, IPv{version}: what comes to {own} in other packets is taken out."
        if task.tunnel_kept:
            what += " What another service has set up already is refused, and needs no second time."
        yield Step(what, make(task, version))


def tunnel_confirm(task: RealServerTask) -> Iterable[Step]:
    """What shows that it is right."""
    if task.tunnel is None:
        return
    lines = [f"ip -d link show {DEVICES[version]}" for version in task.versions]
    if task.tunnel.encapsulation is Encapsulation.GUE:
        lines.append("ip fou show")
    yield Step("The end of the tunnel is there and up. Under load its RX packets grow: ip -s link show.", tuple(lines))


def tunnel_undo(task: RealServerTask) -> Iterable[Step]:
    """The steps that take it back."""
    if task.tunnel is not None:
        lines = tuple(line for version in task.versions for line in unmake(task, version))
        yield Step("The end of the tunnel goes.", lines)


def tunnel_notes(task: RealServerTask) -> Iterable[str]:
    """What to know of it."""
    if task.tunnel is None:
        return
    if task.tunnel.encapsulation is Encapsulation.GUE:
        what = f"udp/{task.tunnel.port}"
    else:
        what = " and ".join(_PROTOCOLS[version] for version in task.versions)
    balancers = ", ".join(map(str, task.balancers))
    yield (
        f"Let {what} in from the balancers only ({balancers}): whoever may send it can send this server packets in "
        "anybody's name, past every filter before it."
    )


def _family(version: int) -> str:
    return "-6 " if version == 6 else ""
