"""A small node whose VIP is watched on the wire."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Address

from tests.node.scene import ROUTER, SECOND, VIP, Scene, mac, plan, server, service
from yaoki.core.address import BROADCAST, MacAddress
from yaoki.core.event import EventBody
from yaoki.core.machine import TimerFired
from yaoki.lb.service import Forward
from yaoki.node.brain_messages import BrainEffect, NewPlan, SpeakerBack
from yaoki.node.messages import Published, RouterState, RouterStatus
from yaoki.node.wire_messages import AskWire, ClaimsSeen, WireInterface
from yaoki.packet.claim import Claim, Form
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.wire_params import WireMember, WireParams, question_pause

OWN, PEER = IPv4Address("192.0.2.11"), IPv4Address("192.0.2.12")
MINE, HERS, INTRUDER, LEAKER = mac(11), mac(12), mac(66), mac(21)
UP = WireInterface("eth0", True, MINE, OWN, None)


def watched_plan() -> NodePlan:
    members = (WireMember("lb1", 150, (OWN,)), WireMember("lb2", 100, (PEER,)))
    pause = question_pause(SECOND, addresses=1)
    wire = WireParams("web-vip", ROUTER, "lb1", SECOND, pause, (VIP,), members)
    return replace(plan(service(servers=[server(1, forward=Forward.DIRECT)])), wires=(wire,))


class WireScene(Scene):
    """A Brain with a VIP that is watched; lb2's MAC is known."""

    def __init__(self, state: RouterState = RouterState.ACTIVE) -> None:
        super().__init__()
        self.effects = self.give(NewPlan(watched_plan()), SpeakerBack(), UP)
        self.be(state)
        self.give(claim(PEER, HERS, Form.QUESTION))

    def be(self, state: RouterState) -> None:
        heard = None if state is RouterState.ACTIVE else self.now
        peer = None if state is RouterState.ACTIVE else PEER
        self.give(RouterStatus(ROUTER, "web-vip", state, self.now, 150, "", peer, 100, heard))

    def wait(self, duration: timedelta, *, answers: tuple[MacAddress, ...] = ()) -> list[BrainEffect]:
        """Let time pass, deadline by deadline; every question for the VIP is answered so."""
        effects: list[BrainEffect] = []
        until = self.now + duration
        while (deadline := self.brain.deadline()) is not None and deadline.at <= until:
            self.now = max(self.now, deadline.at, key=lambda at: at.us)
            effects += (new := self.fire())
            if AskWire("eth0", VIP) in new:
                effects += [e for each in answers for e in self.give(claim(VIP, each, Form.ANSWER, to=MINE))]
        self.now = until
        return effects

    def fire(self) -> list[BrainEffect]:
        return self.give(TimerFired())


def claim(address: IPv4Address, at: MacAddress, form: Form, *, to: MacAddress = BROADCAST) -> ClaimsSeen:
    return ClaimsSeen("eth0", (Claim(address, at, form, to),))


def told(effects: list[BrainEffect], kind: type[EventBody]) -> list[EventBody]:
    return [e.event.body for e in effects if isinstance(e, Published) and isinstance(e.event.body, kind)]
