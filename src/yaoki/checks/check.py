"""What a check is: its identity, its schedule and the parameters of its kind.

One check per (target address, kind parameters, port, source), however many services use it: the identity is the value.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from yaoki.core.address import Family, IPAddress
from yaoki.core.secret import SecretRef
from yaoki.packet.tunnel import Tunnel
from yaoki.pool.health import HealthRule


@dataclass(frozen=True, slots=True)
class IcmpParams:
    """Echo request to the target; ICMP or ICMPv6 by the target's family (RFC 792, RFC 4443)."""


@dataclass(frozen=True, slots=True)
class NeighbourParams:
    """ARP request or neighbour solicitation for the target (RFC 826, RFC 4861); on-link targets only."""


@dataclass(frozen=True, slots=True)
class TcpParams:
    """A TCP connection is opened and closed again."""

    port: int


@dataclass(frozen=True, slots=True)
class UdpParams:
    """A datagram is sent. With `expect`, the answer must begin with it; without, only an ICMP error or, if
    `require_answer`, silence is a failure."""

    port: int
    send: bytes = b""
    expect: bytes = b""
    require_answer: bool = True


@dataclass(frozen=True, slots=True)
class TlsParams:
    """A TLS handshake. `min_days` fails a certificate that expires sooner; `verify` checks chain and name."""

    port: int
    server_name: str | None = None
    verify: bool = False
    min_days: int = 0


@dataclass(frozen=True, slots=True)
class HttpParams:
    """One HTTP/1.1 request. `body` is a regular expression searched in the first `within` octets of the content;
    `header` is (name, regular expression). `tls` makes it https. `authorization` names the secret that is sent in the
    Authorization field."""

    port: int
    path: str = "/"
    method: str = "GET"
    host: str | None = None
    status: tuple[int, ...] = (200,)
    body: str | None = None
    header: tuple[str, str] | None = None
    tls: bool = False
    verify: bool = False
    within: int = 65536
    authorization: SecretRef | None = None


@dataclass(frozen=True, slots=True)
class ScriptParams:
    """A program whose exit status 0 means healthy. Killed with all it started when the timeout passes.

    `user` is the account that it runs as; never root unless the file says so.
    """

    command: tuple[str, ...]
    user: str = "nobody"


@dataclass(frozen=True, slots=True)
class DirectParams:
    """A TCP connection to the VIP by the way that direct return takes: to the target's MAC, out of `interface`, or
    through a `tunnel` to the target. In a definition all are open; they are those of the service that is checked."""

    port: int = 0
    vip: IPAddress | None = None
    interface: str = ""
    tunnel: Tunnel | None = None


@dataclass(frozen=True, slots=True)
class RouteParams:
    """The kernel's way to the target leads by a route whose prefix has at least `length` bits; nothing is sent."""

    length: int


KindParams = (
    IcmpParams
    | NeighbourParams
    | TcpParams
    | UdpParams
    | TlsParams
    | HttpParams
    | ScriptParams
    | DirectParams
    | RouteParams
)


class _HashedOnce:
    """Room for a hash; what is copied or sent to another process goes without it."""

    __slots__ = ("_hash",)
    _hash: int


@dataclass(frozen=True, slots=True)
class CheckId(_HashedOnce):
    """The identity of a check. `source` is the address that probes are sent from; None lets the kernel choose.

    A large node finds 40,000 of them by identity again and again, and addresses take long to hash: each is hashed once.
    """

    target: IPAddress
    params: KindParams
    source: IPAddress | None = None

    def __hash__(self) -> int:
        try:
            return self._hash
        except AttributeError:
            known = hash((self.target, self.params, self.source))
            object.__setattr__(self, "_hash", known)
            return known

    @property
    def family(self) -> Family:
        return Family.of(self.target)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When to probe and how many results make a verdict.

    A probe that has not answered within `timeout` has failed. `fast_interval` is used while results disagree with the
    verdict (between the first failure and `fall`, and back). `hold_down`: after a fall, how long the first rise is put
    off at least.
    """

    interval: timedelta
    timeout: timedelta
    fall: int = 3
    rise: int = 2
    fast_interval: timedelta | None = None
    hold_down: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        if self.interval <= timedelta(0) or self.timeout <= timedelta(0):
            raise ValueError("interval and timeout must be longer than zero")
        if self.fall < 1 or self.rise < 1:
            raise ValueError("fall and rise are at least 1")
        if self.fast_interval is not None and self.fast_interval <= timedelta(0):
            raise ValueError("fast_interval must be longer than zero")
        if self.hold_down < timedelta(0):
            raise ValueError("hold_down cannot be negative")

    @property
    def health_rule(self) -> HealthRule:
        """The part that turns results into a verdict."""
        return HealthRule(fall=self.fall, rise=self.rise, hold_down=self.hold_down)

    @property
    def longest_detection(self) -> timedelta:
        """From a server's death to the verdict, at worst: it dies just after a probe passed, and every later probe
        lasts until its timeout. Probes of one check never overlap, so a long timeout stretches the interval."""
        while_failing = self.interval if self.fast_interval is None else self.fast_interval
        return self.interval + (self.fall - 1) * max(while_failing, self.timeout) + self.timeout


@dataclass(frozen=True, slots=True)
class CheckSpec:
    """One check to be run: identity, schedule and the name under which people know it ("page on web1")."""

    id: CheckId
    schedule: Schedule
    name: str


class Outcome(StrEnum):
    """How a probe ended. Everything but `passed` counts as a failure."""

    PASSED = "passed"
    REFUSED = "refused"
    TIMED_OUT = "timed-out"
    UNREACHABLE = "unreachable"
    WRONG_ANSWER = "wrong-answer"
    NOT_RUN = "not-run"
    """The prober itself could not probe (no file descriptor, no such program): reported, and counted as a failure."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A judged probe: outcome, evidence in the probe's own words ("HTTP 500"), and how long the answer took."""

    outcome: Outcome
    evidence: str
    took: timedelta

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED
