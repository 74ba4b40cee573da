"""Our speaker beside a real keepalived (Debian 12: 2.2.7): elections, hand-overs and heals, in both directions.

Debian's 2.2.7 has no `v3_checksum_as_v2`, so as a peer it knows the checksum with the pseudo-header only; the test of
the other form runs where keepalived has the keyword, and shows in any case that our choice of form decides.
"""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_interface
from pathlib import Path

import pytest

from tests.runtime.speakers import MAC, VIP, VIP_6, RunningSpeaker, Segment, eventually, ip, never, params
from yaoki.core.address import Family
from yaoki.node.messages import RouterState
from yaoki.vrrp.advertisement import Rejection
from yaoki.vrrp.events import (
    AddressListMismatch,
    BecameActive,
    ChecksumFormLearnt,
    PacketRejected,
    PeerMayBeDeaf,
    Reason,
)
from yaoki.vrrp.params import ChecksumForm, RouterParams
from yaoki.vrrp.virtual_mac import virtual_mac

pytestmark = [pytest.mark.netns, pytest.mark.peers]

LINK_LOCAL_VIP = "fe80::50/64"
VIP_MORE = "192.0.2.51/24"
OURS, THEIRS = 12, 11


@dataclass(frozen=True, slots=True)
class Kind:
    """One way to speak VRRP."""

    name: str
    version: int
    family: Family
    interval: timedelta
    lines: str = ""
    unicast: bool = False
    virtual_mac: bool = False

    @property
    def vips(self) -> tuple[str, ...]:
        return (VIP,) if self.family is Family.IPV4 else (LINK_LOCAL_VIP, VIP_6)

    def configuration(self, priority: int) -> str:
        return f"""
            vrrp_instance web {{
                interface eth0
                virtual_router_id 51
                version {self.version}
                priority {priority}
                advert_int {self.interval.total_seconds():g}
                {self.lines}
                {self.peers if self.unicast else ""}
                virtual_ipaddress {{
                    {" ".join(vip + chr(10) for vip in self.vips)}
                }}
            }}
        """

    @property
    def peers(self) -> str:
        """Over IPv6 keepalived would else send from its link-local address."""
        return f"unicast_src_ip {self.address(THEIRS)}\nunicast_peer {{\n{self.address(OURS)}\n}}"

    def address(self, number: int) -> str:
        return f"192.0.2.{number}" if self.family is Family.IPV4 else f"2001:db8:1::{number}"

    def params(self, priority: int, checksum: ChecksumForm = ChecksumForm.AS_HEARD) -> RouterParams:
        ours = params(
            priority,
            family=self.family,
            interval=self.interval,
            version=self.version,
            vips=self.vips,
            checksum=checksum,
            source=self.address(OURS) if self.unicast else None,
            peers=(self.address(THEIRS),) if self.unicast else None,
        )
        return replace(ours, virtual_mac=self.virtual_mac)


TENTH, SECOND = timedelta(milliseconds=100), timedelta(seconds=1)
VERSION_3 = Kind("version 3, IPv4", 3, Family.IPV4, TENTH)
PLAIN = Kind("version 3, IPv4, checksum of the message only", 3, Family.IPV4, TENTH, "v3_checksum_as_v2")
KINDS = [Kind("version 2", 2, Family.IPV4, SECOND), VERSION_3, Kind("version 3, IPv6", 3, Family.IPV6, TENTH), PLAIN]
VIRTUAL = Kind("virtual MAC, IPv4", 3, Family.IPV4, TENTH, "use_vmac", virtual_mac=True)
VIRTUAL_6 = Kind("virtual MAC, IPv6", 3, Family.IPV6, TENTH, "use_vmac", virtual_mac=True)
SLOW = Kind("version 3, IPv4, once a second", 3, Family.IPV4, SECOND)
UNICAST = Kind("unicast, IPv4", 3, Family.IPV4, TENTH, unicast=True)
UNICAST_6 = Kind("unicast, IPv6", 3, Family.IPV6, TENTH, unicast=True)
UNICAST_2 = Kind("unicast, version 2", 2, Family.IPV4, SECOND, unicast=True)


def kinds(*which: Kind) -> pytest.MarkDecorator:
    """In place of KINDS, for a test that need not see all of them, or sees more."""
    return pytest.mark.parametrize("scene", which, indirect=True, ids=lambda kind: kind.name)


class Keepalived:
    """A keepalived on machine "k", which can be stopped and started again."""

    def __init__(self, segment: Segment, directory: Path, configuration: str, *options: str) -> None:
        self._segment = segment
        self._options = options
        self._directory = directory
        self._configuration = configuration
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        path = self._directory / "keepalived.conf"
        path.write_text(self._configuration)
        pids = [f"--{name}={self._directory / name}" for name in ("pid", "vrrp_pid")]
        self._process = self._segment.run(
            "k", "keepalived", "--vrrp", "--dont-fork", "--log-console", f"--use-file={path}", *pids, *self._options
        )

    def listens(self) -> bool:
        """Whether it has a socket of VRRP's protocol in either family."""
        command = ["ip", "netns", "exec", self._segment.namespace("k"), "cat", "/proc/net/raw", "/proc/net/raw6"]
        return ":0070 " in subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    def stop(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)


def knows(keyword: str) -> bool:
    binary = shutil.which("keepalived")
    return binary is not None and keyword.encode() in Path(binary).read_bytes()


def steadily(condition: Callable[[], bool], what: str, *, lasting: float, within: float = 30) -> None:
    """So it is for so long on end. Who stands still for a few advertisements, on a busy machine, is relieved for a
    moment, as it should be; then it counts anew."""
    until = time.monotonic() + within
    since = time.monotonic()
    while time.monotonic() < since + lasting:
        if not condition():
            since = time.monotonic()
        assert since < until, f"not for {lasting} s on end within {within} s: {what}"
        time.sleep(0.02)


def rejections(speaker: RunningSpeaker) -> list[Rejection]:
    return [body.reason for body in speaker.told(PacketRejected) if isinstance(body, PacketRejected)]


@dataclass(slots=True)
class Scene:
    """A keepalived and a speaker of ours on one segment, and a client that knows the VIP."""

    segment: Segment
    directory: Path
    kind: Kind

    def keepalived(self, priority: int, lines: str = "") -> Keepalived:
        configuration = self.kind.configuration(priority).replace("virtual_ipaddress", f"{lines}\nvirtual_ipaddress")
        keepalived = Keepalived(self.segment, self.directory, configuration)
        keepalived.start()
        return keepalived

    def speaker(
        self, priority: int, checksum: ChecksumForm = ChecksumForm.AS_HEARD, *, more: tuple[str, ...] = ()
    ) -> RunningSpeaker:
        """Ours, with `more` addresses than keepalived has."""
        speaker = self.segment.speaker("y", self.directory)
        params = self.kind.params(priority, checksum)
        speaker.configure(replace(params, addresses=(*params.addresses, *map(ip_interface, more))))
        return speaker

    def held_by(self, *names: str) -> bool:
        return all(self.segment.holders(vip) == list(names) for vip in self.kind.vips)

    def only(self, name: str) -> None:
        eventually(lambda: self.held_by(name), f"only {name} owns", within=30)

    def isolate(self, isolated: bool) -> None:
        """Let k and y not hear each other, while the client hears both."""
        for name in ("k", "y"):
            words = ("link", "set", "dev", name, "type", "bridge_slave", "isolated", "on" if isolated else "off")
            ip("-n", self.segment.namespace("net"), *words)

    def client_believes(self) -> str | None:
        """The MAC that the client has for the VIP."""
        vip = self.kind.vips[-1].partition("/")[0]
        entries = json.loads(ip("-n", self.segment.namespace("c"), "-j", "neighbour", "show", vip) or "[]")
        return next((entry.get("lladdr") for entry in entries), None)

    def client_asks(self) -> None:
        vip = self.kind.vips[-1].partition("/")[0]
        command = ["ip", "netns", "exec", self.segment.namespace("c"), "ping", "-c1", "-W1", vip]
        eventually(
            lambda: subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0, "ping"
        )


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    kind: Kind = request.param
    if kind.lines and not knows(kind.lines):
        pytest.skip(f"this keepalived has no {kind.lines}")
    with Segment() as segment:
        for name, number in (("k", THEIRS), ("y", OURS), ("c", 13)):
            segment.add(name, number)
        # keepalived 2.2.7 leaves the hop limit of IPv6 unicast to the kernel, whose own choice is 64.
        segment.sysctl("k", "net.ipv6.conf.eth0.hop_limit", "255")
        yield Scene(segment, tmp_path, kind)


@pytest.mark.req("B-05")
@kinds(*KINDS, UNICAST, UNICAST_6, UNICAST_2)
def test_we_stand_by_take_over_when_keepalived_stops_and_give_back(scene: Scene) -> None:
    keepalived = scene.keepalived(150)
    scene.only("k")
    speaker = scene.speaker(100)
    eventually(lambda: speaker.state(scene.kind.family) is RouterState.BACKUP, "we stand by")
    eventually(lambda: speaker.hears(150), "we hear it")
    before = len(speaker.told(BecameActive))
    keepalived.stop()
    scene.only("y")
    (became,) = speaker.told(BecameActive)[before:]
    assert isinstance(became, BecameActive)
    assert became.reason is Reason.ACTIVE_RELEASED, "priority zero was understood"
    keepalived.start()
    scene.only("k")
    eventually(lambda: speaker.state(scene.kind.family) is RouterState.BACKUP, "we gave way")
    assert speaker.told(PacketRejected) == []


@pytest.mark.req("B-05")
@kinds(*KINDS, UNICAST, UNICAST_6)
def test_keepalived_stands_by_takes_over_when_we_stop_and_gives_back(scene: Scene) -> None:
    speaker = scene.speaker(150)
    scene.only("y")
    keepalived = scene.keepalived(100)
    eventually(keepalived.listens, "it listens")
    # Longer than its down timer, which it would run out of if it did not understand us.
    patience = 4 * scene.kind.interval.total_seconds() + 0.5
    steadily(lambda: scene.held_by("y"), "keepalived lets us own", lasting=patience)
    assert speaker.release() == 0
    scene.only("k")
    again = scene.speaker(150)
    scene.only("y")
    assert again.told(PacketRejected) == []


@kinds(UNICAST_6)
def test_hop_limit_that_keepalived_leaves_to_the_kernel_is_refused_and_said(scene: Scene) -> None:
    scene.segment.sysctl("k", "net.ipv6.conf.eth0.hop_limit", "64")
    scene.keepalived(150)
    speaker = scene.speaker(100)
    eventually(lambda: Rejection.HOP_LIMIT in rejections(speaker), "it was said")
    scene.segment.sysctl("k", "net.ipv6.conf.eth0.hop_limit", "255")
    scene.only("k")


@pytest.mark.req("B-07")
@pytest.mark.parametrize("winner", ["k", "y"])
def test_after_a_healed_partition_the_client_believes_the_winner(scene: Scene, winner: str) -> None:
    scene.isolate(True)
    scene.keepalived(150 if winner == "k" else 100)
    scene.only("k")
    speaker = scene.speaker(100 if winner == "k" else 150)
    eventually(lambda: scene.held_by("k", "y"), "both own, cut off from each other", within=30)
    scene.client_asks()
    scene.isolate(False)
    scene.only(winner)
    mac = MAC.format(THEIRS if winner == "k" else OURS)
    eventually(lambda: scene.client_believes() == mac, "the client was told", within=4)
    assert speaker.told(PacketRejected) == []


@pytest.mark.req("B-06", "B-07")
@kinds(VIRTUAL, VIRTUAL_6)
def test_keepalived_with_use_vmac_and_we_relieve_each_other(scene: Scene) -> None:
    """keepalived 2.2.7 asks its neighbours from the VIP and from the interface's own MAC, and they learn that: so what
    the client believes is looked at only while we own."""
    mac = str(virtual_mac(scene.kind.family, 51))
    keepalived = scene.keepalived(150)
    scene.only("k")
    scene.client_asks()
    speaker = scene.speaker(100)
    eventually(lambda: speaker.hears(150), "we hear it")
    keepalived.stop()
    scene.only("y")
    scene.client_asks()
    assert scene.client_believes() == mac
    keepalived.start()
    scene.only("k")
    eventually(lambda: speaker.state(scene.kind.family) is RouterState.BACKUP, "we gave way")
    scene.client_asks()
    assert speaker.told(PacketRejected) == []


@pytest.mark.req("B-06")
@kinds(VIRTUAL, VIRTUAL_6)
def test_keepalived_hears_us_from_the_virtual_mac(scene: Scene) -> None:
    speaker = scene.speaker(150)
    scene.only("y")
    keepalived = scene.keepalived(100)
    eventually(keepalived.listens, "it listens")
    steadily(lambda: scene.held_by("y"), "keepalived lets us own", lasting=1)
    assert speaker.release() == 0
    scene.only("k")
    again = scene.speaker(150)
    scene.only("y")
    scene.client_asks()
    assert scene.client_believes() == str(virtual_mac(scene.kind.family, 51))
    assert again.told(PacketRejected) == []


@kinds(VERSION_3)
def test_form_of_the_checksum_decides_whether_keepalived_understands(scene: Scene) -> None:
    scene.keepalived(100)
    scene.only("k")
    speaker = scene.speaker(150, ChecksumForm.MESSAGE_ONLY)
    eventually(lambda: scene.held_by("k", "y"), "it takes nothing we say, both own")
    speaker.configure(scene.kind.params(150, ChecksumForm.PSEUDO_HEADER))
    scene.only("y")


@kinds(VERSION_3)
def test_form_of_keepalived_is_the_one_we_begin_with(scene: Scene) -> None:
    scene.keepalived(150)
    scene.only("k")
    speaker = scene.speaker(100)
    eventually(lambda: speaker.hears(150), "we hear it")
    assert speaker.told(ChecksumFormLearnt) == []


@kinds(VERSION_3)
def test_other_addresses_of_keepalived_elect_no_second_owner_here(scene: Scene) -> None:
    """A rolling change of the list: we have an address more. keepalived owns, and we hear it all the same."""
    scene.keepalived(150)
    scene.only("k")
    speaker = scene.speaker(100, more=(VIP_MORE,))
    eventually(lambda: speaker.told(AddressListMismatch) != [], "the difference was told")
    steadily(lambda: scene.held_by("k"), "we let it own", lasting=1)
    assert speaker.state() is RouterState.BACKUP


@kinds(VERSION_3)
def test_keepalived_that_discards_ours_for_its_other_addresses_is_named(scene: Scene) -> None:
    """keepalived 2.2.7 drops what has another number of addresses, and so owns beside us; newer ones only log."""
    speaker = scene.speaker(150, more=(VIP_MORE,))
    scene.only("y")
    scene.keepalived(100)
    eventually(lambda: scene.held_by("k", "y"), "it takes nothing we say", within=30)
    eventually(lambda: speaker.told(PeerMayBeDeaf) != [], "it was named")
    speaker.configure(scene.kind.params(150))
    scene.only("y")


@kinds(SLOW)
def test_sticky_keepalived_of_higher_priority_waits_until_we_stop(scene: Scene) -> None:
    """Once a second, for it would keep what it took in a moment in which we stood still."""
    speaker = scene.speaker(100)
    scene.only("y")
    keepalived = scene.keepalived(150, "nopreempt\nstate BACKUP")
    eventually(keepalived.listens, "it listens")
    never(lambda: "k" in scene.segment.holders(VIP), "the better one takes it from us all the same", within=5)
    assert speaker.release() == 0
    scene.only("k")


@kinds(VERSION_3)
def test_equal_priorities_are_settled_by_the_greater_address(scene: Scene) -> None:
    scene.isolate(True)
    scene.keepalived(100)
    scene.speaker(100)
    eventually(lambda: scene.held_by("k", "y"), "both own, cut off from each other", within=30)
    scene.isolate(False)
    scene.only("y")
