"""Which flows are still to be removed, when servers come back and fail again meanwhile."""

from collections.abc import Callable, Collection
from ipaddress import ip_address

from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.conntrack import Conntrack, Placed
from yaoki.linux.flow_removal import FlowRemoval

KEY = ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80)
FIRST: Placed = (KEY, ip_address("10.0.0.21"), 8080)
SECOND: Placed = (KEY, ip_address("10.0.0.22"), 8080)


class Tracking(Conntrack):
    """Something happens while flows are looked for; says who is doomed before and after."""

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.meanwhile = meanwhile
        self.asked: list[set[Placed]] = []

    def close(self) -> None: ...

    def delete(self, doomed: Callable[[], Collection[Placed]], *, over: bool = False) -> int:
        self.asked.append(set(doomed()))
        self.meanwhile()
        self.asked.append(set(doomed()))
        return len(self.asked[-1])


def test_what_is_removed_is_not_removed_again() -> None:
    tracking = Tracking()
    removal = FlowRemoval(lambda: tracking)
    removal.doom([FIRST, SECOND])
    assert removal.run() == 2
    assert removal.run() == 0


def test_who_comes_back_meanwhile_is_spared() -> None:
    tracking = Tracking(lambda: removal.spare([FIRST]))
    removal = FlowRemoval(lambda: tracking)
    removal.doom([FIRST, SECOND])
    removal.run()
    assert tracking.asked == [{FIRST, SECOND}, {SECOND}]


def test_who_comes_back_and_fails_again_meanwhile_is_left_to_the_next_time() -> None:
    def back_and_gone() -> None:
        removal.spare([FIRST])
        removal.doom([FIRST])

    tracking = Tracking(back_and_gone)
    removal = FlowRemoval(lambda: tracking)
    removal.doom([FIRST])
    assert removal.run() == 0
    tracking.meanwhile = lambda: None
    assert removal.run() == 1
