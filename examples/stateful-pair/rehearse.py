"""Lets the pair lose its owner and take it back while a client writes, and counts the accepted writes that are gone.

  rehearse.py [SITE ...]      default: site.yaml, then unsafe.yaml, beside this file; needs root

The owner loses its power; the other node takes over; the first one comes back, and the VIP goes back to it: in a site
with `failback: prefer` by itself, in another when `yaoki vip move` is not refused any more. Exit status 1: a site that
fails back by itself lost nothing, or another one lost a write.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from writer import PORT
from yaoki.core.address import Family
from yaoki.lab.fault import PowerOff
from yaoki.lab.injector import Injector
from yaoki.lab.janitor import Janitor
from yaoki.lab.lab import Lab
from yaoki.lab.namespaces import inside
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site
from yaoki.vrrp.params import Failback

HERE = Path(__file__).parent
BEFORE_S = 6.0
"""Long enough for promises of the start to be over: the standby may serve alone at once when it takes over."""
ALONE_S = 4.0
AFTER_S = 2.0
PATIENCE_S = 60.0
SHOWN_LINES = 12
COPY_RATE = 30
"""Records a second that a replica may copy: so few, so that it takes as long as with much data. 20 are written."""

Write = tuple[float, int, str | None]
"""When it was begun, its number, and what was answered if it was accepted; see writer.py."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the writes. `pause_s`: the longest time between two accepted ones."""

    accepted: int
    lost: int
    pause_s: float


class PairLab(Lab):
    """A lab whose nodes start the service when they start, as their service manager would."""

    copy_rate = COPY_RATE

    def up(self, *, holder: int | None = None) -> None:
        super().up(holder=holder)
        for node in self.site.nodes:
            self.start_service(node.name)

    def start_roles(self, machine: str) -> None:
        """A machine comes up."""
        super().start_roles(machine)
        if self.site.machine(machine).is_node:
            shutil.rmtree(self.machine_directory(machine) / "run")  # a real /run is empty then
            self.start_service(machine)

    def start_service(self, node: str) -> None:
        """Start kv.py on a node."""
        (vip,), own = self.site.vips, self.machine_directory(node)
        (peer,) = (machine for machine in self.site.nodes if machine.name != node)
        command = [sys.executable, str(HERE / "kv.py"), "--name", node, "--data", str(own / "kv")]
        command += ["--peer", str(peer.interfaces[0].address(Family.IPV4)), "--copy-rate", str(self.copy_rate)]
        command += ["--epoch", str(own / "run/epochs" / vip.name)]
        for address in vip.addresses:
            command += ["--listen", str(address.ip)]
        self.start_process(node, command, log="kv.log")


class Run:
    """One run: a lab that is up, and what its client wrote."""

    def __init__(self, lab: Lab, say: Callable[[str], None]) -> None:
        self._lab = lab
        self._nodes = Yaoki(lab)
        self._injector = Injector(lab, self._nodes)
        (self._vip,) = lab.site.vips
        (self._client,) = (host.name for host in lab.site.machines if "client" in host.plays)
        self._say = say

    def go(self) -> Outcome:
        """All of it."""
        for node in self._lab.site.nodes:
            self._nodes.start(node.name)
        command = [sys.executable, str(HERE / "writer.py"), *(str(address.ip) for address in self._vip.addresses)]
        writer = self._lab.start_process(self._client, command, log="writes")
        best, other = sorted((member.node for member in self._vip.members), key=self._priority, reverse=True)
        if self._vip.failback is Failback.PREFER:
            self._wait_for(best)
        elif self._wait_for(best, other) == other:
            best, other = other, best  # it was found current first
        time.sleep(BEFORE_S)
        self._say(f"{best} loses its power")
        self._injector.inject(PowerOff(best))
        self._wait_for(other)
        time.sleep(ALONE_S)
        self._say(f"{best} comes back")
        self._injector.mend(PowerOff(best))
        self._wait_for(best, meanwhile=lambda: self._move(other))
        time.sleep(AFTER_S)
        writer.kill()
        writer.wait()
        return outcome(self._writes(), self._read())

    def _wait_for(self, *nodes: str, meanwhile: Callable[[], None] = lambda: None) -> str:
        """The first of these nodes that keeps a write from now on."""
        so_far, until = len(self._writes()), time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            for _, _, said in self._writes()[so_far:]:
                for node in nodes:
                    if said is not None and said.startswith(f"{node}:"):
                        self._say(f"{node} keeps writes")
                        return node
            meanwhile()
            time.sleep(0.1)
        raise TimeoutError(f"{' or '.join(nodes)} kept no write within {PATIENCE_S:g} s\n{self._logs()}")

    def _move(self, owner: str) -> None:
        """Hand the VIP over, if that is not refused, and would not happen by itself."""
        if self._vip.failback is Failback.PREFER:
            return
        words = ["vip", "move", self._vip.name, "--run-dir", str(self._nodes.run_directory(owner))]
        subprocess.run([sys.executable, "-m", "yaoki.cli", *words], capture_output=True, check=False)

    def _writes(self) -> list[Write]:
        file = self._lab.machine_directory(self._client) / "writes"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines(keepends=True) if line.endswith("\n")]

    def _read(self) -> dict[str, str]:
        """What the service has in the end."""
        at = f"http://{self._vip.addresses[0].ip}:{PORT}/"
        command = inside(self._lab.namespace(self._client), ["curl", "-fsS", "--max-time", "2", at])
        until = time.monotonic() + PATIENCE_S
        while True:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                values: dict[str, str] = json.loads(done.stdout)
                return values
            if time.monotonic() > until:
                raise TimeoutError(f"nothing can be read in the end: {done.stderr}")
            time.sleep(0.1)

    def _logs(self) -> str:
        """The last that the nodes said, for it goes with the lab."""
        files = [self._lab.machine_directory(node.name) / "node.log" for node in self._lab.site.nodes]
        return "\n".join(line for file in files for line in file.read_text().splitlines()[-SHOWN_LINES:])

    def _priority(self, node: str) -> int:
        return next(member.priority for member in self._vip.members if member.node == node)


def outcome(writes: Sequence[Write], kept: Mapping[str, str]) -> Outcome:
    """What became of the writes, by what can be read in the end."""
    accepted = [(at, number) for at, number, said in writes if said is not None]
    lost = sum(1 for _, number in accepted if kept.get(str(number)) != f"value {number}")
    pause_s = max((after - before for (before, _), (after, _) in pairwise(accepted)), default=0.0)
    return Outcome(len(accepted), lost, pause_s)


def rehearse(file: Path, say: Callable[[str], None], *, copy_rate: int = COPY_RATE) -> Outcome:
    """Build the lab of a site, run it, and remove the lab, whatever happens."""
    lab = PairLab(load_site(file).site, file.resolve())
    lab.copy_rate = copy_rate
    janitor = Janitor(base=lab.base, site=lab.site.name)
    try:
        lab.up(holder=os.getpid())
        try:
            return Run(lab, say).go()
        finally:
            lab.down()
    finally:
        janitor.dismiss()


def main(names: list[str]) -> int:
    """See the module."""
    failed = False
    rows = ["                     accepted     lost  longest pause"]
    for file in map(Path, names or [str(HERE / "site.yaml"), str(HERE / "unsafe.yaml")]):
        began = time.monotonic()
        sys.stdout.write(f"{file.name}\n")

        def say(text: str, began: float = began) -> None:
            sys.stdout.write(f"  {time.monotonic() - began:5.1f} s  {text}\n")
            sys.stdout.flush()

        found = rehearse(file, say)
        rows.append(f"{file.name:20} {found.accepted:8} {found.lost:8} {found.pause_s:12.1f} s")
        failed = failed or (found.lost > 0) != (load_site(file).site.vips[0].failback is Failback.PREFER)
    sys.stdout.write("\n".join(["", *rows, ""]))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
