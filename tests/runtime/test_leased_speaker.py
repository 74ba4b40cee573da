"""A real speaker whose VIP is owned by lease, with the test in place of its keeper."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runtime.speakers import PATIENCE_S, VIP, RunningSpeaker, Segment, eventually, never, params
from yaoki.core.codec import Codec
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.core.instant import Instant
from yaoki.election.lease_params import LeaseParams
from yaoki.node.holder_messages import HolderOrder, HoldLeases, LeaseValid, LeaseWish
from yaoki.node.messages import RouterState
from yaoki.node.speaker_events import LeaseWithoutGate

pytestmark = [pytest.mark.netns, pytest.mark.req("B-21")]

D = timedelta(seconds=2)
# The gate's table with no room for another address.
FULL = """
flush ruleset
table netdev yaoki-gate {
  set armed4 { type ipv4_addr; size 1; elements = { 203.0.113.1 } }
  set open4 { type ipv4_addr; flags timeout; }
  set armed6 { type ipv6_addr; size 1; elements = { 2001:db8::1 } }
  set open6 { type ipv6_addr; flags timeout; }
}
"""


class Keeper:
    """What a speaker connects to for its leases."""

    def __init__(self, run_dir: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(str(run_dir / "lease-holder.sock"))
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self._codec, self._joiner = Codec(), Joiner()

    def close(self) -> None:
        self._listener.close()
        with contextlib.suppress(AttributeError):
            self._socket.close()

    def accept(self) -> None:
        self._socket, _ = self._listener.accept()
        self._socket.settimeout(PATIENCE_S)

    def wanted(self) -> HoldLeases:
        """The next wish."""
        while True:
            message = self._joiner.join(self._socket.recv(MAX_DATAGRAM))
            if message is not None:
                order: HolderOrder = self._codec.decode(message, HolderOrder)
                return order

    def grant(self) -> None:
        """Give what is wanted, for D from now."""
        wishes: tuple[LeaseWish, ...] = ()
        while not wishes:
            wishes = self.wanted().wishes
        until = Instant(time.monotonic_ns() // 1000) + D
        for wish in wishes:
            valid = LeaseValid(wish.key, wish.claim, 9, until)
            for datagram in split(self._codec.encode(valid)):
                self._socket.send(datagram)


@pytest.fixture
def leased(tmp_path: Path) -> Iterator[tuple[Segment, RunningSpeaker, Keeper]]:
    keeper = Keeper(tmp_path)
    with contextlib.closing(keeper), Segment() as segment:
        segment.add("a", 11)
        speaker = segment.speaker("a", tmp_path)
        speaker.configure(replace(params(150), lease=LeaseParams.usual("web-vip", D)))
        keeper.accept()
        yield segment, speaker, keeper


def test_a_granted_vip_is_owned_behind_its_gate(leased: tuple[Segment, RunningSpeaker, Keeper]) -> None:
    segment, speaker, keeper = leased
    keeper.grant()
    eventually(lambda: VIP in segment.addresses("a"), "the VIP is owned")
    assert speaker.state() is RouterState.ACTIVE


def test_a_flushed_ruleset_costs_no_grant(leased: tuple[Segment, RunningSpeaker, Keeper]) -> None:
    segment, _, keeper = leased
    segment.nft("a", "flush ruleset")
    keeper.grant()
    eventually(lambda: VIP in segment.addresses("a"), "the VIP is owned")


def test_without_an_armed_gate_a_granted_vip_is_never_claimed(leased: tuple[Segment, RunningSpeaker, Keeper]) -> None:
    segment, speaker, keeper = leased
    segment.nft("a", FULL)
    keeper.grant()
    eventually(lambda: bool(speaker.told(LeaseWithoutGate)), "it says that there is no gate")
    never(lambda: VIP in segment.addresses("a"), "the VIP was claimed", within=1.0)
    assert RouterState.ACTIVE not in {status.state for status in speaker.statuses}
    assert keeper.wanted().wishes == ()
