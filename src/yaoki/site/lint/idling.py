"""How long services keep flows without a packet: whether that has an effect, and outlasts what is told other nodes."""

from collections.abc import Iterable
from datetime import timedelta

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.units import duration_text

REFRESHED_EVERY = timedelta(seconds=30)
"""How often a VIP's owner tells the other members all its flows anew (yaoki.node.flow_copier)."""
SHORTEST_COPIED = timedelta(seconds=45)
"""An idle time-out with which a copy outlasts two refreshes, of which the second may be late."""


def _unused(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        ways = {view.forward_of(service, server) for server in service.recipients}
        if service.idle_timeout is not None and not any(way.returns_directly for way in ways):
            what = f"flows of {', '.join(sorted(ways))} have the idle time-outs of the kernel's connection tracking"
            cure = "remove it, and set the sysctls net.netfilter.nf_conntrack_*_timeout_* of the nodes"
            place = ("services", service.name, "idle-timeout")
            yield Finding(place, what, cure, ("services", service.name, "forward"))


def _not_copied(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        idle = service.idle_timeout
        ways = {view.forward_of(service, server) for server in service.recipients}
        if idle is None or idle >= SHORTEST_COPIED or not any(way.returns_directly for way in ways):
            continue
        told = service.copy_flows and not (service.finds_again and service.persistence is None)
        if told and len(view.site.vip(service.vip).members) > 1:
            what = (
                f"the other members of {service.vip} are told of a flow every {duration_text(REFRESHED_EVERY)}, and"
                f" forget it after {duration_text(idle)}: when the VIP moves, flows are cut"
            )
            cure = f"write {duration_text(SHORTEST_COPIED)} or more, or scheduler: maglev"
            yield Finding(("services", service.name, "idle-timeout"), what, cure, ("vips", service.vip, "members"))


RULES = (
    Rule(
        "idle-timeout-unused",
        Severity.WARNING,
        "an idle time-out where the kernel's connection tracking has its own",
        _unused,
        partial=True,
    ),
    Rule(
        "idle-timeout-outrun",
        Severity.WARNING,
        "an idle time-out so short that copies of flows are forgotten before they are refreshed",
        _not_copied,
        partial=True,
    ),
)
