"""What a machine believes of its neighbours, and how long it may go on believing what is not true any more.

States are those of RFC 4861 7.3.2; Linux keeps ARP by the same ones. An entry that nothing contradicts is used until it
is no longer REACHABLE, then, while packets go on to the wrong MAC, for the time before the first probe and for all
probes that nobody answers; only then is the address asked for anew. An announcement ends it at once.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import Family, IPAddress, MacAddress


class CacheState(StrEnum):
    """Of an entry; the last three are Linux's own."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    STALE = "stale"
    DELAY = "delay"
    PROBE = "probe"
    FAILED = "failed"
    NO_ARP = "noarp"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One entry; `confirmed` is how long ago its MAC was last known to be right."""

    interface: str
    address: IPAddress
    mac: MacAddress | None
    state: CacheState
    confirmed: timedelta | None = None


@dataclass(frozen=True, slots=True)
class CacheTimers:
    """The parameters of one interface and family. An entry stays REACHABLE for 0.5 to 1.5 times `base_reachable`
    (RFC 4861 6.3.2); `probes` are sent to the MAC that is believed, `retransmit` apart."""

    interface: str
    family: Family
    base_reachable: timedelta
    before_probe: timedelta
    retransmit: timedelta
    probes: int

    @property
    def longest_stale(self) -> timedelta:
        """The longest time for which packets go to a MAC that does not answer any more."""
        return self.base_reachable * 3 / 2 + self.before_probe + self.probes * self.retransmit


@dataclass(frozen=True, slots=True)
class NeighbourCache:
    """The entries and parameters of some interfaces."""

    entries: tuple[CacheEntry, ...] = ()
    timers: tuple[CacheTimers, ...] = ()
