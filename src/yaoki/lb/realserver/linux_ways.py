"""Other ways to the same end on Linux, historical and modern, for machines where the first one does not fit."""

from collections.abc import Iterable

from yaoki.core.address import IPAddress
from yaoki.lb.realserver.linux_commands import alone, here
from yaoki.lb.realserver.procedure import Way
from yaoki.lb.realserver.task import OperatingSystem, RealServerTask


def ways(task: RealServerTask) -> Iterable[Way]:
    """Those that there are for its VIPs and its operating system."""
    yield _ifconfig(task)
    if task.of_version(4):
        yield _nftables(task)
    if task.os is OperatingSystem.DEBIAN:
        yield _netplan(task)
    if task.os is OperatingSystem.RHEL:
        yield _network_manager(task)


def _ifconfig(task: RealServerTask) -> Way:
    do, undo = [], []
    for number, vip in enumerate(task.of_version(4), start=1):
        do.append(f"ifconfig lo:{number} {vip.ip} netmask 255.255.255.255 up")
        undo.append(f"ifconfig lo:{number} down")
    for vip in task.of_version(6):
        do.append(f"ifconfig lo inet6 add {alone(vip)}")
        undo.append(f"ifconfig lo inet6 del {alone(vip)}")
    what = "Historical, with net-tools, in place of ip address. A label that is in use (ifconfig -a) is overwritten."
    return Way(what, tuple(do), tuple(undo))


def _nftables(task: RealServerTask) -> Way:
    do = [
        "nft add table arp yaoki-realserver",
        "nft 'add chain arp yaoki-realserver in { type filter hook input priority 0; }'",
        "nft 'add chain arp yaoki-realserver out { type filter hook output priority 0; }'",
    ]
    own: IPAddress | None = next((address for address in task.own if address.version == 4), None)
    for vip in task.of_version(4):
        do.append(f"nft add rule arp yaoki-realserver in arp daddr ip {vip.ip} drop")
        if own is not None:
            do.append(f"nft add rule arp yaoki-realserver out arp saddr ip {vip.ip} arp saddr ip set {own}")
    what = "In place of the two parameters, where these must stay as they are: nftables, as arptables did it once."
    return Way(what, tuple(do), ("nft delete table arp yaoki-realserver",))


def _netplan(task: RealServerTask) -> Way:
    path = f"/etc/netplan/60-yaoki-{task.service}.yaml"
    vips = ", ".join(f'"{alone(vip)}"' for vip in task.vips)
    text = f"network:\n  version: 2\n  ethernets:\n    lo:\n      match: {{name: lo}}\n      addresses: [{vips}]\n"
    what = "In place of /etc/network/interfaces.d, on a machine that netplan configures."
    return Way(what, (*here(path, text), f"chmod 600 {path}", "netplan apply"), (f"rm -f {path}", "netplan apply"))


def _network_manager(task: RealServerTask) -> Way:
    do = [f"nmcli connection add type loopback con-name yaoki-{task.service} ifname lo autoconnect yes"]
    for version, loopback in ((4, "127.0.0.1/8"), (6, "::1/128")):
        vips = ",".join(alone(vip) for vip in task.of_version(version))
        if vips:
            do.append(
                f"nmcli connection modify yaoki-{task.service} ipv{version}.method manual "
                f"ipv{version}.addresses {loopback},{vips}"
            )
    do.append(f"nmcli connection up yaoki-{task.service}")
    undo = (f"nmcli connection delete yaoki-{task.service}",)
    return Way("In place of the unit, with NetworkManager 1.42 or later (RHEL 9.2).", tuple(do), undo)
