"""Goes through the lesson on direct server return in the lab, with the commands that a person would type.

  lesson.py [FOLDER]        needs root; about 25 seconds; the recordings are kept in FOLDER

A virtual service by address translation; requests, recorded: they come back through the balancer (table 1). Then both
servers are changed to direct return while it runs; `yaoki verify` says what is missing on them, and they are set up.
With the service switched off nobody but the balancer answers for the VIP, and with the balancer off nobody at all.
Requests again, recorded: they go straight to the client (table 2). At last one server forgets to be quiet and is found
out, and loses the VIP and gets no more requests. Exit status 1: the lesson ended otherwise.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yaoki.lab.janitor import Janitor
from yaoki.lab.lab import Lab
from yaoki.lab.namespaces import inside
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

HERE = Path(__file__).parent
SERVERS = ("web1", "web2")
VIP4, VIP6 = "192.0.2.50", "2001:db8:1::50"
RECORDED = "lb1,web1,web2,router"
REQUESTS = 6
PAGE = 100_000
"""Octets of a page, after the server's name: far more comes back than was asked for."""
PATIENCE_S = 30.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learnt. `nat` and `direct` are what `yaoki -j capture` said, `answers` who answered the requests before
    each; `found` what `yaoki -j verify` found before the servers were set up, after it, and with the service off;
    `refused`: no request was answered then; `pinged` whether a ping of the VIP was answered with all on, with the
    service off, with the balancer off. `leak`: what `yaoki -j verify` found when a server was not quiet any more, and
    which servers the node's events named; `left` who answered requests when that server had lost the VIP as well."""

    nat: dict[str, Any]
    direct: dict[str, Any]
    answers: tuple[list[str], list[str]]
    found: tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]
    refused: bool
    pinged: tuple[bool, bool, bool]
    leak: tuple[list[dict[str, Any]], list[str]]
    left: list[str]


class Classroom:
    """The lab of the lesson, and its files in `folder`."""

    def __init__(self, folder: Path, say: Say, *, site: str | None) -> None:
        self._folder = folder
        self._say = say
        self._site = site
        self._put("nat.yaml")
        self._lab = Lab(load_site(self.file).site, self.file)
        self._nodes = Yaoki(self._lab)

    @property
    def file(self) -> Path:
        """The site file."""
        return self._folder / "site.yaml"

    def teach(self) -> Lesson:
        """All of it; the lab is removed whatever happens."""
        janitor = Janitor(base=self._lab.base, site=self._lab.site.name)
        try:
            self._lab.up(holder=os.getpid())
            try:
                return self._lesson()
            finally:
                self._lab.down()
        finally:
            janitor.dismiss()

    def _lesson(self) -> Lesson:
        for server in SERVERS:
            self._serve(server)
        self._nodes.start("lb1")
        self._say("a virtual service, round robin over two servers, by address translation")
        self._wait(served=SERVERS)
        nat, answers = self._recorded("nat")
        self._say("both servers by direct return, while it runs")
        self._put("direct.yaml")
        self._yaoki("lb1", "apply")
        bare = self._verify()
        self._say("the servers hold the VIP, and are quiet about it")
        for server in SERVERS:
            self._yaoki(
                server, "realserver", "setup", "web", server, *self._at, "--state-dir", self._state(server), "--apply"
            )
        ready = self._verify()
        self._say("the service is switched off, then the balancer")
        on = self._ping()
        self._yaoki("lb1", "service", "disable", "web")
        refused = self._ask(VIP4, once=True) is None
        off = (self._ping(), self._verify())
        self._yaoki("lb1", "service", "enable", "web")
        self._yaoki("lb1", "stop")
        gone = not self._ping()
        self._nodes.start("lb1")
        self._say("requests again")
        self._wait(served=SERVERS)
        direct, more = self._recorded("direct")
        self._say("web1 forgets to be quiet")
        leak = self._leak("web1")
        self._say("and loses the VIP")
        left = self._lost("web1")
        return Lesson(nat, direct, (answers, more), (bare, ready, off[1]), refused, (on, off[0], not gone), leak, left)

    def _lost(self, server: str) -> list[str]:
        """Who answers when a server takes nothing for the VIP any more: once its check has found that, others only."""
        for address in (f"{VIP4}/32", f"{VIP6}/128"):
            self._run(server, ["ip", "address", "del", address, "dev", "lo"])
        until = time.monotonic() + PATIENCE_S
        while True:
            answers = [self._ask(VIP4, once=True) or "nobody" for _ in range(4)]
            if "nobody" not in answers or time.monotonic() > until:
                return answers

    def _leak(self, server: str) -> tuple[list[dict[str, Any]], list[str]]:
        """What is told of a server that answers for the VIP, by verify and by the running node."""
        self._run(server, ["sysctl", "-q", "net.ipv4.conf.all.arp_ignore=0"])
        found, until = self._verify(), time.monotonic() + PATIENCE_S
        while True:
            bodies = [json.loads(line)["body"] for line in self._yaoki("lb1", "-j", "events").splitlines()]
            named = sorted({body["server"] for body in bodies if body["is"] == "ArpLeaked"})
            if named or time.monotonic() > until:
                return found, named
            time.sleep(0.1)

    # --- what a person does

    def _put(self, name: str) -> None:
        """Edit the site file."""
        text = (HERE / name).read_text()
        self.file.write_text(text if self._site is None else text.replace("site: dsr-lesson", f"site: {self._site}"))

    @property
    def _at(self) -> tuple[str, ...]:
        return ("--site", str(self.file))

    def _state(self, server: str) -> str:
        return str(self._lab.machine_directory(server) / "state")

    def _serve(self, server: str) -> None:
        """A web server on every address, its page much larger than what asks for it."""
        folder = self._lab.machine_directory(server) / "pages"
        folder.mkdir()
        (folder / "index.html").write_text(f"{server}\n" + "x" * PAGE)
        command = [sys.executable, "-m", "http.server", "80", "--bind", "::", "--directory", str(folder)]
        self._lab.start_process(server, command, log="pages.log")

    def _yaoki(self, machine: str, *words: str, fails: bool = False) -> str:
        """A command typed on a machine."""
        done = self._run(machine, [sys.executable, "-m", "yaoki.cli", *words])
        if done.returncode not in ((0, 1) if fails else (0,)):
            raise RuntimeError(f"yaoki {' '.join(words)} on {machine}: {done.stdout}{done.stderr}")
        return done.stdout

    def _verify(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self._yaoki("lb1", "-j", "verify", "web", *self._at, fails=True))[
            "findings"
        ]
        return found

    def _ask(self, vip: str, *, once: bool = False) -> str | None:
        """Who answers a request for the page; None: nobody."""
        host = f"[{vip}]" if ":" in vip else vip
        until = time.monotonic() + PATIENCE_S
        while True:
            done = self._run("alice", ["curl", "-s", "--max-time", "3", f"http://{host}/"])
            if done.returncode == 0:
                return done.stdout.partition("\n")[0]
            if once or time.monotonic() > until:
                return None

    def _wait(self, served: Iterable[str]) -> None:
        """Until the balancer has the VIP, and each of these servers has answered in both families. That clients are
        served does not tell the first: of a balancer that was stopped the tables stay, and neighbours remember its MAC.
        """
        until = time.monotonic() + PATIENCE_S
        while not self._ping() and time.monotonic() < until:
            time.sleep(0.1)
        for vip in (VIP4, VIP6):
            missing = set(served)
            while missing:
                missing.discard(self._ask(vip, once=True) or "")
                if time.monotonic() > until:
                    log = (self._lab.machine_directory("lb1") / "node.log").read_text()[-2000:]
                    raise TimeoutError(f"{', '.join(sorted(missing))} did not answer for {vip}\n{log}")

    def _ping(self) -> bool:
        return self._run("bob", ["ping", "-c", "1", "-W", "1", VIP4]).returncode == 0

    def _recorded(self, name: str) -> tuple[dict[str, Any], list[str]]:
        """Requests in both families, with a recording of the balancer, both servers and the router."""
        words = ["-j", "capture", "web", "--lab", "--nodes", RECORDED, "--bounds", "time=30s"]
        words += ["--write", str(self._folder / f"{name}.pcapng"), *self._at]
        command = [sys.executable, "-m", "yaoki.cli", *words]
        recorder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            assert recorder.stderr is not None
            said = recorder.stderr.readline()
            if not said.startswith("recording"):
                raise RuntimeError(said + recorder.stderr.read())
            answers = [str(self._ask(VIP4)) for _ in range(REQUESTS)] + [str(self._ask(VIP6)) for _ in range(2)]
            recorder.send_signal(signal.SIGINT)
            out, wrong = recorder.communicate(timeout=PATIENCE_S)
        finally:
            recorder.kill()
            recorder.wait()
        if recorder.returncode not in (0, 1):
            raise RuntimeError(wrong)
        verdict: dict[str, Any] = json.loads(out)
        self._say(verdict["sentence"])
        return verdict, answers

    def _run(self, machine: str, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "YAOKI_RUN_DIR": str(self._nodes.run_directory(machine))}
        return subprocess.run(
            inside(self._lab.namespace(machine), command), capture_output=True, text=True, check=False, env=environment
        )


def table(verdict: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Source and destination of each hop with whose MACs they have, as in the tables of the lesson."""
    return [
        (
            hop["source"]["address"],
            hop["source"]["machine"],
            hop["destination"]["address"],
            hop["destination"]["machine"],
        )
        for hop in verdict["hops"]
    ]


def wrong(found: list[dict[str, Any]]) -> list[str]:
    """The sentences of what is not right."""
    return [one["sentence"] for one in found if one["result"] != "right"]


def teach(folder: Path, say: Say, *, site: str | None = None) -> Lesson:
    """The lesson, its files in `folder`; `site` is the lab's name instead of dsr-lesson."""
    return Classroom(folder, say, site=site).teach()


def main(folders: list[str]) -> int:
    """See the module."""
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:5.1f} s  {text}\n")
        sys.stdout.flush()

    folder = Path(tempfile.mkdtemp(prefix="dsr-lesson-"))
    try:
        lesson = teach(folder, say)
        for title, verdict in (("Table 1: without direct return", lesson.nat), ("Table 2: with it", lesson.direct)):
            rows = [
                f"  {n}  {a:15} ({b} MAC)".ljust(38) + f"{c:15} ({d} MAC)"
                for n, (a, b, c, d) in enumerate(table(verdict), 1)
            ]
            sys.stdout.write("\n".join(["", title, *rows, ""]))
        bare, ready, off = lesson.found
        for title, found in (("Before the servers were set up:", bare), ("In the end:", lesson.leak[0])):
            sys.stdout.write("\n".join(["", title, *(f"  {one}" for one in wrong(found)), ""]))
        for kept in map(Path, folders):
            kept.mkdir(parents=True, exist_ok=True)
            for file in folder.glob("*.pcapng"):
                shutil.copy(file, kept / file.name)
    finally:
        shutil.rmtree(folder)
    right = lesson.nat["way"] == "through" and lesson.direct["way"] == "direct" and lesson.pinged == (True, True, False)
    return int(
        not right or bool(wrong(ready) or wrong(off)) or lesson.leak[1] != ["web1"] or set(lesson.left) != {"web2"}
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
