"""Stateful VIPs: what would lose the data behind them."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import Election, Vip
from yaoki.vrrp.params import Failback, Quarantine
from yaoki.vrrp.standing import OWNER_PRIORITY


def _fails_back(view: View) -> Iterable[Finding]:
    for vip in _stateful(view):
        place = ("vips", vip.name, "stateful")
        if vip.failback is Failback.PREFER:
            what = f"{vip.name} is stateful, yet a returning node takes it back at once, whatever its data"
            cure = "set failback: sticky or manual, or write acknowledge: [stateful-failback]"
            yield Finding(place, what, cure, ("vips", vip.name, "failback"))
        for member in vip.members:
            if member.priority == OWNER_PRIORITY:
                what = (
                    f"{vip.name} is stateful, yet {member.node} has priority 255 and takes it back, whatever its data"
                )
                cure = "give it 254 or less, or write acknowledge: [stateful-failback]"
                yield Finding(place, what, cure, ("vips", vip.name, "members", member.node, "priority"))


def _two_owners(view: View) -> Iterable[Finding]:
    for vip in _stateful(view):
        if vip.election is Election.VRRP and len(vip.members) > 1:
            what = (
                f"{vip.name} is stateful and elected by VRRP: in a network that is cut two nodes own it, and what one"
                " of them takes is lost"
            )
            cure = "write election: lease, which needs a store, or acknowledge: [stateful-vrrp]"
            yield Finding(("vips", vip.name, "stateful"), what, cure, ("vips", vip.name, "election"))


def _alone(view: View) -> Iterable[Finding]:
    for vip in _stateful(view):
        if vip.quarantine is Quarantine.LAST:
            what = f"{vip.name} is stateful, yet a node whose data may be old owns it when the other one dies"
            cure = "remove alone: own, or write acknowledge: [stateful-alone]"
            yield Finding(("vips", vip.name, "quarantine", "alone"), what, cure)


def _idle_quarantine(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        written = vip.quarantine is not Quarantine.WAIT or vip.data_check is not None
        if written and (not vip.stateful or vip.failback is Failback.PREFER):
            why = "takes it back at once (failback: prefer)" if vip.stateful else "is not held out: it is not stateful"
            what = f"{vip.name} has a quarantine, but a node that returns {why}"
            cure = "remove failback" if vip.stateful else "write stateful: true, or remove the quarantine"
            yield Finding(("vips", vip.name, "quarantine"), what, cure)


def _stateful(view: View) -> Iterable[Vip]:
    return (vip for vip in view.site.vips if vip.stateful)


RULES = (
    Rule("stateful-failback", Severity.ERROR, "a stateful VIP fails back by itself", _fails_back, partial=True),
    Rule("stateful-vrrp", Severity.WARNING, "a stateful VIP may have two owners", _two_owners, partial=True),
    Rule("stateful-alone", Severity.WARNING, "old data may be served when the other owner dies", _alone, partial=True),
    Rule("idle-quarantine", Severity.WARNING, "a quarantine that nothing is kept in", _idle_quarantine, partial=True),
)
