"""The real daemon on a small network of namespaces: one node, one VIP, a NAT service before two tiny servers."""

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.network import DaemonOn, Network, eventually, network

pytestmark = [pytest.mark.netns, pytest.mark.timeout(300)]

SITE = """
version: 1
site: small
networks:
  front: {prefixes: [192.0.2.0/24]}
  clients: {prefixes: [198.51.100.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
hosts:
  router: {forwards: true, interfaces: {eth0: {network: front, addresses: [192.0.2.1]},
                                        eth1: {network: clients, addresses: [198.51.100.1]}}}
  web1: {plays: [nginx], gateway: vip, interfaces: {eth0: {network: front, addresses: [192.0.2.21]}}}
  web2: {plays: [nginx], gateway: vip, interfaces: {eth0: {network: front, addresses: [192.0.2.22]}}}
checks:
  page: {kind: http, path: /, expect: {status: 200}, interval: 300ms, timeout: 250ms, fall: 6, rise: 2}
vips:
  vip: {network: front, addresses: [192.0.2.50], vrid: 51, advertise: 200ms,
        members: {lb1: {priority: 150}, lb2: {priority: 100}},
        track: [{service: web, weight: -60}]}
services:
  web: {vip: vip, listen: tcp/80, forward: nat, check: page, servers: {web1: {port: 8080}, web2: {port: 8080}}}
"""
DIAGNOSES = {
    "ping 192.0.2.22 2": r"(?s)192.0.2.22: echo reply .*192.0.2.22: echo reply ",
    "arping 192.0.2.21 1": r"192.0.2.21: [0-9a-f:]{17} answers ",
    "connect 192.0.2.21 8080": "192.0.2.21: connected ",
    "routes 198.51.100.9": "198.51.100.9 via 192.0.2.1 dev eth0",
    "sockets": ":9859 ",
}
"""What the shell is asked on lb1, and what it finds there."""
SERVER = """
import http.server, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "5"); self.end_headers()
        self.wfile.write(sys.argv[1].encode() + b"\\n")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("", 8080), H).serve_forever()
"""
HOLDER = """
import socket, time
held = [socket.create_connection(("192.0.2.50", 80), source_address=("198.51.100.9", 0)) for _ in range(2)]
time.sleep(120)
"""


class Scene:
    """The network with its servers running, and a node that has not been started."""

    def __init__(self, net: Network, directory: Path) -> None:
        self.net = net
        self.site = directory / "site.yaml"
        self.site.write_text(SITE)
        self.web: dict[int, subprocess.Popen[bytes]] = {}
        net.add("lb1", "192.0.2.11/24")
        net.run("lb1", "ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.1")
        net.add("lb2", "192.0.2.12/24")
        net.run("lb2", "ip", "route", "add", "198.51.100.0/24", "via", "192.0.2.1")
        # The client's own address is off the servers' network, so that answers take the way through the balancer.
        net.add("router", "192.0.2.1/24", "198.51.100.9/32")
        for number in (1, 2):
            net.add(f"web{number}", f"192.0.2.{20 + number}/24", gateway="192.0.2.50")
            self.serve(number)
        self.lb1 = DaemonOn(net, "lb1", self.site, directory)
        self.lb2 = DaemonOn(net, "lb2", self.site, directory)

    def serve(self, number: int) -> None:
        self.web[number] = self.net.start(f"web{number}", sys.executable, "-c", SERVER, f"web{number}")

    def kill_server(self, number: int) -> None:
        for pid in self.net.pids(f"web{number}"):
            self.net.kill(pid, signal.SIGKILL)

    def get(self, *, wait: float = 2.0) -> str:
        """What the VIP serves to a client off the servers' network; empty if nothing came."""
        words = ("curl", "-s", "--interface", "198.51.100.9", "--max-time", str(wait), "http://192.0.2.50/")
        return self.net.run("router", *words, check=False).stdout.strip()

    def hold(self) -> subprocess.Popen[bytes]:
        """A client with a connection to each server, in turn, that it leaves open."""
        process = self.net.start("router", sys.executable, "-c", HOLDER)
        eventually(
            lambda: self.net.run("router", "ss", "-Htn", "state", "established").stdout.count("192.0.2.50:80") == 2
        )
        return process

    def served_by(self, requests: int = 6) -> set[str]:
        """Who answers so many requests. One that nobody answers is waited out, and the last."""
        answers: set[str] = set()
        while requests and "" not in answers:
            answers.add(self.get())
            requests -= 1
        return answers

    def holds_vip(self, node: str = "lb1") -> bool:
        return "192.0.2.50" in self.net.run(node, "ip", "-4", "address", "show", "dev", "eth0").stdout

    def ruleset(self, node: str = "lb1") -> str:
        return self.net.run(node, "nft", "list", "ruleset").stdout


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with network() as net:
        yield Scene(net, tmp_path)


def without_counts(ruleset: str) -> str:
    return re.sub(r"packets \d+ bytes \d+|expires \S+", "", ruleset)


@pytest.mark.req("Z-06", "D-29")
def test_events_can_be_followed_and_metrics_scraped(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.options = ("--metrics", "127.0.0.1:9859", "--log", "json")
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    followed = scene.site.parent / "followed"
    words = (sys.executable, "-m", "yaoki.cli", "events", "-f", "--lang", "ja", "--run-dir", str(lb1.run_dir))
    scene.net.start("lb1", *words, log=followed)
    eventually(lambda: "をこのノードが所有" in followed.read_text(), what="the past is told")
    lb1.ask("server", "drain", "web1")
    eventually(lambda: "操作: web1 をドレインに" in followed.read_text(), what="and what happens")
    shell = (sys.executable, "-m", "yaoki.cli", "shell", "--as", "alice", "--run-dir", str(lb1.run_dir))
    found = {asked: scene.net.run("lb1", *shell, *asked.split()).stdout for asked in DIAGNOSES}
    assert [asked for asked, answer in DIAGNOSES.items() if not re.search(answer, found[asked])] == [], found
    assert scene.net.run("lb1", *shell, "ping", "192.0.2.21;id", check=False).returncode == 2
    eventually(lambda: "の入力を拒否: '192.0.2.21;id'" in followed.read_text(), what="what people ask for is told, too")
    told = followed.read_text()
    assert all(re.search(rf"alice \(.+\) がこのノードで診断: {re.escape(asked)}  ", told) for asked in DIAGNOSES)
    scraped = scene.net.run("lb1", "curl", "-s", "http://127.0.0.1:9859/metrics").stdout.splitlines()
    assert 'yaoki_vip_owner{family="ipv4",node="lb1",vip="vip"} 1.0' in scraped
    assert any(line.startswith('yaoki_check_up{check="page on web1"') and line.endswith(" 1.0") for line in scraped)
    drained = [line for line in scraped if 'server="web1"' in line and 'yaoki_lb_server_duty="drain"' in line]
    assert [line.rsplit(" ", 1)[1] for line in drained] == ["1.0"]
    logged = [json.loads(line) for line in lb1.text().rpartition("\n")[0].splitlines() if line.startswith("{")]
    by_id = {(e["id"]["source"], e["id"]["number"]): e for e in logged}
    # A server that was slow to answer its first check may have changed duty before, for another cause.
    moved = [e["because"] for e in logged if e["body"]["is"] == "ServerDutyChanged" and e["because"]]
    causes = [by_id[because["source"], because["number"]]["body"] for because in moved]
    assert {"is": "ServerAdministered", "server": "web1", "service": None, "admin": "drain"} in causes


def test_a_node_serves_drains_and_leaves_a_dead_server_out(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"}, what="both servers answer through the VIP")
    assert scene.holds_vip()

    held = scene.hold()
    waiting = lb1.ask("server", "drain", "web1", "--wait", "--timeout", "0.5", check=False)
    assert (waiting.returncode, waiting.stderr[:22]) == (2, "yaoki: web1 still has "), waiting.stderr
    eventually(lambda: scene.served_by() == {"web2"})
    held.kill()
    lb1.ask("server", "drain", "web1", "--wait", "--timeout", "30")
    lb1.ask("server", "ready", "web1")
    eventually(lambda: scene.served_by() == {"web1", "web2"})

    scene.kill_server(2)
    eventually(lambda: scene.served_by() == {"web1"}, what="a dead server gets no flows")
    text = lb1.ask("status").stdout
    assert "web2" in text
    assert "out" in text
    scene.serve(2)
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    why = lb1.ask("why", "198.51.100.9", "192.0.2.50:80").stdout
    assert "web1 50%, web2 50%" in why
    table = lb1.ask("show", "service").stdout.splitlines()
    assert table[0] == "Prot LocalAddress:Port Scheduler Flags"
    assert table[2].startswith("TCP  192.0.2.50:80 wrr")
    assert table[3].startswith("  in all ")
    assert "-> 192.0.2.21:8080" in table[4]
    listed = json.loads(lb1.ask("-j", "show", "connections", "web", "--limit", "3").stdout)
    assert len(listed["connections"]) == 3 < listed["total"]
    assert {each["client"] for each in listed["connections"]} == {"198.51.100.9"}
    assert "3 of" in lb1.ask("show", "connection", "--limit", "3").stdout
    assert "because" in lb1.ask("-j", "why", "vip", "vip").stdout


def test_a_changed_file_is_a_minimal_change_and_a_bad_one_is_refused(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    scene.site.write_text(SITE.replace("web2: {port: 8080}", "web2: {port: 8080, weight: 0}"))
    assert lb1.ask("plan").stdout.count("~") == 1
    lb1.reload()
    eventually(lambda: scene.served_by() == {"web1"}, what="SIGHUP puts the new file in force")

    before = scene.ruleset()
    scene.site.write_text(SITE.replace("forward: nat", "forward: natt"))
    refused = lb1.ask("apply", check=False)
    assert refused.returncode == 1
    assert f"{scene.site}:22:" in refused.stderr
    assert 'did you mean "nat"?' in refused.stderr
    lb1.reload()
    eventually(lambda: lb1.text().count("is refused, what was in force stays") == 2)
    assert without_counts(scene.ruleset()) == without_counts(before)
    assert scene.get() == "web1"

    unsafe = SITE.replace("members: {lb1: {priority: 150}, lb2: {priority: 100}}", "members: {lb2: {priority: 100}}")
    scene.site.write_text(unsafe)
    lb1.ask("plan", check=False)
    lb1.ask("apply", "--force")
    eventually(lambda: not scene.holds_vip())


@pytest.mark.req("Z-05")
def test_a_change_on_trial_is_taken_back_unless_it_is_kept(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    # As one that cuts off whoever makes it.
    scene.site.write_text(SITE.replace("servers: {web1: {port: 8080}, web2", "servers: {web2"))
    lb1.ask("apply", "--trial", "1s")
    eventually(lambda: "is taken back: nobody kept it" in lb1.text())
    eventually(lambda: scene.served_by() == {"web1", "web2"}, what="the former plan is in force again")
    late = lb1.ask("apply", "--keep", check=False)
    assert (late.returncode, "no plan is on trial" in late.stderr) == (2, True)
    lb1.ask("apply", "--trial", "1h")
    lb1.ask("apply", "--keep")
    assert "is kept" in lb1.text()
    eventually(lambda: scene.served_by() == {"web2"})


@pytest.mark.req("Z-05")
def test_restart_kill_and_upgrade_leave_forwarding_and_its_objects_alone(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    lb1.ask("server", "drain", "web2")
    eventually(lambda: scene.served_by() == {"web1"})
    speaker = lb1.part("yaoki.runtime.speaker")
    monitor = scene.net.start("lb1", "nft", "monitor", log=scene.site.parent / "monitor.log")
    time.sleep(0.5)

    lb1.ask("restart")
    assert scene.get() == "web1"
    lb1.ask("upgrade")
    assert scene.get() == "web1"
    lb1.kill()
    assert scene.get() == "web1", "without the node process the kernel goes on"
    assert scene.holds_vip()
    lb1.start()
    eventually(lambda: "drained by an operator" in lb1.ask("status").stdout, what="decisions are kept")
    time.sleep(1.0)
    assert scene.served_by() == {"web1"}
    assert lb1.part("yaoki.runtime.speaker") == speaker, "the speaker was adopted, not started anew"
    monitor.kill()
    told = (scene.site.parent / "monitor.log").read_text()
    ours = [line for line in told.splitlines() if "yaoki" in line and "yaoki-probes" not in line]
    assert ours == [], "no object was touched"


def test_a_dead_speaker_is_started_again_and_takes_its_vip_up(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    scene.net.kill(lb1.part("yaoki.runtime.speaker"), signal.SIGKILL)
    eventually(lambda: "active" in lb1.ask("show", "vip").stdout and "stale" not in lb1.ask("show", "vip").stdout)
    assert scene.holds_vip()
    assert "the speaker has ended (status -9)" in lb1.text()
    lb1.ask("upgrade", "--speaker")
    eventually(lambda: "active" in lb1.ask("show", "vip").stdout and "stale" not in lb1.ask("show", "vip").stdout)
    assert scene.holds_vip()
    assert scene.served_by() == {"web1", "web2"}


def test_a_hung_check_worker_turns_grey_and_is_started_anew(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    scene.net.kill(lb1.part("yaoki.runtime.check_worker"), signal.SIGSTOP)
    eventually(lambda: "(stale)" in lb1.ask("status", check=False).stdout)
    assert scene.served_by() == {"web1", "web2"}, "the last verdicts stand"
    eventually(lambda: "is ended, to be started anew" in lb1.text())
    eventually(lambda: lb1.ask("status", check=False).returncode == 0, what=lb1.text)
    assert scene.served_by() == {"web1", "web2"}


def test_at_start_a_bad_file_gives_way_to_the_last_good_one(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    scene.site.write_text("version: 1\nsite: [")
    lb1.kill()
    lb1.start()
    assert "the last good configuration is in force" in lb1.text()
    assert scene.served_by() == {"web1", "web2"}


def test_a_node_that_crashes_with_a_new_file_goes_back_to_the_last_good_one(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start(str(Path(__file__).with_name("breaking_node.py")))
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    boom = "  boom: {vip: vip, listen: tcp/81, forward: nat, servers: {web1: {port: 8080}}}\n"
    scene.site.write_text(SITE + boom)
    lb1.ask("apply")
    eventually(lambda: "the last good configuration is in force" in lb1.text(), within=60, what="it gives up the file")
    assert lb1.text().count("KeyError: 'a mistake of ours'") >= 3
    eventually(lambda: "the process died 3 times with it" in lb1.text())
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    assert scene.holds_vip()
    assert lb1.process is not None
    assert lb1.process.poll() is None, "it is the same process, in another life"


def test_a_bad_file_and_no_good_one_known_is_an_error_with_its_place(scene: Scene) -> None:
    scene.site.write_text(SITE.replace("vrid: 51", "vrid: 510"))
    lb1 = scene.lb1
    words = ("node", "--site", str(scene.site), "--node", "lb1", "--state-dir", str(lb1.state_dir))
    refused = lb1.ask(*words, check=False)
    assert refused.returncode == 1
    assert f"{scene.site}:" in refused.stderr
    assert "^" in refused.stderr


def test_stop_releases_and_cleanup_leaves_nothing(scene: Scene) -> None:
    lb1 = scene.lb1
    # The kernel finds its own link-local address in the first second.
    eventually(lambda: "fe80::" in scene.net.picture("lb1") and "tentative" not in scene.net.picture("lb1"))
    eventually(lambda: "local fe80::" in scene.net.picture("lb1"))
    untouched = scene.net.picture("lb1")
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    lb1.ask("stop")
    assert not scene.holds_vip()
    assert "yaoki" in scene.ruleset(), "tables stay, without their VIP"
    assert scene.net.pids("lb1") == []

    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    lb1.ask("stop", "--cleanup")
    assert scene.net.pids("lb1") == []
    assert scene.net.picture("lb1") == untouched
    assert not lb1.run_dir.exists()
    assert not lb1.state_dir.exists()


def test_sigterm_hands_the_vip_to_the_peer(scene: Scene) -> None:
    scene.lb1.start()
    eventually(lambda: scene.holds_vip("lb1"))
    scene.lb2.start()
    eventually(lambda: "backup" in scene.lb2.ask("show", "vip").stdout)
    scene.lb1.terminate()
    eventually(lambda: scene.holds_vip("lb2"))
    assert not scene.holds_vip("lb1")
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    assert scene.lb2.ask("why", "vip", "vip").returncode == 0


@pytest.mark.req("B-05")
def test_a_vip_is_moved_by_a_person_and_comes_back_when_it_is_admitted(scene: Scene) -> None:
    scene.lb1.start()
    eventually(lambda: scene.holds_vip("lb1"))
    refused = scene.lb1.ask("vip", "move", "vip", check=False)
    assert refused.returncode != 0
    assert "no other member of vip is heard (lb2)" in refused.stderr
    scene.lb2.start()
    eventually(lambda: "backup" in scene.lb2.ask("show", "vip").stdout)
    eventually(lambda: scene.lb1.ask("vip", "move", "vip", check=False).returncode == 0)
    eventually(lambda: scene.holds_vip("lb2") and not scene.holds_vip("lb1"))
    assert "moved away by an operator" in scene.lb1.ask("why", "vip", "vip", check=False).stdout
    scene.lb1.ask("vip", "admit", "vip")
    eventually(lambda: scene.holds_vip("lb1") and not scene.holds_vip("lb2"))


@pytest.mark.req("Z-02")
def test_a_service_without_servers_moves_the_vip_and_the_chain_is_told(scene: Scene) -> None:
    scene.lb1.start()
    scene.lb2.start()
    eventually(lambda: scene.holds_vip("lb1") and not scene.holds_vip("lb2"))
    # Only lb1 loses its way to the servers.
    scene.net.run("lb1", "ip", "route", "add", "blackhole", "192.0.2.21/32")
    scene.net.run("lb1", "ip", "route", "add", "blackhole", "192.0.2.22/32")
    eventually(lambda: scene.holds_vip("lb2") and not scene.holds_vip("lb1"), what="the healthier peer owns it")
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    chain = scene.lb1.ask("why", "vip", "vip", check=False).stdout
    assert "on standby" in chain


def test_a_paused_node_says_so_and_applies_nothing(scene: Scene) -> None:
    lb1 = scene.lb1
    lb1.start()
    eventually(lambda: scene.served_by() == {"web1", "web2"})
    lb1.ask("pause")
    scene.kill_server(2)
    eventually(
        lambda: "no answer" in lb1.ask("status", check=False).stdout or "down" in lb1.ask("status", check=False).stdout
    )
    paused = lb1.ask("status", check=False)
    assert paused.stdout.startswith("PAUSED")
    assert paused.returncode == 1
    assert "out" not in without_counts(scene.ruleset()).split("servers4")[1].split("}")[0]
    lb1.ask("resume")
    eventually(lambda: scene.served_by() == {"web1"})
