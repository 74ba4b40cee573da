"""The speaker's loop: who is called, in which order, and for how long it waits."""

import socket
import time
from collections.abc import Iterator
from functools import partial

import pytest

from yaoki.runtime.select_loop import READABLE, WRITABLE, SelectLoop

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    pairs = [socket.socketpair() for _ in range(3)]
    yield pairs
    for pair in pairs:
        for sock in pair:
            sock.close()


class Calls:
    """Remembers who was called with which events."""

    def __init__(self) -> None:
        self.made: list[tuple[int, int]] = []

    def note(self, number: int, events: int) -> None:
        self.made.append((number, events))


def test_ready_descriptors_are_called_in_the_order_of_attaching(pairs: list[Pair]) -> None:
    loop, calls = SelectLoop(), Calls()
    for number in (2, 0, 1):
        loop.attach(pairs[number][0].fileno(), READABLE, partial(calls.note, number))
    for number in (0, 2):
        pairs[number][1].send(b"x")
    loop.turn(5)
    assert calls.made == [(2, READABLE), (0, READABLE)]


def test_attaching_again_changes_the_events(pairs: list[Pair]) -> None:
    loop, calls = SelectLoop(), Calls()
    near, far = pairs[0]
    loop.attach(near.fileno(), READABLE, partial(calls.note, 0))
    loop.turn(0)
    assert calls.made == []
    loop.attach(near.fileno(), READABLE | WRITABLE, partial(calls.note, 0))
    loop.turn(5)
    far.send(b"x")
    loop.turn(5)
    assert calls.made == [(0, WRITABLE), (0, READABLE | WRITABLE)]


def test_handler_may_detach_another_that_is_ready(pairs: list[Pair]) -> None:
    loop, calls = SelectLoop(), Calls()

    def first(events: int) -> None:
        calls.note(0, events)
        loop.detach(pairs[1][0].fileno())

    loop.attach(pairs[0][0].fileno(), READABLE, first)
    loop.attach(pairs[1][0].fileno(), READABLE, partial(calls.note, 1))
    for _, far in pairs:
        far.send(b"x")
    loop.turn(5)
    assert calls.made == [(0, READABLE)]


def test_nothing_ready_means_waiting_as_long_as_told() -> None:
    before = time.monotonic()
    SelectLoop().turn(0.0202)
    assert time.monotonic() - before >= 0.02
