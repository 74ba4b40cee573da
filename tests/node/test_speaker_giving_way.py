"""Two speakers that hear each other, whose tracks fail and recover: the VIP moves only to a healthier one."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.node.speaker_scene import ETH0, KEY, OWN, OWN_6, PARAMS, PEER, PEER_6, Speaker
from yaoki.node.messages import PacketArrived, RouterState, SendAdvertisement, SetPriority, SpeakerEffect
from yaoki.vrrp.params import Failback, RouterParams
from yaoki.vrrp.standing import LEAST_PRIORITY

CONFIGURED = (150, 100)
STEP_MS = 10
# Who, the weight of what fails there, whether it may not own, and the milliseconds until the next change.
CHANGES = st.tuples(
    st.integers(0, 1), st.sampled_from([0, -30, -60, -120]), st.booleans(), st.sampled_from([0, 200, 800])
)


@dataclass
class Pair:
    """Two nodes on one link without loss; what one sends the other hears at once."""

    failback: Failback
    speakers: tuple[Speaker, Speaker] = field(init=False)
    moves: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        first, second = (self._params(priority) for priority in CONFIGURED)
        self.standing = list(CONFIGURED)
        self.speakers = (
            Speaker(first, interface=replace(ETH0, ipv4=OWN, ipv6_link_local=OWN_6)),
            Speaker(second, interface=replace(ETH0, ipv4=PEER, ipv6_link_local=PEER_6)),
        )
        self.run(1000)

    def _params(self, priority: int) -> RouterParams:
        return replace(PARAMS, priority=priority, failback=self.failback)

    def carry(self, sender: int, effects: list[SpeakerEffect]) -> None:
        hearer = self.speakers[1 - sender]
        for sent in [effect for effect in effects if isinstance(effect, SendAdvertisement)]:
            packet = PacketArrived(
                sent.interface, sent.family, sent.source, sent.destination, 255, sent.payload, hearer.now
            )
            self.carry(1 - sender, hearer.tell(packet))

    def run(self, ms: int) -> None:
        for _ in range(ms // STEP_MS):
            before = self.owners()
            for index, speaker in enumerate(self.speakers):
                self.carry(index, speaker.run_to(speaker.now.us / 1000 + STEP_MS))
            after = self.owners()
            if len(before) == len(after) == 1 and before != after:
                self.moves.append((before[0], after[0]))

    def track(self, index: int, weight: int, *, barred: bool = False) -> None:
        priority = CONFIGURED[index] + weight
        self.standing[index] = 0 if barred else max(1, priority)
        self.carry(index, self.speakers[index].tell(SetPriority(KEY, priority, barred=barred)))

    def owners(self) -> list[int]:
        return [index for index, speaker in enumerate(self.speakers) if speaker.state() is RouterState.ACTIVE]

    def lost(self, index: int) -> int:
        """Of its priority; one that is left with the least of all counts as one that may not own."""
        return 1000 if self.standing[index] <= LEAST_PRIORITY else CONFIGURED[index] - self.standing[index]


@pytest.mark.req("N-13")
@pytest.mark.parametrize("failback", [Failback.STICKY, Failback.MANUAL])
def test_a_failing_owner_gives_way_though_the_owner_keeps_otherwise(failback: Failback) -> None:
    pair = Pair(failback)
    assert pair.owners() == [0]
    pair.track(0, -100)
    pair.run(1000)
    assert pair.owners() == [1]
    pair.track(0, 0)
    pair.run(1000)
    assert pair.owners() == [1], "it recovered, and the owner keeps"
    pair.track(1, -30)
    pair.run(1000)
    assert pair.owners() == [0]


@pytest.mark.parametrize("failback", list(Failback))
def test_when_both_lose_the_same_the_vip_stays(failback: Failback) -> None:
    pair = Pair(failback)
    pair.track(1, -60)
    pair.track(0, -60)
    pair.run(2000)
    assert (pair.owners(), pair.moves) == ([0], [])


@pytest.mark.parametrize("failback", list(Failback))
def test_an_owner_that_may_not_own_leaves_to_one_that_may_and_keeps_without_one(failback: Failback) -> None:
    pair = Pair(failback)
    pair.track(1, 0, barred=True)
    pair.track(0, 0, barred=True)
    pair.run(2000)
    assert (pair.owners(), pair.moves) == ([0], [])
    pair.track(1, 0)
    pair.run(1000)
    assert (pair.owners(), pair.moves) == ([1], [(0, 1)])


@pytest.mark.req("Z-04")
@settings(max_examples=50)
@given(
    failback=st.sampled_from([Failback.STICKY, Failback.MANUAL]),
    changes=st.lists(CHANGES, max_size=8),
)
def test_every_move_is_to_one_that_lost_less_or_may_own(
    failback: Failback, changes: list[tuple[int, int, bool, int]]
) -> None:
    pair = Pair(failback)
    for index, weight, barred, pause in changes:
        before = [pair.lost(0), pair.lost(1)], len(pair.moves)
        pair.track(index, weight, barred=barred)
        pair.run(pause)
        for loser, winner in pair.moves[before[1] :]:
            losses = pair.lost(loser), before[0][loser]
            lost_less = min(pair.lost(winner), before[0][winner]) < max(losses)
            # A loss beyond the least priority does not show in what is left: 30 of 150 is more than 1 of 100.
            assert lost_less or pair.standing[winner] > pair.standing[loser]
    pair.run(1000)
    moves = len(pair.moves)
    pair.run(1500)
    assert len(pair.moves) == moves, "nothing changes any more, and nothing moves"
    assert len(pair.owners()) == 1
