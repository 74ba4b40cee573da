"""The I/O of the direct check: a connection through the direct-return path, opened and reset."""

from yaoki.checks import direct
from yaoki.checks.check import DirectParams
from yaoki.checks.failure import not_run
from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.proof import Kind
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.capture_socket import ANY
from yaoki.linux.neighbour_question import mac_of
from yaoki.linux.ways import KnownWays
from yaoki.runtime.direct_path import Desk, Question, desk
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait

_WAYS = KnownWays()
"""Of this process, which looks in one network namespace."""


def probe(job: Job) -> Probe:
    """Ask at the server's MAC, or through its tunnel, and wait for the answer."""
    check = job.spec.id
    params = check.params
    assert isinstance(params, DirectParams)
    if params.vip is None or check.source is None:
        return not_run("no own address beside the VIP to ask from", job.took())
    try:
        asked = _ask(params, params.vip, check.target, check.source)
    except ActuatorError as error:
        return not_run(error.why, job.took())
    if asked is None:
        judge = direct.judge_unresolved if params.tunnel is None else direct.judge_without_way
        return judge(check.target, job.took())
    asked_at, question = asked
    server = question.probe.server_mac
    where = f"at {server}" if params.tunnel is None else f"through {params.tunnel} to {check.target}"
    try:
        while question.answer is None:
            yield Wait(question.descriptor, READABLE, f"answer from {params.vip} {where}")
        if question.answer.kind is not Kind.ACCEPTED:
            return direct.judge_refused(params.vip, job.took())
        if params.tunnel is not None:
            return direct.judge_accepted_through(params.vip, params.tunnel, check.target, job.took())
        return direct.judge_accepted(params.vip, mac=question.answer.mac, server=server, took=job.took())
    finally:
        asked_at.give_back(question)


def _ask(params: DirectParams, vip: IPAddress, target: IPAddress, source: IPAddress) -> tuple[Desk, Question] | None:
    """None if nobody knows where to. Raises ActuatorError."""
    key = ServiceKey(vip, Protocol.TCP, params.port)
    if params.tunnel is not None:
        way = _WAYS.to(target)
        if way is None:
            return None
        asked_at = desk(ANY, source)
        return asked_at, asked_at.ask_through(key, params.tunnel, way, target)
    server = mac_of(params.interface, target)
    if server is None:
        return None
    asked_at = desk(params.interface, source)
    return asked_at, asked_at.ask(key, server)
