"""Foreign claims of one address of a VIP: who says to have it and is no member. Pure.

A MAC that is not known is suspected first: the members are asked for, and after VERIFY_TIME it is judged, so that a
member with a new network card is no alarm. While a member has not been heard from, the claim may be its, and is told
so. Whoever owns the VIP announces it again at once and at each further claim, because a neighbour believes the last
that it heard.

Limits: MAX_CLAIMANTS are told apart, the claims of others only counted, and one of them told; one event for each MAC
in CLAIM_QUIET, and one for all those others. A claim that is sent to one victim alone is seen by that victim alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import Emit, EventBody
from yaoki.core.instant import Deadline, Instant
from yaoki.packet.claim import Form
from yaoki.vrrp.wire_events import ArpLeaked, ClaimsEnded, ForeignClaim, UnknownClaim
from yaoki.vrrp.wire_params import WireParams

VERIFY_TIME = timedelta(milliseconds=250)
"""Longer than member_macs.CHALLENGE_TIME and an answer's way."""
CLAIM_QUIET = timedelta(seconds=10)
MAX_CLAIMANTS = 4


@dataclass(frozen=True, slots=True)
class Suspected:
    """Not known, and the members are being asked for; judged at `judge_at`."""

    mac: MacAddress
    form: Form
    count: int
    judge_at: Instant


@dataclass(frozen=True, slots=True)
class Foreign:
    """No member's. `claimed_at` is the latest claim, `told_at` the latest event."""

    mac: MacAddress
    form: Form
    count: int
    claimed_at: Instant
    told_at: Instant


Claimant = Suspected | Foreign


@dataclass(frozen=True, slots=True)
class AskMembers:
    """Ask for the members' own addresses: one of them may have another MAC."""


@dataclass(frozen=True, slots=True)
class Reassert:
    """The owner is to announce again, if it is this node."""


Effect = AskMembers | Reassert | Emit


class ClaimWatch:
    """Watches one address. `node_of` says whose a MAC is, `unknown` which members' MACs are not known, `server_of`
    whether a MAC is a real server's for direct return."""

    def __init__(
        self,
        params: WireParams,
        address: IPAddress,
        *,
        node_of: Callable[[MacAddress], str | None],
        unknown: Callable[[], tuple[str, ...]],
        server_of: Callable[[MacAddress], str | None],
    ) -> None:
        self.params = params
        self.address = address
        self.claims = 0
        self._others = 0
        self._others_told_at: Instant | None = None
        self._node_of = node_of
        self._unknown = unknown
        self._server_of = server_of
        self._claimants: dict[MacAddress, Claimant] = {}

    @property
    def foreign(self) -> tuple[Foreign, ...]:
        """Who has claimed the address lately and is no member."""
        return tuple(claimant for claimant in self._claimants.values() if isinstance(claimant, Foreign))

    def claimed(self, now: Instant, mac: MacAddress, form: Form) -> list[Effect]:
        """Somebody claimed the address."""
        if self._node_of(mac) is not None:
            return []
        self.claims += 1
        claimant = self._claimants.get(mac)
        match claimant:
            case None:
                if len(self._claimants) >= MAX_CLAIMANTS:
                    return [*self._crowded(now, mac, form), Reassert()]
                self._claimants[mac] = Suspected(mac, form, 1, now + VERIFY_TIME)
                return [AskMembers(), Reassert()]
            case Suspected():
                self._claimants[mac] = replace(claimant, form=form, count=claimant.count + 1)
                return [Reassert()]
            case Foreign():
                seen = replace(claimant, form=form, count=claimant.count + 1, claimed_at=now)
                if now - seen.told_at < CLAIM_QUIET:
                    self._claimants[mac] = seen
                    return [Reassert()]
                self._claimants[mac] = replace(seen, told_at=now)
                return [Emit(self._event(seen)), Reassert()]
            case _:
                assert_never(claimant)

    def _crowded(self, now: Instant, mac: MacAddress, form: Form) -> list[Effect]:
        """One more than can be told apart: there is no place to verify it, so it is told as it is."""
        self._others += 1
        if self._others_told_at is not None and now - self._others_told_at < CLAIM_QUIET:
            return []
        self._others_told_at = now
        return [Emit(self._event(Foreign(mac, form, 1, now, now)))]

    def timer_fired(self, now: Instant) -> list[Effect]:
        """Judge those suspected, and end what has been quiet."""
        effects: list[Effect] = []
        for mac, claimant in list(self._claimants.items()):
            match claimant:
                case Suspected(_, form, count, judge_at):
                    if judge_at > now:
                        continue
                    if self._node_of(mac) is not None:
                        del self._claimants[mac]
                        continue
                    self._claimants[mac] = foreign = Foreign(mac, form, count, now, now)
                    effects += [Emit(self._event(foreign)), Reassert()]
                case Foreign(_, _, count, claimed_at):
                    if now - claimed_at >= CLAIM_QUIET:
                        del self._claimants[mac]
                        params = self.params
                        ended = ClaimsEnded(params.vip, params.router, self.address, mac, self._interface, count)
                        effects.append(Emit(ended))
                case _:
                    assert_never(claimant)
        return effects

    def deadline(self) -> Deadline | None:
        """The next judgement or end."""
        if not self._claimants:
            return None
        times = [_time_of(claimant) for claimant in self._claimants.values()]
        return Deadline(min(times, key=lambda at: at.us), "claimants judged")

    @property
    def _interface(self) -> str:
        return self.params.router.interface

    def _event(self, claimant: Claimant) -> EventBody:
        params = self.params
        server = self._server_of(claimant.mac)
        what = (params.vip, params.router, self.address, claimant.mac, self._interface, claimant.form, claimant.count)
        if server is not None:
            return ArpLeaked(*what, server=server)
        of_router = {member.node for member in params.members if not member.stands_by}
        members = tuple(node for node in self._unknown() if node in of_router)
        return UnknownClaim(*what, members=members) if members else ForeignClaim(*what, others=self._others)


def _time_of(claimant: Claimant) -> Instant:
    match claimant:
        case Suspected():
            return claimant.judge_at
        case Foreign():
            return claimant.claimed_at + CLAIM_QUIET
        case _:
            assert_never(claimant)
