"""What is known of peers: alive and silent by path, restarts, words that are old, generations, and what is asked."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.node.speaker_scene import at
from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.node.speaker_events import (
    GenerationAgrees,
    GenerationDiffers,
    PeerHeard,
    PeerPathHeard,
    PeerPathSilent,
    PeerRestarted,
    PeerSilent,
)
from yaoki.node.speaker_peers import GENERATION_GRACE, SpeakerPeers
from yaoki.vrrp.heartbeat import Heartbeat, Role, RouterKeyOnWire, RouterWord
from yaoki.vrrp.peer_params import HeartbeatParams, PeerParams, PeerPath

TENTH = timedelta(milliseconds=100)
FRONT = PeerPath("eth0", IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12"))
BACK = PeerPath("eth1", IPv4Address("198.51.100.11"), IPv4Address("198.51.100.12"))
THIRD = PeerPath("eth0", IPv4Address("192.0.2.11"), IPv4Address("192.0.2.13"))
LB2 = PeerParams("lb2", ("web-vip", "mail-vip"), (FRONT, BACK))
LB3 = PeerParams("lb3", ("web-vip",), (THIRD,))
PARAMS = HeartbeatParams("lb1", "g1", TENTH, (LB2, LB3))
KEY = RouterKeyOnWire.of("web-vip", Family.IPV4)


def word(priority: int, role: Role = Role.BACKUP, vip: str = "web-vip") -> RouterWord:
    return RouterWord(RouterKeyOnWire.of(vip, Family.IPV4), role, priority)


class Table:
    """The peers of lb1, and beats of lb2 and lb3 with sequences of their own."""

    def __init__(self, params: HeartbeatParams = PARAMS) -> None:
        self.peers = SpeakerPeers()
        self.peers.configure(at(0), params)
        self.sequence = 0

    def beat(
        self,
        ms: float,
        *words: RouterWord,
        path: PeerPath = FRONT,
        boot: int = 1,
        generation: str = "g1",
        sequence: int | None = None,
    ) -> list[EventBody]:
        self.sequence += 1
        number = self.sequence if sequence is None else sequence
        node = self.peers.expected(path.interface, path.peer)
        assert node is not None
        heartbeat = Heartbeat(node, generation, boot, number, TENTH, words)
        return self.peers.heard(at(ms), path.interface, path.peer, heartbeat, at(ms))

    def until(self, ms: float) -> list[tuple[Instant, EventBody]]:
        """Let time pass from deadline to deadline."""
        told: list[tuple[Instant, EventBody]] = []
        while (deadline := self.peers.deadline()) is not None and deadline.at <= at(ms):
            told += [(deadline.at, body) for body in self.peers.pass_time(deadline.at)]
        return told


def test_a_peer_is_heard_and_falls_silent_after_three_intervals_and_the_slack() -> None:
    table = Table()
    assert not table.peers.alive("lb2")
    assert table.beat(5) == [PeerHeard("lb2", "eth0")]
    assert table.beat(100) == []
    assert table.peers.alive("lb2")
    assert table.until(419) == []
    assert table.until(420) == [(at(420), PeerSilent("lb2", ("eth0",)))]
    assert not table.peers.alive("lb2")
    assert table.peers.deadline() is None
    assert table.beat(500) == [PeerHeard("lb2", "eth0")]


def test_time_alone_silences_nobody_too_early() -> None:
    table = Table()
    table.beat(0)
    assert table.peers.pass_time(at(319.999)) == []
    assert table.peers.alive("lb2")


def test_each_path_has_its_own_silence() -> None:
    table = Table()
    table.beat(0)
    assert table.beat(0, path=BACK) == [PeerPathHeard("lb2", "eth1")]
    table.beat(100, path=BACK)
    assert table.until(400) == [(at(320), PeerPathSilent("lb2", "eth0"))]
    assert table.peers.alive("lb2")
    assert table.until(500) == [(at(420), PeerSilent("lb2", ("eth1",)))]


def test_a_beat_that_waited_in_the_socket_counts_from_its_arrival() -> None:
    table = Table()
    beat = Heartbeat("lb2", "g1", 1, 1, TENTH, ())
    table.peers.heard(at(300), "eth0", FRONT.peer, beat, at(10))
    assert table.until(400) == [(at(330), PeerSilent("lb2", ("eth0",)))]


def test_nobody_is_expected_at_an_address_of_no_peer() -> None:
    peers = Table().peers
    assert peers.expected("eth0", FRONT.peer) == "lb2"
    assert peers.expected("eth1", FRONT.peer) is None
    assert peers.expected("eth0", IPv4Address("192.0.2.99")) is None


def test_a_restarted_peer_is_told_of_and_its_former_words_forgotten() -> None:
    table = Table()
    table.beat(0, word(100), boot=1, sequence=900)
    assert table.beat(50, boot=2, sequence=1) == [PeerRestarted("lb2")]
    assert table.peers.word("lb2", "web-vip", Family.IPV4) is None
    # A straggler of the former life, from a slower path.
    assert table.beat(60, word(100), path=BACK, boot=1, sequence=901) == []
    assert table.peers.word("lb2", "web-vip", Family.IPV4) is None
    table.beat(70, word(90), boot=2, sequence=2)
    assert table.peers.word("lb2", "web-vip", Family.IPV4) == word(90)


def test_of_words_the_newest_counts_whatever_path_brings_it() -> None:
    table = Table()
    table.beat(0, word(100, Role.ACTIVE), sequence=5)
    table.beat(1, word(100, Role.BACKUP), path=BACK, sequence=4)
    assert table.peers.word("lb2", "web-vip", Family.IPV4) == word(100, Role.ACTIVE)


def test_words_on_what_is_not_shared_are_not_kept() -> None:
    table = Table()
    table.beat(0, word(100, vip="other-vip"), word(80, vip="mail-vip"))
    assert table.peers.word("lb2", "other-vip", Family.IPV4) is None
    assert table.peers.word("lb2", "mail-vip", Family.IPV4) == word(80, vip="mail-vip")
    table.beat(0, word(80, vip="mail-vip"), path=THIRD)
    assert table.peers.word("lb3", "mail-vip", Family.IPV4) is None


def test_a_silent_peer_has_said_nothing() -> None:
    table = Table()
    table.beat(0, word(100))
    table.until(1000)
    assert table.peers.word("lb2", "web-vip", Family.IPV4) is None
    assert table.peers.best_other("web-vip", Family.IPV4) is None


def test_another_generation_is_told_of_after_the_grace_and_once() -> None:
    table = Table()
    grace_ms = GENERATION_GRACE / timedelta(milliseconds=1)
    told: list[tuple[Instant, EventBody]] = []
    for ms in range(0, int(2 * grace_ms), 100):
        table.beat(ms, generation="g2")
        told += table.until(ms + 99)
    assert told == [(at(grace_ms), GenerationDiffers("lb2", "g2", "g1"))]
    assert table.beat(2 * grace_ms, generation="g1") == [GenerationAgrees("lb2", "g1")]


def test_generations_that_differ_during_a_roll_out_are_not_told_of() -> None:
    table = Table()
    table.beat(0, generation="g2")
    assert table.peers.configure(at(100), replace(PARAMS, generation="g2")) == []
    assert table.beat(200, generation="g2") == []
    assert [body for _, body in table.until(60_000)] == [PeerSilent("lb2", ("eth0",))]


def test_a_new_configuration_keeps_what_is_known_of_those_that_stay() -> None:
    table = Table()
    table.beat(0, word(100))
    table.beat(0, word(90), path=THIRD)
    table.peers.configure(at(10), replace(PARAMS, peers=(replace(LB2, paths=(FRONT,)),)))
    assert table.peers.word("lb2", "web-vip", Family.IPV4) == word(100)
    assert table.peers.members("web-vip") == ("lb2",)
    assert not table.peers.alive("lb3")


@pytest.mark.parametrize(
    ("lb2", "lb3", "best", "next_in_line"),
    [
        (None, None, None, False),
        (word(0, Role.LEAVING), None, 0, False),
        (word(0, Role.LEAVING), word(90), 90, True),
        (word(0, Role.LEAVING), word(100), 100, False),
        (word(0, Role.LEAVING), word(0), 0, True),
        (word(150, Role.ACTIVE), word(90), 150, True),
        (word(150, Role.BACKUP), word(90), 150, False),
        (None, word(90), 90, False),
    ],
)
def test_who_is_best_and_whether_we_are_next(
    lb2: RouterWord | None, lb3: RouterWord | None, best: int | None, next_in_line: bool
) -> None:
    table = Table()
    if lb2 is not None:
        table.beat(0, lb2)
    if lb3 is not None:
        table.beat(0, lb3, path=THIRD)
    assert table.peers.best_other("web-vip", Family.IPV4) == best
    assert table.peers.next_in_line("web-vip", Family.IPV4, 100) is next_in_line


def test_of_two_members_the_other_is_next_whatever_it_knows() -> None:
    table = Table()
    assert table.peers.next_in_line("mail-vip", Family.IPV4, 1)
    assert table.peers.members("mail-vip") == ("lb2",)
    assert table.peers.members("web-vip") == ("lb2", "lb3")


def test_a_vip_has_a_living_peer_if_one_that_shares_it_is_heard() -> None:
    table = Table()
    table.beat(0, path=THIRD)
    assert table.peers.any_alive("web-vip")
    assert not table.peers.any_alive("mail-vip")


def test_statuses_show_peers_and_paths() -> None:
    table = Table()
    table.beat(7, path=BACK)
    lb2, lb3 = table.peers.statuses()
    assert (lb2.node, lb2.alive, lb2.since, lb2.generation) == ("lb2", True, at(7), "g1")
    assert [(path.interface, path.alive, path.heard) for path in lb2.paths] == [
        ("eth0", False, None),
        ("eth1", True, at(7)),
    ]
    assert (lb3.alive, lb3.generation) == (False, None)


beats = st.tuples(
    st.integers(0, 200),
    st.sampled_from([FRONT, BACK, THIRD]),
    st.integers(1, 3),
    st.integers(1, 9),
    st.integers(0, 255),
)


@given(st.lists(beats, max_size=40))
def test_alive_means_heard_within_three_intervals_and_the_slack(
    steps: list[tuple[int, PeerPath, int, int, int]],
) -> None:
    table, now = Table(), 0
    heard: dict[PeerPath, int] = {}
    boots: dict[str, list[int]] = {"lb2": [], "lb3": []}
    for pause, path, boot, sequence, priority in steps:
        now += pause
        table.until(now)
        node = "lb3" if path is THIRD else "lb2"
        table.beat(now, word(priority), path=path, boot=boot, sequence=sequence)
        lives = boots[node]
        if boot not in lives[-2:-1]:
            heard[path] = now
            if boot not in lives[-1:]:
                lives.append(boot)
        for status, paths in zip(table.peers.statuses(), ((FRONT, BACK), (THIRD,)), strict=True):
            assert status.alive == any(now - heard[p] < 320 for p in paths if p in heard)
