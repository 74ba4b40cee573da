"""The loop that runs probes: one finding each, in time, and no descriptor left."""

import os
import select
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address

import pytest

from yaoki.checks.check import CheckId, CheckSpec, Finding, IcmpParams, Outcome, Schedule
from yaoki.checks.failure import passed
from yaoki.core.instant import Instant
from yaoki.runtime.probes.loop import READABLE, Job, Probe, ProbeLoop, ProbeTimedOut, Wait


class Bench:
    """A loop, and what it has found."""

    def __init__(self) -> None:
        self.findings: dict[int, list[Finding]] = {}
        self.loop = ProbeLoop(lambda number, finding: self.findings.setdefault(number, []).append(finding))

    def job(self, number: int, timeout: float = 5.0) -> Job:
        schedule = Schedule(timedelta(seconds=60), timedelta(seconds=timeout))
        spec = CheckSpec(CheckId(IPv4Address("192.0.2.1"), IcmpParams()), schedule, "test")
        return Job(number, spec, time.monotonic_ns())

    def run(self) -> None:
        end = time.monotonic() + 30
        while len(self.loop) and time.monotonic() < end:
            self.loop.turn(None)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.loop.close()


def reading(sock: socket.socket, job: Job) -> Probe:
    yield Wait(sock.fileno(), READABLE, "word")
    return passed(sock.recv(100).decode(), job.took())


def test_a_probe_that_needs_no_waiting_ends_at_once(bench: Bench) -> None:
    def probe() -> Probe:
        return passed("at once", timedelta(0))
        yield

    bench.loop.start(bench.job(1), probe())
    assert bench.findings == {1: [passed("at once", timedelta(0))]}


def test_a_timeout_ends_a_probe_and_names_what_it_waited_for(bench: Bench) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        job = bench.job(1, 0.1)
        bench.loop.start(job, reading(ours, job))
        bench.run()
    [finding] = bench.findings[1]
    assert (finding.outcome, finding.evidence) == (Outcome.TIMED_OUT, "no word within 100 ms")
    assert timedelta(seconds=0.1) <= finding.took < timedelta(seconds=10)


def test_a_probe_may_make_something_else_of_its_timeout(bench: Bench) -> None:
    ours, theirs = socket.socketpair()

    def content_with_silence() -> Probe:
        try:
            yield Wait(ours.fileno(), READABLE, "word")
        except ProbeTimedOut:
            return passed("silence", timedelta(0))
        return passed("word", timedelta(0))

    with ours, theirs:
        bench.loop.start(bench.job(1, 0.05), content_with_silence())
        bench.run()
    assert bench.findings[1][0].evidence == "silence"


def test_an_answer_that_has_arrived_is_taken_before_the_timeout_that_passed_meanwhile(bench: Bench) -> None:
    pairs = [socket.socketpair() for _ in range(1500)]
    for number, (ours, theirs) in enumerate(pairs):
        job = bench.job(number, 0.05)
        bench.loop.start(job, reading(ours, job))
        theirs.send(b"in time")
    time.sleep(0.2)  # the process was held up
    bench.run()
    for ours, theirs in pairs:
        ours.close()
        theirs.close()
    assert {finding.evidence for found in bench.findings.values() for finding in found} == {"in time"}
    assert len(bench.findings) == 1500


def test_an_error_of_the_system_is_a_finding(bench: Bench) -> None:
    def probe() -> Probe:
        raise ConnectionRefusedError(111, "Connection refused")
        yield

    bench.loop.start(bench.job(1), probe())
    assert bench.findings[1][0].outcome is Outcome.REFUSED


def test_our_own_mistakes_are_not_findings(bench: Bench) -> None:
    def probe() -> Probe:
        raise KeyError("a bug")
        yield

    with pytest.raises(KeyError):
        bench.loop.start(bench.job(1), probe())


def test_a_probe_may_wait_for_either_of_two_descriptors(bench: Bench) -> None:
    ours, theirs = socket.socketpair()
    also, trigger = socket.socketpair()

    def probe() -> Probe:
        yield Wait(ours.fileno(), READABLE, "word", also=also.fileno())
        return passed("woken", timedelta(0))

    with ours, theirs, also, trigger:
        bench.loop.start(bench.job(1), probe())
        trigger.send(b"x")
        bench.run()
    assert bench.findings[1][0].evidence == "woken"


def test_a_descriptor_closed_and_opened_anew_by_another_probe_is_not_confused(bench: Bench) -> None:
    first, first_end = socket.socketpair()
    second, second_end = socket.socketpair()
    resumed = []

    def closing() -> Probe:
        yield Wait(first.fileno(), READABLE, "word")
        number = second.fileno()
        os.close(second.detach())
        return passed(str(number), timedelta(0))

    def reopening(job: Job) -> Probe:
        resumed.append("started")
        fresh, end = socket.socketpair()
        with fresh, end:
            end.send(b"!")
            yield Wait(fresh.fileno(), READABLE, "word")
            resumed.append("resumed")
            return passed(fresh.recv(1).decode(), job.took())

    started = bench.job(3)

    def handler(_: int) -> None:
        bench.loop.detach(first_end.fileno())
        bench.loop.start(started, reopening(started))

    first_end.send(b"x")
    first.send(b"x")
    bench.loop.attach(first_end.fileno(), select.EPOLLIN, handler)
    bench.loop.start(bench.job(1), closing())
    with first, first_end, second_end:
        bench.run()
    assert bench.findings[3][0].evidence == "!"
    assert resumed == ["started", "resumed"]


def test_closing_the_loop_closes_what_probes_have_opened(bench: Bench) -> None:
    ours, theirs = socket.socketpair()

    def probe() -> Probe:
        with ours:
            yield Wait(ours.fileno(), READABLE, "word")
        return passed("", timedelta(0))

    loop = ProbeLoop(lambda *_: None)
    loop.start(bench.job(1), probe())
    loop.close()
    assert ours.fileno() == -1
    theirs.close()


def test_a_turn_ends_when_it_is_told_to(bench: Bench) -> None:
    before = time.monotonic()
    bench.loop.turn(Instant.of_seconds(before + 0.05))
    assert 0.04 <= time.monotonic() - before < 10
