"""From the records of one run to what a row says of its VIPs, and whether the run counts. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from yaoki.core.address import Family, MacAddress
from yaoki.lab.catalogue import Scenario
from yaoki.lab.crew import Records
from yaoki.lab.fault import Partition, PowerOffTogether
from yaoki.lab.measure import OwnerRecord, last_owner, lost_before, outage, since, two_owners_ms
from yaoki.lab.probes.targets import ProbeKind
from yaoki.lab.row import Row, VipFigures, overlap_allowed_ms, return_allowed_ms
from yaoki.site.model import Election, Vip

LATEST_MS = 100.0
"""A probe that was later than this itself has measured the machine under the lab, not the site."""


def vip_figures(
    scenario: Scenario, vip: Vip, owners: Sequence[OwnerRecord], macs: Mapping[MacAddress, str], fault_us: int = 0
) -> VipFigures:
    """Who owned a VIP. Two owners count from the fault on; by lease, which knows no excuse, in the whole record."""
    leased = vip.election is Election.LEASE
    mine = [record if leased else since(record, fault_us) for record in owners if record.vip == vip.name]
    last = [mac for record in mine if (mac := last_owner(record)) is not None]
    named = dict.fromkeys(macs.get(MacAddress.parse(mac), mac) for mac in last)
    allowed_ms = overlap_allowed_ms(scenario, vip)
    return VipFigures(vip.name, "+".join(named) or None, _overlap(mine), allowed_ms, leased=leased)


def with_return(figures: VipFigures, scenario: Scenario, vip: Vip, owners: Sequence[OwnerRecord]) -> VipFigures:
    """The same with who owned while what was broken came back."""
    mine = [record for record in owners if record.vip == vip.name]
    return replace(figures, return_ms=_overlap(mine), return_allowed_ms=return_allowed_ms(scenario, vip))


def void_reason(scenario: Scenario, records: Records, fault_us: int) -> str | None:
    """Why a run does not count, if so."""
    for record in records.probes:
        if record.target.kind is ProbeKind.CONTROL and (lost := outage(record).lost):
            return f"the control probe lost {lost} of {len(record.ok)} over ipv{record.target.family.value}"
    for name, late_ms in records.late_ms.items():
        if late_ms > LATEST_MS:
            return f"the {name} was {late_ms:.0f} ms late itself"
    early = [(r.target, lost) for r in records.probes if (lost := lost_before(r, fault_us))]
    # Where what is mended takes the VIP away by itself, something fails before its end.
    if early and not (scenario.mends and isinstance(scenario.fault, Partition | PowerOffTogether)):
        target, lost = early[0]
        return f"{target} lost {lost} before the fault"
    return None


def worth_repeating(row: Row, retries: int) -> bool:
    """Whether another run may tell more: not where two owners were seen that nothing excuses."""
    return row.void is not None and not row.split and row.quality.attempts <= retries


def _overlap(owners: Sequence[OwnerRecord]) -> dict[Family, float]:
    """For how long two nodes owned, of each family the address that had it worst."""
    return {
        family: max(two_owners_ms(record) for record in owners if record.family is family)
        for family in dict.fromkeys(record.family for record in owners)
    }
