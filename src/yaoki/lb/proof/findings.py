"""What was seen, judged: who answers for the VIP, and of each server whether it takes the VIP, listens there, and
answers straight from it."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.proof.path import Answer, Kind
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.packet.claim import Claim, Form


class Question(StrEnum):
    """What is asked."""

    OWNER = "owner"
    """Does the owner alone answer for the VIP?"""
    QUIET = "quiet"
    """Does the server claim the VIP in no way?"""
    TAKES = "takes"
    """Does it take packets for the VIP?"""
    LISTENS = "listens"
    """Does the service listen on the VIP?"""
    STRAIGHT = "straight"
    """Do its answers come straight from it?"""


class Result(StrEnum):
    """The answer. UNKNOWN: it could not be asked, or somebody else's fault hides it."""

    RIGHT = "right"
    WRONG = "wrong"
    UNKNOWN = "unknown"


class Saying(StrEnum):
    """What a finding says; the sentence is made where it is shown."""

    THIS_NODE_ALONE = "this-node-alone"
    OWNER_ALONE = "owner-alone"
    NOBODY = "nobody"
    TWO_OWNERS = "two-owners"
    STRANGER = "stranger"
    SILENT = "silent"
    LEAKS = "leaks"
    NAMES_VIP = "names-vip"
    NO_MAC = "no-mac"
    NO_WAY = "no-way"
    NO_SOURCE = "no-source"
    TAKEN = "taken"
    NOT_TAKEN = "not-taken"
    LISTENING = "listening"
    OWN_ADDRESS_ONLY = "own-address-only"
    NOWHERE = "nowhere"
    FILTERED = "filtered"
    PROHIBITED = "prohibited"
    UNPROVEN = "unproven"
    STRAIGHT = "straight"
    PLAIN = "plain"
    DETOUR = "detour"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. `server` is empty where the question is not about one; `mac` and `who` are those that the saying
    speaks of; `seen` is the evidence in a probe's own words, `through` the tunnel that it was asked through."""

    question: Question
    result: Result
    saying: Saying
    address: IPAddress
    server: str = ""
    mac: MacAddress | None = None
    who: str = ""
    seen: str = ""
    through: str = ""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What was said of one VIP address while it was asked for and listened. `owned`: this node holds it. `names` tell
    whose a MAC is, `members` which of those names may own the VIP, `servers` which servers are beside it."""

    address: IPAddress
    owned: bool
    claims: tuple[Claim, ...]
    names: tuple[tuple[MacAddress, str], ...]
    members: tuple[str, ...]
    servers: tuple[str, ...]

    def name(self, mac: MacAddress) -> str:
        """Whose MAC it is; empty for a stranger's."""
        return next((name for known, name in self.names if known == mac), "")


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one server and address. `mac` is where it was asked, the next hop's through a tunnel; None: the
    server's own address was not answered for, or no way to it is known. `probed` False: this node has no address to ask
    from. `own` is what the service's checks of the server's own address found: whether they passed, and in their words.
    `through` says what tunnel, empty for none."""

    server: str
    key: ServiceKey
    mac: MacAddress | None
    answers: tuple[Answer, ...]
    own: bool
    own_words: str
    probed: bool = True
    through: str = ""


def findings(neighbourhoods: tuple[Neighbourhood, ...], tried: tuple[Tried, ...]) -> tuple[Finding, ...]:
    """All findings: of each address, then of each server on it."""
    found: list[Finding] = []
    for near in neighbourhoods:
        found += _owner(near)
        found += [_quiet(near, server) for server in near.servers]
        for one in tried:
            if one.key.address == near.address:
                found += _server(near, one)
    return tuple(found)


def _owner(near: Neighbourhood) -> Iterator[Finding]:
    """Announcements and questions are claims as well as answers."""
    claimants = tuple(dict.fromkeys(claim.mac for claim in near.claims))
    owners = tuple(dict.fromkeys(name for mac in claimants if (name := near.name(mac)) in near.members))
    for mac in claimants:
        if not near.name(mac):
            yield Finding(Question.OWNER, Result.WRONG, Saying.STRANGER, near.address, mac=mac)
    strange = any(not near.name(mac) for mac in claimants)
    if len(owners) + near.owned > 1:
        yield Finding(Question.OWNER, Result.WRONG, Saying.TWO_OWNERS, near.address, who=" and ".join(owners))
    elif near.owned:
        if not strange:
            yield Finding(Question.OWNER, Result.RIGHT, Saying.THIS_NODE_ALONE, near.address)
    elif owners:
        mac = next(mac for mac in claimants if near.name(mac) == owners[0])
        yield Finding(Question.OWNER, Result.RIGHT, Saying.OWNER_ALONE, near.address, mac=mac, who=owners[0])
    elif not strange:
        yield Finding(Question.OWNER, Result.UNKNOWN, Saying.NOBODY, near.address)


def _quiet(near: Neighbourhood, server: str) -> Finding:
    claims = [claim for claim in near.claims if near.name(claim.mac) == server]
    if not claims:
        return Finding(Question.QUIET, Result.RIGHT, Saying.SILENT, near.address, server)
    # To name the VIP in a question of its own is another setting than to answer for it.
    answered = [claim for claim in claims if claim.form is not Form.QUESTION]
    saying, claim = (Saying.LEAKS, answered[0]) if answered else (Saying.NAMES_VIP, claims[0])
    return Finding(Question.QUIET, Result.WRONG, saying, near.address, server, claim.mac, seen=claim.form.value)


def _server(near: Neighbourhood, tried: Tried) -> Iterator[Finding]:
    address, server, words, through = near.address, tried.server, tried.own_words, tried.through
    taken = Question.TAKES
    if not tried.probed or tried.mac is None:
        saying = Saying.NO_SOURCE if not tried.probed else Saying.NO_WAY if through else Saying.NO_MAC
        yield Finding(taken, Result.UNKNOWN, saying, address, server, seen=words, through=through)
        return
    if not tried.answers:
        said = Saying.NOT_TAKEN
        yield Finding(taken, Result.WRONG, said, address, server, tried.mac, seen=words, through=through)
        return
    kinds = tuple(dict.fromkeys(answer.kind for answer in tried.answers))
    shown = ", ".join(kinds)
    yield Finding(taken, Result.RIGHT, Saying.TAKEN, address, server, tried.mac, seen=shown, through=through)
    yield _listens(near, tried, kinds)
    yield _straight(near, tried)


def _straight(near: Neighbourhood, tried: Tried) -> Finding:
    """Across routers it is the last router's MAC that an answer comes from: that it came, and plainly, is all."""
    asked, address, server = Question.STRAIGHT, near.address, tried.server
    if tried.through:
        mac = tried.answers[0].mac
        return Finding(asked, Result.RIGHT, Saying.PLAIN, address, server, mac, near.name(mac), through=tried.through)
    other = next((answer.mac for answer in tried.answers if answer.mac != tried.mac), None)
    if other is None:
        return Finding(asked, Result.RIGHT, Saying.STRAIGHT, address, server, tried.mac)
    return Finding(asked, Result.WRONG, Saying.DETOUR, address, server, other, near.name(other))


def _listens(near: Neighbourhood, tried: Tried, kinds: tuple[Kind, ...]) -> Finding:
    result, saying = Result.WRONG, Saying.FILTERED
    if Kind.ACCEPTED in kinds or Kind.REPLIED in kinds:
        result, saying = Result.RIGHT, Saying.LISTENING
    elif Kind.REFUSED in kinds:
        saying = Saying.OWN_ADDRESS_ONLY if tried.own else Saying.NOWHERE
    elif Kind.PROHIBITED in kinds:
        saying = Saying.PROHIBITED
    elif tried.key.protocol is Protocol.UDP:
        # A datagram need not be answered.
        result, saying = Result.UNKNOWN, Saying.UNPROVEN
    return Finding(Question.LISTENS, result, saying, near.address, tried.server, tried.mac, seen=tried.own_words)
