"""The route check: has the kernel's table a way to a prefix? Nothing is sent, and nobody is asked but the kernel.

The way of one address stands for its prefix: the first that a host there may have.
"""

from datetime import timedelta
from ipaddress import IPv6Address

from yaoki.checks.check import Finding, Outcome
from yaoki.checks.failure import passed
from yaoki.core.address import IPAddress, IPNetwork

_FIRST_GLOBAL = IPv6Address("2000::1")
"""RFC 4291 2.4: global unicast addresses begin here; what comes before is special, such as ::1."""


def first_host(prefix: IPNetwork) -> IPAddress:
    """The address that is asked for: the first after the network's own, if the prefix has so many."""
    if _FIRST_GLOBAL in prefix and int(prefix.network_address) == 0:
        return _FIRST_GLOBAL
    return prefix.network_address + (1 if prefix.prefixlen < prefix.max_prefixlen - 1 else 0)


def judge(length: int, *, found: int | None, interface: str, took: timedelta) -> Finding:
    """`found` is the length of the route that the kernel would take, by `interface`; None: it knows no way."""
    if found is None:
        return Finding(Outcome.UNREACHABLE, "no route", took)
    if found < length:
        return Finding(Outcome.UNREACHABLE, f"no route of its own, only a /{found} by {interface}", took)
    return passed(f"a /{found} route by {interface}", took)
