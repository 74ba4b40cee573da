"""A speaker that cannot read the last word of the one that runs, of another version: it goes before that is silent."""

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from yaoki.core.codec import Codec
from yaoki.core.error import LocalError
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.node.handover_messages import EXAMPLE, ReadyToSpeak, ToOlder, Wishes, WishesWanted, YouSpeak
from yaoki.node.messages import ConfigureRouters, ReleaseRouters, SpeakerOrder
from yaoki.runtime.private_socket import listen_privately
from yaoki.runtime.select_loop import SelectLoop
from yaoki.runtime.speaker_handover import SOCKET_NAME, HandOver, Predecessor

pytestmark = pytest.mark.req("B-19")


class Older:
    """What the speaker that runs says and hears, word by word."""

    def __init__(self, run_dir: Path) -> None:
        self._listener = listen_privately(run_dir / SOCKET_NAME, waiting=1)
        self.newer = Predecessor(run_dir)
        self._socket, _ = self._listener.accept()
        self._socket.settimeout(5)
        self._joiner = Joiner()

    def says(self, message: bytes) -> None:
        for datagram in split(message):
            self._socket.send(datagram)

    def hears(self) -> ToOlder | None:
        """The next word; None when the newer one is gone."""
        while datagram := self._socket.recv(MAX_DATAGRAM):
            if (message := self._joiner.join(datagram)) is not None:
                told: ToOlder = Codec().decode(message, ToOlder)
                return told
        return None

    def close(self) -> None:
        self._socket.close()
        self._listener.close()


@pytest.fixture
def older(tmp_path: Path) -> Iterator[Older]:
    older = Older(tmp_path)
    yield older
    older.close()


def of_the_word(wishes: dict[str, Any]) -> None:
    wishes["example"]["until"] = 7


def of_a_lease(wishes: dict[str, Any]) -> None:
    wishes["example"]["leases"][0]["rank"] = 3


def of_the_wishes(wishes: dict[str, Any]) -> None:
    wishes["mood"] = "good"


@pytest.mark.parametrize("add", [of_the_word, of_a_lease, of_the_wishes])
def test_one_that_cannot_read_a_field_goes_without_a_word_and_says_the_cure(
    older: Older, add: Callable[[dict[str, Any]], None]
) -> None:
    plain = json.loads(Codec().encode(Wishes((), EXAMPLE)))
    add(plain)
    older.says(json.dumps(plain).encode())
    with pytest.raises(LocalError, match=r"goes on, .* stop the node with `yaoki stop`"):
        older.newer.wishes()
    assert older.hears() == WishesWanted()
    assert older.hears() is None, "it is not ready to speak"


def test_one_that_can_is_relieved(older: Older) -> None:
    older.says(Codec().encode(Wishes((), EXAMPLE)))
    assert older.newer.wishes() == ()
    older.says(Codec().encode(EXAMPLE))
    assert older.newer.relieve() == EXAMPLE
    assert [older.hears(), older.hears()] == [WishesWanted(), ReadyToSpeak()]


def test_a_version_that_gave_no_example_is_succeeded_as_before(older: Older) -> None:
    older.says(b'{"is":"Wishes","orders":[]}')
    assert older.newer.wishes() == ()
    older.says(b'{"is":"YouSpeak"}')
    assert older.newer.relieve() == YouSpeak()


def test_every_field_of_the_last_word_has_a_value_in_the_example() -> None:
    (lease,) = EXAMPLE.leases
    plain = Codec().plain(lease)
    assert None not in plain.values()
    assert EXAMPLE.orders
    assert YouSpeak.__slots__ == ("leases", "orders"), "what is added is given a value in EXAMPLE, too"


def test_what_was_ordered_since_the_wishes_were_told_is_in_the_last_word(tmp_path: Path) -> None:
    """Virtual routers that leave may keep the newer one waiting for seconds."""
    wishes: list[SpeakerOrder] = [ConfigureRouters(())]
    loop = SelectLoop()
    older = HandOver(tmp_path, loop, lambda: wishes)
    older.listen()
    newer = Predecessor(tmp_path)
    with ThreadPoolExecutor(1) as other:
        told = other.submit(newer.wishes)
        while not told.done():
            loop.turn(0.01)
        assert told.result() == (ConfigureRouters(()),)
        relieved = other.submit(newer.relieve)
        while not older.wanted:
            loop.turn(0.01)
        wishes += [ReleaseRouters()]
        older.done(EXAMPLE.leases)
        assert relieved.result() == YouSpeak(EXAMPLE.leases, (ConfigureRouters(()), ReleaseRouters()))
    for descriptor in newer.kept:
        os.close(descriptor)
    older.close()
