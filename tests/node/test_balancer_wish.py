"""What is told of where the planes carry services."""

from dataclasses import replace

from tests.lb.samples import trio
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason
from yaoki.lb.service import Desired, Forward, PlaneWish, Protocol
from yaoki.node.balancer_wish import SHOWN_SERVICES, BalancerWish
from yaoki.node.brain_events import NotOnWishedPlane
from yaoki.node.brain_messages import ApplyFinished
from yaoki.node.wording import ENGLISH, JAPANESE, sentence

NOW = Instant.of_seconds(1)
FOREIGN = PlaneChoice(Plane.BPF, PlaneReason.NO_XDP, "somebody is there")
UNABLE = PlaneChoice(Plane.NFTABLES, PlaneReason.UNABLE, "no clang")
AT_XDP = PlaneChoice(Plane.XDP, PlaneReason.FILE)
TCP4, TCP6, UDP4 = (
    replace(trio(Forward.DIRECT, protocol=protocol, family=family), plane=PlaneWish.XDP)
    for protocol, family in ((Protocol.TCP, 4), (Protocol.TCP, 6), (Protocol.UDP, 4))
)
AUTO = replace(trio(Forward.DIRECT, protocol=Protocol.UDP, family=6), plane=PlaneWish.AUTO)


class Told:
    """A wish that is applied again and again, and what was told each time."""

    def __init__(self, desired: Desired) -> None:
        self._wish, self._desired = BalancerWish(), desired

    def after(self, *choices: PlaneChoice) -> list[EventBody]:
        self._wish.has = None
        assert self._wish.apply(NOW, self._desired)
        planes = tuple((each.key, choice) for each, choice in zip(self._desired.services, choices, strict=True))
        return [emit.body for emit in self._wish.finished(NOW, ApplyFinished(planes=planes))]


def test_services_that_are_not_where_the_file_wants_them_are_told_once_and_together() -> None:
    told = Told(Desired((TCP4, TCP6, UDP4, AUTO)))
    both = NotOnWishedPlane(
        ("web tcp/192.0.2.50:80", "web udp/192.0.2.50:80"), 2, Plane.BPF, PlaneReason.NO_XDP, "somebody is there"
    )
    other = NotOnWishedPlane(("web tcp/[2001:db8:1::50]:80",), 1, Plane.NFTABLES, PlaneReason.UNABLE, "no clang")
    assert told.after(FOREIGN, UNABLE, FOREIGN, UNABLE) == [both, other], "of `auto` nothing is told"
    assert told.after(FOREIGN, UNABLE, FOREIGN, UNABLE) == []
    assert told.after(AT_XDP, UNABLE, AT_XDP, UNABLE) == []
    again = replace(both, services=("web udp/192.0.2.50:80",), count=1)
    assert told.after(AT_XDP, UNABLE, FOREIGN, UNABLE) == [again]
    assert sentence(again, ENGLISH) == (
        "on bpf, not as the file wants: web udp/192.0.2.50:80 (1 services), for XDP cannot be had: somebody is there"
    )
    assert "XDP を使えない" in sentence(again, JAPANESE)


def test_of_many_services_ten_are_named() -> None:
    many = tuple(replace(TCP4, key=replace(TCP4.key, port=80 + number)) for number in range(25))
    (body,) = Told(Desired(many)).after(*[FOREIGN] * 25)
    assert isinstance(body, NotOnWishedPlane)
    assert (len(body.services), body.count) == (SHOWN_SERVICES, 25)
