"""A real server set up for direct return, in namespaces: it takes what is for the VIP, answers nobody who asks for it,
and is afterwards the machine that it was."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lb.realserver.tasks import task
from tests.linux.world import run
from tests.runtime.network import eventually
from yaoki.lb.realserver import PROCEDURES, OperatingSystem, Shell, Step
from yaoki.lb.realserver.linux_ways import ways

pytestmark = pytest.mark.netns

SERVER, BESIDE = "ykr-web1", "ykr-lb1"
VIP4, VIP6 = "192.0.2.50", "2001:db8:1::50"
MAC = "02:00:00:00:00:21"
SITE = Path(__file__).parents[1] / "cli/realserver/site.yaml"

NGINX = """\
daemon off;
pid {folder}/pid;
error_log {folder}/error;
events {{}}
http {{
  access_log off;
  server {{ listen 80; listen [::]:80; location / {{ return 200 "web1 $server_addr\\n"; }} }}
}}
"""


def inside(namespace: str, *words: str, check: bool = True) -> str:
    return run("ip", "netns", "exec", namespace, *words, check=check)


class Server:
    """web1, beside it lb1, and a real nginx that listens on every address."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self._nginx: subprocess.Popen[bytes] | None = None

    def build(self) -> None:
        for namespace in (SERVER, BESIDE):
            run("ip", "netns", "add", namespace)
            inside(namespace, "sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
            run("ip", "-n", namespace, "link", "set", "lo", "up")
        run("ip", "-n", SERVER, "link", "add", "eth0", "address", MAC, "type", "veth", "peer", "eth0", "netns", BESIDE)
        for namespace, number in ((SERVER, 21), (BESIDE, 11)):
            run("ip", "-n", namespace, "address", "add", f"192.0.2.{number}/24", "dev", "eth0")
            run("ip", "-n", namespace, "address", "add", f"2001:db8:1::{number}/64", "dev", "eth0", "nodad")
            run("ip", "-n", namespace, "link", "set", "eth0", "up")
        configuration = self.folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=self.folder))
        self._nginx = subprocess.Popen(["ip", "netns", "exec", SERVER, "nginx", "-c", str(configuration)])
        eventually(lambda: inside(SERVER, "ss", "-Hlnt", "sport = :80").count("LISTEN") == 2, what="nginx listens")
        eventually(lambda: "local fe80" in self.picture() and "tentative" not in self.picture(), what="it is settled")

    def destroy(self) -> None:
        if self._nginx is not None:
            self._nginx.terminate()
            self._nginx.wait(20)
        for namespace in (SERVER, BESIDE):
            run("ip", "netns", "del", namespace, check=False)

    def picture(self) -> str:
        """All that a set-up could change."""
        parameters = inside(SERVER, "sysctl", "-a", "-r", r"^net\.ipv[46]\.(conf|neigh)")
        return parameters + inside(SERVER, "sh", "-c", "ip address; ip route show table all; ip rule; nft list ruleset")

    def setup(self, *words: str, check: bool = True) -> str:
        command = [sys.executable, "-m", "yaoki.cli", "realserver", "setup", "web", "web1", "--os", "linux"]
        return inside(SERVER, *command, "--site", str(SITE), "--state-dir", str(self.state), *words, check=check)

    def serves(self, vip: str) -> bool:
        """Whether a packet for the VIP that is sent to its MAC is answered by the service, as by direct return."""
        run("ip", "-n", BESIDE, "neighbour", "replace", vip, "lladdr", MAC, "dev", "eth0")
        host = f"[{vip}]" if ":" in vip else vip
        said = inside(BESIDE, "curl", "-gs", "--connect-timeout", "1", f"http://{host}/", check=False)
        run("ip", "-n", BESIDE, "neighbour", "del", vip, "dev", "eth0")
        return said == f"web1 {vip}\n"

    def comes_to_serve(self, vip: str) -> None:
        """A link that has just come up loses the first solicitations."""
        eventually(lambda: self.serves(vip), what=f"the service answers at {vip}")

    def answers_for(self, vip: str) -> bool:
        """Whether it tells its MAC to whoever asks for the VIP."""
        run("ip", "-n", BESIDE, "neighbour", "flush", "to", vip, "dev", "eth0", check=False)
        inside(BESIDE, "ping", "-c1", "-W1", vip, check=False)
        return MAC in run("ip", "-n", BESIDE, "neighbour", "show", vip)

    def names_the_vip(self) -> bool:
        """Whether its own question for a neighbour bears the VIP as the sender's address."""
        run("ip", "-n", SERVER, "neighbour", "flush", "dev", "eth0")
        watch = ["ip", "netns", "exec", BESIDE, "tcpdump", "-lnni", "eth0", "-c1", "arp[7] = 1 and ether src", MAC]
        watching = subprocess.Popen(watch, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert watching.stderr is not None
        while "listening on" not in watching.stderr.readline():
            pass
        inside(SERVER, "ping", "-c1", "-W1", "-I", VIP4, "192.0.2.77", check=False)
        said, _ = watching.communicate(timeout=20)
        found = re.search(r"who-has 192\.0\.2\.77 tell (\S+),", said)
        assert found is not None, said
        return found[1] == VIP4


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    made.destroy()
    try:
        made.build()
        yield made
    finally:
        made.destroy()


def shell(*commands: str, check: bool = True) -> str:
    """Lines in one shell of the server, where /etc and /var/lib are its own."""
    own = [f"mount -t tmpfs none {path}" for path in ("/etc/sysctl.d", "/etc/network", "/var/lib")]
    return inside(
        SERVER, "sh", "-c", "\n".join(["set -e", *own, "mkdir /etc/network/interfaces.d", *commands]), check=check
    )


def lines(steps: tuple[Step, ...]) -> list[str]:
    return [line for step in steps if step.shell is not Shell.HAND for line in step.lines]


@pytest.mark.req("D-03", "D-09", "D-10", "D-19")
def test_applied_it_serves_the_vip_and_is_silent_and_undone_it_is_as_before(server: Server) -> None:
    before = server.picture()
    assert not server.serves(VIP4)
    assert not server.serves(VIP6)
    said = server.setup("--apply")
    assert said.splitlines() == [
        "sysctl net.ipv4.conf.all.arp_ignore: 1",
        "sysctl net.ipv4.conf.all.arp_announce: 2",
        "address 192.0.2.50/32: there",
        "address 2001:db8:1::50/128: there",
    ]
    for vip in (VIP4, VIP6):
        server.comes_to_serve(vip)
        assert not server.answers_for(vip)
    assert not server.names_the_vip()
    applied = server.picture()
    assert server.setup("--apply") == "nothing to change\n"
    assert server.picture() == applied
    undone = json.loads(server.setup("--undo", "-j"))
    assert [write["value"] for write in undone["changed"]] == [None, None, "0", "0"]
    assert server.picture() == before
    assert not (server.state / "realserver.json").exists()


@pytest.mark.req("D-03")
def test_what_was_there_before_is_there_afterwards(server: Server) -> None:
    inside(SERVER, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=2", "net.ipv4.conf.all.arp_announce=1")
    run("ip", "-n", SERVER, "address", "add", f"{VIP4}/32", "dev", "lo")
    before = server.picture()
    assert "arp_ignore" not in server.setup("--apply")
    server.comes_to_serve(VIP6)
    server.setup("--undo")
    assert server.picture() == before
    run("ip", "-n", SERVER, "address", "del", f"{VIP4}/32", "dev", "lo")
    inside(SERVER, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.all.arp_announce=0")


def test_a_step_that_is_refused_leaves_everything_as_it_was(server: Server) -> None:
    inside(SERVER, "sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=1")
    before = server.picture()
    assert server.setup("--apply", check=False) == ""
    assert server.picture() == before
    assert not (server.state / "realserver.json").exists()
    inside(SERVER, "sysctl", "-qw", "net.ipv6.conf.lo.disable_ipv6=0")
    run("ip", "-n", SERVER, "address", "replace", "::1/128", "dev", "lo")
    # The directory of ifupdown is missing here.
    before = server.picture()
    assert server.setup("--apply", "--os", "debian", check=False) == ""
    assert server.picture() == before


@pytest.mark.req("D-09")
def test_a_vip_on_the_wire_is_refused(server: Server) -> None:
    run("ip", "-n", SERVER, "address", "add", f"{VIP4}/24", "dev", "eth0")
    before = server.picture()
    assert server.setup("--apply", check=False) == ""
    assert server.picture() == before
    run("ip", "-n", SERVER, "address", "del", f"{VIP4}/24", "dev", "eth0")


@pytest.mark.req("D-03")
@pytest.mark.parametrize("os", [OperatingSystem.LINUX, OperatingSystem.DEBIAN])
def test_what_is_printed_does_the_same_when_it_is_typed(server: Server, os: OperatingSystem) -> None:
    before = server.picture()
    made = PROCEDURES[os](task(os))
    looks = "ip -br address show dev lo; sysctl -n net.ipv4.conf.all.arp_ignore net.ipv4.conf.all.arp_announce"
    typed = [*lines(made.setup), *lines(made.setup), looks, "find /etc/sysctl.d /etc/network -type f | sort"]
    said = shell(*typed, *lines(made.confirm), *lines(made.undo), "find /var/lib /etc/sysctl.d /etc/network -type f")
    assert f"lo               UNKNOWN        127.0.0.1/8 {VIP4}/32 {VIP6}/128 ::1/128 \n1\n2\n" in said
    assert (f"local {VIP4} dev lo" in said, f"local {VIP6} from :: dev lo" in said) == (True, True)
    assert "0.0.0.0:80" in said
    if os is OperatingSystem.DEBIAN:
        assert "/etc/network/interfaces.d/yaoki-web\n/etc/sysctl.d/60-yaoki-realserver.conf\n" in said
    assert server.picture() == before


@pytest.mark.req("D-03")
def test_on_debian_the_files_come_and_go_with_it(server: Server) -> None:
    before = server.picture()
    command = (
        f"{sys.executable} -m yaoki.cli realserver setup web web1 --os debian --site {SITE} --state-dir /var/lib/y"
    )
    files = "find /var/lib /etc/sysctl.d /etc/network -type f | sort"
    said = shell(f"{command} --apply >/dev/null", files, f"{command} --undo >/dev/null", "echo undone", files)
    assert said.splitlines() == [
        "/etc/network/interfaces.d/yaoki-web",
        "/etc/sysctl.d/60-yaoki-realserver.conf",
        "/var/lib/y/realserver.json",
        "undone",
    ]
    assert server.picture() == before


@pytest.mark.req("D-09")
@pytest.mark.parametrize(
    ("quiet", "answers"),
    [
        ((), True),
        (("sysctl -qw net.ipv4.conf.lo.arp_ignore=1",), True),
        (("sysctl -qw net.ipv4.conf.all.arp_ignore=1", "sysctl -qw net.ipv4.conf.eth0.arp_ignore=3"), True),
        (("sysctl -qw net.ipv4.conf.eth0.arp_ignore=1",), False),
        (("sysctl -qw net.ipv4.conf.all.arp_ignore=1",), False),
        (("nft",), False),
    ],
    ids=["nothing", "on lo alone", "another value on the interface", "on the interface", "on all", "nftables"],
)
def test_what_keeps_a_server_silent_and_what_does_not(server: Server, quiet: tuple[str, ...], answers: bool) -> None:
    """The cases that the linter, the steps and the refusals are made of."""
    before = server.picture()
    run("ip", "-n", SERVER, "address", "add", f"{VIP4}/32", "dev", "lo")
    way = next(way for way in ways(task(OperatingSystem.LINUX)) if "nftables" in way.what)
    inside(SERVER, "sh", "-ec", "\n".join(way.lines if quiet == ("nft",) else quiet) or "true")
    assert server.answers_for(VIP4) is answers
    assert server.names_the_vip() is (quiet != ("nft",))
    if quiet == ("nft",):
        inside(SERVER, "sh", "-ec", "\n".join(way.undo))
    else:
        restored = [f"net.ipv4.conf.{name}.arp_ignore=0" for name in ("all", "lo", "eth0")]
        inside(SERVER, "sysctl", "-qw", *restored)
    run("ip", "-n", SERVER, "address", "del", f"{VIP4}/32", "dev", "lo")
    assert server.picture() == before


@pytest.mark.req("D-16", "D-19")
def test_what_old_instructions_say_about_linux_does_not_hold(server: Server) -> None:
    """An alias of an interface that is down holds no address, and there is no lo0; lo:1 is as good as ever."""
    before = server.picture()
    inside(SERVER, "ifconfig", "eth0:1", VIP4, "down", check=False)
    assert not server.serves(VIP4)
    inside(SERVER, "ip", "link", "set", "eth0", "up")
    assert VIP4 not in inside(SERVER, "ip", "address")
    gone = subprocess.run(
        ["ip", "netns", "exec", SERVER, "ifconfig", "lo0:1", VIP4, "netmask", "255.255.255.255", "up"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (gone.returncode != 0, "No such device" in gone.stderr) == (True, True)
    way = next(way for way in ways(task(OperatingSystem.LINUX)) if "net-tools" in way.what)
    inside(SERVER, "sh", "-ec", "\n".join(way.lines))
    server.comes_to_serve(VIP4)
    server.comes_to_serve(VIP6)
    inside(SERVER, "sh", "-ec", "\n".join(way.undo))
    assert server.picture() == before
