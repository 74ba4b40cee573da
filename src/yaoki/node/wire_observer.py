"""The part of the Brain that watches what is said of its VIPs on the wire, and asks for them itself.

For each address of a VIP there is a watch for foreign claims and one for answers; for each interface a table of the
members' MACs. What they find becomes events; what the owner of a VIP has to contradict becomes an order to the speaker.

What it sees may never reach this node's own stack; the dead-man gate lets claims pass, so a node whose gate is closed
still sees who owns and answers.

Invariants: everything here is bounded by the plan and by the watches' own limits; an order to announce is given for one
router at most each REACTION_GAP; of an interface that is down, nothing is concluded.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import assert_never

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.agenda import Agenda
from yaoki.core.event import Emit, EventId
from yaoki.core.instant import Deadline, Instant, earliest
from yaoki.node.messages import AnnounceRouter, Published, RouterState, RouterStatus
from yaoki.node.wire_messages import AskWire, ClaimsSeen, FramesDropped, WatchWire, WireInput, WireInterface
from yaoki.packet.claim import Claim, Form
from yaoki.vrrp.answer_watch import AnswerWatch, Aside, Listening, Owning, Role
from yaoki.vrrp.claim_watch import AskMembers, ClaimWatch, Reassert
from yaoki.vrrp.member_macs import Ask, MemberMacs
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.timing import REACTION_GAP
from yaoki.vrrp.wire_events import WireFlooded
from yaoki.vrrp.wire_params import WireParams

FLOOD_QUIET = timedelta(seconds=10)
"""At most one WireFlooded for each interface in this time."""

WireEffect = WatchWire | AskWire | AnnounceRouter | Published
Place = tuple[str, IPAddress]
_Found = AskMembers | Reassert | Ask | Emit


@dataclass(slots=True)
class Watched:
    """One address of a virtual router; `number` is its name on the agenda, because an address is slow to hash."""

    number: int
    params: WireParams
    address: IPAddress
    claims: ClaimWatch
    answers: AnswerWatch


@dataclass(slots=True)
class _Interface:
    """One interface, as found last; `dropped` frames in all, told at `flood_told_at`."""

    macs: MemberMacs
    found: WireInterface | None = None
    dropped: int = 0
    flood_told_at: Instant | None = None

    def asks(self, family: Family) -> bool:
        """Whether questions of a family can be asked."""
        found = self.found
        if found is None or not found.up or found.mac is None:
            return False
        return (found.ipv4 if family is Family.IPV4 else found.ipv6_link_local) is not None


class WireObserver:
    """`publish` makes events; `server_of` names the real server for direct return that has a MAC; `seen` is called when
    something was seen of an address, or it was asked for, with the event that told of it."""

    def __init__(
        self,
        publish: Callable[[Instant, Emit], Published],
        server_of: Callable[[MacAddress], str | None],
        seen: Callable[[Watched, EventId | None], None],
    ) -> None:
        self._publish = publish
        self._server_of = server_of
        self._seen = seen
        self._params: tuple[WireParams, ...] = ()
        self._interfaces: dict[str, _Interface] = {}
        self._watched: dict[Place, Watched] = {}
        self._roles: dict[RouterKey, Role] = {}
        self._reasserted: dict[RouterKey, Instant] = {}
        self._by_number: dict[int, Watched] = {}
        self._numbers = 0
        self._agenda: Agenda[int | str | RouterKey] = Agenda()

    # --- what readers see

    def of_router(self, key: RouterKey) -> tuple[Watched, ...]:
        """What is watched of one virtual router."""
        return tuple(watched for watched in self._watched.values() if watched.params.router == key)

    def listens(self, key: RouterKey) -> bool:
        """Whether questions for a router can be asked and answered now."""
        interface = self._interfaces.get(key.interface)
        return interface is not None and interface.asks(key.family)

    def mac_of(self, interface: str) -> MacAddress | None:
        """This node's own MAC there."""
        known = self._interfaces.get(interface)
        return None if known is None or known.found is None else known.found.mac

    def dropped(self) -> Mapping[str, int]:
        """Frames dropped unseen, by interface."""
        return {name: interface.dropped for name, interface in self._interfaces.items()}

    # --- inputs

    def configure(self, now: Instant, wanted: tuple[WireParams, ...]) -> list[WireEffect]:
        """Watch these virtual routers. An address whose parameters are unchanged keeps what is known of it."""
        if wanted == self._params:
            return []
        self._params = wanted
        self._configure_interfaces(now, wanted)
        places = {(params.router.interface, address): params for params in wanted for address in params.addresses}
        for place, watched in list(self._watched.items()):
            if places.get(place) != watched.params:
                del self._watched[place], self._by_number[watched.number]
                self._agenda.set(watched.number, None)
        for number, (place, params) in enumerate(places.items()):
            if place not in self._watched:
                watched = self._watched[place] = self._watch(now, params, place[1])
                self._by_number[watched.number] = watched
                # Spread over the first pause, so that the questions of one node do not come in bursts.
                self._let_ask(watched, now + params.ask_every * number / len(places))
        return [self._wish()]

    def handle(self, now: Instant, input_: WireInput) -> list[WireEffect]:
        """What the driver saw."""
        match input_:
            case WireInterface():
                return self._interface_found(now, input_)
            case ClaimsSeen():
                return self._claims_seen(now, input_)
            case FramesDropped():
                return self._dropped(now, input_)
            case _:
                assert_never(input_)

    def status(self, status: RouterStatus) -> None:
        """What VRRP says of a router."""
        role = self._roles[status.router] = _role(status)
        for watched in self.of_router(status.router):
            watched.answers.know(role)

    def speaker_lost(self, now: Instant) -> None:
        """What VRRP says is not known any more."""
        self._roles.clear()
        for watched in self._watched.values():
            watched.answers.know(Aside(now))

    def due(self, now: Instant) -> list[WireEffect]:
        """What time has brought."""
        effects: list[WireEffect] = []
        for key in list(self._agenda.due(now)):
            if isinstance(key, RouterKey):
                effects += self._reassert(now, key, None)
                continue
            if isinstance(key, str):
                macs = self._interfaces[key].macs
                effects += self._members(now, key, macs.timer_fired(now))
                continue
            watched = self._by_number[key]
            found = [*watched.claims.timer_fired(now), *watched.answers.timer_fired(now)]
            effects += self._effects(now, watched, found)
        return effects

    def deadline(self) -> Deadline | None:
        """The earliest of all."""
        return self._agenda.next()

    # --- inside

    def _configure_interfaces(self, now: Instant, wanted: Iterable[WireParams]) -> None:
        members: dict[str, dict[tuple[str, IPAddress], None]] = {}
        for params in wanted:
            here = members.setdefault(params.router.interface, {})
            here.update({(member.node, address): None for member in params.members for address in member.addresses})
            if params.router.interface not in self._interfaces:
                macs = MemberMacs(params.router.interface, params.here)
                self._interfaces[params.router.interface] = _Interface(macs)
        for name in [name for name in self._interfaces if name not in members]:
            del self._interfaces[name]
            self._agenda.set(name, None)
        for name, interface in self._interfaces.items():
            interface.macs.configure(now, members[name])
            self._agenda.set(name, self._members_deadline(interface))

    def _watch(self, now: Instant, params: WireParams, address: IPAddress) -> Watched:
        macs = self._interfaces[params.router.interface].macs

        def node_of(mac: MacAddress) -> str | None:
            # RFC 9568 7.3: whoever owns the virtual router may answer with its virtual MAC.
            return f"VRID {params.router.vrid}" if mac == params.virtual_mac else macs.node_of(mac)

        claims = ClaimWatch(params, address, node_of=node_of, unknown=macs.unknown, server_of=self._server_of)
        answers = AnswerWatch(params, address, now, node_of=node_of)
        answers.know(self._roles.get(params.router, Aside(now)))
        self._numbers += 1
        return Watched(self._numbers, params, address, claims, answers)

    def _wish(self) -> WatchWire:
        by_interface: dict[str, dict[IPAddress, None]] = {}
        for name, interface in self._interfaces.items():
            by_interface[name] = dict.fromkeys(interface.macs.addresses)
        for name, address in self._watched:
            by_interface[name][address] = None
        return WatchWire(tuple((name, tuple(addresses)) for name, addresses in by_interface.items()))

    def _interface_found(self, now: Instant, found: WireInterface) -> list[WireEffect]:
        interface = self._interfaces.get(found.interface)
        if interface is None:
            return []
        interface.found = found
        interface.macs.own(found.mac)
        self._agenda.set(found.interface, self._members_deadline(interface))
        for watched in self._watched.values():
            if watched.params.router.interface == found.interface:
                self._let_ask(watched, now)
        return []

    def _let_ask(self, watched: Watched, at: Instant) -> None:
        router = watched.params.router
        if self._interfaces[router.interface].asks(router.family):
            watched.answers.begin(at)
        else:
            watched.answers.rest()
        self._set(watched)

    def _claims_seen(self, now: Instant, seen: ClaimsSeen) -> list[WireEffect]:
        interface = self._interfaces.get(seen.interface)
        if interface is None:
            return []
        effects: list[WireEffect] = []
        for claim in seen.claims:
            effects += self._members(now, seen.interface, interface.macs.claimed(now, claim.address, claim.mac))
            watched = self._watched.get((seen.interface, claim.address))
            if watched is not None:
                effects += self._claimed(now, interface, watched, claim)
        return effects

    def _claimed(self, now: Instant, interface: _Interface, watched: Watched, claim: Claim) -> list[WireEffect]:
        own = None if interface.found is None else interface.found.mac
        if claim.mac == own:
            return []
        if claim.form is Form.ANSWER and claim.destination == own:
            watched.answers.answered(now, claim.mac)
        elif claim.form is Form.ANNOUNCEMENT:
            watched.answers.announced(now, claim.mac)
        return self._effects(now, watched, watched.claims.claimed(now, claim.mac, claim.form))

    def _dropped(self, now: Instant, dropped: FramesDropped) -> list[WireEffect]:
        interface = self._interfaces.get(dropped.interface)
        if interface is None:
            return []
        interface.dropped += dropped.dropped
        for watched in self._watched.values():
            if watched.params.router.interface == dropped.interface:
                watched.answers.blinded()
        told = interface.flood_told_at
        if told is not None and now - told < FLOOD_QUIET:
            return []
        interface.flood_told_at = now
        return [self._publish(now, Emit(WireFlooded(dropped.interface, interface.dropped)))]

    def _members(self, now: Instant, name: str, found: Iterable[Ask | Emit]) -> list[WireEffect]:
        interface = self._interfaces[name]
        effects: list[WireEffect] = []
        for effect in found:
            match effect:
                case Ask(address):
                    if interface.asks(Family.of(address)):
                        effects.append(AskWire(name, address))
                case Emit():
                    effects.append(self._publish(now, effect))
                case _:
                    assert_never(effect)
        self._agenda.set(name, self._members_deadline(interface))
        return effects

    def _effects(self, now: Instant, watched: Watched, found: Iterable[_Found]) -> list[WireEffect]:
        """The watches' effects as the observer's. Of several events at once each is the cause of the next."""
        name, effects = watched.params.router.interface, list[WireEffect]()
        because: EventId | None = None
        for effect in found:
            match effect:
                case AskMembers():
                    effects += self._members(now, name, self._interfaces[name].macs.ask_all())
                case Ask(address):
                    effects.append(AskWire(name, address))
                case Emit(body):
                    published = self._publish(now, Emit(body, because))
                    because = published.event.id
                    effects.append(published)
                case Reassert():
                    effects += self._reassert(now, watched.params.router, because)
                case _:
                    assert_never(effect)
        self._seen(watched, because)
        self._set(watched)
        return effects

    def _reassert(self, now: Instant, key: RouterKey, because: EventId | None) -> list[WireEffect]:
        last = self._reasserted.get(key)
        role = self._roles.get(key)
        # One that waits to be relieved serves meanwhile; one that has been relieved passes the order over.
        serving = isinstance(role, Owning) or (isinstance(role, Aside) and role.serving)
        if not serving:
            return []
        if last is not None and now - last < REACTION_GAP:
            # The last of several claims must not stand.
            self._agenda.set(key, Deadline(last + REACTION_GAP, "claims to contradict"))
            return []
        self._reasserted[key] = now
        self._agenda.set(key, None)
        return [AnnounceRouter(key, because)]

    def _set(self, watched: Watched) -> None:
        self._agenda.set(watched.number, earliest(watched.answers.deadline(), watched.claims.deadline()))

    def _members_deadline(self, interface: _Interface) -> Deadline | None:
        """While nothing can be asked, nothing is due: an answer is what is waited for."""
        asks = any(interface.asks(family) for family in Family)
        return interface.macs.deadline() if asks else None


def _role(status: RouterStatus) -> Role:
    match status.state:
        case RouterState.ACTIVE:
            return Owning(status.since, status.peer_heard)
        case RouterState.BACKUP:
            return Listening(status.since, status.peer, status.peer_heard)
        case RouterState.INITIALIZE | RouterState.LEAVING:
            return Aside(status.since, serving=status.state is RouterState.LEAVING)
        case _:
            assert_never(status.state)
