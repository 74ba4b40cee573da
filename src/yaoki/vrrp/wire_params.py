"""What the wire observer has to know of one virtual router: its addresses, and who may answer for them."""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import IPAddress, MacAddress
from yaoki.vrrp.params import RouterKey
from yaoki.vrrp.virtual_mac import virtual_mac

# A VIP is asked for each tenth advertisement, but neither more nor less often than this.
ADVERTISEMENTS_PER_QUESTION = 10
SHORTEST_PAUSE = timedelta(milliseconds=200)
LONGEST_PAUSE = timedelta(seconds=1)
# Of one node, for all VIPs: with more addresses each is asked for less often.
MAX_QUESTIONS_PER_SECOND = 100
# Nobody has answered for so many advertisement intervals and questions: longer than any failover takes.
SILENT_INTERVALS = 5
SILENT_QUESTIONS = 3


@dataclass(frozen=True, slots=True)
class WireMember:
    """A member of a virtual router by its node's name, with its priority and its own addresses on the VIP's network.

    `stands_by`: a cold standby of members, with the highest of their priorities; while it is off, nobody may be taken
    for it.
    """

    node: str
    priority: int
    addresses: tuple[IPAddress, ...]
    stands_by: bool = False


@dataclass(frozen=True, slots=True)
class WireParams:
    """One virtual router as the wire observer of node `here` watches it. `members` include `here`.

    Each address is asked for once in `ask_every`, see question_pause.
    """

    vip: str
    router: RouterKey
    here: str
    interval: timedelta
    ask_every: timedelta
    addresses: tuple[IPAddress, ...]
    members: tuple[WireMember, ...]

    @property
    def silent_after(self) -> timedelta:
        """Silence after which an address counts as silent."""
        return max(SILENT_INTERVALS * self.interval, SILENT_QUESTIONS * self.ask_every)

    @property
    def virtual_mac(self) -> MacAddress:
        """RFC 9568 7.3: the MAC that whoever owns the virtual router may use."""
        return virtual_mac(self.router.family, self.router.vrid)

    def priority(self, node: str) -> int:
        """The configured priority of a member; 0 for anybody else."""
        return next((member.priority for member in self.members if member.node == node), 0)


def question_pause(interval: timedelta, *, addresses: int) -> timedelta:
    """How long a node that asks for so many addresses in all waits between two questions for one of them."""
    pause = min(max(ADVERTISEMENTS_PER_QUESTION * interval, SHORTEST_PAUSE), LONGEST_PAUSE)
    return max(pause, addresses * timedelta(seconds=1) / MAX_QUESTIONS_PER_SECOND)
