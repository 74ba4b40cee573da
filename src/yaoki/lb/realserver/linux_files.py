"""What brings the set-up back when a Linux server starts again: ifupdown on Debian, a systemd unit on RHEL."""

from yaoki.lb.realserver.linux_commands import add, delete
from yaoki.lb.realserver.linux_tunnel import make
from yaoki.lb.realserver.task import OperatingSystem, RealServerTask

SYSCTL_FILE = "/etc/sysctl.d/60-yaoki-realserver.conf"
_SYSCTL_TEXT = """\
# No ARP for VIPs on the loopback, and none in the name of one: `yaoki realserver setup`.
net.ipv4.conf.all.arp_ignore = 1
net.ipv4.conf.all.arp_announce = 2
"""


def files(task: RealServerTask) -> tuple[tuple[str, str], ...]:
    """Paths and their texts."""
    quiet = ((SYSCTL_FILE, _SYSCTL_TEXT),) if task.of_version(4) else ()
    match task.os:
        case OperatingSystem.DEBIAN:
            return (*quiet, (f"/etc/network/interfaces.d/yaoki-{task.service}", _ifupdown(task)))
        case OperatingSystem.RHEL:
            return (*quiet, (f"/etc/systemd/system/{_unit_name(task)}", _unit(task)))
        case _:
            return ()


def links(task: RealServerTask) -> tuple[tuple[str, str], ...]:
    """Paths and what they point to."""
    if task.os is not OperatingSystem.RHEL:
        return ()
    unit = _unit_name(task)
    return ((f"/etc/systemd/system/multi-user.target.wants/{unit}", f"/etc/systemd/system/{unit}"),)


def _unit_name(task: RealServerTask) -> str:
    return f"yaoki-realserver-{task.service}.service"


def _tunnel(task: RealServerTask) -> tuple[str, ...]:
    """Another service may have made its end already, and may need it still when this one is taken down."""
    if task.tunnel is None:
        return ()
    return tuple(line for version in task.versions for line in make(task, version))


def _ifupdown(task: RealServerTask) -> str:
    """A further stanza of lo; interfaces(5) has all stanzas of an interface apply."""
    lines = [
        f"# The VIP of the service {task.service}, for direct return: `yaoki realserver setup`.",
        "iface lo inet manual",
        *(f"    up {add(vip)}" for vip in task.vips),
        *(f"    up {line} || true" for line in _tunnel(task)),
        *(f"    down {delete(vip)} || true" for vip in task.given_up),
    ]
    return "\n".join(lines) + "\n"


def _unit(task: RealServerTask) -> str:
    lines = [
        f"# The VIP of the service {task.service}, for direct return: `yaoki realserver setup`.",
        "[Unit]",
        f"Description=VIP of the service {task.service} on the loopback",
        "After=systemd-sysctl.service network-pre.target",
        "Before=network.target",
        "Wants=network-pre.target",
        "",
        "[Service]",
        "Type=oneshot",
        "RemainAfterExit=yes",
        *(f"ExecStart=/usr/sbin/{add(vip)}" for vip in task.vips),
        *(f"ExecStart=-/usr/sbin/{line}" for line in _tunnel(task)),
        *(f"ExecStop=-/usr/sbin/{delete(vip)}" for vip in task.given_up),
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    return "\n".join(lines) + "\n"
