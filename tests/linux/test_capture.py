"""Recording in namespaces: what packet sockets see of the balancer's two planes, and where a recording ends."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from tests.lb.samples import trio
from tests.linux.world import PREFIX, World
from yaoki.lb.capture import Verdict, Way, concerns, frames_of, hops_of, judge, scene_of, unwrapped
from yaoki.lb.service import Forward
from yaoki.linux.capture_filter import program
from yaoki.linux.capture_socket import CaptureSocket, Seen
from yaoki.linux.network_namespace import inside
from yaoki.linux.own_interfaces import own_interfaces
from yaoki.packet import pcapng
from yaoki.packet.recording import CaptureInterface, Direction, Recording
from yaoki.runtime.recorder import Bounds, End, Post, record
from yaoki.site.capture_task import CaptureTask, capture_task
from yaoki.site.load import load_site
from yaoki.site.model import Site

pytestmark = pytest.mark.netns

SITE = load_site(Path(__file__).with_name("site.yaml")).site
EVERYBODY = ("lb", "s1", "s2", "s3", "router")


def posts(task: CaptureTask, machine: str, names: tuple[str, ...], snap: int) -> list[Post]:
    addresses, ports = {address for address, _ in task.places}, {port for _, port in task.places}
    own = {interface.name: interface for interface in own_interfaces()}
    tunnel = (task.scene.tunnel, task.ends) if task.ends else None
    filter_ = program(addresses, ports, task.protocol, snap=snap, tunnel=tunnel)
    return [
        Post(CaptureSocket(name, filter_, snap=snap), CaptureInterface(machine, name, own[name].mac)) for name in names
    ]


def recorded(
    machines: tuple[str, ...], meanwhile: Callable[[], object], bounds: Bounds = Bounds(), site: Site = SITE
) -> tuple[CaptureTask, Recording, End]:
    """What passes while something is done; SIGINT ends it then, as Ctrl-C does."""
    task = capture_task(site, "web", machines)

    def wanted(seen: Seen) -> bool:
        read = unwrapped(seen.octets, seen.length, task.scene)
        return read is not None and concerns(read[0], task.scene, task.protocol)

    def act() -> None:
        meanwhile()
        signal.raise_signal(signal.SIGINT)

    with ExitStack() as stack:
        # The signal comes too late where a bound was reached before.
        before = signal.signal(signal.SIGINT, lambda *_: None)
        stack.callback(signal.signal, signal.SIGINT, before)
        found: list[Post] = []
        for machine, names in task.interfaces:
            found += inside(PREFIX + machine, partial(posts, task, machine, names, bounds.snap))
        for post in found:
            stack.callback(post.socket.close)
        actor = threading.Thread(target=act)
        actor.start()
        recording, end = record(found, bounds, wanted=wanted)
        actor.join()
    return task, recording, end


def judged(task: CaptureTask, recording: Recording, machines: tuple[str, ...]) -> Verdict:
    scene = scene_of(task.scene, recording)
    return judge(scene, frames_of(recording, scene), recorded=machines, lost=recording.lost)


@pytest.fixture(params=["bpf", "nftables"])
def balanced(request: pytest.FixtureRequest, direct_network: World) -> Iterator[World]:
    direct_network.agents["lb"].ask("new_balancer", plane=request.param)
    direct_network.balance(trio(Forward.DIRECT))
    yield direct_network
    direct_network.clean_up()


@pytest.mark.req("D-01", "D-08", "D-28")
def test_either_plane_is_seen_twice_at_the_balancer_as_it_came_and_as_it_left(balanced: World) -> None:
    task, recording, end = recorded(EVERYBODY, lambda: balanced.names(4, "tcp", times=6))
    assert end is End.STOPPED
    verdict = judged(task, recording, EVERYBODY)
    assert (verdict.way, verdict.flows, verdict.requests, verdict.lost) == (Way.DIRECT, 6, 6, 0)
    assert (verdict.through, verdict.past, verdict.unanswered) == ((), (), ())
    assert [server for server, _ in verdict.straight] == ["s1", "s2", "s3"]
    # Every packet that came in went out again, with its new MAC.
    assert sum(count.packets for _, count in verdict.sent_on) == verdict.asked.packets
    scene = scene_of(task.scene, recording)
    hops = [(hop.source.machine, hop.destination.machine) for hop in hops_of(scene, frames_of(recording, scene))]
    server = hops[1][1]
    assert hops == [("router", "lb"), ("lb", server), (server, "router")]
    assert pcapng.decode(pcapng.encode(recording, "Yaoki")) == recording
    assert {packet.direction for packet in recording.packets} == set(Direction)
    assert sorted(packet.at_ns for packet in recording.packets) == [packet.at_ns for packet in recording.packets]


def test_the_balancer_alone_knows_by_acknowledgements(balanced: World) -> None:
    task, recording, _ = recorded(("lb",), lambda: balanced.names(4, "tcp", times=3))
    verdict = judged(task, recording, ("lb",))
    assert (verdict.way, verdict.flows, verdict.straight) == (Way.DIRECT, 3, ())
    assert verdict.acknowledged > 0


def test_a_recording_keeps_its_bounds(balanced: World) -> None:
    ask = partial(balanced.names, 4, "tcp", times=6)
    _, recording, end = recorded(("lb",), ask, Bounds(packets=5))
    assert (end, len(recording.packets)) == (End.PACKETS, 5)
    _, recording, end = recorded(("lb",), ask, Bounds(octets=400, snap=128))
    assert end is End.OCTETS
    assert 400 <= sum(len(packet.octets) for packet in recording.packets) < 400 + 128
    _, recording, end = recorded(("lb",), ask, Bounds(time=timedelta(milliseconds=50)))
    assert end in (End.TIME, End.STOPPED)
