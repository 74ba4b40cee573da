"""How long a site needs to settle once nothing is wrong any more: arithmetic on the parameters in force.

boot, start, hold of the VIPs at a cold start, a command typed again, one detection (fall or rise) that changes a
priority, and two Active_Down_Intervals one after the other; with sync groups, a pause and a leaving; with leases, two
takeovers and a bid that had to wait; with copied flows, the time that telling them takes; where servers that claim a
VIP are taken out, the time until they are let off
"""

from datetime import timedelta

from yaoki.election.lease_params import longest_takeover
from yaoki.lb.service import Forward
from yaoki.node.arp_leaks import QUIET
from yaoki.node.flow_wish import FIRST_WORD, TABLES_WITHIN
from yaoki.node.router_wish import STARTUP_HOLD
from yaoki.node.speaker_groups import REUNION_PAUSE
from yaoki.sim.copier import LONGEST_US
from yaoki.sim.injector import TYPE_AGAIN_US
from yaoki.sim.processes import BOOT_US, START_US
from yaoki.sim.timeline import SECOND
from yaoki.sim.topology import Topology
from yaoki.vrrp.leased_router import BID_PAUSE
from yaoki.vrrp.timing import leaving_limit
from yaoki.vrrp.wire_params import LONGEST_PAUSE

MARGIN_US = SECOND


def settling_us(topology: Topology) -> int:
    """Microseconds from the end of the last fault to a world in which everything is as it ought to be."""
    down = max((virtual.longest_active_down for virtual in topology.virtuals), default=timedelta(0))
    verdict = timedelta(0)
    for plan in topology.plans:
        for spec in plan.checks:
            schedule = spec.schedule
            rise = schedule.hold_down + (schedule.rise + 1) * max(schedule.interval, schedule.timeout)
            verdict = max(verdict, schedule.longest_detection, rise)
    waits = topology.stop_grace_us + BOOT_US[1] + 2 * START_US[1] + TYPE_AGAIN_US + MARGIN_US
    delay = max((v.startup_delay + v.failback_delay for v in topology.virtuals), default=timedelta(0))
    return (
        waits
        + _us(STARTUP_HOLD)
        + _us(verdict)
        + 2 * _us(down)
        + _us(delay)
        + _us(_of_groups(topology) + _of_leases(topology))
        + _of_flows_us(topology)
        + _of_leaks_us(topology)
    )


def _of_groups(topology: Topology) -> timedelta:
    """What was asked of a group in vain is asked once more, and is handed over."""
    grouped = [virtual for virtual in topology.virtuals if virtual.members[0][1].group is not None]
    leaving = (
        leaving_limit(version=params.version, interval=params.interval) for v in grouped for _, params in v.members
    )
    return max(leaving) + REUNION_PAUSE if grouped else timedelta(0)


def _of_leases(topology: Topology) -> timedelta:
    """A takeover, bids that are paused by the bidder and not heeded by the owner, and one more takeover."""
    longest = max((lease.duration for lease in topology.leases), default=None)
    return timedelta(0) if longest is None else 2 * BID_PAUSE + 2 * longest_takeover(longest) + longest


def _of_flows_us(topology: Topology) -> int:
    """A node that returns leaves a VIP to its owner until it has tables for flows and was told them."""
    copied = [service for plan in topology.plans for service in plan.services if service.copied]
    direct = any(server.forward is Forward.DIRECT for service in copied for server in service.servers)
    return (max(LONGEST_US, _us(FIRST_WORD)) if copied else 0) + (_us(TABLES_WITHIN) if direct else 0)


def _of_leaks_us(topology: Topology) -> int:
    """A server that has claimed a VIP gets new flows again when it has been asked for that long."""
    return _us(QUIET + LONGEST_PAUSE) if topology.minds_leaks else 0


def _us(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1_000_000)
