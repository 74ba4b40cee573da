"""How long a scenario is watched at least: long enough for what it makes the site do. Pure."""

from datetime import timedelta

from yaoki.lab.catalogue import Promise, Scenario
from yaoki.lab.fault import DrainServer, Reconfigure, RemoveServer, RestartNode, ServerTrouble
from yaoki.lab.survival import checks_of
from yaoki.site.model import Service, Site

SHORTEST = timedelta(milliseconds=800)
PLANNED = timedelta(milliseconds=2500)
AFTERWARDS = timedelta(milliseconds=500)
"""Watched beyond the time in which the last verdict must have fallen."""

ADVERTISEMENTS = 4
"""Active_Down_Interval is less than four advertisement intervals (RFC 9568, section 6.1)."""


def observation(site: Site, scenario: Scenario) -> timedelta:
    """The shortest observation after the fault, or after its end if it ends by itself."""
    match scenario.fault:
        case RestartNode() | Reconfigure() | DrainServer() | RemoveServer():
            return PLANNED
        case ServerTrouble(host):
            return max(SHORTEST, _verdict(site, host) + AFTERWARDS)
        case _:
            slowest = max((vip.advertise for vip in site.vips), default=timedelta(0))
            # A lease may be renewed once more for an owner that hangs.
            leased = max((2 * vip.lease_duration for vip in site.leased_vips), default=timedelta(0))
            election = max(ADVERTISEMENTS * slowest, leased) + AFTERWARDS
            if scenario.promise is Promise.SERVER_OUTAGE:
                machine = getattr(scenario.fault, "machine", "")
                return max(SHORTEST, _verdict(site, machine) + AFTERWARDS)
            return max(SHORTEST, election)


def _verdict(site: Site, host: str) -> timedelta:
    """The longest time in which all checks of a host come to the verdict that it is down."""
    return max(
        (_longest_check(site, s) for s in site.services if any(server.host == host for server in s.servers)),
        default=timedelta(0),
    )


def _longest_check(site: Site, service: Service) -> timedelta:
    return max(check.schedule.longest_detection for check in checks_of(site, service))
