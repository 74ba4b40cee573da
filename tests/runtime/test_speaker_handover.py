"""A newer speaker takes the place of the one that runs: nobody on the network notices."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.speakers import VIP, VIP_6, Segment, eventually
from tests.runtime.test_dead_man import BOTH, owns, pair
from yaoki.node.messages import RouterState
from yaoki.node.speaker_events import KernelRefused, Overslept
from yaoki.vrrp.events import BecameActive, Reason

pytestmark = [pytest.mark.netns, pytest.mark.req("B-19")]


@pytest.fixture
def segment() -> Iterator[Segment]:
    with Segment() as segment:
        segment.add("a", 11)
        segment.add("b", 12)
        segment.add("c", 13)
        yield segment


@pytest.mark.parametrize("interval_ms", [100, pytest.param(10, marks=pytest.mark.long)])
def test_the_owners_speaker_is_replaced_with_its_gate_armed_and_nothing_is_lost(
    segment: Segment, tmp_path: Path, interval_ms: int
) -> None:
    a, b = pair(segment, tmp_path, interval_ms=interval_ms)
    probes = [segment.pings("c", vip, tmp_path, every_ms=1) for vip in (VIP, VIP_6)]
    for _ in range(3):
        a = segment.successor(a, "a", tmp_path / "a")
        eventually(lambda now=a: owns(now), "the newer one owns both")  # type: ignore[misc]
        reasons = {body.reason for body in a.told(BecameActive) if isinstance(body, BecameActive)}
        assert reasons == {Reason.ADDRESSES_HELD}
    assert [probe.lost() for probe in probes] == [0, 0]
    assert not b.told(BecameActive)
    assert not a.told(KernelRefused)
    assert not a.told(Overslept)


def test_who_has_taken_over_is_silenced_when_it_dies(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    newer = segment.successor(a, "a", tmp_path / "a")
    eventually(lambda: owns(newer), "the newer one owns both")
    newer.process.send_signal(signal.SIGKILL)
    eventually(lambda: owns(b), "b owns both")


def test_a_standby_is_replaced_and_takes_over_as_before(segment: Segment, tmp_path: Path) -> None:
    a, b = pair(segment, tmp_path)
    newer = segment.successor(b, "b", tmp_path / "b")
    eventually(lambda: all(newer.state(family) is RouterState.BACKUP for family in BOTH), "it stands by")
    assert owns(a)
    a.process.kill()
    eventually(lambda: owns(newer), "it owns both")
