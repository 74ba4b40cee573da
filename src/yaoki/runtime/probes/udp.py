"""The I/O of the udp check."""

import socket

from yaoki.checks import udp
from yaoki.checks.check import UdpParams
from yaoki.runtime.probes.loop import READABLE, Job, Probe, ProbeTimedOut, Wait
from yaoki.runtime.probes.sockets import address_of, open_socket, report_errors

_MAX_ANSWER = 65536


def probe(job: Job) -> Probe:
    """Send one datagram from a connected socket, so that ICMP errors come back as its errors."""
    check = job.spec.id
    params = check.params
    assert isinstance(params, UdpParams)
    sock = open_socket(check, socket.SOCK_DGRAM)
    try:
        report_errors(sock)
        sock.connect(address_of(check.target, params.port))
        sock.send(params.send)
        while True:
            yield Wait(sock.fileno(), READABLE, "answer")
            try:
                answer = sock.recv(_MAX_ANSWER)
            except BlockingIOError:
                continue
            return udp.judge_answer(params, answer, job.took())
    except ProbeTimedOut:
        return udp.judge_silence(params, job.spec.schedule.timeout, job.took())
    finally:
        sock.close()
