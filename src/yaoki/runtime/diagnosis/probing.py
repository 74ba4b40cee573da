"""Diagnoses by the probes of Yaoki's own checks: made once or several times, each answer a line."""

import os
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

from yaoki.checks.check import CheckId, CheckSpec, Finding, HttpParams, KindParams, Schedule
from yaoki.core.address import IPAddress, parse_address
from yaoki.runtime.diagnosis.operands import Name, Url
from yaoki.runtime.diagnosis.programs import Result, Tell, printable
from yaoki.runtime.probes.loop import Job, ProbeLoop
from yaoki.runtime.probes.registry import probe_for

TIMEOUT = timedelta(seconds=2)
PAUSE_S = 1.0
_SCHEDULE = Schedule(interval=TIMEOUT, timeout=TIMEOUT)
_ANY_STATUS = tuple(range(100, 600))
# Told apart from those of the check workers, which ask the same machines.
_numbers: Iterator[int] = count(((os.getpid() & 0xFFFF) << 16) + 1)


def probe(host: IPAddress | Name, params: KindParams, times: int, tell: Tell) -> Result:
    """Ask so many times, a second apart; good if there was an answer each time."""
    target = _resolved(host, tell)
    if target is None:
        return Result(False, "not resolved")
    answers = 0
    for turn in range(times):
        if turn:
            time.sleep(PAUSE_S)
        finding = _once(CheckId(target, params))
        answers += finding.passed
        tell(f"{target}: {printable(finding.evidence)} ({finding.took / timedelta(milliseconds=1):.1f} ms)\n")
    return Result(answers == times, f"{answers} of {times} answered")


def get(url: Url, tell: Tell) -> Result:
    """One HTTP request, and the status of what comes back; its content is not shown. What is asked for is what the
    person asked for: any status is an answer."""
    name = str(url.host) if isinstance(url.host, Name) else None
    params = HttpParams(url.port, url.path, host=name, status=_ANY_STATUS, tls=url.tls, verify=url.tls)
    return probe(url.host, params, 1, tell)


def _once(check: CheckId) -> Finding:
    found: list[Finding] = []
    loop = ProbeLoop(lambda _, finding: found.append(finding))
    try:
        job = Job(next(_numbers), CheckSpec(check, _SCHEDULE, str(check.target)), time.monotonic_ns())
        loop.start(job, probe_for(job))
        while loop:
            loop.turn(None)
    finally:
        loop.close()
    return found[0]


def _resolved(host: IPAddress | Name, tell: Tell) -> IPAddress | None:
    """The first address of a name, as this machine resolves it."""
    if not isinstance(host, Name):
        return host
    try:
        (*_, place), *_ = socket.getaddrinfo(str(host), None, type=socket.SOCK_STREAM)
    except OSError as error:
        tell(f"{host}: {error.strerror}\n")
        return None
    address = parse_address(str(place[0]))
    tell(f"{host} is {address}\n")
    return address
