"""Parameters of one virtual router (RFC 9568, section 6.1), validated on construction."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import Family, IPAddress, IPInterface, MacAddress
from yaoki.election.lease_params import LeaseParams
from yaoki.packet.authentication_params import AuthenticationParams
from yaoki.vrrp.virtual_mac import virtual_mac


class Failback(StrEnum):
    """What happens when a router of higher priority returns: `prefer` retakes, `sticky` lets the owner keep,
    `manual` keeps the returned one out until it is released. RFC 9568 Preempt_Mode is true for `prefer` only."""

    PREFER = "prefer"
    STICKY = "sticky"
    MANUAL = "manual"


class Quarantine(StrEnum):
    """What keeps a router out whose node returns, and so may have data that is not current: nothing; or `wait`, until
    a person or a check of the data releases it, whoever owns meanwhile; or `last`, which ends as well when nobody
    owns."""

    NONE = "none"
    WAIT = "wait"
    LAST = "last"


class ChecksumForm(StrEnum):
    """How the IPv4 VRRPv3 checksum is sent: over the message only (RFC 9568), with the pseudo-header (keepalived, old
    FRR), or in the form last heard from a peer, starting with the pseudo-header. Both are always accepted."""

    MESSAGE_ONLY = "message-only"
    PSEUDO_HEADER = "pseudo-header"
    AS_HEARD = "as-heard"


class OutOfStep(StrEnum):
    """Whether a spare that runs another generation of the site than the VIP's owner takes over as its priority says, or
    after all that run the owner's."""

    AS_EVER = "as-ever"
    LAST = "last"


class Transport(StrEnum):
    """Where advertisements go: to the VRRP group, which every router of the link hears (RFC 9568 5.1.1.2, 5.1.2.2), or
    to each peer's own address, for networks that carry no multicast (keepalived's unicast_peer; not in the RFC)."""

    MULTICAST = "multicast"
    UNICAST = "unicast"


@dataclass(frozen=True, slots=True)
class RouterKey:
    """Names one virtual router on a node: RFC 9568 keeps IPv4 and IPv6 routers of one VRID apart."""

    interface: str
    family: Family
    vrid: int

    def __str__(self) -> str:
        return f"{self.interface}/ipv{self.family.value}/{self.vrid}"


@dataclass(frozen=True, slots=True)
class InterfaceTrack:
    """While `interface` is down (with `reverse`: up), `weight` is added to the priority; without a weight the router
    may not become Active."""

    interface: str
    weight: int | None = None
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class RouterParams:
    """One virtual router as configured on one node.

    `priority` 1..254, or 255 for the owner of the addresses. `interval` is the Advertisement_Interval: v3 10 ms to
    40.95 s in whole centiseconds, v2 1 s to 255 s in whole seconds. `source` is the primary address for IPv4 and the
    link-local address for IPv6 (RFC 9568 5.1.1.1, 5.1.2.1); None means "ask the interface". The first IPv6 address
    advertised need not be link-local here; the speaker puts a link-local VIP first if there is one. `peers` are the
    addresses that unicast goes to, of the router's family; None is multicast. `others` are the configured priorities of
    the other members; None: not known, () there are none. `barred`: tracking has taken from it the right to become
    Active (standing.py); `lowered`: so much of the priority. A lower owner that is well is heard for `failback_delay`
    before `prefer` retakes from it; a router that starts for the first time waits for `startup_delay` at least to hear
    an owner. `lease`: the router is Active only while this lease is held (leased_router.py); routers of one VIP name
    the same. `group`: its sync group; routers of one group are Active together. `accept`:
    Accept_Mode (section 6.1): whether the owning node takes packets to the addresses for itself; priority 255 always
    does. `quarantine`: what keeps a router of a stateful VIP out when its node returns. `authentication`: how its
    advertisements are signed, if they are. `virtual_mac`: its addresses are at the virtual router MAC address (section
    7.3), not at the interface's own. Raises ValueError for values outside these ranges.
    """

    vip: str
    key: RouterKey
    priority: int
    interval: timedelta
    addresses: tuple[IPInterface, ...]
    version: int = 3
    failback: Failback = Failback.PREFER
    source: IPAddress | None = None
    checksum: ChecksumForm = ChecksumForm.AS_HEARD
    peers: tuple[IPAddress, ...] | None = None
    others: tuple[int, ...] | None = None
    tracks: tuple[InterfaceTrack, ...] = ()
    out_of_step: OutOfStep = OutOfStep.AS_EVER
    barred: bool = False
    lowered: int = 0
    failback_delay: timedelta = timedelta(0)
    startup_delay: timedelta = timedelta(0)
    lease: LeaseParams | None = None
    group: str | None = None
    accept: bool = True
    quarantine: Quarantine = Quarantine.NONE
    authentication: AuthenticationParams | None = None
    virtual_mac: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.key.vrid <= 255:
            raise ValueError(f"VRID {self.key.vrid} is outside 1..255")
        if not 1 <= self.priority <= 255:
            raise ValueError(f"priority {self.priority} is outside 1..255")
        if self.version not in (2, 3):
            raise ValueError(f"VRRP version {self.version} is neither 2 nor 3")
        if self.version == 2 and self.key.family is Family.IPV6:
            raise ValueError("VRRP version 2 knows no IPv6; use version 3")
        if not self.addresses:
            raise ValueError("a virtual router needs at least one address")
        if any(Family.of(address) is not self.key.family for address in self.addresses):
            raise ValueError("addresses of a virtual router are all of its family")
        if any(Family.of(peer) is not self.key.family for peer in self.peers or ()):
            raise ValueError("peers of a virtual router are all of its family")
        unit, low, high = (timedelta(milliseconds=10), 1, 4095) if self.version == 3 else (timedelta(seconds=1), 1, 255)
        if self.interval % unit or not low * unit <= self.interval <= high * unit:
            raise ValueError(f"advertisement interval {self.interval} does not fit VRRP version {self.version}")

    @property
    def mac(self) -> MacAddress | None:
        """The MAC that its addresses are at; None: the interface's own."""
        return virtual_mac(self.key.family, self.key.vrid) if self.virtual_mac else None

    @property
    def quarantines(self) -> bool:
        """Whether its node, returning, may not own before it is released."""
        return self.quarantine is not Quarantine.NONE
