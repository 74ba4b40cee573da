"""The I/O of the tcp check."""

from yaoki.checks import tcp
from yaoki.checks.check import TcpParams
from yaoki.runtime.probes.loop import Job, Probe
from yaoki.runtime.probes.sockets import address_of, connecting, open_stream


def probe(job: Job) -> Probe:
    """Connect and reset."""
    check = job.spec.id
    assert isinstance(check.params, TcpParams)
    sock = open_stream(check)
    try:
        yield from connecting(sock, address_of(check.target, check.params.port))
        return tcp.judge(job.took())
    finally:
        sock.close()
