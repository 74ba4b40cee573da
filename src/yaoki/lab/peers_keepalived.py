"""keepalived in the place of Yaoki on the nodes of a lab, so that one harness measures both.

It is given the same VIPs, priorities and intervals; services are not rendered (its balancer is IPVS), so this is for
sites of VIPs only. Everything else is keepalived's own default.
"""

import signal
import subprocess
from pathlib import Path

from yaoki.core.address import Family
from yaoki.core.error import UsageError
from yaoki.lab import namespaces
from yaoki.lab.events import LabEvent
from yaoki.lab.lab import Lab
from yaoki.lab.software import Part
from yaoki.site.model import Site, Vip, VipMember
from yaoki.vrrp.params import Failback


class Keepalived:
    """Runs keepalived on the nodes of a lab. Raises UsageError for a site with services."""

    name = "keepalived"
    reconfigures = False

    def __init__(self, lab: Lab) -> None:
        if lab.site.services:
            raise UsageError(f"keepalived plays VIPs only here; the site {lab.site.name} has services")
        self._lab = lab
        self._main: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, node: str) -> None:
        directory = self._lab.machine_directory(node)
        (directory / "keepalived.conf").write_text(configuration(self._lab.site, node))
        command = ["keepalived", "-f", str(directory / "keepalived.conf"), "-n", "-l", "-D", "-P"]
        command += ["-p", str(directory / "keepalived.pid"), "-r", str(directory / "vrrp.pid")]
        self._main[node] = self._lab.start_process(node, command, log="keepalived.log")

    def stop(self, node: str) -> None:
        namespaces.send_signal(self.processes(node, Part.MAIN), signal.SIGTERM)

    def restart(self, node: str) -> None:
        raise UsageError(f"keepalived on {node} is not restarted in a rehearsal")

    def apply(self, node: str, file: Path) -> None:
        raise UsageError(f"keepalived on {node} is not given {file} in a rehearsal")

    def processes(self, node: str, part: Part) -> tuple[int, ...]:
        found = namespaces.processes([self._lab.namespace(node)])
        ours = tuple(pid for pid in found if namespaces.command_line(pid)[:1] == ("keepalived",))
        main = self._main[node].pid if node in self._main else None
        match part:
            case Part.ALL:
                return ours
            case Part.MAIN:
                return tuple(pid for pid in ours if pid == main)
            case Part.SPEAKER:
                return tuple(pid for pid in ours if pid != main)

    def forget(self, node: str) -> None:
        namespaces.end_all_of(self.processes(node, Part.ALL))
        self._lab.reap()
        for name in ("keepalived.pid", "vrrp.pid"):
            (self._lab.machine_directory(node) / name).unlink(missing_ok=True)

    def missing(self, node: str) -> str | None:
        return None if self.processes(node, Part.SPEAKER) else "it does not run"

    def events(self, node: str, since_us: int) -> tuple[LabEvent, ...]:
        """None: what it does shows on the wire only."""
        _ = node, since_us
        return ()


def configuration(site: Site, node: str) -> str:
    """keepalived.conf of one node: one instance per VIP and family."""
    blocks = [f"global_defs {{\n  router_id {node}\n  vrrp_version 3\n}}\n"]
    for vip in site.vips:
        member = next((m for m in vip.members if m.node == node), None)
        if member is not None:
            blocks += [_instance(site, vip, member, family) for family in Family if _has(vip, family)]
    return "\n".join(blocks)


def _has(vip: Vip, family: Family) -> bool:
    return any(Family.of(address) is family for address in vip.addresses)


def _instance(site: Site, vip: Vip, member: VipMember, family: Family) -> str:
    interface = site.machine(member.node).on_network(vip.network)
    assert interface is not None, "the loader has checked that members are on the VIP's network"
    addresses = "\n".join(f"    {a} dev {interface.name}" for a in vip.addresses if Family.of(a) is family)
    nopreempt = "" if vip.failback is Failback.PREFER else "  nopreempt\n"
    return f"""\
vrrp_instance {vip.name}-{family.value} {{
  state BACKUP
  interface {interface.name}
  virtual_router_id {vip.vrid}
  priority {member.priority}
  advert_int {vip.advertise.total_seconds():g}
{nopreempt}\
  virtual_ipaddress {{
{addresses}
  }}
}}
"""
