"""The I/O of the direct check: a connection through the direct-return path, opened and reset."""

from yaoki.checks import direct
from yaoki.checks.check import DirectParams
from yaoki.checks.failure import not_run
from yaoki.core.error import ActuatorError
from yaoki.lb.proof import Kind
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.neighbour_question import mac_of
from yaoki.runtime.direct_path import desk
from yaoki.runtime.probes.loop import READABLE, Job, Probe, Wait


def probe(job: Job) -> Probe:
    """Ask at the server's MAC, wait for the answer."""
    check = job.spec.id
    params = check.params
    assert isinstance(params, DirectParams)
    if params.vip is None or check.source is None:
        return not_run("no own address beside the VIP to ask from", job.took())
    try:
        server = mac_of(params.interface, check.target)
        if server is None:
            return direct.judge_unresolved(check.target, job.took())
        asked_at = desk(params.interface, check.source)
        question = asked_at.ask(ServiceKey(params.vip, Protocol.TCP, params.port), server)
    except ActuatorError as error:
        return not_run(error.why, job.took())
    try:
        while question.answer is None:
            yield Wait(question.descriptor, READABLE, f"answer from {params.vip} at {server}")
        if question.answer.kind is Kind.ACCEPTED:
            return direct.judge_accepted(params.vip, mac=question.answer.mac, server=server, took=job.took())
        return direct.judge_refused(params.vip, job.took())
    finally:
        asked_at.give_back(question)
