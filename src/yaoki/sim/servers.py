"""The real servers of the simulated world: what a probe of each would find.

Invariant: the answer depends on the server's condition and on whether the node reaches it, never on who asks.
"""

from datetime import timedelta
from enum import StrEnum

from yaoki.checks.check import (
    CheckSpec,
    DirectParams,
    Finding,
    IcmpParams,
    NeighbourParams,
    Outcome,
    RouteParams,
    TcpParams,
)
from yaoki.core.address import IPAddress, MacAddress

_QUICK = timedelta(milliseconds=1)
_ANSWERED = Finding(Outcome.PASSED, "the host answers", _QUICK)


class Condition(StrEnum):
    """How a server is. `hung` accepts and never answers; `erring` answers, but wrongly; `dead` is off."""

    UP = "up"
    REFUSING = "refusing"
    HUNG = "hung"
    ERRING = "erring"
    DEAD = "dead"


class Servers:
    """Every host that is probed, by address, and its condition."""

    def __init__(self, hosts: tuple[tuple[IPAddress, str], ...]) -> None:
        self._host_of = dict(hosts)
        self._conditions: dict[str, list[Condition]] = {host: [] for _, host in hosts}
        self._leaks: list[tuple[str, IPAddress, MacAddress]] = []

    def host(self, address: IPAddress) -> str | None:
        """Who has an address; None for nobody."""
        return self._host_of.get(address)

    def condition(self, host: str) -> Condition:
        """How a host is now."""
        conditions = self._conditions[host]
        return conditions[-1] if conditions else Condition.UP

    def hold(self, host: str, condition: Condition, begins: bool) -> None:
        """Let a condition begin or end; of several the latest counts."""
        conditions = self._conditions[host]
        if begins:
            conditions.append(condition)
        else:
            conditions.remove(condition)

    def answers(self, host: str) -> bool:
        """Whether its MAC can be resolved."""
        return self.condition(host) is not Condition.DEAD

    def leak(self, host: str, address: IPAddress, own: IPAddress, begins: bool) -> None:
        """Let a host begin or cease to answer for an address of a VIP, which adds up."""
        (self._leaks.append if begins else self._leaks.remove)((host, address, mac_of(own)))

    def leaks(self, host: str, address: IPAddress) -> bool:
        """Whether a host would answer for an address of a VIP."""
        return any(leak[:2] == (host, address) for leak in self._leaks)

    def claimants(self, address: IPAddress) -> tuple[MacAddress, ...]:
        """The MACs with which real servers answer for an address of a VIP."""
        if not self._leaks:
            return ()
        found = (mac for host, where, mac in self._leaks if where == address and self.answers(host))
        return tuple(dict.fromkeys(found))

    def finding(self, check: CheckSpec, host: str | None) -> Finding:
        """What a probe begun now comes back with, and after how long. `host` is who has its target and is reached."""
        condition = Condition.DEAD if host is None else self.condition(host)
        params = check.id.params
        if isinstance(params, RouteParams):
            return _ANSWERED
        if condition is Condition.DEAD:
            return silence(check)
        if condition is Condition.UP or isinstance(params, IcmpParams | NeighbourParams):
            return _ANSWERED
        if condition is Condition.REFUSING:
            return Finding(Outcome.REFUSED, "connection refused", _QUICK)
        if isinstance(params, TcpParams | DirectParams):
            return Finding(Outcome.PASSED, "connected; what it would have answered was not asked", _QUICK)
        if condition is Condition.HUNG:
            return silence(check)
        return Finding(Outcome.WRONG_ANSWER, "HTTP 500", _QUICK)

    def finding_at_home(self) -> Finding:
        """Of a probe of a service on the node itself, which is always well."""
        return _ANSWERED

    def passes(self, check: CheckSpec) -> bool:
        """Whether a node that reaches the server would find it well."""
        return self.finding(check, self.host(check.id.target)).passed


def mac_of(address: IPAddress) -> MacAddress:
    """Of the machine that has an address. One that has two families seems to be two machines."""
    return MacAddress(b"\x02" + address.packed[-5:] if address.version == 6 else b"\x02\x00" + address.packed)


def silence(check: CheckSpec) -> Finding:
    """What comes of a probe that nobody answers."""
    return Finding(Outcome.TIMED_OUT, "no answer", check.schedule.timeout)
