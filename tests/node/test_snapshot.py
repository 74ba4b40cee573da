"""What readers see: ages, evidence, and what turns grey."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

from tests.node.scene import ROUTER, SECOND, Scene, address, mac, plan, server, service
from yaoki.core.codec import Codec
from yaoki.lb.packet_reason import PacketReason
from yaoki.lb.service import Forward
from yaoki.node.brain_events import Part
from yaoki.node.brain_messages import NeighbourFound, NewPlan, Operate, SpeakerLost, WorkerLost
from yaoki.node.decisions import Pause, SetServerAdmin, SetServiceEnabled
from yaoki.node.messages import PathStatus, PeerStatus, RouterState, RouterStatus
from yaoki.node.snapshot import Count, Counts, NodeView, PathView, ServiceTotal, Unsent, summary, view, with_counts
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.pool.policy import Outlook, Reason
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath


def running() -> Scene:
    scene = Scene()
    scene.start(plan(service(servers=[server(1), server(2, forward=Forward.DIRECT)])))
    scene.give(NeighbourFound(address(2), mac(2)))
    scene.all_up(2)
    peer = IPv4Address("192.0.2.12")
    scene.give(RouterStatus(ROUTER, "web-vip", RouterState.BACKUP, scene.now, 150, "started", peer, 200, scene.now))
    scene.pass_time(5 * SECOND)
    return scene


def test_every_value_has_its_age_and_its_evidence() -> None:
    scene = running()
    scene.verdict(1, Health.DOWN)
    scene.pass_time(2 * SECOND)
    node = view(scene.brain, scene.now)
    (router,) = node.routers
    assert (router.state, router.age, router.peer_heard, router.peer_priority) == (
        RouterState.BACKUP,
        7 * SECOND,
        7 * SECOND,
        200,
    )
    one, two = node.services[0].servers
    assert (one.duty, one.reason, one.age, one.evidence) == (Duty.OUT, Reason.DOWN, 2 * SECOND, "no answer")
    assert (two.duty, two.age, two.evidence, two.mac) == (Duty.SERVE, 7 * SECOND, "connected", mac(2))
    assert node.services[0].outlook is Outlook.PROVEN
    assert node.plan_age == 7 * SECOND
    assert node.balancer.in_force


def test_peers_are_shown_with_their_paths_and_generation() -> None:
    scene = Scene()
    front, back = IPv4Address("192.0.2.12"), IPv4Address("198.51.100.12")
    own = IPv4Address("192.0.2.11")
    paths = (PeerPath("eth0", own, front), PeerPath("eth1", own, back))
    peers = (PeerParams("lb2", ("web-vip",), paths), PeerParams("lb3", ("web-vip",), ()))
    scene.start(replace(plan(), heartbeat=HeartbeatParams("lb1", "g1", SECOND, peers)))
    statuses = (PathStatus("eth0", front, True, scene.now), PathStatus("eth1", back, False, None))
    scene.give(PeerStatus("lb2", True, scene.now, statuses, "g0"))
    scene.pass_time(2 * SECOND)
    lb2, lb3 = view(scene.brain, scene.now).peers
    assert (lb2.alive, lb2.age, lb2.generation, lb2.stale) == (True, 2 * SECOND, "g0", False)
    assert lb2.paths == (PathView("eth0", front, True, 2 * SECOND), PathView("eth1", back, False, None))
    assert (lb3.alive, lb3.age, lb3.generation) == (None, None, None)
    scene.give(SpeakerLost("it died"), NewPlan(plan(generation="g2")))
    assert view(scene.brain, scene.now).peers == ()
    assert scene.brain.peers == {}


def test_what_nobody_could_tell_changes_of_is_stale() -> None:
    scene = running()
    node = view(scene.brain, scene.now)
    assert not node.routers[0].stale
    assert not node.services[0].servers[0].stale
    scene.give(SpeakerLost("it died"), WorkerLost("it hangs"))
    scene.pass_time(3 * SECOND)
    node = view(scene.brain, scene.now)
    assert node.routers[0].stale
    assert node.services[0].servers[0].stale
    assert [(part.part, part.reached, part.age, part.why) for part in node.parts] == [
        (Part.SPEAKER, False, 3 * SECOND, "it died"),
        (Part.CHECKS, False, 3 * SECOND, "it hangs"),
    ]


def test_what_people_decided_is_seen() -> None:
    scene = running()
    scene.give(
        Operate(1, SetServerAdmin("web1", AdminState.DRAIN)), Operate(2, SetServiceEnabled("web", enabled=False))
    )
    node = view(scene.brain, scene.now)
    assert node.services[0].servers[0].admin is AdminState.DRAIN
    assert not node.services[0].enabled
    assert len(node.decisions.servers) == 1


def test_counts_are_added_where_the_kernel_has_them() -> None:
    scene = running()
    node = view(scene.brain, scene.now)
    key = node.services[0].key
    total = ServiceTotal(5, 500, 2)
    kernel = Counts({(key, address(1), 80): Count(3, 300, 1)}, {key: total}, {PacketReason.SHUT: 4})
    counted = with_counts(node, kernel)
    assert [s.count for s in counted.services[0].servers] == [Count(3, 300, 1), None]
    assert (counted.services[0].total, counted.unsent) == (total, (Unsent(PacketReason.SHUT, 4),))


def test_a_view_crosses_the_control_socket() -> None:
    scene = running()
    codec = Codec()
    node = view(scene.brain, scene.now)
    assert codec.decode(codec.encode(node), NodeView) == node
    assert node.plan_age == timedelta(seconds=5)


def test_a_node_in_one_line() -> None:
    scene = running()
    assert summary(scene.brain) == "owner of 0 of 1 VIPs, 2/2 servers serve"
    scene.verdict(1, Health.DOWN)
    scene.give(RouterStatus(ROUTER, "web-vip", RouterState.ACTIVE, scene.now, 150, "nobody heard"))
    scene.give(Operate(1, Pause()))
    assert summary(scene.brain) == "PAUSED, owner of 1 of 1 VIPs, 1/2 servers serve"
