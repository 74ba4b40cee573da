"""Kernel ticks: whether a node's kernel can silence a VIP as fast as the VIP is advertised.

The dead-man gate's time-out is counted in ticks (yaoki.vrrp.dead_man), so the tick bounds the advertisement interval. A
file says how a kernel counts by `hz` at its node; a node that reads the file asks its own kernel besides.
"""

from collections.abc import Iterable
from datetime import timedelta

from yaoki.core.event import Severity
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import Machine, Site, Vip
from yaoki.site.source_map import Path
from yaoki.site.units import duration_text
from yaoki.vrrp.dead_man import holds, interval_floor

_SECOND = timedelta(seconds=1)
COARSEST_HZ = 100
"""Of the kernels that distributions ship, the one that counts most coarsely."""


def unheld_by(site: Site, node: str, tick: timedelta) -> Iterable[Finding]:
    """The VIPs of a node that are advertised too fast for its kernel, whose tick this is."""
    for vip in site.vips:
        if not holds(vip.advertise, tick) and any(member.node == node for member in vip.members):
            what = (
                f"{_advertised(vip)}, but the kernel of {node} counts time-outs in {_text(tick)}: {_consequence(vip)}"
            )
            yield Finding(("vips", vip.name, "advertise"), what, _slower(tick), ("nodes", node))


def _unheld(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        for node in (view.site.machine(member.node) for member in vip.members):
            tick = _tick_of(node)
            if tick is not None and not holds(vip.advertise, tick):
                what = (
                    f"{_advertised(vip)}, but at {node.hz} Hz the kernel of {node.name} counts time-outs in"
                    f" {_text(tick)}: {_consequence(vip)}"
                )
                other: Path = ("nodes", node.name, "hz")
                cure = f"{_slower(tick)}, or give {node.name} a kernel that counts finer"
                yield Finding(("vips", vip.name, "advertise"), what, cure, other)
                break


def _unknown(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if holds(vip.advertise, _SECOND / COARSEST_HZ):
            continue
        silent = [member.node for member in vip.members if view.site.machine(member.node).hz is None]
        if silent:
            names = " and ".join(silent)
            what = f"{_advertised(vip)}: a kernel of {COARSEST_HZ} Hz could not keep up, and would refuse this file"
            cure = f"write at {names} the hz that `yaoki doctor` shows there, or {_slower(_SECOND / COARSEST_HZ)}"
            yield Finding(("vips", vip.name, "advertise"), what, cure, ("nodes", silent[0]))


def _tick_of(node: Machine) -> timedelta | None:
    return None if node.hz is None else _SECOND / node.hz


def _advertised(vip: Vip) -> str:
    return f"{vip.name} is advertised every {duration_text(vip.advertise)}"


def _consequence(vip: Vip) -> str:
    return f"no gate can silence a dead speaker within three intervals, before {vip.name} is taken over"


def _slower(tick: timedelta) -> str:
    return f"advertise every {duration_text(interval_floor(tick, punctual=True))} or slower"


def _text(tick: timedelta) -> str:
    return f"{tick / timedelta(milliseconds=1):.3g} ms"


TICK = Rule(
    "kernel-tick",
    Severity.ERROR,
    "a VIP is advertised faster than a node's kernel can count time-outs",
    _unheld,
    firm=True,
    partial=True,
)

RULES = (
    TICK,
    Rule(
        "kernel-tick-unknown",
        Severity.NOTICE,
        "a VIP is advertised faster than some kernels can count, and the file does not say how its nodes' do",
        _unknown,
        partial=True,
    ),
)
