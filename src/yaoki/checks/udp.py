"""The udp check: a datagram, and what comes back, or does not.

A port without a listener shows only as an ICMP error, which firewalls like to drop: without `require_answer` a pass
means no more than "nobody objected".
"""

from datetime import timedelta

from yaoki.checks.check import Finding, UdpParams
from yaoki.checks.failure import passed, timed_out, wrong_answer

_SHOWN = 32
"""Octets of an answer that are shown as evidence."""


def judge_answer(params: UdpParams, answer: bytes, took: timedelta) -> Finding:
    """Of a datagram that came back."""
    if not answer.startswith(params.expect):
        return wrong_answer(f"answer begins with {answer[:_SHOWN]!r}, not with {params.expect[:_SHOWN]!r}", took)
    return passed(f"answer of {len(answer)} octets", took)


def judge_silence(params: UdpParams, timeout: timedelta, took: timedelta) -> Finding:
    """Of a timeout without answer and without error."""
    if params.require_answer or params.expect:
        return timed_out("answer", timeout, took)
    return passed("no error came back", took)
