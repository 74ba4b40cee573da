"""What is wrong with a site as a whole, though each part of it is well written: rules as objects, in one registry.

To add a rule: write its function in the file of its group and put its Rule into that file's RULES; the RULES of a new
group's file are added here. Rules see the model only; positions are looked up by yaoki.site.examine.
"""

from yaoki.site.lint import (
    addressing,
    checks,
    copies,
    forwarding,
    idling,
    leaks,
    leases,
    peers,
    redundancy,
    serving,
    standbys,
    stateful,
    sync_groups,
    ticks,
    timers,
    tracks,
    vips,
    virtual_macs,
    withdrawal,
)
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View

RULES: tuple[Rule, ...] = (
    *addressing.RULES,
    *vips.RULES,
    *withdrawal.RULES,
    *virtual_macs.RULES,
    *stateful.RULES,
    *peers.RULES,
    *sync_groups.RULES,
    *tracks.RULES,
    *leases.RULES,
    *forwarding.RULES,
    *idling.RULES,
    *leaks.RULES,
    *serving.RULES,
    *copies.RULES,
    *checks.RULES,
    *timers.RULES,
    *ticks.RULES,
    *redundancy.RULES,
    *standbys.RULES,
)

__all__ = ["RULES", "Finding", "Rule", "View"]
