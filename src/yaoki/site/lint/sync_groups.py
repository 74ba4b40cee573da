"""Sync groups: VIPs can be owned together only where they would be owned alike."""

from collections.abc import Callable, Iterable

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import SyncGroup, Vip
from yaoki.site.source_map import Path
from yaoki.site.units import duration_text

_ALIKE: tuple[tuple[str, Callable[[Vip], str]], ...] = (
    ("failback", lambda vip: vip.failback.value),
    ("failback-delay", lambda vip: duration_text(vip.failback_delay)),
    ("startup-delay", lambda vip: duration_text(vip.startup_delay)),
    ("election", lambda vip: vip.election.value),
    ("lease-duration", lambda vip: duration_text(vip.lease_duration)),
    ("advertise", lambda vip: duration_text(vip.advertise)),
    ("out-of-step", lambda vip: vip.out_of_step.value),
)
"""Keys that say when a VIP moves, and their values. Leased VIPs of a group share one lease."""


def _each(view: View) -> Iterable[tuple[SyncGroup, int, Vip, Vip]]:
    """Every group's VIPs but the first, each with its place and with the first."""
    for group in view.site.sync_groups:
        first, *others = (view.site.vip(name) for name in group.vips)
        for place, vip in enumerate(others, start=1):
            yield group, place, first, vip


def _members(view: View) -> Iterable[Finding]:
    for group, _, first, vip in _each(view):
        mine, theirs = ({member.node: member.priority for member in one.members} for one in (vip, first))
        if mine == theirs:
            continue
        wrong = min(node for node in mine.keys() | theirs.keys() if mine.get(node) != theirs.get(node))
        shown = [f"priority {one[wrong]}" if wrong in one else "no member" for one in (mine, theirs)]
        what = (
            f"{wrong} is {shown[0]} of {vip.name} and {shown[1]} of {first.name}, "
            f"which the sync group {group.name} keeps together"
        )
        cure = "give all VIPs of a group the same members with the same priorities"
        yield Finding(("vips", vip.name, "members"), what, cure, ("vips", first.name, "members"))


def _unlike(view: View) -> Iterable[Finding]:
    for group, _, first, vip in _each(view):
        for key, value in _ALIKE:
            if value(vip) != value(first):
                what = (
                    f"{key} is {value(vip)} for {vip.name} and {value(first)} for {first.name}, "
                    f"which the sync group {group.name} keeps together"
                )
                ends: tuple[Path, Path] = (("vips", vip.name, key), ("vips", first.name, key))
                yield Finding(ends[0], what, f"give all VIPs of a group the same {key}", ends[1])


def _twice(view: View) -> Iterable[Finding]:
    held: dict[str, Path] = {}
    for group in view.site.sync_groups:
        for index, name in enumerate(group.vips):
            place: Path = ("sync-groups", group.name, "vips", index)
            first = held.setdefault(name, place)
            if first != place:
                what = f"{name} is in a sync group twice: in {group.name} and in {first[1]}"
                yield Finding(place, what, "leave it in one group, or make one of both", first)


RULES = (
    Rule(
        "group-members",
        Severity.ERROR,
        "VIPs of one sync group have other members, or other priorities",
        _members,
        firm=True,
        partial=True,
    ),
    Rule(
        "group-unlike",
        Severity.ERROR,
        "VIPs of one sync group would move at other times",
        _unlike,
        firm=True,
        partial=True,
    ),
    Rule("group-twice", Severity.ERROR, "a VIP is in a sync group twice", _twice, firm=True, partial=True),
)
