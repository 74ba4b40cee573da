"""Rehearsals with their protecting features switched off: the sites, and injectors that break a little more.

A row is only worth something if it fails without what is said to protect it.
"""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from yaoki.lab.catalogue import Scenario, catalogue
from yaoki.lab.fault import (
    Fault,
    HangNode,
    KillNode,
    Partition,
    PowerOff,
    Reconfigure,
    RemoveServer,
    RestartNode,
    StopNode,
)
from yaoki.lab.injector import Injector
from yaoki.lab.lab import Lab
from yaoki.lab.namespaces import inside, processes, run, send_signal
from yaoki.lab.row import Row
from yaoki.lab.run import rehearse
from yaoki.lab.site_variant import plain_site, write
from yaoki.lab.software import NodeSoftware, Part
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

PATIENCE = timedelta(0)
"""Rows that are meant to fail are watched no longer than they must be."""

RETRIES = 10
"""A machine with other work makes rows void; that says nothing about them."""


@dataclass
class Notes:
    """A watcher that remembers the rows, and tidies up before the next one."""

    tidy: list[Callable[[], None]] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)

    def begins(self, *_: object) -> None:
        while self.tidy:
            self.tidy.pop()()

    def void(self, _: Row) -> None:
        self.begins()

    def ended(self, row: Row) -> None:
        self.rows[row.scenario.name] = row


def rehearsed(
    file: Path,
    scenarios: tuple[Scenario, ...],
    breaking: type["Breaking"],
    *,
    patience: timedelta = PATIENCE,
    software: Callable[[Lab], NodeSoftware] = Yaoki,
    retries: int = RETRIES,
) -> dict[str, Row]:
    """The rows of these scenarios with another injector, by name."""
    notes = Notes()
    rehearse(
        load_site(file).site,
        file,
        scenarios,
        software=software,
        watcher=notes,
        injector=lambda lab, nodes: breaking(lab, nodes, notes),
        patience=patience,
        retries=retries,
    )
    return notes.rows


def named(file: Path, *names: str) -> tuple[Scenario, ...]:
    """These rows of a site's catalogue, in the order of the names."""
    known = {scenario.name: scenario for scenario in catalogue(load_site(file).site)}
    return tuple(known[name] for name in names)


class Breaking(Injector):
    """Breaks no more than the catalogue says; the others do."""

    def __init__(self, lab: Lab, software: NodeSoftware, notes: Notes) -> None:
        super().__init__(lab, software)
        self.lab = lab
        self.nodes = software
        self.notes = notes

    def silence(self, node: str) -> None:
        """The node's kernel hears nothing any more, until the next row: nothing leaves the switch for it."""
        ports = ", ".join(f'"{port.switch_port}"' for port in self.lab.plan.namespace(node).ports)
        chain = f"type filter hook egress devices = {{ {ports} }} priority 0; policy drop;"
        text = f"table netdev silence-{node} {{\nchain c {{ {chain} }}\n}}\n"
        run(inside(self.lab.plan.switch, ["nft", "-f", "-"]), text=text)
        self.notes.tidy.append(lambda: self._hear(node))

    def _hear(self, node: str) -> None:
        run(inside(self.lab.plan.switch, ["nft", "delete", "table", "netdev", f"silence-{node}"]), check=False)


class WithoutTheKernel(Breaking):
    """A node's kernel does not go on without its processes, and a restart is a stop first."""

    def inject(self, fault: Fault) -> None:
        match fault:
            case KillNode(node) | HangNode(node) | StopNode(node):
                super().inject(fault)
                self.silence(node)
            case RestartNode(node):
                self.nodes.stop(node)
                self._wait_for_end(node)
                self.silence(node)
                self.nodes.forget(node)
                self.nodes.start(node)
            case _:
                super().inject(fault)

    def _wait_for_end(self, node: str) -> None:
        until = time.monotonic() + 10
        while self.nodes.processes(node, Part.MAIN) and time.monotonic() < until:
            time.sleep(0.02)


class WithoutTheGate(Breaking):
    """A speaker that dies or hangs finds its dead-man gate taken away, and no other is started in its place."""

    def inject(self, fault: Fault) -> None:
        if isinstance(fault, KillNode | HangNode) and fault.part is not Part.MAIN:
            # Stopped first: a speaker that runs would make its gate anew.
            send_signal(self.nodes.processes(fault.node, fault.part), signal.SIGSTOP)
            send_signal(self.nodes.processes(fault.node, Part.MAIN), signal.SIGSTOP)
            run(inside(self.lab.namespace(fault.node), ["nft", "delete", "table", "netdev", "yaoki-gate"]))
        super().inject(fault)

    def mend(self, fault: Fault) -> None:
        if isinstance(fault, KillNode | HangNode):
            send_signal(self.nodes.processes(fault.node, Part.MAIN), signal.SIGCONT)
        super().mend(fault)


class BreakBeforeMake(Breaking):
    """What is planned takes away before it brings: services, the other owner, a server that is not there yet."""

    def inject(self, fault: Fault) -> None:
        if not isinstance(fault, Reconfigure):
            super().inject(fault)
            return
        bare: dict[str, Any] = plain_site(self.lab.file)
        bare["services"] = {"other": {**bare["services"]["web"], "listen": "tcp/4880"}}
        file = write(bare, self.lab.directory / "bare.yaml")
        for node in self.lab.site.nodes:
            self.nodes.apply(node.name, file)

    def mend(self, fault: Fault) -> None:
        match fault:
            case RemoveServer(host):
                send_signal(processes([self.lab.namespace(host)]), signal.SIGKILL)
                self.notes.tidy.append(lambda: self.lab.start_roles(host))
                super().mend(fault)
            case PowerOff("lb1"):
                other = PowerOff("lb2")
                self.inject(other)
                self.notes.tidy.append(lambda: super(BreakBeforeMake, self).mend(other))
                super().mend(fault)
            case Partition():
                super().mend(fault)
                self.silence("lb1")
            case _:
                super().mend(fault)


class Unannounced(Breaking):
    """From the fault on, the switch swallows what machines announce unasked about VIPs."""

    def inject(self, fault: Fault) -> None:
        rules = ["icmpv6 type nd-neighbor-advert ip6 daddr ff02::1 drop"]
        for vip in self.lab.site.vips:
            rules += [f"arp saddr ip {a.ip} arp daddr ip {a.ip} drop" for a in vip.addresses if a.version == 4]
        lines = "\n".join(rules)
        chain = f"chain c {{\ntype filter hook prerouting priority 0;\n{lines}\n}}"
        run(inside(self.lab.plan.switch, ["nft", "-f", "-"]), text=f"table bridge quiet {{\n{chain}\n}}\n")
        super().inject(fault)
