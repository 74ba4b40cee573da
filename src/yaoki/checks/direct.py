"""The direct check: does a server take a connection for the VIP by the way that direct return takes?

It is asked as the balancer asks: by a packet for the VIP, sent to the server's MAC, or through its tunnel. A server
that lacks the VIP, or whose program listens on its own address only, passes a check of that address and serves nobody.
"""

from datetime import timedelta

from yaoki.checks.check import Finding, Outcome
from yaoki.checks.failure import passed, wrong_answer
from yaoki.core.address import IPAddress, MacAddress
from yaoki.packet.tunnel import Tunnel


def judge_accepted(vip: IPAddress, *, mac: MacAddress, server: MacAddress, took: timedelta) -> Finding:
    """Of a connection that was accepted from the VIP by `mac`; `server` is where it was sent to."""
    if mac != server:
        return wrong_answer(f"{vip} answers from {mac}, not straight from {server}", took)
    return passed(f"connected to {vip} at {server}", took)


def judge_accepted_through(vip: IPAddress, tunnel: Tunnel, server: IPAddress, took: timedelta) -> Finding:
    """Of a connection that was accepted from the VIP, in plain packets; whose MAC they have is a router's."""
    return passed(f"connected to {vip} through {tunnel} to {server}", took)


def judge_refused(vip: IPAddress, took: timedelta) -> Finding:
    """Of a reset."""
    return Finding(Outcome.REFUSED, f"connection to {vip} refused", took)


def judge_unresolved(target: IPAddress, took: timedelta) -> Finding:
    """Of a server whose MAC the kernel does not know."""
    return Finding(Outcome.UNREACHABLE, f"the MAC of {target} is not known", took)


def judge_without_way(target: IPAddress, took: timedelta) -> Finding:
    """Of a server behind a tunnel to which the kernel has no route, or whose next hop it does not know."""
    return Finding(Outcome.UNREACHABLE, f"no way to {target} is known", took)
