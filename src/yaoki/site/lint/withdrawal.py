"""VIPs that are withdrawn while their services are disabled: whether that can be, and whom else it meets."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, section_of
from yaoki.site.model import Election, Vip, VipWhenDisabled, WhenDisabled


def _withdrawn(view: View) -> Iterable[Vip]:
    return (vip for vip in view.site.vips if vip.when_disabled is VipWhenDisabled.WITHDRAW)


def _not_alone(view: View) -> Iterable[Finding]:
    for vip in _withdrawn(view):
        place = ("vips", vip.name, "when-disabled")
        group = view.site.sync_group_of(vip.name)
        if vip.election is Election.LEASE:
            what = f"{vip.name} is owned by lease; only a VIP whose owner VRRP elects can be withdrawn"
            yield Finding(place, what, "write when-disabled: keep", ("vips", vip.name, "election"))
        elif group is not None:
            what = f"{vip.name} is owned together with the other VIPs of {group.name}, whose services may be enabled"
            yield Finding(place, what, "write when-disabled: keep", ("sync-groups", group.name))


def _unused(view: View) -> Iterable[Finding]:
    used = {service.vip for service in view.site.services}
    for vip in _withdrawn(view):
        if vip.name not in used:
            what = f"no service is on {vip.name}, so none can be disabled"
            yield Finding(("vips", vip.name, "when-disabled"), what, "remove it", ("vips", vip.name))


def _gateway(view: View) -> Iterable[Finding]:
    for vip in _withdrawn(view):
        led = [(section_of(each), each.name) for each in view.site.machines if each.gateway == vip.name]
        led += [("networks", network.name) for network in view.site.networks if network.gateway == vip.name]
        if led:
            who = ", ".join(name for _, name in led)
            what = f"{vip.name} is the gateway of {who}: while its services are disabled, there is no way out of there"
            other = (*led[0], "gateway")
            yield Finding(("vips", vip.name, "when-disabled"), what, "give them another gateway, or keep it", other)


def _drained(view: View) -> Iterable[Finding]:
    withdrawn = {vip.name for vip in _withdrawn(view)}
    for service in view.site.services:
        if service.when_disabled is WhenDisabled.DRAIN and service.vip in withdrawn:
            what = f"flows of {service.name} cannot go on to their end where {service.vip} is withdrawn"
            place = ("services", service.name, "when-disabled")
            cure = "write cut here, or keep at the VIP"
            yield Finding(place, what, cure, ("vips", service.vip, "when-disabled"))


RULES = (
    Rule(
        "withdrawn-not-alone",
        Severity.ERROR,
        "a VIP with a lease or in a sync group is withdrawn while its services are disabled",
        _not_alone,
        firm=True,
        partial=True,
    ),
    Rule(
        "withdrawn-unused",
        Severity.WARNING,
        "a VIP without services is withdrawn while they are disabled",
        _unused,
        partial=True,
    ),
    Rule(
        "withdrawn-gateway",
        Severity.WARNING,
        "a VIP that is somebody's gateway is withdrawn while its services are disabled",
        _gateway,
        partial=True,
    ),
    Rule(
        "withdrawn-under-flows",
        Severity.WARNING,
        "a service is to keep its flows when disabled, on a VIP that may be withdrawn then",
        _drained,
        partial=True,
    ),
)
