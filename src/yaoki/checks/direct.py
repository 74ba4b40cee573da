"""The direct check: does a server take a connection for the VIP by the way that direct return takes?

It is asked as the balancer asks: by a packet for the VIP, sent to the server's MAC. A server that lacks the VIP, or
whose program listens on its own address only, passes a check of that address and serves nobody.
"""

from datetime import timedelta

from yaoki.checks.check import Finding, Outcome
from yaoki.checks.failure import passed, wrong_answer
from yaoki.core.address import IPAddress, MacAddress


def judge_accepted(vip: IPAddress, *, mac: MacAddress, server: MacAddress, took: timedelta) -> Finding:
    """Of a connection that was accepted from the VIP by `mac`; `server` is where it was sent to."""
    if mac != server:
        return wrong_answer(f"{vip} answers from {mac}, not straight from {server}", took)
    return passed(f"connected to {vip} at {server}", took)


def judge_refused(vip: IPAddress, took: timedelta) -> Finding:
    """Of a reset."""
    return Finding(Outcome.REFUSED, f"connection to {vip} refused", took)


def judge_unresolved(target: IPAddress, took: timedelta) -> Finding:
    """Of a server whose MAC the kernel does not know."""
    return Finding(Outcome.UNREACHABLE, f"the MAC of {target} is not known", took)
