"""The rehearsal: one scenario after another is run in the lab, measured, mended and judged.

A row: the probes run; the lab has settled (everything answers, every server is seen, every VIP has its one owner); the
fault; observation until nothing fails any more; the end of the probes; the mending, while the observer asks on who owns
each VIP. A row whose control probe lost something, whose probes failed before the fault, or were late themselves, is
void and repeated at most `retries` times, unless a VIP that is owned by lease had two owners in it: of such a VIP the
observer's whole record counts, from when the lab began to settle. All waits are bounded by named limits.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from yaoki.core.address import MacAddress
from yaoki.core.error import ActuatorError
from yaoki.lab.catalogue import Promise, Scenario
from yaoki.lab.crew import Crew, Records, Seen
from yaoki.lab.fault import FlapLink, HangNode, Partition, PowerOff, RestartNode
from yaoki.lab.injector import Injector
from yaoki.lab.judging import vip_figures, void_reason, with_return, worth_repeating
from yaoki.lab.lab import Lab
from yaoki.lab.measure import OwnerRecord, outage
from yaoki.lab.pace import ADVERTISEMENTS, observation
from yaoki.lab.probes.control import control_targets
from yaoki.lab.probes.process import ProbeLost
from yaoki.lab.probes.targets import ProbeKind, Target, targets_of
from yaoki.lab.probes.wire import now_us
from yaoki.lab.row import (
    Expectation,
    Quality,
    Row,
    TargetFigures,
    allowed_ms,
    expectation,
)
from yaoki.lab.settling import Wanted, astray, quiet, unsettled
from yaoki.lab.software import NodeSoftware
from yaoki.lab.turning import Turning, turning

RETRIES = 3
SETTLE_LIMIT = timedelta(seconds=30)
NEW_FLOWS_AFTER = timedelta(seconds=1.2)
PREPARE_LIMIT = timedelta(seconds=10)
BOOT_LIMIT = timedelta(seconds=15)
"""How long a node that has its power back may take to own its VIPs again."""

RECOVERY_LIMIT = timedelta(seconds=8)

STREAM_LIMIT = timedelta(seconds=2)
"""How long a stream may wait when all else has recovered; then it counts as cut."""

BASELINE = timedelta(milliseconds=300)
"""Measured before the fault: nothing may fail there."""

PARTED = timedelta(milliseconds=500)
"""How long a partition has lasted, beyond the time to a second owner, when its end is measured."""

_LOOK_S = 0.05
_MICROSECOND = timedelta(microseconds=1)


Phase = Callable[[Scenario], timedelta]
"""For a scenario that is about to happen, how long after an advertisement it shall."""


class Watcher(Protocol):
    """Is told how the rehearsal goes on."""

    def begins(self, number: int, total: int, expected: Expectation) -> None:
        """A scenario begins; they count from 1."""
        ...

    def void(self, row: Row) -> None:
        """A run does not count and is repeated."""
        ...

    def ended(self, row: Row) -> None:
        """A scenario has its row."""
        ...


class Rehearsal:
    """Runs scenarios in a lab that is up, with its software started.

    An outage that goes on is watched for `patience` beyond the shortest observation, if it is survivable, and what was
    mended as long, until it is back. With `phase` the fault comes so long after an advertisement: outages depend on it,
    so figures to be compared share their phases.
    """

    def __init__(
        self,
        lab: Lab,
        software: NodeSoftware,
        crew: Crew,
        *,
        injector: Injector | None = None,
        patience: timedelta = RECOVERY_LIMIT,
        phase: Phase | None = None,
        retries: int = RETRIES,
    ) -> None:
        self._phase = phase
        self._retries = retries
        self._lab = lab
        self._site = lab.site
        self._software = software
        self._crew = crew
        self._injector = injector or Injector(lab, software)
        self._patience = patience
        self._targets = targets_of(lab.site)
        self._macs = {port.mac: port.machine for name in lab.plan.namespaces for port in name.ports}
        self._asked_us = 0

    def run(self, scenarios: Sequence[Scenario], watcher: Watcher) -> tuple[Row, ...]:
        """One row per scenario, in order. Raises ProbeLost if nothing can be measured any more."""
        rows = []
        for number, scenario in enumerate(scenarios, 1):
            expected = expectation(self._site, scenario, self._targets)
            watcher.begins(number, len(scenarios), expected)
            row = self._attempt(expected)
            while worth_repeating(row, self._retries):
                watcher.void(row)
                again = self._attempt(expected)
                row = replace(again, quality=replace(again.quality, attempts=row.quality.attempts + 1))
            watcher.ended(row)
            rows.append(row)
        return tuple(rows)

    def _attempt(self, expected: Expectation) -> Row:
        try:
            return self._row(expected)
        except ProbeLost:
            raise
        except ActuatorError as error:
            self._mend_after(expected.scenario)
            return Row(expected, void=f"it could not be carried out: {error}")

    def _mend_after(self, scenario: Scenario) -> None:
        """Mend what may or may not have been broken when something went wrong."""
        with suppress(ActuatorError):
            self._injector.mend(scenario.fault)

    def _row(self, expected: Expectation) -> Row:
        scenario = expected.scenario
        missing = self._settle_whole((*self._targets, *control_targets(self._site, scenario.fault)))
        if missing is not None:
            owned = self._crew.halt(self._asked_us).owners
            leased = tuple(vip_figures(scenario, vip, owned, self._macs) for vip in self._site.leased_vips)
            return Row(expected, vips=leased, void=f"the lab had not settled: {missing}")
        if scenario.mends:
            self._injector.inject(scenario.fault)
            self._let_it_take_effect(scenario)
        owners = self._owners()
        began = self._crew.mark()
        _sleep(BASELINE)
        self._await_phase(scenario)
        fault_us = now_us()
        mended_us = self._break(scenario, fault_us)
        self._observe(expected)
        strayed = astray(self._site, self._crew.watched(), self._macs) if scenario.mends else None
        ended_us = now_us()
        records = self._crew.halt(began, owned_since_us=self._asked_us)
        turned = self._turning(scenario, records, (fault_us, mended_us or ended_us), owners)
        judged = self._judged(expected, records, fault_us, mended_us)
        row = replace(judged, turning=turned, span_us=ended_us - began, astray=strayed)
        if scenario.mends or mended_us is not None:
            return row
        returned = self._return(scenario)
        sites_vips = zip(row.vips, self._site.vips, strict=True)
        return replace(row, vips=tuple(with_return(figures, scenario, vip, returned) for figures, vip in sites_vips))

    def _return(self, scenario: Scenario) -> tuple[OwnerRecord, ...]:
        """Mend; who owns meanwhile, until each VIP is where it was."""
        self._crew.watch()
        self._injector.mend(scenario.fault)
        self._settle(Wanted.OWNED, self._patience, look=self._crew.watched)
        return self._crew.halt_watch()

    def _await_phase(self, scenario: Scenario) -> None:
        if self._phase is None or (advertised_us := self._crew.seen().advertised_us) is None:
            return
        interval = min(vip.advertise for vip in self._site.vips)
        since = (now_us() - advertised_us) * _MICROSECOND
        _sleep((self._phase(scenario) - since) % interval)

    def _break(self, scenario: Scenario, moment: int) -> int | None:
        """Bring the fault about, or its end; a fault that ends by itself is over on return, and since when it is."""
        fault = scenario.fault
        if scenario.mends:
            self._injector.mend(fault)
            return None
        self._injector.inject(fault)
        if not isinstance(fault, HangNode | FlapLink):
            return None
        _sleep(fault.lasts - (now_us() - moment) * _MICROSECOND)
        mended_us = now_us()
        self._injector.mend(fault)
        return mended_us

    def _let_it_take_effect(self, scenario: Scenario) -> None:
        if isinstance(scenario.fault, Partition):
            _sleep(ADVERTISEMENTS * max(vip.advertise for vip in self._site.vips) + PARTED)
            return
        _sleep(observation(self._site, scenario))
        self._settle(Wanted.QUIET, PREPARE_LIMIT)

    def _observe(self, expected: Expectation) -> None:
        scenario = expected.scenario
        if scenario.mends:
            boots = isinstance(scenario.fault, PowerOff)
            self._settle(Wanted.OWNED, BOOT_LIMIT if boots else self._patience)
        _sleep(observation(self._site, scenario))
        if isinstance(scenario.fault, RestartNode):
            self._whole_again(scenario.fault.node)
        if not expected.survivable:
            return
        began = time.monotonic()
        patience, for_streams = self._patience.total_seconds(), STREAM_LIMIT.total_seconds()
        while (waited := time.monotonic() - began) < patience:
            if quiet(self._crew.seen(), expected.surviving, streams=waited < for_streams):
                return
            time.sleep(_LOOK_S)

    def _settle_whole(self, targets: Sequence[Target]) -> str | None:
        """Begin to probe, and wait until the site is as its file has it; the result is what is missing in the end.

        Flows that began while a server was out stay where they are, so the probes begin again with new ones.
        """
        missing: str | None = "nothing has been looked at"
        self._asked_us = now_us()
        for attempt in range(SETTLE_LIMIT // NEW_FLOWS_AFTER):
            self._crew.go(targets, watching=attempt > 0)
            missing = self._settle(Wanted.WHOLE, NEW_FLOWS_AFTER)
            if missing is None:
                break
        return missing

    def _settle(self, wanted: Wanted, limit: timedelta, *, look: Callable[[], Seen] | None = None) -> str | None:
        """Wait until the lab has settled; the result is what was still missing when the limit passed. With `look` only
        what that sees has to."""
        until = time.monotonic() + limit.total_seconds()
        while True:
            missing = unsettled(self._site, (look or self._crew.seen)(), self._macs, wanted)
            if missing is None and (wanted is Wanted.WHOLE or look is not None):
                missing = self._missing_on_nodes()
            if missing is None or time.monotonic() > until:
                return missing
            time.sleep(_LOOK_S)

    def _missing_on_nodes(self) -> str | None:
        for node in self._site.nodes:
            if (missing := self._software.missing(node.name)) is not None:
                return f"{node.name}: {missing}"
        return None

    def _whole_again(self, node: str) -> None:
        until = time.monotonic() + SETTLE_LIMIT.total_seconds()
        while self._software.missing(node) is not None and time.monotonic() < until:
            time.sleep(_LOOK_S)

    def _owners(self) -> frozenset[str]:
        answering = {mac for _, lately in self._crew.seen().owners for by in lately[-1:] for mac in by}
        return frozenset(self._macs.get(mac, str(mac)) for mac in answering)

    def _judged(self, expected: Expectation, records: Records, fault_us: int, mended_us: int | None) -> Row:
        probes = [record for record in records.probes if record.target.kind is not ProbeKind.CONTROL]
        scenario = expected.scenario
        outages = ((r, outage(r, mended_us=mended_us), allowed_ms(self._site, scenario, r.target)) for r in probes)
        figures = tuple(TargetFigures(r.target, lasted, allowed, r.failures) for r, lasted, allowed in outages)
        return Row(
            expected,
            probes=figures,
            vips=tuple(vip_figures(scenario, vip, records.owners, self._macs, fault_us) for vip in self._site.vips),
            streams_cut=sum(record.streams_cut for record in probes),
            void=void_reason(scenario, records, fault_us),
            quality=Quality(max(records.late_ms.values()), records.cpu),
            fault_us=fault_us,
        )

    def _turning(self, scenario: Scenario, records: Records, span: tuple[int, int], owners: frozenset[str]) -> Turning:
        fault_us, until = span
        if scenario.promise is Promise.NOTHING_LOST:
            return Turning()
        heard = [(self._macs.get(MacAddress.parse(item.mac), item.mac), item) for item in records.heard]
        events = [event for node in self._site.nodes for event in self._software.events(node.name, fault_us)]
        return turning(fault_us, until, owners_before=owners, events=events, heard=heard)


def _sleep(duration: timedelta) -> None:
    time.sleep(max(0.0, duration.total_seconds()))
