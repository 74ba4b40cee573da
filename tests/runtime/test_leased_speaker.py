"""A real speaker whose VIP is owned by lease, with the test in place of its keeper."""

import contextlib
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.runtime.speakers import PATIENCE_S, VIP, VIP_6, RunningSpeaker, Segment, eventually, never, params
from yaoki.core.address import Family
from yaoki.core.codec import Codec
from yaoki.core.framing import MAX_DATAGRAM, Joiner, split
from yaoki.core.instant import Instant
from yaoki.election.lease_params import LeaseParams
from yaoki.node.holder_messages import HolderOrder, HoldLeases, LeaseValid, LeaseWish
from yaoki.node.messages import RouterState
from yaoki.node.speaker_events import LeaseWithoutGate
from yaoki.vrrp.events import BecameActive, Reason

pytestmark = [pytest.mark.netns, pytest.mark.req("B-21")]

D, LONG = timedelta(seconds=2), timedelta(minutes=1)
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
        self._speaker: socket.socket | None = None

    def close(self) -> None:
        self._listener.close()
        if self._speaker is not None:
            self._speaker.close()

    def accept(self) -> None:
        """Serve the next speaker that connects, and no other."""
        if self._speaker is not None:
            self._speaker.close()
        self._speaker, _ = self._listener.accept()
        self._speaker.settimeout(PATIENCE_S)

    def wanted(self) -> HoldLeases:
        """The next wish."""
        assert self._speaker is not None
        while True:
            message = self._joiner.join(self._speaker.recv(MAX_DATAGRAM))
            if message is not None:
                order: HolderOrder = self._codec.decode(message, HolderOrder)
                return order

    def grant(self, duration: timedelta = D) -> None:
        """Give what is wanted, for so long from now."""
        assert self._speaker is not None
        wishes: tuple[LeaseWish, ...] = ()
        while not wishes:
            wishes = self.wanted().wishes
        until = Instant(time.monotonic_ns() // 1000) + duration
        for wish in wishes:
            valid = LeaseValid(wish.key, wish.claim, 9, until)
            for datagram in split(self._codec.encode(valid)):
                self._speaker.send(datagram)


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
    keeper.grant(LONG)
    eventually(lambda: VIP in segment.addresses("a"), "the VIP is owned")
    assert speaker.state() is RouterState.ACTIVE


def test_a_flushed_ruleset_costs_no_grant(leased: tuple[Segment, RunningSpeaker, Keeper]) -> None:
    segment, _, keeper = leased
    segment.nft("a", "flush ruleset")
    keeper.grant(LONG)
    eventually(lambda: VIP in segment.addresses("a"), "the VIP is owned")


def test_without_an_armed_gate_a_granted_vip_is_never_claimed(leased: tuple[Segment, RunningSpeaker, Keeper]) -> None:
    segment, speaker, keeper = leased
    segment.nft("a", FULL)
    keeper.grant()
    eventually(lambda: bool(speaker.told(LeaseWithoutGate)), "it says that there is no gate")
    never(lambda: VIP in segment.addresses("a"), "the VIP was claimed", within=1.0)
    assert RouterState.ACTIVE not in {status.state for status in speaker.statuses}
    assert keeper.wanted().wishes == ()


@pytest.mark.req("B-19")
def test_a_newer_speaker_goes_on_by_the_lease_and_nothing_is_lost(tmp_path: Path) -> None:
    """Its keeper grants it nothing meanwhile, and need not."""
    lease = LeaseParams.usual("web-vip", LONG)
    keeper = Keeper(tmp_path)
    with contextlib.closing(keeper), Segment() as segment:
        segment.add("a", 11)
        segment.add("c", 13)
        speaker = segment.speaker("a", tmp_path)
        speaker.configure(*(replace(params(150, family=family), lease=lease) for family in Family))
        keeper.accept()
        keeper.grant(lease.duration)
        eventually(lambda: segment.addresses("a") >= {VIP, VIP_6}, "both families are owned")
        probes = [segment.pings("c", vip, tmp_path, every_ms=1) for vip in (VIP, VIP_6)]
        for _ in range(2):
            speaker = segment.successor(speaker, "a", tmp_path)
            keeper.accept()
            assert [(wish.key, wish.claim) for wish in keeper.wanted().wishes] == [("web-vip", 1)]
            eventually(lambda now=speaker: len(now.told(BecameActive)) == 2, "it owns both")  # type: ignore[misc]
            became = [body for body in speaker.told(BecameActive) if isinstance(body, BecameActive)]
            assert {(body.reason, body.epoch) for body in became} == {(Reason.ADDRESSES_HELD, 9)}
        assert [probe.lost() for probe in probes] == [0, 0]


@pytest.mark.req("B-19")
def test_a_killed_owner_is_followed_without_a_lost_packet_where_the_lease_is_held_still(
    leased: tuple[Segment, RunningSpeaker, Keeper], tmp_path: Path
) -> None:
    segment, speaker, keeper = leased
    segment.add("c", 13)
    keeper.grant(LONG)
    eventually(lambda: VIP in segment.addresses("a"), "the VIP is owned")
    pings = segment.pings("c", VIP, tmp_path)
    speaker.process.kill()
    speaker.process.wait()
    again = segment.speaker("a", tmp_path)
    again.configure(replace(params(150), lease=LeaseParams.usual("web-vip", D)))
    keeper.accept()
    never(lambda: VIP not in segment.addresses("a"), "it is given up before the keeper has spoken", within=0.2)
    keeper.grant(LONG)
    eventually(lambda: again.state() is RouterState.ACTIVE, "the next one owns")
    assert pings.lost() == 0
