"""Cold standbys: whether the site would be right with one of them in the place of a node that it stands by for."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.lint import (
    addressing,
    checks,
    forwarding,
    leases,
    redundancy,
    stateful,
    ticks,
    timers,
    tracks,
    vips,
)
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.replacement import replaced_by
from yaoki.site.source_map import Path
from yaoki.vrrp.standing import OWNER_PRIORITY

_OTHERS = (
    *addressing.RULES,
    *vips.RULES,
    *stateful.RULES,
    *tracks.RULES,
    *leases.RULES,
    *forwarding.RULES,
    *checks.RULES,
    *timers.RULES,
    *ticks.RULES,
    *redundancy.RULES,
)


def _unfit_standby(view: View) -> Iterable[Finding]:
    site = view.site
    standing = [(node, index, old) for node in site.nodes for index, old in enumerate(node.standby_for)]
    standing = [each for each in standing if each[0].replaces is None and site.successor_of(each[2]) is None]
    if not standing:
        return
    as_it_is = {(rule.id, finding.what) for rule in _fatal() for finding in rule.find(view)}
    for node, index, old in standing:
        place: Path = ("nodes", node.name, "standby-for", index)
        imagined = View(replaced_by(site, old, node.name))
        for rule in _fatal():
            for finding in rule.find(imagined):
                if (rule.id, finding.what) not in as_it_is:
                    what = f"{node.name} cannot take the place of {old}: {finding.what}"
                    yield Finding(place, what, finding.cure, finding.other)


def _fatal() -> Iterable[Rule]:
    return (rule for rule in _OTHERS if rule.severity is Severity.ERROR)


def _owner_of_addresses(view: View) -> Iterable[Finding]:
    for node in view.site.nodes:
        for index, old in enumerate(node.standby_for):
            for vip in view.site.vips:
                if any(member.node == old and member.priority == OWNER_PRIORITY for member in vip.members):
                    place: Path = ("nodes", node.name, "standby-for", index)
                    what = (
                        f"{old} has the addresses of {vip.name} as its own (priority 255), and takes them back with it"
                    )
                    yield Finding(place, what, "give it priority 254 or less", ("vips", vip.name, "members", old))


RULES = (
    Rule(
        "unfit-standby",
        Severity.ERROR,
        "a cold standby could not do what is done in the place that it would take",
        _unfit_standby,
    ),
    Rule(
        "standby-for-address-owner",
        Severity.ERROR,
        "a cold standby stands by for a node that owns a VIP's addresses whatever it is told",
        _owner_of_addresses,
        firm=True,
    ),
)
