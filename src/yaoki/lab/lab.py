"""A lab: a site's namespaces with everything in them running, from `up` to `down`.

Invariant: whatever has been begun is recorded first (yaoki.lab.state), so `down` removes it whole, at any moment.
Deliberately absent: Yaoki's own processes; they are the business of a NodeSoftware.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from yaoki.core.error import UsageError
from yaoki.lab import namespaces
from yaoki.lab.build import build
from yaoki.lab.plays.roles import (
    EchoServer,
    Role,
    StoreServer,
    WebServer,
    WitnessRole,
    etcd_command,
    nginx_configuration,
    roles_of,
    witness_command,
)
from yaoki.lab.state import BASE, LabState, claim, forget, held_by_others, recall, started_at
from yaoki.lab.topology import LabPlan, plan_lab, tunnels_to
from yaoki.linux.grace_periods import turn_back
from yaoki.site.model import Site

END_LIMIT_S = 5.0
"""How long a killed process of ours may take to be gone."""

_SERVER_PRIORITY = 2


class Lab:
    """The lab of one site; `file` is the site file that its nodes are given."""

    def __init__(self, site: Site, file: Path, *, base: Path = BASE) -> None:
        self.site = site
        self.file = file
        self.plan: LabPlan = plan_lab(site)
        self.base = base
        self.directory = base / site.name
        self._started: list[subprocess.Popen[bytes]] = []

    def up(self, *, holder: int | None = None) -> None:
        """Build it and start what the hosts play. `holder` is the process with whose end the lab is left over.

        What a killed rehearsal has left is removed first. Raises UsageError if a lab of this site is up.
        """
        self._clear_left_over()
        roles = {machine.name: roles_of(self.site, machine) for machine in self.site.machines}
        started = started_at(holder) if holder is not None else ""
        claim(LabState(self.site.name, str(self.file), self.plan.all_namespaces, holder, started), base=self.base)
        try:
            build(self.plan)
            for machine in self.site.machines:
                self.machine_directory(machine.name).mkdir(parents=True)
                self._end_tunnels(machine.name)
                self._start(roles[machine.name])
        except BaseException:
            self.down()
            raise

    def down(self) -> None:
        """End every process of the lab and remove its namespaces and files."""
        # Ours first: one that was started just now may not be in its namespace yet.
        for process in self._started:
            process.kill()
        namespaces.remove(self.plan.all_namespaces)
        for process in self._started:
            process.wait(END_LIMIT_S)
        self._started = []
        turn_back()
        forget(self.site.name, base=self.base)

    def start_roles(self, machine: str) -> None:
        """Start what a machine plays; it may not be running."""
        self._start(roles_of(self.site, self.site.machine(machine)))

    def machine_directory(self, machine: str) -> Path:
        """Where a machine's files are."""
        return self.directory / "machines" / machine

    def namespace(self, machine: str) -> str:
        """The namespace of a machine."""
        return self.plan.namespace(machine).name

    def start_process(
        self, machine: str, command: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a process on a machine, its output in the file `log` of the machine's directory. `environment` is put
        on top of our own."""
        directory = self.machine_directory(machine)
        process = namespaces.start(self.namespace(machine), command, log=directory / log, environment=environment)
        self._started.append(process)
        return process

    def reap(self) -> None:
        """Collect the processes of ours that have ended."""
        self._started = [process for process in self._started if process.poll() is None]

    def _end_tunnels(self, machine: str) -> None:
        """Where servers are behind tunnels."""
        tunnels = tunnels_to(self.site, machine)
        if tunnels:
            ports = dict.fromkeys(str(tunnel.port) for tunnel in tunnels)
            command = [sys.executable, "-m", "yaoki.lab.plays.tunnel_end", *ports]
            namespaces.run(namespaces.inside(self.namespace(machine), command))

    def _start(self, roles: tuple[Role, ...]) -> None:
        for role in roles:
            match role:
                case WebServer():
                    self._start_nginx(role)
                case EchoServer():
                    self._start_echo(role)
                case StoreServer():
                    # On its disk, which outlives a loss of power.
                    command = etcd_command(role, self.machine_directory(role.machine) / "etcd")
                    self.start_process(role.machine, command, log="etcd.log")
                case WitnessRole():
                    command = witness_command(role, self.machine_directory(role.machine) / "witness")
                    self.start_process(role.machine, command, log="witness.log")

    def _start_nginx(self, role: WebServer) -> None:
        directory = self.machine_directory(role.machine)
        (directory / "nginx.conf").write_text(nginx_configuration(role, directory))
        command = [
            "nginx",
            "-p",
            str(directory),
            "-c",
            str(directory / "nginx.conf"),
            "-e",
            str(directory / "error.log"),
        ]
        self.start_process(role.machine, [*real_time(_SERVER_PRIORITY), *command], log="nginx.log")

    def _start_echo(self, role: EchoServer) -> None:
        endpoints = [f"{a}/udp/{p}" for a in role.addresses for p in role.udp_ports]
        endpoints += [f"{a}/tcp/{p}" for a in role.addresses for p in role.tcp_ports]
        command = [sys.executable, "-m", "yaoki.lab.plays.echo_server", role.machine, *endpoints]
        self.start_process(role.machine, [*real_time(_SERVER_PRIORITY), *command], log="echo.log")

    def _clear_left_over(self) -> None:
        state = recall(self.site.name, base=self.base)
        if state is not None and state.left_over:
            remove_lab(self.site.name, base=self.base)
        for name, other in held_by_others(self.site.name, self.plan.all_namespaces, base=self.base).items():
            raise UsageError(f"the lab of {other} has a namespace {name} already; give this site another name")
        there = namespaces.existing(self.plan.all_namespaces)
        if there and recall(self.site.name, base=self.base) is None:
            raise UsageError(
                f"there are namespaces of a lab that left no record ({', '.join(there)}); "
                f"`yaoki lab down {self.file}` removes them"
            )


def remove_lab(site: str, *, base: Path = BASE, also: Sequence[str] = ()) -> bool:
    """Remove a site's lab by its record, and what of `also` no other lab has; False if there was nothing."""
    state = recall(site, base=base)
    theirs = held_by_others(site, also, base=base)
    unheld = (name for name in also if name not in theirs)
    names = tuple(dict.fromkeys([*(state.namespaces if state is not None else ()), *unheld]))
    there = namespaces.existing(names)
    namespaces.remove(names)
    forget(site, base=base)
    return state is not None or bool(there)


def real_time(priority: int) -> list[str]:
    """What to put before a command so that it runs with real-time priority; nothing where that is not allowed.

    Servers and probes of the lab share few cores with what is measured: a probe that waits for a core would report
    an outage that is none.
    """
    try:
        before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        os.sched_setscheduler(0, before, parameters)
    except OSError:
        return []
    return ["chrt", "-f", str(priority)]
