"""Broadcast domains and links: what arrives, when, in which order, and what does not."""

import pytest

from yaoki.core.error import LocalError
from yaoki.sim.chance import Chance
from yaoki.sim.link import DELAY_US, LONGEST_RETRY_US, MAX_QUEUED_MESSAGES, End, Link
from yaoki.sim.network import LAN_DELAY_US, Conditions, Network, Port
from yaoki.sim.timeline import SECOND, Timeline


class Lan:
    """Three hosts of one group, and a listener of another."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.network: Network[int] = Network("front", self.timeline, Chance(1, "network"))
        self.heard: list[tuple[str, int, int]] = []
        self.ports = {name: self.port(name, "nodes") for name in ("a", "b", "c")}
        self.port("listener", "neighbours")

    def port(self, name: str, group: str) -> Port[int]:
        port: Port[int] = Port(name, group, lambda frame: self.heard.append((name, self.timeline.now, frame)))
        self.network.plug(port)
        return port

    def send(self, sender: str, *frames: int) -> list[str]:
        """Who has heard what a second later."""
        self.heard.clear()
        for frame in frames:
            self.network.send(self.ports[sender], frame, "nodes")
        self.timeline.run(self.timeline.now + SECOND)
        return sorted(name for name, _, _ in self.heard)


def test_a_frame_reaches_everybody_else_of_its_group_within_the_delay_of_a_lan() -> None:
    lan = Lan()
    assert lan.send("a", 1) == ["b", "c"]
    assert all(LAN_DELAY_US[0] <= now <= LAN_DELAY_US[1] for _, now, _ in lan.heard)


def test_a_cut_way_carries_nothing_and_the_way_back_does() -> None:
    lan = Lan()
    lan.network.cut("a", "b")
    assert lan.send("a", 1) == ["c"]
    assert lan.send("b", 1) == ["a", "c"]


def test_a_way_cut_twice_is_whole_when_mended_twice() -> None:
    lan = Lan()
    lan.network.cut("a", "b")
    lan.network.cut("a", "b")
    lan.network.mend("a", "b")
    assert lan.send("a", 1) == ["c"]
    lan.network.mend("a", "b")
    assert lan.send("a", 1) == ["b", "c"]


def test_a_dead_port_neither_sends_nor_hears_not_even_what_was_under_way() -> None:
    lan = Lan()
    lan.ports["b"].live = False
    assert lan.send("a", 1) == ["c"]
    assert lan.send("b", 1) == []
    lan.ports["b"].live = True
    lan.network.send(lan.ports["a"], 1, "nodes")
    lan.ports["b"].live = False
    lan.heard.clear()
    lan.timeline.run(lan.timeline.now + SECOND)
    assert [name for name, _, _ in lan.heard] == ["c"]


def test_who_does_not_get_a_frame_is_told() -> None:
    lan, lost = Lan(), list[str]()
    lan.network.cut("a", "c")
    lan.network.send(lan.ports["a"], 1, "nodes", lost=lost.append)
    assert lost == ["c"]
    assert lan.network.counts.cut == 1


def test_loss_and_duplication_come_as_often_as_they_should() -> None:
    lan = Lan()
    lan.network.roughen("a", "b", Conditions(loss=0.5))
    lan.network.roughen("a", "c", Conditions(duplicate=0.5))
    heard = lan.send("a", *range(1000))
    assert 400 < heard.count("b") < 600
    assert 1400 < heard.count("c") < 1600


def test_frames_keep_their_order_unless_told_otherwise() -> None:
    lan = Lan()
    lan.network.roughen("a", "b", Conditions(delay_us=(10, 10_000)))
    lan.send("a", *range(100))
    assert [frame for name, _, frame in lan.heard if name == "b"] == list(range(100))
    lan.network.roughen("a", "b", Conditions(delay_us=(10, 10_000), ordered=False))
    lan.send("a", *range(100))
    assert [frame for name, _, frame in lan.heard if name == "b"] != list(range(100))


def test_of_several_conditions_the_latest_counts_and_each_can_be_taken_back() -> None:
    lan = Lan()
    way, deaf, slow = lan.network.way("a", "b"), Conditions(loss=1.0), Conditions(delay_us=(9_000, 9_000))
    lan.network.roughen("a", "b", deaf)
    lan.network.roughen("a", "b", slow)
    assert way.conditions is slow
    lan.network.smooth("a", "b", slow)
    assert lan.send("a", 1) == ["c"]
    lan.network.smooth("a", "b", deaf)
    assert way.clean


class Pair:
    """A link between a client and a server that live until told otherwise."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.alive = {"client": True, "server": True}
        self.running = {"client": True, "server": True}
        self.seen: list[tuple[str, object]] = []
        self.link = Link(
            self.timeline,
            Chance(1, "link"),
            client=self.end("client"),
            server=self.end("server"),
            carry=lambda message: message,
            changed=lambda: None,
        )
        self.link.connect()
        self.run()

    def end(self, name: str) -> End:
        return End(
            alive=lambda: self.alive[name],
            running=lambda: self.running[name],
            take=lambda message: self.seen.append((name, message)),
            up=lambda: self.seen.append((name, "up")),
            down=lambda: self.seen.append((name, "down")),
        )

    def run(self, us: int = SECOND) -> list[tuple[str, object]]:
        self.seen.clear()
        self.timeline.run(self.timeline.now + us)
        return list(self.seen)


def test_both_sides_learn_of_a_connection_and_messages_pass_in_order() -> None:
    pair = Pair()
    assert pair.link.flowing
    for number in range(20):
        pair.link.send_to_server(number)
    assert pair.run() == [("server", number) for number in range(20)]
    pair.link.send_to_client("hello")
    assert pair.run() == [("client", "hello")]


def test_a_stalled_link_holds_messages_also_those_under_way() -> None:
    pair = Pair()
    pair.link.send_to_server(1)
    pair.link.stall()
    pair.link.send_to_server(2)
    assert pair.run() == []
    assert pair.link.is_up
    assert not pair.link.flowing
    pair.link.resume()
    assert pair.run() == [("server", 1), ("server", 2)]


def test_a_broken_link_loses_what_was_under_way_and_is_made_again() -> None:
    pair = Pair()
    pair.link.send_to_server(1)
    pair.link.break_off()
    assert sorted(pair.run(DELAY_US[1])) == [("client", "down"), ("server", "down")]
    assert pair.run() == [("server", "up"), ("client", "up")]


def test_nothing_sent_while_a_link_is_down_is_kept() -> None:
    pair = Pair()
    pair.link.bar()
    pair.link.send_to_server(1)
    pair.run()
    pair.link.unbar()
    assert pair.run() == [("server", "up"), ("client", "up")]


def test_a_client_tries_until_the_server_lives() -> None:
    pair = Pair()
    pair.alive["server"] = False
    pair.link.break_off()
    pair.run()
    assert not pair.link.is_up
    pair.alive["server"] = True
    assert pair.run(2 * LONGEST_RETRY_US) == [("server", "up"), ("client", "up")]


def test_a_stopped_server_is_connected_to_by_its_kernel_and_a_stopped_client_connects_to_nobody() -> None:
    pair = Pair()
    pair.running["server"] = False
    pair.link.break_off()
    assert ("client", "up") in pair.run()
    pair.running["client"] = False
    pair.link.break_off()
    assert ("client", "up") not in pair.run()
    pair.running["client"] = True
    assert ("client", "up") in pair.run(2 * LONGEST_RETRY_US)


def test_a_link_that_holds_too_much_is_a_mistake() -> None:
    pair = Pair()
    pair.link.stall()
    for number in range(MAX_QUEUED_MESSAGES):
        pair.link.send_to_server(number)
        pair.timeline.run(pair.timeline.now + 1)
    pair.run()
    pair.link.send_to_server("one more")
    with pytest.raises(LocalError, match="10000 messages wait"):
        pair.run()
