"""The dead-man gates of the speaker: which addresses the kernel shall silence if this process dies or stands still.

A gate is armed only while a peer that may own the VIP is heard: a lone node never silences itself. Armed, it is opened
anew with every advertisement; a router that waits to leave has its gate opened, too, at about the same pace. The same
pace gives addresses a finite lifetime and renews it, which helps where the kernel knows no gate.

Who finds that it has not opened its gate for as long as the limit has been asleep: by then it is silenced, or should
have been, and somebody else owns. It must step down before it does anything else.

Invariants: a gate is armed only for addresses that are held; what is armed is disarmed after they are released; the
addresses of a router of priority 255, being the interface's own, are never gated.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace
from datetime import timedelta

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.event import EventBody
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.node.messages import (
    AbilitiesFound,
    ArmGate,
    DisarmGate,
    GateFound,
    LimitAddress,
    RefreshGate,
    SpeakerEffect,
)
from yaoki.node.speaker_events import GateArmed, GateDisarmed, IntervalRaised
from yaoki.node.speaker_peers import LOST_HEARTBEATS, SLACK, SpeakerPeers
from yaoki.vrrp.dead_man import address_lifetime, dead_man_limit, interval_floor
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.standing import OWNER_PRIORITY

_PACE = 5, 4
"""What is not opened by an advertisement after this many intervals is opened without one."""
_RENEWALS = 3
"""An address is renewed so often in its lifetime."""


GateOutcome = tuple[list[SpeakerEffect], list[EventBody]]


@dataclass(slots=True)
class _Gate:
    """Of one router that holds addresses. `opened_at` is None while no peer is heard; `armed`: the kernel was told;
    `advertised_at` is when the router last said that it owns."""

    params: RouterParams
    addresses: dict[IPInterface, None] = field(default_factory=dict)
    opened_at: Instant | None = None
    armed: bool = False
    advertised_at: Instant | None = None
    renewed_at: Instant | None = None
    adopted_until: Instant | None = None


class SpeakerGates:
    """By the numbers of the routers. Methods answer with what is to be done, in order."""

    def __init__(self, peers: SpeakerPeers) -> None:
        self._peers = peers
        self._abilities = AbilitiesFound()
        self._gates: dict[int, _Gate] = {}
        self._found: dict[IPAddress, Instant] = {}

    # --- what the machine can do, and what an earlier life has left

    @property
    def tick(self) -> timedelta:
        """In which the kernel counts the gate's time-outs."""
        return self._abilities.tick

    @property
    def works(self) -> bool:
        """Whether the kernel has gates: without them nothing may own by lease."""
        return self._abilities.gate

    def able(self, abilities: AbilitiesFound) -> None:
        self._abilities = abilities

    def safe(self, params: RouterParams) -> tuple[RouterParams, list[EventBody]]:
        """The parameters with an interval that is safe on this machine, and what to tell if it had to be raised."""
        floor = interval_floor(self._abilities.tick, punctual=self._abilities.punctual)
        if params.interval >= floor:
            return params, []
        raised = IntervalRaised(params.key, params.vip, params.interval, floor)
        return replace(params, interval=floor), [raised]

    def found(self, now: Instant, found: GateFound) -> None:
        """Gates that were armed before this process began."""
        self._found = {each.address: now + each.open_for for each in found.armed}

    def left_shut(self, now: Instant, addresses: Iterable[IPInterface]) -> bool:
        """Whether an earlier life was silenced at one of these addresses: somebody else may own them."""
        return any(address.ip in self._found and self._found[address.ip] <= now for address in addresses)

    def left_open(self, now: Instant, addresses: Iterable[IPInterface]) -> bool:
        """Whether an earlier life has left all these addresses armed, and the kernel still lets them through."""
        return all(self._found.get(address.ip, now) > now for address in addresses)

    def shut_at(self, addresses: Iterable[IPInterface]) -> Instant:
        """When the first of these that were left open is silenced."""
        return min((self._found[address.ip] for address in addresses), key=lambda at: at.us)

    def take_up(self, addresses: Iterable[IPInterface]) -> None:
        """What an earlier life has left at these is a leased router's from now on."""
        for address in addresses:
            self._found.pop(address.ip, None)

    def forget_found(self, *, keep: Set[IPAddress]) -> list[SpeakerEffect]:
        """Disarm what an earlier life has left and no router has taken up; `keep` those whose routers still wait."""
        left = tuple(address for address in self._found if address not in keep)
        for address in left:
            del self._found[address]
        return [DisarmGate(left)] if left else []

    # --- along with what a router does

    def claim(self, now: Instant, number: int, params: RouterParams, addresses: Iterable[IPInterface]) -> GateOutcome:
        """Before addresses are put on their interface."""
        if params.priority == OWNER_PRIORITY:
            return [], []
        gate = self._gates.setdefault(number, _Gate(params))
        gate.addresses.update(dict.fromkeys(addresses))
        found = {a.ip: at for a in addresses if (at := self._found.pop(a.ip, None)) is not None}
        taken_up = list(found.values())
        reopened: list[SpeakerEffect] = []
        if any(at <= now for at in taken_up):
            # An earlier life was silenced. This one takes over by its own right, and begins anew.
            reopened, taken_up = [DisarmGate(tuple(found))], []
        if taken_up:
            patience = LOST_HEARTBEATS * self._peers.params.interval + SLACK
            gate.adopted_until = now + patience if self._peers.params.peers else now
            gate.opened_at, gate.armed = min(taken_up, key=lambda at: at.us) - self._limit(params), True
        if gate.armed and not taken_up:
            # More addresses of a router whose gate is armed.
            return [*reopened, self._arm(now, gate)], []
        # Renewed with the advertisement that follows, when they are there.
        arming, news = self.review(now, number, params)
        gate.renewed_at = None
        return [*reopened, *(effect for effect in arming if not isinstance(effect, LimitAddress))], news

    def advertise(self, now: Instant, number: int, params: RouterParams) -> list[SpeakerEffect]:
        """As an advertisement is sent."""
        if (gate := self._gates.get(number)) is not None:
            gate.advertised_at = now
        return self._open(now, number, params)

    def _open(self, now: Instant, number: int, params: RouterParams) -> list[SpeakerEffect]:
        gate = self._gates.get(number)
        if gate is None or gate.opened_at is None or not gate.addresses:
            return []
        gate.params, gate.opened_at = params, now
        effects: list[SpeakerEffect] = []
        if gate.armed:
            effects.append(RefreshGate(params.key, _ips(gate.addresses), self._limit(params)))
        return effects + self._renew(now, gate)

    def release(
        self, number: int, addresses: Iterable[IPInterface], *, disarm: Iterable[IPInterface]
    ) -> list[SpeakerEffect]:
        """After a router gave addresses up; those that no other router has taken are disarmed."""
        gate = self._gates.get(number)
        if gate is None:
            return []
        for address in addresses:
            gate.addresses.pop(address, None)
        if not gate.addresses:
            del self._gates[number]
        gone = _ips(disarm)
        return [DisarmGate(gone)] if gone and gate.armed else []

    def review(self, now: Instant, number: int, params: RouterParams) -> GateOutcome:
        """Arm or disarm, as peers are heard or not; and what to tell of it."""
        gate = self._gates.get(number)
        if gate is None:
            return [], []
        gate.params = params
        adopted = gate.adopted_until is not None and now < gate.adopted_until
        wanted = self._peers.any_alive(params.vip) or adopted
        if not adopted:
            gate.adopted_until = None
        if wanted and gate.opened_at is None:
            if self._abilities.gate:
                gate.armed = True
                arming = [self._arm(now, gate), *self._renew(now, gate)]
                return arming, [GateArmed(params.key, params.vip, self._limit(params))]
            gate.opened_at = now
            return self._renew(now, gate), []
        elif not wanted and gate.opened_at is not None:
            was_armed, gate.armed, gate.opened_at, gate.renewed_at = gate.armed, False, None, None
            effects: list[SpeakerEffect] = [LimitAddress(params.key.interface, a, None) for a in gate.addresses]
            if was_armed:
                return [DisarmGate(_ips(gate.addresses)), *effects], [GateDisarmed(params.key, params.vip)]
            return effects, []
        return [], []

    def tend(self, now: Instant, number: int, params: RouterParams) -> GateOutcome:
        """At its deadline: look at the peers again, and open what no advertisement has opened. No sooner: the others
        count from the last advertisement that they heard."""
        effects, news = self.review(now, number, params)
        gate = self._gates.get(number)
        if gate is not None and gate.opened_at is not None and now >= _due(gate, gate.opened_at):
            effects = effects + self._open(now, number, params)
        return effects, news

    # --- time

    def asleep(self, now: Instant, number: int) -> timedelta | None:
        """For how long the gate has not been opened, if that is longer than it stays open; else None."""
        gate = self._gates.get(number)
        if gate is None or gate.opened_at is None or now - gate.opened_at < self._limit(gate.params):
            return None
        return now - gate.opened_at

    def give_up(self, number: int) -> None:
        """It is shut, and what is done from now on does not open it."""
        gate = self._gates.get(number)
        if gate is not None:
            gate.opened_at = None

    def deadline(self, number: int) -> Deadline | None:
        """When the gate of a router is to be opened without an advertisement, or looked at again."""
        gate = self._gates.get(number)
        if gate is None or gate.opened_at is None:
            return None
        opening = Deadline(_due(gate, gate.opened_at), "gate")
        until = gate.adopted_until
        return opening if until is None else earliest(opening, Deadline(until, "adopted gate"))

    def limit(self, number: int) -> timedelta | None:
        """After what time the kernel silences a router's addresses; None where it does not."""
        gate = self._gates.get(number)
        return None if gate is None or not gate.armed else self._limit(gate.params)

    def _renew(self, now: Instant, gate: _Gate) -> list[SpeakerEffect]:
        """The second net, several times in its lifetime."""
        lifetime = address_lifetime(gate.params.interval)
        if gate.renewed_at is not None and now - gate.renewed_at < lifetime / _RENEWALS:
            return []
        gate.renewed_at = now
        return [LimitAddress(gate.params.key.interface, address, lifetime) for address in gate.addresses]

    def _arm(self, now: Instant, gate: _Gate) -> ArmGate:
        """Open for as long as if it had been opened by the last advertisement: from that one the others count. Two
        intervals are left in any case."""
        params = gate.params
        said_at = now if gate.advertised_at is None else gate.advertised_at
        gate.opened_at = max(said_at, now - params.interval, key=lambda at: at.us)
        return ArmGate(params.key.interface, _ips(gate.addresses), self._limit(params) - (now - gate.opened_at))

    def _limit(self, params: RouterParams) -> timedelta:
        return dead_man_limit(params.interval, self._abilities.tick)


def _ips(addresses: Iterable[IPInterface]) -> tuple[IPAddress, ...]:
    return tuple(address.ip for address in addresses)


def _due(gate: _Gate, opened_at: Instant) -> Instant:
    """When a gate that was opened then is to be opened without an advertisement."""
    times, intervals = _PACE
    return opened_at + times * gate.params.interval / intervals
