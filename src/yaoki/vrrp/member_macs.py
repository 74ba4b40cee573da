"""The MACs of a virtual router's members on one interface, learnt from their own addresses. Pure.

A member's MAC is what its own address is bound to, as its ARP and neighbour discovery say; this node's is its
interface's. A binding that changes is not believed at once: the address is asked for, and only if the former MAC is
silent for CHALLENGE_TIME does the new one count. So a machine that is replaced is known soon, and somebody who claims a
living member's address is not taken for the member.

Limits: what has the member's own address on this link, alone, is the member; ARP knows no better proof.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import IPAddress, MacAddress
from yaoki.core.event import Emit
from yaoki.core.instant import Deadline, Instant
from yaoki.vrrp.wire_events import MemberContested, MemberMacChanged

CHALLENGE_TIME = timedelta(milliseconds=200)
ASK_UNKNOWN_EVERY = timedelta(seconds=1)
ASK_KNOWN_EVERY = timedelta(seconds=10)
# One event for all the claims of a member's address within this time.
CONTEST_QUIET = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Not heard yet. Asked for again at `ask_at`."""

    ask_at: Instant


@dataclass(frozen=True, slots=True)
class Known:
    """Bound to `mac`. Asked for again at `ask_at`, if it is not heard before. `contested_at` is when that was told."""

    mac: MacAddress
    ask_at: Instant
    contested_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Challenged:
    """Bound to `mac`, but `challenger` has claimed it; judged at `judge_at`."""

    mac: MacAddress
    challenger: MacAddress
    judge_at: Instant
    contested_at: Instant | None = None


Binding = Unknown | Known | Challenged


@dataclass(frozen=True, slots=True)
class Ask:
    """The effect of asking for an address, from this node's own."""

    address: IPAddress


Effect = Ask | Emit


class MemberMacs:
    """The table of one interface. `here` is this node's name."""

    def __init__(self, interface: str, here: str) -> None:
        self.interface = interface
        self._here = here
        self._own: MacAddress | None = None
        self._nodes: dict[IPAddress, str] = {}
        self._bindings: dict[IPAddress, Binding] = {}
        self._by_mac: dict[MacAddress, str] = {}

    def configure(self, now: Instant, members: Iterable[tuple[str, IPAddress]]) -> None:
        """The own addresses of all members; what is known of those that were there already is kept."""
        self._nodes = {address: node for node, address in members}
        held = self._bindings
        self._bindings = {
            address: held.get(address, Unknown(now)) for address, node in self._nodes.items() if node != self._here
        }
        self._index()

    def own(self, mac: MacAddress | None) -> None:
        """This node's interface has this MAC."""
        self._own = mac
        self._index()

    @property
    def addresses(self) -> tuple[IPAddress, ...]:
        """Whose claims are to be given to `claimed`."""
        return tuple(self._nodes)

    def node_of(self, mac: MacAddress) -> str | None:
        """The member at this MAC; None if it is nobody's."""
        return self._by_mac.get(mac)

    def unknown(self) -> tuple[str, ...]:
        """The members of which no address has been heard from."""
        known = {self._nodes[address] for address, bound in self._bindings.items() if not isinstance(bound, Unknown)}
        return tuple(
            dict.fromkeys(self._nodes[address] for address in self._bindings if self._nodes[address] not in known)
        )

    def ask_all(self) -> list[Effect]:
        """Ask for every member but this node, because a MAC that is not known was seen."""
        return [Ask(address) for address in self._bindings]

    def claimed(self, now: Instant, address: IPAddress, mac: MacAddress) -> list[Effect]:
        """An address of a member was claimed."""
        node = self._nodes.get(address)
        if node is None or mac == self._own:
            return []
        binding = self._bindings.get(address)
        match binding:
            case None:
                return []  # this node's own: its kernel defends it
            case Unknown():
                self._bind(address, Known(mac, now + ASK_KNOWN_EVERY))
                return []
            case Known():
                if mac == binding.mac:
                    self._bindings[address] = replace(binding, ask_at=now + ASK_KNOWN_EVERY)
                    return []
                self._bindings[address] = Challenged(binding.mac, mac, now + CHALLENGE_TIME, binding.contested_at)
                return [Ask(address)]
            case Challenged():
                return self._defended(now, address, node, binding) if mac == binding.mac else []
            case _:
                assert_never(binding)

    def timer_fired(self, now: Instant) -> list[Effect]:
        """Ask for what is due, and judge challenges that nobody defended."""
        effects: list[Effect] = []
        for address, binding in list(self._bindings.items()):
            match binding:
                case Unknown(ask_at):
                    if ask_at <= now:
                        self._bindings[address] = Unknown(now + ASK_UNKNOWN_EVERY)
                        effects.append(Ask(address))
                case Known(_, ask_at):
                    if ask_at <= now:
                        self._bindings[address] = replace(binding, ask_at=now + ASK_KNOWN_EVERY)
                        effects.append(Ask(address))
                case Challenged(mac, challenger, judge_at):
                    if judge_at <= now:
                        self._bind(address, Known(challenger, now + ASK_KNOWN_EVERY))
                        node = self._nodes[address]
                        effects.append(Emit(MemberMacChanged(node, address, self.interface, challenger, mac)))
                case _:
                    assert_never(binding)
        return effects

    def deadline(self) -> Deadline | None:
        """The earliest question or judgement."""
        times = [_time_of(binding) for binding in self._bindings.values()]
        return Deadline(min(times, key=lambda at: at.us), "members asked for") if times else None

    def _defended(self, now: Instant, address: IPAddress, node: str, binding: Challenged) -> list[Effect]:
        quiet = binding.contested_at is not None and now - binding.contested_at < CONTEST_QUIET
        contested_at = binding.contested_at if quiet else now
        self._bindings[address] = Known(binding.mac, now + ASK_KNOWN_EVERY, contested_at)
        if quiet:
            return []
        return [Emit(MemberContested(node, address, self.interface, binding.challenger, binding.mac))]

    def _bind(self, address: IPAddress, binding: Known) -> None:
        self._bindings[address] = binding
        self._index()

    def _index(self) -> None:
        found = {}
        for address, binding in self._bindings.items():
            if not isinstance(binding, Unknown):
                found[binding.mac] = self._nodes[address]
        if self._own is not None:
            found[self._own] = self._here
        self._by_mac = found


def _time_of(binding: Binding) -> Instant:
    match binding:
        case Unknown(ask_at) | Known(_, ask_at):
            return ask_at
        case Challenged():
            return binding.judge_at
        case _:
            assert_never(binding)
