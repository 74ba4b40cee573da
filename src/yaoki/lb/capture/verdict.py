"""The verdict on a recording: did replies go straight to the clients, or back through the balancer?

Requests are counted where they arrive at the balancer, or at the servers if no balancer was recorded. A reply passed
the balancer if it left there with the VIP as its source. It went straight if it was seen anywhere with the VIP as its
source and a server's MAC. Of a connection whose replies nobody saw, the client's acknowledgements tell how much it was
sent; that is how a balancer alone can know that it was answered another way.

Octets are those of packets with their Ethernet headers; but what acknowledgements tell is the payload alone, so the
share that did not pass is a lower bound then.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from yaoki.lb.capture.flow import Flow, Sent, acknowledged, heard, requests
from yaoki.lb.capture.scene import Frame, Scene
from yaoki.lb.capture.traffic import Traffic
from yaoki.lb.service import Forward, Protocol

ANSWER_TIME_NS = 1_000_000_000
"""A connection that was opened so shortly before the recording's end is not called unanswered."""


class Way(StrEnum):
    """Which way replies went."""

    DIRECT = "direct"
    THROUGH = "through"
    BOTH = "both"
    REFUSED = "refused"
    """Every connection was answered with a reset."""
    UNANSWERED = "unanswered"
    UNKNOWN = "unknown"
    """Nothing that was recorded shows where the replies went, or that there were any."""
    NO_REQUEST = "no-request"


class Evidence(StrEnum):
    """What a verdict of direct return rests on: replies that were seen, or the clients' acknowledgements."""

    SEEN = "seen"
    ACKNOWLEDGED = "acknowledged"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Count:
    """Packets, and their octets."""

    packets: int = 0
    octets: int = 0


Counts = tuple[tuple[str, Count], ...]
"""By a machine's name, or its MAC if nobody knows whose that is."""
Numbers = tuple[tuple[str, int], ...]
"""Connections, by the machine that they were sent to or that refused them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """See the module.

    `flows` are connections, or of UDP pairs of ports; `asked` the packets of their requests. `through` are replies by
    way of the balancer, `straight` those past it, both by who sent them. `acknowledged`: octets of replies that are
    known by acknowledgements alone. `sent_on`: requests as they left the balancer. `past`: requests that a server got
    from somebody else than the balancer. `recorded` are the machines that were recorded; `balancer`: one is among them.
    """

    service: str
    way: Way
    evidence: Evidence
    requests: int
    flows: int
    asked: Count
    through: Counts
    straight: Counts
    acknowledged: int
    sent_on: Counts
    past: Counts
    unanswered: Numbers
    refused: Numbers
    lost: int
    recorded: tuple[str, ...]
    balancer: bool
    wanted: frozenset[Forward]

    @property
    def through_octets(self) -> int:
        """Of replies by way of the balancer."""
        return sum(count.octets for _, count in self.through)

    @property
    def straight_octets(self) -> int:
        """Of replies past the balancer; a lower bound if `acknowledged` is not zero."""
        return sum(count.octets for _, count in self.straight) + self.acknowledged

    @property
    def passed_by(self) -> float | None:
        """The share of all octets, 0..1, that did not pass the balancer; None where that is not known."""
        if not self.balancer or self.way not in (Way.DIRECT, Way.THROUGH, Way.BOTH):
            return None
        whole = self.asked.octets + self.through_octets + self.straight_octets
        return self.straight_octets / whole

    @property
    def as_wanted(self) -> bool | None:
        """Whether it is what the site file says; None if the recording cannot tell."""
        direct = bool({Forward.DIRECT, Forward.TUNNEL} & self.wanted)
        other = bool({Forward.NAT, Forward.FULLNAT} & self.wanted)
        if self.unanswered or self.refused or self.past:
            return False
        match self.way:
            case Way.DIRECT:
                return direct
            case Way.THROUGH:
                return other
            case Way.BOTH:
                return direct and other
            case Way.REFUSED | Way.UNANSWERED:
                return False
            case Way.UNKNOWN | Way.NO_REQUEST:
                return None
            case _:
                assert_never(self.way)


def judge(scene: Scene, frames: Iterable[Frame], *, recorded: tuple[str, ...], lost: int = 0) -> Verdict:
    """The verdict on frames in the order of their times. `recorded` names the machines that were recorded, whether they
    had anything to record or not."""
    traffic = Traffic(scene)
    for frame in frames:
        traffic.take(frame)
    return _Judgement(scene, traffic, recorded).verdict(lost)


class _Judgement:
    """The parts of a verdict."""

    def __init__(self, scene: Scene, traffic: Traffic, recorded: tuple[str, ...]) -> None:
        self._scene = scene
        self._traffic = traffic
        self._recorded = recorded
        balancers = {party.name for party in scene.balancers}
        self._at_balancer = not balancers.isdisjoint(recorded)
        self._counted_at = balancers if self._at_balancer else {party.name for party in scene.servers}
        self._flows = [flow for flow in traffic.flows if self._asked(flow)]
        self._refused = [(flow, who) for flow in self._flows if (who := flow.refused_by) is not None]
        refused = {id(flow) for flow, _ in self._refused}
        self._served = [flow for flow in self._flows if id(flow) not in refused]

    def verdict(self, lost: int) -> Verdict:
        asked = [frame for flow in self._flows for frame in self._asked(flow)]
        through = [one for flow in self._served for one in flow.most_through]
        straight = [one for flow in self._served for one in flow.most_straight]
        unseen = [self._asked(flow) for flow in self._served if not flow.through and not flow.straight]
        unanswered = self._unanswered()
        way, evidence = self._way(bool(through), bool(straight), any(map(heard, unseen)), bool(unanswered))
        return Verdict(
            service=self._scene.service,
            way=way,
            evidence=evidence,
            requests=sum(requests(flow.key.protocol, self._asked(flow)) for flow in self._flows),
            flows=len(self._flows),
            asked=_count(asked),
            through=self._counts(through),
            straight=self._counts(straight),
            acknowledged=sum(map(acknowledged, unseen)),
            sent_on=self._counts(self._traffic.sent_on),
            past=self._counts(self._traffic.past),
            unanswered=_numbers(unanswered),
            refused=_numbers(who for _, who in self._refused),
            lost=lost,
            recorded=self._recorded,
            balancer=self._at_balancer,
            wanted=self._scene.wanted,
        )

    def _asked(self, flow: Flow) -> list[Frame]:
        """The flow's requests where they count: of one that moved between two balancers, those of both."""
        found = [frame for machine in flow.asked if machine in self._counted_at for frame in flow.asked[machine]]
        return sorted(found, key=lambda frame: frame.at_ns)

    def _way(self, through: bool, straight: bool, answered: bool, unanswered: bool) -> tuple[Way, Evidence]:
        if straight:
            return (Way.BOTH if through else Way.DIRECT), Evidence.SEEN
        # Acknowledgements tell a way only where replies through the balancer would have been seen.
        if answered and self._at_balancer:
            return (Way.BOTH if through else Way.DIRECT), Evidence.ACKNOWLEDGED
        if through:
            return Way.THROUGH, Evidence.SEEN
        if unanswered:
            return Way.UNANSWERED, Evidence.NONE
        if self._refused:
            return Way.REFUSED, Evidence.SEEN
        return (Way.UNKNOWN if self._flows else Way.NO_REQUEST), Evidence.NONE

    def _unanswered(self) -> list[str]:
        """For each connection that was opened and never answered, who should have."""
        found = []
        for flow in self._served:
            frames, server = self._asked(flow), flow.sent_to or "nobody"
            late = frames[0].at_ns > self._traffic.last_ns - ANSWER_TIME_NS
            if late or flow.through or flow.straight or heard(frames):
                continue
            # A datagram's sender acknowledges nothing: only who was recorded is known to have been silent.
            if flow.key.protocol is Protocol.TCP or server in self._recorded:
                found.append(server)
        return found

    def _counts(self, found: Iterable[Sent]) -> Counts:
        """In the order of the site file, strangers last."""
        frames: dict[str, list[Frame]] = {}
        for name, frame in found:
            frames.setdefault(name, []).append(frame)
        order = {party.name: number for number, party in enumerate(self._scene.parties)}
        names = sorted(frames, key=lambda name: (order.get(name, len(order)), name))
        return tuple((name, _count(frames[name])) for name in names)


def _count(frames: Iterable[Frame]) -> Count:
    lengths = [frame.length for frame in frames]
    return Count(len(lengths), sum(lengths))


def _numbers(names: Iterable[str]) -> Numbers:
    counts: dict[str, int] = {}
    for name in names:
        counts[name] = counts.get(name, 0) + 1
    return tuple(sorted(counts.items()))
