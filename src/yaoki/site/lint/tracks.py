"""What VIPs track: whether it can be seen by every member, and whether it changes anything."""

from collections.abc import Iterable

from yaoki.checks.check import DirectParams
from yaoki.core.event import Severity
from yaoki.site.compile import with_port
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import Track, TrackedCheck, TrackedInterface, Vip
from yaoki.site.source_map import Path
from yaoki.vrrp.standing import OWNER_PRIORITY, standing

_PORT = 1
"""Stands for any."""


def _track_without_effect(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if not vip.track or len(vip.members) < 2:
            continue
        first, second = sorted(vip.members, key=lambda member: -member.priority)[:2]
        lost = [track.weight for track in vip.track if track.weight is None or track.weight < 0]
        left = standing(first.priority, lost).effective
        if lost and first.priority != OWNER_PRIORITY and left >= second.priority:
            what = (
                f"with everything tracked down, {first.node} still has priority {left} for {vip.name}"
                f" and {second.node} {second.priority}: the VIP stays"
            )
            cure = f"let the weights add up to less than {second.priority - first.priority}"
            yield Finding(
                ("vips", vip.name, "track"), what, cure, ("vips", vip.name, "members", second.node, "priority")
            )


def _track_of_no_weight(view: View) -> Iterable[Finding]:
    for vip, index, track in _tracks(view):
        if track.weight == 0:
            what = f"the weight of {track.tracked} is 0, so nothing follows from it"
            yield Finding((*_place(vip, index), "weight"), what, "give it a weight, or leave weight out")


def _track_elsewhere(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        for index, name, _ in vip.tracked_services:
            service = view.site.service(name)
            watching = {member.node for member in view.site.vip(service.vip).members}
            blind = [member.node for member in vip.members if member.node not in watching]
            if blind:
                what = f"{blind[0]} does not check the service {name}: it is no member of its VIP {service.vip}"
                cure = f"track a service on {vip.name}, or make {blind[0]} a member of {service.vip}"
                yield Finding(_place(vip, index), what, cure, ("services", name, "vip"))


def _track_without_interface(view: View) -> Iterable[Finding]:
    for vip, index, track in _tracks(view):
        if not isinstance(track.tracked, TrackedInterface):
            continue
        for member in vip.members:
            if track.tracked.name not in [each.name for each in view.site.machine(member.node).interfaces]:
                what = f"{member.node} has no interface {track.tracked.name}, so it would count as down for ever"
                cure = f"name an interface that every member of {vip.name} has"
                yield Finding(_place(vip, index), what, cure, ("nodes", member.node, "interfaces"))


def _track_without_port(view: View) -> Iterable[Finding]:
    for vip, index, track in _tracks(view):
        if isinstance(track.tracked, TrackedCheck):
            params = view.site.check(track.tracked.check).params
            if with_port(params, _PORT) != params and not isinstance(params, DirectParams):
                what = f"the check {track.tracked.check} takes the port of a server, and {vip.name} tracks none"
                cure = "give the check a port"
                yield Finding(_place(vip, index), what, cure, ("checks", track.tracked.check))


def _track_without_address(view: View) -> Iterable[Finding]:
    for vip, index, track in _tracks(view):
        target = track.tracked.target if isinstance(track.tracked, TrackedCheck) else None
        if isinstance(target, str) and not any(i.addresses for i in view.site.machine(target).interfaces):
            what = f"{target} has no address that {track.tracked} could be made of"
            yield Finding(_place(vip, index), what, f"give {target} an address, or write one as the target")


def _tracks(view: View) -> Iterable[tuple[Vip, int, Track]]:
    return ((vip, index, track) for vip in view.site.vips for index, track in enumerate(vip.track))


def _place(vip: Vip, index: int) -> Path:
    return ("vips", vip.name, "track", index)


RULES = (
    Rule(
        "track-without-effect",
        Severity.WARNING,
        "what is tracked cannot lower the first node's priority below the second's",
        _track_without_effect,
    ),
    Rule(
        "track-elsewhere",
        Severity.ERROR,
        "a VIP tracks a service that one of its members does not check",
        _track_elsewhere,
        firm=True,
    ),
    Rule(
        "track-of-no-weight",
        Severity.WARNING,
        "a track has the weight 0",
        _track_of_no_weight,
        partial=True,
    ),
    Rule(
        "track-without-interface",
        Severity.ERROR,
        "a VIP tracks an interface that one of its members does not have",
        _track_without_interface,
        firm=True,
        partial=True,
    ),
    Rule(
        "track-without-port",
        Severity.ERROR,
        "a VIP tracks a check that has no port of its own",
        _track_without_port,
        firm=True,
        partial=True,
    ),
    Rule(
        "track-without-address",
        Severity.ERROR,
        "a VIP tracks a check of a machine without an address",
        _track_without_address,
        firm=True,
        partial=True,
    ),
)
