"""Addresses that are held and served here, and not answered for: the old owner's, and its successor's for a moment.

A router that yields has heard its successor, and is hushed until it has released. The successor of an owner that lives
takes over hushed as well, if heartbeats of that owner are heard: it advertises, waits until a heartbeat tells that the
owner has heard it and is hushed itself, and only then answers and announces the addresses. So nobody who asks is told
of two nodes. Who asks in between is told by the announcement, and who need not ask is served by the old owner.

Without heartbeats (keepalived) an owner may give the addresses up as soon as it hears us, and there would be nobody.
Under a lease it has given them up already. At a virtual MAC both answers are the same, and switches send to the
successor from its advertisement on: it must be free to ask for its next hops.

Invariants: what is hushed is held, or was never put there; a successor is hushed for PATIENCE at most after its
advertisement, whatever is heard or not; the addresses of a router of priority 255, being the interface's own, are never
hushed.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.core.instant import Deadline, Instant
from yaoki.node.messages import AnswerAgain, HushAddresses, SpeakerEffect
from yaoki.node.speaker_peers import SpeakerPeers
from yaoki.vrrp.params import RouterParams

PATIENCE = timedelta(milliseconds=10)
"""An old owner needs 1 to 4 ms to hear an advertisement and to say so. It serves for 40 ms from then on, so those who
know the addresses lose nothing if its heartbeat is lost."""

_Place = tuple[str, IPAddress]


@dataclass(slots=True)
class _Succession:
    """Of one router. `advertised_at` is None while its advertisement waits for fresh addresses."""

    vip: str
    family: Family
    places: dict[_Place, None]
    advertised_at: Instant | None = None


class SpeakerHushing:
    """What is hushed, and the successions that are under way by the numbers of their routers."""

    def __init__(self, peers: SpeakerPeers) -> None:
        self._peers = peers
        self._hushed: dict[_Place, None] = {}
        self._successions: dict[int, _Succession] = {}

    def hush(self, interface: str, addresses: Iterable[IPAddress]) -> list[SpeakerEffect]:
        """Until `answer_again`, whatever a successor here was waiting for."""
        hushed = tuple(addresses)
        for address in hushed:
            self._end_succession(interface, address)
            self._hushed[interface, address] = None
        return [HushAddresses(interface, hushed)] if hushed else []

    def answer_again(self, interface: str, addresses: Iterable[IPInterface]) -> list[SpeakerEffect]:
        """For those of them that were hushed."""
        hushed = tuple(address.ip for address in addresses if (interface, address.ip) in self._hushed)
        for address in hushed:
            self._end_succession(interface, address)
            del self._hushed[interface, address]
        return [AnswerAgain(interface, hushed)] if hushed else []

    def succeeds(self, params: RouterParams) -> bool:
        """Whether a router that relieves a living owner is to do so hushed."""
        return (
            params.lease is None and not params.virtual_mac and self._peers.owner_answers(params.vip, params.key.family)
        )

    def succeed(self, number: int, params: RouterParams, addresses: Iterable[IPInterface]) -> None:
        """Those of these addresses that are hushed are so until their old owner is."""
        interface = params.key.interface
        places = dict.fromkeys((interface, each.ip) for each in addresses if (interface, each.ip) in self._hushed)
        if (under_way := self._successions.get(number)) is not None:
            places = {**under_way.places, **places}
        if places:
            self._successions[number] = _Succession(params.vip, params.key.family, places)

    def settle(self, now: Instant, waits: Callable[[str, IPAddress], bool]) -> list[AnswerAgain]:
        """After all that was heard: answer for what no other node answers for by now, or was waited for long enough.
        `waits`: whether the advertisement waits for an address, so that the old owner cannot have heard it."""
        effects: list[AnswerAgain] = []
        for number, succession in list(self._successions.items()):
            if any(waits(*place) for place in succession.places):
                continue
            if succession.advertised_at is None:
                succession.advertised_at = now
            late = now - succession.advertised_at >= PATIENCE
            if late or not self._peers.owner_answers(succession.vip, succession.family):
                del self._successions[number]
                for place in succession.places:
                    del self._hushed[place]
                interface = next(iter(succession.places))[0]
                effects.append(AnswerAgain(interface, tuple(address for _, address in succession.places)))
        return effects

    def awaits_owner(self, interface: str, address: IPAddress) -> bool:
        """Whether an address is not to be announced yet."""
        return any((interface, address) in each.places for each in self._successions.values())

    @property
    def waits(self) -> bool:
        """Whether a succession is under way."""
        return bool(self._successions)

    def deadline(self) -> Deadline | None:
        """When the first old owner has been waited for long enough."""
        begun = [each.advertised_at for each in self._successions.values() if each.advertised_at is not None]
        first = min(begun, key=lambda at: at.us, default=None)
        return None if first is None else Deadline(first + PATIENCE, "hushed succession")

    def _end_succession(self, interface: str, address: IPAddress) -> None:
        """That of one address, and of its router if it was the last."""
        for number, succession in list(self._successions.items()):
            succession.places.pop((interface, address), None)
            if not succession.places:
                del self._successions[number]


def answered_in_time(answers: list[AnswerAgain], effects: list[SpeakerEffect]) -> list[SpeakerEffect]:
    """All of them, so that what is answered for is so before it is announced, and after the word to hush it: the owner
    may be found dead by the very input on which its successor takes over hushed."""
    if not answers:
        return effects
    effects = list(effects)
    for answer in answers:
        at = 0
        for index, effect in enumerate(effects):
            if isinstance(effect, HushAddresses) and _share(effect, answer):
                at = index + 1
        effects.insert(at, answer)
    return effects


def _share(hush: HushAddresses, answer: AnswerAgain) -> bool:
    return hush.interface == answer.interface and not set(hush.addresses).isdisjoint(answer.addresses)
