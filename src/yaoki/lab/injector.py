"""Breaks things in a lab and mends them: the only place that knows how.

Invariants: `mend` after `inject` brings back what the fault took, whatever happened between; the lab is then settling,
not settled. A machine without power forgets what its kernel was told, as after a boot.
"""

import json
import signal
import sys
from pathlib import Path
from typing import assert_never

from yaoki.lab import namespaces, site_variant
from yaoki.lab.build import addressing, set_sysctls
from yaoki.lab.fault import (
    BlackholeLink,
    CutLink,
    DrainServer,
    Fault,
    FlapLink,
    HangNode,
    KillNode,
    NetworkDown,
    Partition,
    PowerOff,
    PowerOffTogether,
    Reconfigure,
    RemoveServer,
    RestartNode,
    ServerTrouble,
    StopNode,
    Trouble,
)
from yaoki.lab.lab import Lab
from yaoki.lab.software import NodeSoftware, Part
from yaoki.lab.topology import Port

_FORWARDING = 3
_LISTENING = 1
"""A bridge port in this state passes no frame in either direction, and its carrier stays."""


class Injector:
    """Injects faults into one lab and mends them."""

    def __init__(self, lab: Lab, software: NodeSoftware) -> None:
        self._lab = lab
        self._software = software
        self._stopped: tuple[int, ...] = ()

    def inject(self, fault: Fault) -> None:
        """Break it now."""
        match fault:
            case StopNode(node):
                self._software.stop(node)
            case KillNode(node, part):
                namespaces.send_signal(self._software.processes(node, part), signal.SIGKILL)
            case HangNode(node, part):
                self._hang(self._software.processes(node, part))
            case RestartNode(node):
                self._software.restart(node)
            case PowerOff(machine):
                self._power_off((machine,))
            case PowerOffTogether(machines):
                self._power_off(machines)
            case CutLink() | FlapLink() | BlackholeLink() | Partition() | NetworkDown():
                self._cabling(fault, broken=True)
            case ServerTrouble(host, trouble):
                self._trouble(host, trouble)
            case Reconfigure() | DrainServer() | RemoveServer():
                self._apply(self._variant(fault))
            case _:
                assert_never(fault)

    def mend(self, fault: Fault) -> None:
        """Undo it."""
        match fault:
            case StopNode(node):
                self._software.forget(node)
                self._software.start(node)
            case KillNode(_, Part.SPEAKER):
                # Its node starts it again by itself.
                self._lab.reap()
            case KillNode(node):
                self._software.forget(node)
                self._software.start(node)
            case HangNode():
                self._resume()
            case RestartNode():
                self._lab.reap()
            case PowerOff(machine):
                self._power_on(machine)
            case PowerOffTogether(machines):
                for machine in machines:
                    self._power_on(machine)
            case CutLink() | FlapLink() | BlackholeLink() | Partition() | NetworkDown():
                self._cabling(fault, broken=False)
            case ServerTrouble(host, trouble):
                self._relieve(host, trouble)
            case Reconfigure() | DrainServer() | RemoveServer():
                self._apply(self._lab.file)
            case _:
                assert_never(fault)

    def _cabling(self, fault: CutLink | FlapLink | BlackholeLink | Partition | NetworkDown, *, broken: bool) -> None:
        plan = self._lab.plan
        match fault:
            case CutLink(machine, interface) | FlapLink(machine, interface):
                self._ports((plan.port(machine, interface),), "down" if broken else "up")
            case BlackholeLink(machine, interface):
                self._slaves((plan.port(machine, interface),), f"state {_LISTENING if broken else _FORWARDING}")
            case Partition(network, nodes):
                apart = tuple(port for port in plan.ports_on(network) if port.machine in nodes)
                self._slaves(apart, f"isolated {'on' if broken else 'off'}")
            case NetworkDown(network):
                self._ports(plan.ports_on(network), "down" if broken else "up")
            case _:
                assert_never(fault)

    def _trouble(self, host: str, trouble: Trouble) -> None:
        match trouble:
            case Trouble.KILLED:
                namespaces.send_signal(self._programs(host), signal.SIGKILL)
            case Trouble.HUNG:
                self._hang(self._programs(host))
            case Trouble.ERRORS:
                (self._lab.machine_directory(host) / "broken").touch()
            case _:
                assert_never(trouble)

    def _relieve(self, host: str, trouble: Trouble) -> None:
        match trouble:
            case Trouble.KILLED:
                self._lab.reap()
                self._lab.start_roles(host)
            case Trouble.HUNG:
                self._resume()
            case Trouble.ERRORS:
                (self._lab.machine_directory(host) / "broken").unlink(missing_ok=True)
            case _:
                assert_never(trouble)

    def _hang(self, pids: tuple[int, ...]) -> None:
        self._stopped = pids
        namespaces.send_signal(pids, signal.SIGSTOP)

    def _resume(self) -> None:
        namespaces.send_signal(self._stopped, signal.SIGCONT)
        self._stopped = ()

    def _programs(self, machine: str) -> tuple[int, ...]:
        """What runs on a machine, except the probes, which are not part of it."""
        found = namespaces.processes([self._lab.namespace(machine)])
        return tuple(pid for pid in found if not any("yaoki.lab.probes" in a for a in namespaces.command_line(pid)))

    def _power_off(self, machines: tuple[str, ...]) -> None:
        self._ports(tuple(port for machine in machines for port in self._lab.plan.namespace(machine).ports), "down")
        for machine in machines:
            namespaces.send_signal(self._programs(machine), signal.SIGKILL)

    def _power_on(self, machine: str) -> None:
        namespace = self._lab.plan.namespace(machine)
        namespaces.end_all_of(self._programs(machine))
        self._lab.reap()
        names = [port.interface for port in namespace.ports]
        namespaces.run(namespaces.inside(namespace.name, ["nft", "flush", "ruleset"]))
        for what in ("yaoki.linux.conntrack_flush", "yaoki.linux.bpf.detach"):
            namespaces.run(namespaces.inside(namespace.name, [sys.executable, "-m", what]))
        links = json.loads(namespaces.run(["ip", "-n", namespace.name, "-j", "link", "show"]))
        made = [link["ifname"] for link in links if link["ifname"] not in (*names, "lo")]
        namespaces.ip_batch(
            [
                *(f"link del {name}" for name in made),
                *(f"addr flush dev {name} scope global" for name in names),
                *(f"addr del {address} dev lo" for address in namespace.loopback),
            ],
            namespace=namespace.name,
            force=True,
        )
        namespaces.ip_batch(addressing(namespace), namespace=namespace.name)
        set_sysctls(namespace.name, namespace.sysctls)
        self._ports(namespace.ports, "up")
        self._lab.start_roles(machine)
        if self._lab.site.machine(machine).is_node:
            self._software.forget(machine)
            self._software.start(machine)

    def _ports(self, ports: tuple[Port, ...], state: str) -> None:
        namespaces.ip_batch((f"link set {port.switch_port} {state}" for port in ports), namespace=self._lab.plan.switch)

    def _slaves(self, ports: tuple[Port, ...], setting: str) -> None:
        namespaces.ip_batch(
            (f"link set {port.switch_port} type bridge_slave {setting}" for port in ports),
            namespace=self._lab.plan.switch,
        )

    def _variant(self, fault: Reconfigure | DrainServer | RemoveServer) -> Path:
        site = site_variant.plain_site(self._lab.file)
        match fault:
            case Reconfigure():
                changed = site_variant.with_extra_service(site)
            case DrainServer(host):
                changed = site_variant.drained(site, host)
            case RemoveServer(host):
                changed = site_variant.without_server(site, host)
            case _:
                assert_never(fault)
        return site_variant.write(changed, self._lab.directory / "changed.yaml")

    def _apply(self, file: Path) -> None:
        for node in self._lab.site.nodes:
            self._software.apply(node.name, file)
