"""The failures that all kinds of checks share: what the system said, as a finding.

Refused is an answer (a machine is there and says no), unreachable is the network's, not-run is our own doing.
"""

import errno
from datetime import timedelta

from yaoki.checks.check import Finding, Outcome

_REFUSED = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.ECONNABORTED: "connection aborted",
    errno.EPIPE: "connection closed while sending",
}
_UNREACHABLE = {
    errno.EHOSTUNREACH: "host unreachable",
    errno.ENETUNREACH: "network unreachable",
    errno.EHOSTDOWN: "host down",
    errno.ENETDOWN: "network down",
    errno.ETIMEDOUT: "the kernel gave up retransmitting",
    errno.ENOPROTOOPT: "protocol unreachable",
    errno.EPROTO: "protocol unreachable",
}
_NOT_RUN = {
    errno.EADDRNOTAVAIL: "the source address is not on this machine, or no port is free",
    errno.EMFILE: "this process has no file descriptor left",
    errno.ENFILE: "this machine has no file descriptor left",
    errno.ENOBUFS: "the kernel has no buffer left",
    errno.ENOMEM: "no memory left",
    errno.EPERM: "not permitted (a local firewall rule, or missing privileges)",
    errno.EACCES: "not permitted (a local firewall rule, or missing privileges)",
    errno.EAFNOSUPPORT: "this machine does not speak that address family",
}


def timed_out(waiting_for: str, limit: timedelta, took: timedelta) -> Finding:
    """Nothing came within the check's timeout; `waiting_for` says how far the probe had got."""
    return Finding(Outcome.TIMED_OUT, f"no {waiting_for} within {limit / timedelta(milliseconds=1):g} ms", took)


def system_error(number: int | None, words: str, took: timedelta, *, awaited: str = "") -> Finding:
    """A system call failed with errno `number`; `words` are the system's own, for numbers not known here. `awaited` is
    what did not come because of it."""
    suffix = f", no {awaited}" if awaited else ""
    for outcome, known in (
        (Outcome.REFUSED, _REFUSED),
        (Outcome.UNREACHABLE, _UNREACHABLE),
        (Outcome.NOT_RUN, _NOT_RUN),
    ):
        if number in known:
            return Finding(outcome, known[number] + suffix, took)
    return Finding(Outcome.NOT_RUN, words + suffix, took)


def wrong_answer(evidence: str, took: timedelta) -> Finding:
    """Something answered, but not what the check asks for."""
    return Finding(Outcome.WRONG_ANSWER, evidence, took)


def not_run(why: str, took: timedelta = timedelta(0)) -> Finding:
    """The prober itself could not probe."""
    return Finding(Outcome.NOT_RUN, why, took)


def passed(evidence: str, took: timedelta) -> Finding:
    """The check is content."""
    return Finding(Outcome.PASSED, evidence, took)
