"""VIPs and their virtual routers: identity, members, priorities and what changes them."""

from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise

from yaoki.core.address import Family
from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, families_of
from yaoki.site.model import Election, Vip, VipMember
from yaoki.site.source_map import Path
from yaoki.vrrp.params import Failback
from yaoki.vrrp.standing import OWNER_PRIORITY
from yaoki.vrrp.timing import active_down_interval

CLOSEST_TAKEOVERS = timedelta(milliseconds=2)
"""Backups whose down timers end closer together than this may both take over: the first one's advertisement needs
about so long to be sent, carried and read."""


def _duplicate_vrid(view: View) -> Iterable[Finding]:
    held: dict[tuple[str, int, Family], str] = {}
    for vip in view.site.vips:
        for family in families_of(vip):
            first = held.setdefault((vip.network, vip.vrid, family), vip.name)
            if first != vip.name:
                what = f"VRID {vip.vrid} is used twice on the network {vip.network}: by {vip.name} and by {first}"
                place: Path = ("vips", vip.name, "vrid")
                free = _free_vrid(view, vip.network, vip.vrid)
                cure = f"give one of them another, such as {free}" if free else "move one to another network"
                yield Finding(place, what, cure, ("vips", first, "vrid"))
                break


def _free_vrid(view: View, network: str, above: int) -> int | None:
    used = {vip.vrid for vip in view.site.vips if vip.network == network}
    return next((vrid for vrid in (*range(above, 256), *range(1, above)) if vrid not in used), None)


def _member_without_interface(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        for member in vip.members:
            place: Path = ("vips", vip.name, "members", member.node)
            interface = view.site.machine(member.node).on_network(vip.network)
            if interface is None:
                what = f"{member.node} may own {vip.name} but has no interface on {vip.network}"
                cure = f"plug an interface of {member.node} into {vip.network}, or remove the member"
                yield Finding(place, what, cure, ("nodes", member.node))
                continue
            for family in families_of(vip):
                if interface.address(family) is None:
                    what = f"{member.node} has no IPv{family.value} address of its own on {vip.network}"
                    cure = "give it one: advertisements, checks and the look-up of servers need a source that is no VIP"
                    other = ("nodes", member.node, "interfaces", interface.name, "addresses")
                    yield Finding(place, what, cure, other)


def _owner_priority(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        for member in vip.members:
            if member.priority == OWNER_PRIORITY:
                what = f"priority 255 says that {member.node} has the addresses of {vip.name} as its own (RFC 9568 6.1)"
                cure = "use 254 or less: 255 preempts always and no track can lower it"
                yield Finding(("vips", vip.name, "members", member.node, "priority"), what, cure)


def _equal_priorities(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        held: dict[int, str] = {}
        for member in vip.members:
            first = held.setdefault(member.priority, member.node)
            if first != member.node:
                what = f"{member.node} and {first} have one priority, {member.priority}, for {vip.name}"
                # Under a lease the store lets one of them own, however they start.
                both = "" if vip.election is Election.LEASE else " and both start as owner"
                cure = f"give them different ones, or the higher address decides{both}"
                path: Path = ("vips", vip.name, "members")
                yield Finding((*path, member.node, "priority"), what, cure, (*path, first, "priority"))


def _close_priorities(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if vip.election is Election.LEASE:
            continue  # the store decides between them
        # The owner's own timer does not run; those that wait behind it are the ones that may take over together.
        waiting = sorted(vip.members, key=lambda member: -member.priority)[1:]
        for upper, lower in pairwise(waiting):
            apart = _takeover(vip, lower) - _takeover(vip, upper)
            if timedelta(0) < apart < CLOSEST_TAKEOVERS:
                what = f"{upper.node} and {lower.node} may both take {vip.name} over: {_ms(apart)} ms lie between them"
                least = -(-CLOSEST_TAKEOVERS * (upper.priority - lower.priority) // apart)
                path: Path = ("vips", vip.name, "members")
                cure = f"set their priorities at least {least} apart"
                yield Finding((*path, lower.node, "priority"), what, cure, (*path, upper.node, "priority"))


def _takeover(vip: Vip, member: VipMember) -> timedelta:
    return active_down_interval(version=vip.version, priority=member.priority, interval=vip.advertise)


def _ms(duration: timedelta) -> str:
    return f"{duration / timedelta(milliseconds=1):.1f}"


def _delay_without_failback(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if vip.failback_delay and vip.failback is not Failback.PREFER:
            what = (
                f"{vip.name} has failback: {vip.failback.value}, which never retakes by itself, so nothing is delayed"
            )
            place: Path = ("vips", vip.name, "failback-delay")
            yield Finding(place, what, "remove it, or write failback: prefer", ("vips", vip.name, "failback"))


RULES = (
    Rule(
        "duplicate-vrid",
        Severity.ERROR,
        "two VIPs of one network and family have one virtual router id",
        _duplicate_vrid,
        firm=True,
        partial=True,
    ),
    Rule(
        "member-without-interface",
        Severity.ERROR,
        "a node may own a VIP but has no interface, or no address of its own, on the VIP's network",
        _member_without_interface,
        firm=True,
        partial=True,
    ),
    Rule(
        "owner-priority",
        Severity.WARNING,
        "priority 255 belongs to a router that has the VIP's addresses as its own",
        _owner_priority,
        partial=True,
    ),
    Rule(
        "equal-priorities",
        Severity.WARNING,
        "two members of a VIP have the same priority",
        _equal_priorities,
        partial=True,
    ),
    Rule(
        "close-priorities",
        Severity.WARNING,
        "two backups would take a VIP over at nearly the same time",
        _close_priorities,
        partial=True,
    ),
    Rule(
        "delay-without-failback",
        Severity.WARNING,
        "a failback is delayed that never happens",
        _delay_without_failback,
        partial=True,
    ),
)
