"""Timers: whether detection is fast enough for what is promised, and whether stacked layers react from below upwards.

The arithmetic: a VIP is taken over after the Active_Down_Interval of the second node (RFC 9568 6.1); a server is down
after Schedule.longest_detection. Promises (slo) shorter than these cannot be kept, whatever is built.
"""

from collections.abc import Iterable
from datetime import timedelta

from yaoki.core.event import Severity
from yaoki.election.lease_params import longest_takeover
from yaoki.site.default_checks import default_checks
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, server_path
from yaoki.site.model import CheckDefinition, Election, Server, Service, Vip
from yaoki.site.source_map import Path
from yaoki.site.units import duration_text
from yaoki.vrrp.timing import active_down_interval


def takeover_of(vip: Vip) -> timedelta | None:
    """From the death of a VIP's owner to its takeover, at worst; None if nobody could take over."""
    if len(vip.members) < 2:
        return None
    if vip.election is Election.LEASE:
        return longest_takeover(vip.lease_duration)
    second = sorted(member.priority for member in vip.members)[-2]
    return active_down_interval(version=vip.version, priority=second, interval=vip.advertise)


def detection_of(view: View, service: Service) -> timedelta:
    """From the death of a server to its being down, at worst; the fastest of several checks decides."""
    return _fastest(view, service).schedule.longest_detection


def _slo_outage(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        vip = view.site.vip(service.vip)
        takeover = takeover_of(vip)
        if service.slo.outage is not None and takeover is not None and service.slo.outage < takeover:
            what = (
                f"an outage of at most {duration_text(service.slo.outage)} cannot be kept: taking {vip.name} over lasts"
                f" {_rounded(takeover)} ({_made_of(vip)})"
            )
            faster = _faster(vip, service.slo.outage)
            cure = f"promise {_rounded(takeover)} or more" if faster is None else f"{faster}, or promise less"
            yield Finding(("services", service.name, "slo", "outage"), what, cure, _pace_of(vip))


def _slo_server_outage(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        promised = service.slo.server_outage
        detection = detection_of(view, service)
        if promised is not None and promised < detection:
            fastest = _fastest(view, service)
            named = fastest.name in service.checks
            name = f"the check {fastest.name}" if named else "the default check"
            what = (
                f"a server outage of at most {duration_text(promised)} cannot be kept: {name} needs up to"
                f" {_rounded(detection)} (its interval, {fastest.schedule.fall - 1} more failures and the last timeout)"
            )
            other: Path = ("checks", fastest.name) if named else ("services", service.name)
            cure = "shorten interval, timeout or fall, or promise less"
            yield Finding(("services", service.name, "slo", "server-outage"), what, cure, other)


def _fastest(view: View, service: Service) -> CheckDefinition:
    """The check that tells first of a dead server."""
    checks = view.checks_of(service) or default_checks(service)
    return min(checks, key=lambda check: check.schedule.longest_detection)


def _made_of(vip: Vip) -> str:
    return "1.1 times its lease" if vip.election is Election.LEASE else "3 advertisements and the skew"


def _pace_of(vip: Vip) -> Path:
    """Where the file says how fast a VIP is taken over."""
    return ("vips", vip.name, "lease-duration" if vip.election is Election.LEASE else "advertise")


def _faster(vip: Vip, promised: timedelta) -> str | None:
    """What makes a takeover short enough; None if nothing does."""
    if vip.election is Election.LEASE:
        return "shorten lease-duration as far as the store allows"
    interval = _advertise_for(vip, promised)
    if not interval:
        return None
    # Version 2 counts in whole seconds, and so does its skew.
    version = "write version: 3 and " if vip.version == 2 else ""
    return f"{version}advertise every {duration_text(interval)} or faster"


def _advertise_for(vip: Vip, outage: timedelta) -> timedelta:
    """The longest advertisement interval of version 3, in steps of 10 ms, with which a promise can be kept; 0 if none
    can."""
    step = timedelta(milliseconds=10)
    unit = active_down_interval(version=3, priority=_second(vip), interval=step)
    return outage // unit * step


def _second(vip: Vip) -> int:
    return sorted(member.priority for member in vip.members)[-2]


def _timeout_over_interval(view: View) -> Iterable[Finding]:
    for check in view.site.checks:
        schedule = check.schedule
        if schedule.timeout > schedule.interval:
            what = (
                f"{check.name} waits {duration_text(schedule.timeout)} for an answer but shall probe every"
                f" {duration_text(schedule.interval)}: a hung server is probed more slowly than a healthy one"
            )
            place: Path = ("checks", check.name)
            cure = "make the timeout no longer than the interval"
            yield Finding((*place, "timeout"), what, cure, (*place, "interval"))


def _fast_interval(view: View) -> Iterable[Finding]:
    for check in view.site.checks:
        fast = check.schedule.fast_interval
        if fast is not None and fast > check.schedule.interval:
            what = f"the fast interval of {check.name} is longer than its interval"
            place: Path = ("checks", check.name)
            yield Finding((*place, "fast-interval"), what, "make it shorter, or leave it out", (*place, "interval"))


def _check_outruns_vip(view: View) -> Iterable[Finding]:
    """A check whose probes pass a VIP must outlast that VIP's takeover, or each takeover kills all servers as well."""
    for service in view.site.services:
        patience = _patience_of(view, service)
        ways: dict[str, tuple[Server, Vip]] = {}
        for server in service.servers:
            for vip in view.vips_on_the_way(service, server):
                ways.setdefault(vip.name, (server, vip))
        for server, vip in ways.values():
            takeover = takeover_of(vip)
            if takeover is not None and patience <= takeover:
                what = (
                    f"probes of {server.host} pass {vip.name}, whose takeover lasts {_rounded(takeover)}, but the check"
                    f" may give up after {_rounded(patience)}: one failure becomes two"
                )
                pace = "shorten the lease of" if vip.election is Election.LEASE else "advertise"
                faster = f"{pace} {vip.name}" + ("" if vip.election is Election.LEASE else " faster")
                cure = f"let the check last longer than {_rounded(takeover)}, or {faster}"
                yield Finding(server_path(service, server), what, cure, _pace_of(vip))


def _patience_of(view: View, service: Service) -> timedelta:
    """From the loss of the way to a server to its being down, at best: it is lost just as a probe begins."""
    schedules = [check.schedule for check in view.checks_of(service) or default_checks(service)]
    return min(schedule.longest_detection - schedule.interval for schedule in schedules)


def _rounded(duration: timedelta) -> str:
    """To the millisecond, upwards."""
    return duration_text(-(-duration // timedelta(milliseconds=1)) * timedelta(milliseconds=1))


RULES = (
    Rule(
        "slo-outage",
        Severity.WARNING,
        "a promised outage is shorter than the takeover of the service's VIP",
        _slo_outage,
        partial=True,
    ),
    Rule(
        "slo-server-outage",
        Severity.WARNING,
        "a promised server outage is shorter than the detection of the service's check",
        _slo_server_outage,
        partial=True,
    ),
    Rule(
        "timeout-over-interval",
        Severity.WARNING,
        "a check's timeout is longer than its interval",
        _timeout_over_interval,
        partial=True,
    ),
    Rule(
        "fast-interval",
        Severity.WARNING,
        "a check's fast interval is longer than its interval",
        _fast_interval,
        partial=True,
    ),
    Rule(
        "check-outruns-vip",
        Severity.WARNING,
        "a check gives up before the VIP on its way has been taken over",
        _check_outruns_vip,
    ),
)
