"""What a failure of the VIP's owner costs, Yaoki beside Debian's keepalived in the same lab, with the same site.

Each scenario is run in turn with either software; the worst probe's outage and the time with two owners are taken, IPv4
and IPv6 together. An outage of 0 with two owners is no success: both nodes answer until somebody ends it.
"""

import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.row import Row
from yaoki.lab import row as lab
from yaoki.lab.catalogue import catalogue, chosen
from yaoki.lab.lab import Lab
from yaoki.lab.peers_keepalived import Keepalived
from yaoki.lab.run import rehearse
from yaoki.lab.software import NodeSoftware
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

SCENARIOS = ("lb1-eth0-cut", "lb1-stop", "lb1-failback", "lb1-kill-all", "lb1-hang-all", "lb1-power-off", "front-heal")
QUICK_SCENARIOS = ("lb1-eth0-cut", "lb1-stop")
INTERVALS_MS = (100, 1000)
RUNS = 5

SITE = """\
version: 1
site: bench-vip
networks:
  front: {{prefixes: [192.0.2.0/24, "2001:db8:1::/64"], gateway: router}}
  clients: {{prefixes: [198.51.100.0/24, "2001:db8:2::/64"], gateway: router}}
nodes:
  lb1: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.11, "2001:db8:1::11"]}}}}}}
  lb2: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.12, "2001:db8:1::12"]}}}}}}
hosts:
  router:
    forwards: true
    interfaces:
      eth0: {{network: front, addresses: [192.0.2.1, "2001:db8:1::1"]}}
      eth1: {{network: clients, addresses: [198.51.100.1, "2001:db8:2::1"]}}
  quiet: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.99, "2001:db8:1::99"]}}}}}}
  alice:
    plays: [client]
    interfaces: {{eth0: {{network: clients, addresses: [198.51.100.9, "2001:db8:2::9"]}}}}
vips:
  vip:
    network: front
    addresses: [192.0.2.50, "2001:db8:1::50"]
    vrid: 51
    advertise: {interval_ms}ms
    members: {{lb1: {{priority: 150}}, lb2: {{priority: 100}}}}
"""


@dataclass(frozen=True, slots=True)
class Figures:
    """One run of one scenario, in milliseconds."""

    outage: float
    two_owners: float


def rows(quick: bool) -> list[Row]:
    """Outage and overlap per scenario and interval, ours beside keepalived's."""
    scenarios = QUICK_SCENARIOS if quick else SCENARIOS
    found: list[Row] = []
    for interval_ms in INTERVALS_MS[:1] if quick else INTERVALS_MS:
        runs = 1 if quick else RUNS
        ours = measured(Yaoki, interval_ms, scenarios, runs)
        theirs = measured(Keepalived, interval_ms, scenarios, runs)
        for name in scenarios:
            found += _rows(f"{name}, {interval_ms} ms adverts", ours.get(name, []), theirs.get(name, []))
    return found


def measured(
    software: Callable[[Lab], NodeSoftware], interval_ms: int, scenarios: tuple[str, ...], runs: int
) -> dict[str, list[Figures]]:
    """The figures of every run that was not void, by scenario."""
    found: dict[str, list[Figures]] = {}
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "site.yaml"
        file.write_text(SITE.format(interval_ms=interval_ms))
        site = load_site(file).site
        wanted = tuple(s for s in chosen(catalogue(site), scenarios) if s.name in scenarios)
        for row in rehearse(site, file, wanted * runs, software=software):
            if row.void is None:
                found.setdefault(row.scenario.name, []).append(_figures(row))
    return found


def _figures(row: lab.Row) -> Figures:
    worst = row.worst
    overlaps = [overlap for vip in row.vips for overlap in vip.two_owners_ms.values()]
    return Figures(0.0 if worst is None else worst.outage.outage_ms, max(overlaps, default=0.0))


def _rows(name: str, ours: list[Figures], theirs: list[Figures]) -> list[Row]:
    if not ours or not theirs:
        return []
    return [
        _row(f"{name}: outage", [f.outage for f in ours], [f.outage for f in theirs]),
        _row(f"{name}: two owners", [f.two_owners for f in ours], [f.two_owners for f in theirs]),
    ]


def _row(name: str, ours: list[float], theirs: list[float]) -> Row:
    middle, peer = statistics.median(ours), statistics.median(theirs)
    return Row(f"{name} (max {max(ours):.0f} / {max(theirs):.0f})", middle, "ms", peer=peer, peer_name="keepalived")
