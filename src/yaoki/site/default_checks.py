"""What a service is checked by when it names no check.

On TCP that is a connection: under direct return to the VIP, by the way that requests take (through tunnels, too), else
to the server's own address. Of a service on UDP nothing is known but its machines, which are asked for an echo.
"""

from datetime import timedelta

from yaoki.checks.check import DirectParams, IcmpParams, Schedule, TcpParams
from yaoki.lb.service import Protocol
from yaoki.site.model import CheckDefinition, Service

DEFAULT_SCHEDULE = Schedule(interval=timedelta(seconds=1), timeout=timedelta(milliseconds=500))
_DIRECT = CheckDefinition("direct", DirectParams(), DEFAULT_SCHEDULE)
_ICMP = CheckDefinition("icmp", IcmpParams(), DEFAULT_SCHEDULE)
_TCP = CheckDefinition("tcp", TcpParams(0), DEFAULT_SCHEDULE)


def default_checks(service: Service) -> tuple[CheckDefinition, ...]:
    """Of all its servers alike."""
    if service.protocol is not Protocol.TCP:
        return (_ICMP,)
    return (_DIRECT if is_direct(service) else _TCP,)


def is_direct(service: Service) -> bool:
    """Whether it is served by direct return, be it that the service says so or its servers do."""
    return all((server.forward or service.forward).returns_directly for server in service.servers)
