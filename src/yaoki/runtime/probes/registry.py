"""Which probe serves which kind of check: the I/O half of every kind in yaoki.checks, by its parameters.

A new kind of check is a parameter class in yaoki.checks.check, a judgement beside it, a probe here, and a line below.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from yaoki.checks.check import (
    DirectParams,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    RouteParams,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
from yaoki.runtime.probes import direct, http, icmp, neighbour, route, script, tcp, tls, udp
from yaoki.runtime.probes.loop import Job, Probe

PROBES: Mapping[type[KindParams], Callable[[Job], Probe]] = MappingProxyType(
    {
        IcmpParams: icmp.probe,
        NeighbourParams: neighbour.probe,
        TcpParams: tcp.probe,
        UdpParams: udp.probe,
        TlsParams: tls.probe,
        HttpParams: http.probe,
        ScriptParams: script.probe,
        DirectParams: direct.probe,
        RouteParams: route.probe,
    }
)


def probe_for(job: Job) -> Probe:
    """The probe of a job, not started yet."""
    return PROBES[type(job.spec.id.params)](job)
