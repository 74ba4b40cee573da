"""Real speakers in namespaces that die or stand still: who answers for the VIP then, and when they are back."""

import signal
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.runtime.speakers import SPEAKER, VIP, VIP_6, RunningSpeaker, Segment, eventually, ip, never, params
from yaoki.core.address import Family
from yaoki.core.instant import Instant
from yaoki.node.messages import ConfigureRouters, RouterState
from yaoki.node.speaker_events import GateArmed, GateDisarmed, GateRebuilt, KernelRefused, Overslept
from yaoki.vrrp.events import BecameActive, BecameBackup, Reason
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

pytestmark = [pytest.mark.netns, pytest.mark.req("B-19")]

BOTH = (Family.IPV4, Family.IPV6)
ADDRESSES = {Family.IPV4: VIP.partition("/")[0], Family.IPV6: VIP_6.partition("/")[0]}
MACS = {"a": "02:00:00:00:00:0b", "b": "02:00:00:00:00:0c"}
OWN = {"a": "192.0.2.11", "b": "192.0.2.12"}


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        segment.add("a", 11)
        segment.add("b", 12)
        segment.add("c", 13)
        yield segment


def start(
    segment: Segment, tmp_path: Path, name: str, *, interval_ms: int = 100, program: str = SPEAKER
) -> RunningSpeaker:
    """Speaker a (150) or b (100), with the other as its peer."""
    peer = "b" if name == "a" else "a"
    path = PeerPath("eth0", ip_address(OWN[name]), ip_address(OWN[peer]))
    heartbeat = HeartbeatParams(name, "g1", timedelta(milliseconds=100), (PeerParams(peer, ("web-vip",), (path,)),))
    directory = tmp_path / name
    directory.mkdir(exist_ok=True)
    speaker = segment.speaker(name, directory, program=program)
    interval = timedelta(milliseconds=interval_ms)
    routers = tuple(params(150 if name == "a" else 100, family=family, interval=interval) for family in BOTH)
    speaker.tell(ConfigureRouters(routers, heartbeat=heartbeat))
    return speaker


def pair(
    segment: Segment, tmp_path: Path, *, interval_ms: int = 100, program: str = SPEAKER
) -> tuple[RunningSpeaker, RunningSpeaker]:
    """a, which may be another program, owns, and its gates are armed."""
    a = start(segment, tmp_path, "a", interval_ms=interval_ms, program=program)
    b = start(segment, tmp_path, "b", interval_ms=interval_ms)
    eventually(lambda: len(a.told(GateArmed)) >= 2 and owns(a), "a owns, and is armed")
    eventually(lambda: all(b.state(family) is RouterState.BACKUP for family in BOTH), "b stands by")
    return a, b


def owns(speaker: RunningSpeaker) -> bool:
    return all(speaker.state(family) is RouterState.ACTIVE for family in BOTH)


def last(speaker: RunningSpeaker, kind: type[BecameActive | BecameBackup], family: Family) -> Instant:
    """When it became so last; the speakers of one machine share their clock."""
    found = [e.at for e in speaker.published if isinstance(e.body, kind) and e.body.router.family is family]
    return found[-1]


def answerers(segment: Segment, family: Family) -> set[str]:
    """Who answers when c asks for the VIP, five times."""
    client, found = segment.namespace("c"), set()
    for _ in range(5):
        ip("-n", client, "neighbour", "flush", "dev", "eth0")
        command = ["ip", "netns", "exec", client, "ping", "-c1", "-W1", ADDRESSES[family]]
        subprocess.run(command, capture_output=True, check=False, timeout=30)
        entry = ip("-n", client, "neighbour", "show", ADDRESSES[family])
        found |= {name for name, mac in MACS.items() if mac in entry}
    return found


def only_b_answers(segment: Segment, family: Family) -> bool:
    return answerers(segment, family) == {"b"}


def ruleset(segment: Segment, name: str) -> str:
    command = ["ip", "netns", "exec", segment.namespace(name), "nft", "list", "ruleset"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def test_a_killed_owner_is_silenced_by_its_kernel_and_joins_anew_when_it_is_started_again(
    segment: Segment, tmp_path: Path
) -> None:
    a, b = pair(segment, tmp_path)
    a.process.kill()
    a.process.wait()
    assert VIP in segment.addresses("a")
    eventually(lambda: owns(b), "b owns both")
    for family in BOTH:
        assert answerers(segment, family) == {"b"}
    # Without renewal the kernel takes the addresses off as well.
    eventually(lambda: not {VIP, VIP_6} & segment.addresses("a"), "the addresses of a have run out")
    again = start(segment, tmp_path, "a")
    eventually(lambda: owns(again), "a owns both again")
    reasons = {body.reason for body in again.told(BecameActive) if isinstance(body, BecameActive)}
    assert reasons == {Reason.PREEMPTED_LOWER}
    eventually(lambda: not {VIP, VIP_6} & segment.addresses("b"), "b has let go")
    for family in BOTH:
        assert answerers(segment, family) == {"a"}
    assert not again.told(KernelRefused)


def test_an_owner_that_stood_still_steps_down_first(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    a.process.send_signal(signal.SIGSTOP)
    eventually(lambda: owns(b), "b owns both")
    for family in BOTH:
        assert answerers(segment, family) == {"b"}
    a.process.send_signal(signal.SIGCONT)
    eventually(lambda: len(a.told(Overslept)) == 2, "a says that it has overslept")
    eventually(lambda: owns(a), "a owns both again")
    assert not a.told(KernelRefused)


@pytest.mark.parametrize("effect", ["RefreshGate", "SendAdvertisement"])
def test_what_an_owner_was_about_to_say_when_it_stopped_is_not_said_any_more(
    segment: Segment, tmp_path: Path, effect: str
) -> None:
    a, b = pair(segment, tmp_path, program="tests.runtime.stopping_speaker")
    (tmp_path / "a" / effect).touch()
    eventually(lambda: owns(b), "b owns both")
    for family in BOTH:
        eventually(partial(only_b_answers, segment, family), "a is silenced")
    a.process.send_signal(signal.SIGCONT)
    eventually(lambda: len(a.told(BecameActive)) == 4, "a owns both again")
    eventually(lambda: all(b.state(family) is RouterState.BACKUP for family in BOTH), "b has given way")
    assert len(a.told(Overslept)) == 2
    for family in BOTH:
        # An advertisement of a before that would be one of a router that owns no more.
        assert last(b, BecameBackup, family) > last(a, BecameActive, family)


@pytest.mark.parametrize("before", ["SendAdvertisement", "RefreshedGates"])
def test_an_owner_is_silenced_by_then_wherever_it_stops(segment: Segment, tmp_path: Path, before: str) -> None:
    # At these intervals its gate would stay open for 0.4 s longer than b waits, had it been refreshed unheard.
    a, b = pair(segment, tmp_path, interval_ms=1000, program="tests.runtime.stopping_speaker")
    (tmp_path / "a" / before).touch()
    eventually(lambda: b.state(Family.IPV4) is RouterState.ACTIVE, "b owns")
    assert answerers(segment, Family.IPV4) == {"b"}
    assert not a.told(Overslept)


def test_a_lone_owner_is_never_silenced(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    b.process.kill()
    eventually(lambda: len(a.told(GateDisarmed)) == 2, "a is alone and disarmed")
    a.process.kill()
    a.process.wait()
    never(lambda: VIP not in segment.addresses("a"), "a lost its address", within=3)
    for family in BOTH:
        assert answerers(segment, family) == {"a"}


def test_a_speaker_that_is_back_in_time_goes_on_where_it_was(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path, interval_ms=2000)
    a.process.kill()
    a.process.wait()
    again = start(segment, tmp_path, "a", interval_ms=2000)
    eventually(lambda: owns(again), "a owns both")
    reasons = {body.reason for body in again.told(BecameActive) if isinstance(body, BecameActive)}
    assert reasons == {Reason.ADDRESSES_HELD}
    never(lambda: not all(b.state(family) is RouterState.BACKUP for family in BOTH), "b took over", within=8)
    assert not b.told(BecameActive)


def test_a_flushed_ruleset_moves_nothing_and_the_gate_is_back(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    command = ["ip", "netns", "exec", segment.namespace("a"), "nft", "flush", "ruleset"]
    subprocess.run(command, check=True, timeout=30)
    eventually(lambda: len(a.told(GateRebuilt)) >= 1, "a has noticed")
    eventually(lambda: "drop" in ruleset(segment, "a"), "the gate is back")
    assert owns(a)
    assert not a.told(Overslept)
    a.process.kill()
    eventually(lambda: owns(b), "b owns both")
    for family in BOTH:
        assert answerers(segment, family) == {"b"}


def test_release_leaves_nothing_of_the_gate(segment: Segment, tmp_path: Path) -> None:
    before = ruleset(segment, "a")
    a, _ = pair(segment, tmp_path)
    assert "yaoki-gate" in ruleset(segment, "a")
    assert a.release() == 0
    assert ruleset(segment, "a") == before
