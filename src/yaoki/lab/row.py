"""One row of a rehearsal: a scenario with its figures, and whether it kept what the site promises. Pure.

A row is survivable if every promising target that the fault touches survives it; without a promising one, if every
target that it touches does. It is ok if every target with a promise kept it, no VIP had two owners for longer than is
allowed, and after a return each is with its preferred owner. Whether it survives does not enter into `ok`; only
`failed` joins the two.

A VIP that is owned by lease never has two owners: neither a failure that is not survivable nor a run that is void
excuses them, and such a run is not repeated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from yaoki.core.address import Family
from yaoki.lab.catalogue import Promise, Scenario
from yaoki.lab.fault import BlackholeLink, CutLink, HangNode, KillNode, NetworkDown, Partition
from yaoki.lab.measure import Outage
from yaoki.lab.probes.targets import Target
from yaoki.lab.survival import Reason, Survival, survival
from yaoki.lab.turning import Turning
from yaoki.site.model import Election, Site, Vip

OVERLAP = timedelta(milliseconds=50)
"""How long two nodes may own a VIP in a planned move under `election: vrrp`."""


@dataclass(frozen=True, slots=True)
class TargetFigures:
    """What one probe measured; `allowed_ms` None where nothing is promised."""

    target: Target
    outage: Outage
    allowed_ms: float | None
    failures: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """Whether the promise was kept."""
        if self.allowed_ms is None:
            return True
        return self.outage.outage_ms <= self.allowed_ms and (self.outage.lost == 0 or self.allowed_ms > 0)


@dataclass(frozen=True, slots=True)
class VipFigures:
    """Who owns a VIP in the end (None: nobody), and for how long two nodes did, per family.

    `allowed_ms` None where two owners are not held against the row. `return_ms` is how long two nodes owned it while
    what had been broken came back; `leased`: it is owned by lease.
    """

    vip: str
    owner: str | None
    two_owners_ms: dict[Family, float]
    allowed_ms: float | None
    return_ms: dict[Family, float] = field(default_factory=dict)
    return_allowed_ms: float | None = None
    leased: bool = False

    @property
    def kept(self) -> bool:
        return _within(self.two_owners_ms, self.allowed_ms) and _within(self.return_ms, self.return_allowed_ms)

    @property
    def longest_ms(self) -> float:
        """The longest time with two owners, of either family, until all was whole again."""
        return max((*self.two_owners_ms.values(), *self.return_ms.values()), default=0.0)


@dataclass(frozen=True, slots=True)
class Why:
    """A reason of a row's survivability, and the services or VIPs that it is about."""

    survival: Survival
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is known of a row before it is run."""

    scenario: Scenario
    survivable: bool
    why: tuple[Why, ...]
    surviving: frozenset[Target] = frozenset()
    """The targets that survive it: these are waited for."""


@dataclass(frozen=True, slots=True)
class Quality:
    """How well the row was measured: the probes' worst lateness, and the core share that they took together."""

    late_ms: float = 0.0
    cpu: float = 0.0
    attempts: int = 1


@dataclass(frozen=True, slots=True)
class Row:
    """A scenario as it was run. `void` says why the run does not count; its other figures are then meaningless, but for
    two owners of a leased VIP."""

    expectation: Expectation
    probes: tuple[TargetFigures, ...] = ()
    vips: tuple[VipFigures, ...] = ()
    streams_cut: int = 0
    turning: Turning = field(default_factory=Turning)
    void: str | None = None
    quality: Quality = field(default_factory=Quality)
    astray: str | None = None
    """Of a scenario that mends: the address that stayed with another than its preferred owner, and with whom."""
    fault_us: int = 0
    span_us: int = 0

    @property
    def scenario(self) -> Scenario:
        return self.expectation.scenario

    @property
    def worst(self) -> TargetFigures | None:
        """The probe with the longest outage, the first of equals."""
        return max(self.probes, key=lambda figures: figures.outage.outage_ms, default=None)

    @property
    def decisive(self) -> TargetFigures | None:
        """Of the probes with a promise, the one that came nearest to breaking it or broke it most."""
        promised = [figures for figures in self.probes if figures.allowed_ms is not None]
        return max(promised, key=_nearness, default=None)

    @property
    def missed(self) -> tuple[TargetFigures, ...]:
        """The probes whose promise was not kept."""
        return tuple(figures for figures in self.probes if not figures.kept)

    @property
    def ok(self) -> bool:
        kept = not self.missed and all(vip.kept for vip in self.vips)
        return self.void is None and self.astray is None and kept

    @property
    def split(self) -> tuple[VipFigures, ...]:
        """The VIPs owned by lease that had two owners."""
        return tuple(vip for vip in self.vips if vip.leased and not vip.kept)

    @property
    def failed(self) -> bool:
        """Whether the run as a whole fails by this row."""
        return bool(self.split) or (self.void is None and self.expectation.survivable and not self.ok)


def expectation(site: Site, scenario: Scenario, targets: Sequence[Target]) -> Expectation:
    """Judge a scenario before it is run."""
    judged = [(target, survival(site, scenario.fault, target, mended=scenario.mends)) for target in targets]
    touched = [(t, s) for t, s in judged if s.reason is not Reason.UNTOUCHED]
    promising = [(t, s) for t, s in touched if allowed_ms(site, scenario, t) is not None]
    survivable = all(s.survives for _, s in promising or touched)
    about: dict[Survival, list[str]] = {}
    for target, judgement in touched or judged:
        about.setdefault(judgement, []).append(target.service or target.vip)
    why = tuple(Why(s, tuple(dict.fromkeys(names))) for s, names in about.items())
    return Expectation(scenario, survivable, why, frozenset(t for t, s in judged if s.survives))


def allowed_ms(site: Site, scenario: Scenario, target: Target) -> float | None:
    """The longest outage that is promised for a target in a scenario; None if nothing is."""
    if scenario.promise is Promise.NOTHING_LOST:
        return 0.0
    if not target.service:
        return None
    slo = site.service(target.service).slo
    promised = slo.server_outage if scenario.promise is Promise.SERVER_OUTAGE else slo.outage
    return None if promised is None else promised / timedelta(milliseconds=1)


def overlap_allowed_ms(scenario: Scenario, vip: Vip) -> float | None:
    """How long two nodes may own a VIP in a scenario.

    By lease, never. By VRRP a partition hides the owners from each other: its overlap is shown and not judged. Healed,
    owners learn of each other with the next advertisement. A dead or hung speaker is silenced by its kernel before
    another node takes over, and in the planned move back the one answers no more before the other does: not one of the
    observer's requests may be answered twice.
    """
    match scenario.fault:
        case _ if vip.election is Election.LEASE:
            return 0.0
        case KillNode() | HangNode():
            return 0.0
        case Partition() if not scenario.mends:
            return None
        case Partition():
            return (vip.advertise + OVERLAP) / timedelta(milliseconds=1)
        case _:
            return OVERLAP / timedelta(milliseconds=1)


def return_allowed_ms(scenario: Scenario, vip: Vip) -> float | None:
    """How long two nodes may own a VIP while what was broken comes back.

    By lease, never. By VRRP what overlaps is a planned move; but where nodes may not have heard each other it is shown
    and not judged, as it began before the return (the row of the healed partition measures it).
    """
    match scenario.fault:
        case _ if vip.election is Election.LEASE:
            return 0.0
        case Partition() | BlackholeLink() | CutLink() | NetworkDown():
            return None
        case _:
            return OVERLAP / timedelta(milliseconds=1)


def _within(spans_ms: dict[Family, float], allowed_ms: float | None) -> bool:
    return allowed_ms is None or max(spans_ms.values(), default=0.0) <= allowed_ms


def _nearness(figures: TargetFigures) -> tuple[float, float]:
    """How much of its promise a probe has used up; where nothing may be lost, any loss is more than all of it."""
    allowed = figures.allowed_ms or 0.0
    used = figures.outage.outage_ms / allowed if allowed else float("inf") if figures.outage.lost else 0.0
    return used, figures.outage.outage_ms
