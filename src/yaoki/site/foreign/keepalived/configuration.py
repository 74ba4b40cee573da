"""What one node's keepalived.conf says, as far as the import understands it; each part with the statement it is from.

Durations are as written; defaults are keepalived's own (2.2.7) and filled in by the reader.
"""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import KindParams, Schedule
from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.lb.service import Forward, Protocol, Scheduler, Tunnel
from yaoki.site.foreign.keepalived.blocks import Statement


@dataclass(frozen=True, slots=True)
class Notify:
    """A script that is run on a change of state, as an event of ours and a command."""

    event: str
    command: tuple[str, ...]
    user: str | None
    source: Statement


@dataclass(frozen=True, slots=True)
class Address:
    """A virtual address. `excluded`: keepalived holds it without advertising it."""

    value: IPInterface
    source: Statement
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class Tracked:
    """A thing that an instance or group watches; weight 0: its failure is a fault."""

    name: str
    weight: int | None
    reverse: bool
    source: Statement


@dataclass(frozen=True, slots=True)
class Script:
    """A vrrp_script."""

    name: str
    command: tuple[str, ...]
    interval: timedelta
    timeout: timedelta
    weight: int
    rise: int
    fall: int
    user: str | None
    source: Statement


@dataclass(frozen=True, slots=True)
class Instance:
    """A vrrp_instance."""

    name: str
    source: Statement
    interface: str
    vrid: int
    priority: int
    advertise: timedelta
    version: int
    addresses: tuple[Address, ...]
    own: IPAddress | None = None
    peers: tuple[IPAddress, ...] = ()
    unicast: Statement | None = None
    nopreempt: Statement | None = None
    preempt_delay: tuple[timedelta, Statement] | None = None
    refuses: Statement | None = None
    """no_accept, if it is there."""
    virtual_mac: Statement | None = None
    """use_vmac, if it is there."""
    interfaces: tuple[Tracked, ...] = ()
    scripts: tuple[Tracked, ...] = ()
    notifies: tuple[Notify, ...] = ()

    @property
    def family(self) -> Family:
        """The family of the addresses that it advertises."""
        return Family.of(self.addresses[0].value)

    def statement(self, keyword: str) -> Statement:
        """Its statement of a keyword, or the instance itself where a default is in force."""
        return next((item for item in self.source.items if item.keyword == keyword), self.source)


@dataclass(frozen=True, slots=True)
class Group:
    """A vrrp_sync_group."""

    name: str
    source: Statement
    members: tuple[str, ...]
    interfaces: tuple[Tracked, ...] = ()
    scripts: tuple[Tracked, ...] = ()
    notifies: tuple[Notify, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A checker of a real server; port 0 stands for the server's own."""

    params: KindParams
    schedule: Schedule
    source: Statement


@dataclass(frozen=True, slots=True)
class RealServer:
    """A real_server; `weight` as keepalived counts it. `limit`: with so many connections it gets no more. `tunnel` is
    what packets go inside, where it is behind one."""

    address: IPAddress
    port: int
    weight: int
    forward: Forward
    checks: tuple[Check, ...]
    source: Statement
    limit: int | None = None
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class VirtualServer:
    """A virtual_server on one address and port; one of a group is several of these. `failover`: the server of the
    greatest weight gets all, by the scheduler fo."""

    name: str
    address: IPAddress
    port: int
    protocol: Protocol
    scheduler: Scheduler
    forward: Forward
    persistence: timedelta | None
    mask: int | None
    """Bits of the source that count; None: all."""
    servers: tuple[RealServer, ...]
    source: Statement
    failover: bool = False
    sorry: RealServer | None = None
    """What gets all flows when none of the servers works; its `source` is the sorry_server."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All of one node's. `name` is that of the node; `router_id` what global_defs calls it."""

    name: str
    file: str
    statements: tuple[Statement, ...]
    instances: tuple[Instance, ...] = ()
    groups: tuple[Group, ...] = ()
    scripts: tuple[Script, ...] = ()
    servers: tuple[VirtualServer, ...] = ()
