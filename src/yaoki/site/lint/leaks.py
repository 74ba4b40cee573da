"""Servers that claim the VIP themselves: whether what is to follow can."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.lb.service import Forward
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import ArpLeak


def _unused(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        ways = {view.forward_of(service, server) for server in service.servers}
        if service.arp_leak is ArpLeak.REMOVE and Forward.DIRECT not in ways:
            what = f"only servers of direct can claim the VIP on its network, and {service.name} forwards by"
            place = ("services", service.name, "arp-leak")
            yield Finding(
                place, f"{what} {', '.join(sorted(ways))}", "remove it", ("services", service.name, "forward")
            )


RULES = (
    Rule(
        "arp-leak-unused",
        Severity.WARNING,
        "what follows when a server claims the VIP, where no server has it on its network",
        _unused,
        partial=True,
    ),
)
