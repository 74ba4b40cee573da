"""The I/O of the route check: one question to the kernel's routing table."""

from yaoki.checks.check import RouteParams
from yaoki.checks.route import judge
from yaoki.core.error import ActuatorError
from yaoki.linux.route import matching_route
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait


def probe(job: Job) -> Probe:
    """Ask at once; there is nothing to wait for."""
    params = job.spec.id.params
    assert isinstance(params, RouteParams), "the registry gives this probe its own kind"
    try:
        length, interface = matching_route(job.spec.id.target)
    except ActuatorError:
        return judge(params.length, found=None, interface="", took=job.took())
    return judge(params.length, found=length, interface=interface, took=job.took())
    yield Wait(-1, READABLE, "nothing")  # never reached: it makes this a generator, as all probes are
