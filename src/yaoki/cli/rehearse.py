"""Rehearse a site: build it in a lab, break every part of it, one after another, and measure from its clients.

Every element of the site fails at least once; --list shows how. Probes cross VIP, balancer and real server: a UDP
datagram per ms, a new HTTP request per 10 ms, long-lived streams, and an observer that asks for each VIP by ARP and
neighbour discovery. An outage lasts from the first failed item until none fails any more.

Exit status 0: every survivable scenario kept its slo; 1: one did not, or with --baseline grew, or in any scenario,
survivable or not, a VIP that is owned by lease had two owners; 2: a run is void (the control probe on an untouched path
lost something, or the lab did not settle), even when repeated.

examples:
  yaoki rehearse site.yaml
  yaoki rehearse site.yaml --list
  yaoki rehearse site.yaml --only lb1-power-off --only 'web1-*'
  yaoki rehearse site.yaml --plane nftables
  yaoki rehearse site.yaml --json before.json
  yaoki rehearse site.yaml --baseline before.json
  yaoki -j rehearse site.yaml         the report on stdout
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from yaoki.cli.lab import need_root
from yaoki.cli.output import Paint, print_json, refuse_unwritable, talk
from yaoki.cli.table import table
from yaoki.core.error import UsageError
from yaoki.lab import site_variant
from yaoki.lab.catalogue import catalogue, chosen
from yaoki.lab.probes.targets import clients, targets_of
from yaoki.lab.report import Growth, Layout, as_json, grown, listing
from yaoki.lab.row import Expectation, Row, expectation
from yaoki.lab.run import rehearse
from yaoki.lab.wording import reasons, word
from yaoki.lb.service import PlaneWish
from yaoki.node.wording import LANGUAGES, language_of
from yaoki.site.examine import accept_site

MISSED = 1
VOID = 2
UNLIMITED = 300
"""The width of a table that goes to a file."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("site", type=Path, metavar="SITE", help="the site file")
    parser.add_argument(
        "--only", action="append", default=[], metavar="NAME", help="scenarios: a name, part, or pattern"
    )
    parser.add_argument(
        "--plane",
        choices=[PlaneWish.BPF.value, PlaneWish.NFTABLES.value],
        help="on this balancer plane, whatever the file says; `nat` and `fullnat` always on nftables, `tunnel` on bpf",
    )
    parser.add_argument("--list", action="store_true", help="show what would be run, and what would survive and why")
    parser.add_argument("--json", dest="report", type=Path, metavar="F", help="write the report to a file")
    parser.add_argument("--baseline", type=Path, metavar="F", help="compare with an earlier report")


def run(args: argparse.Namespace) -> int:
    """Rehearse, or list."""
    if args.plane is None:
        return _rehearse(args, args.site)
    with tempfile.TemporaryDirectory(prefix="yaoki-rehearsal-") as directory:
        changed = site_variant.on_plane(site_variant.plain_site(args.site), args.plane)
        return _rehearse(args, site_variant.write(changed, Path(directory) / f"{args.plane}.yaml"))


def _rehearse(args: argparse.Namespace, file: Path) -> int:
    site = accept_site(file).site
    if not clients(site):
        raise UsageError(f'{args.site}: no host plays a client, so nothing can be measured; give one "plays: [client]"')
    scenarios = chosen(catalogue(site), tuple(part for text in args.only for part in text.split(",")))
    baseline = None if args.baseline is None else _read(args.baseline)
    language = LANGUAGES.index(language_of(os.environ))
    if args.list:
        targets = targets_of(site)
        return _list(args, tuple(expectation(site, scenario, targets) for scenario in scenarios), language)
    need_root()
    if args.report is not None:
        refuse_unwritable(args.report)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else UNLIMITED
    show = Show(Layout([s.name for s in scenarios], width, language), quiet=args.json)
    rows = rehearse(site, file.resolve(), scenarios, watcher=show)
    report = as_json(rows)
    if args.report is not None:
        _write(args.report, report)
    growths = () if baseline is None else _grown(rows, baseline, args.baseline)
    if args.json:
        print_json(report)
    show.summary(rows, growths)
    return status(rows, growths)


class Show:
    """The progress and the table, as rows end."""

    def __init__(self, layout: Layout, *, quiet: bool) -> None:
        self._layout = layout
        self._quiet = quiet
        self._paint = Paint(sys.stdout)
        self._begun = time.monotonic()
        self._shown = False

    def begins(self, number: int, total: int, expected: Expectation) -> None:
        """Say which scenario is run, where somebody looks on."""
        if not self._shown and not self._quiet:
            print(self._paint.bold(self._layout.head()), flush=True)
        self._shown = True
        self._progress(f"[{number}/{total} {self._elapsed()}] {expected.scenario.name} ...")

    def void(self, row: Row) -> None:
        """Say that a run is repeated."""
        self._progress("")
        talk(f"{row.scenario.name}: void, once more: {row.void}")

    def ended(self, row: Row) -> None:
        """Print the row."""
        self._progress("")
        if self._quiet:
            return
        verdict = self._layout.verdict(row)
        line = self._layout.line(row)
        if row.void is not None or row.failed:
            line = self._paint.red(line)
        elif not row.expectation.survivable:
            line = self._paint.faint(line)
        else:
            line = line.replace(f"  {verdict} ", f"  {self._paint.green(verdict)} ", 1)
        print(line, flush=True)

    def summary(self, rows: tuple[Row, ...], growths: tuple[Growth, ...]) -> None:
        """What it comes to."""
        counted = [row for row in rows if row.void is None]
        survivable = [row for row in counted if row.expectation.survivable]
        missed = [row for row in survivable if not row.ok]
        split = [row for row in rows if row.split]
        late = max((row.quality.late_ms for row in counted), default=0.0)
        cpu = max((row.quality.cpu for row in counted), default=0.0)
        say = talk if self._quiet else print
        say("")
        for growth in growths:
            say(self._paint.red(f"{growth.name}: {growth.before_ms:g} ms before, {growth.after_ms:g} ms now"))
        kept, others, void = len(survivable) - len(missed), len(counted) - len(survivable), len(rows) - len(counted)
        say(
            f"{len(rows)} scenarios in {self._elapsed()}: {kept} survived as promised, {len(missed)} did not, "
            f"{others} are not survivable, {void} void"
        )
        if split:
            say(self._paint.red(f"two owners of a leased VIP: {', '.join(row.scenario.name for row in split)}"))
        say(f"probes: at most {late:.0f} ms late themselves, {cpu:.0%} of one core")

    def _elapsed(self) -> str:
        minutes, seconds = divmod(int(time.monotonic() - self._begun), 60)
        return f"{minutes}:{seconds:02}"

    def _progress(self, text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()


def _list(args: argparse.Namespace, expectations: tuple[Expectation, ...], language: int) -> int:
    if args.json:
        print_json(listing(expectations, language))
        return 0
    head = tuple(word(key, language) for key in ("scenario", "survivable", "why", "covers"))
    rows = [head]
    for expected in expectations:
        survives = word("yes" if expected.survivable else "no", language)
        covers = ", ".join(str(element) for element in expected.scenario.covers)
        rows.append((expected.scenario.name, survives, reasons(expected.why, language), covers))
    for line in table(rows):
        print(line)
    return 0


def status(rows: tuple[Row, ...], growths: tuple[Growth, ...]) -> int:
    """The exit status. Two owners of a leased VIP are no matter of measuring: a void run does not hide them."""
    if any(row.split for row in rows):
        return MISSED
    if any(row.void is not None for row in rows):
        return VOID
    survivable = {row.scenario.name for row in rows if row.expectation.survivable}
    missed = any(row.failed for row in rows)
    return MISSED if missed or any(growth.name in survivable for growth in growths) else 0


def _read(file: Path) -> dict[str, Any]:
    try:
        plain = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{file} cannot be read as a report of `yaoki rehearse --json`: {error}") from error
    if not isinstance(plain, dict) or not isinstance(plain.get("scenarios"), list):
        raise UsageError(f'{file} is no report of `yaoki rehearse --json`: it has no "scenarios"')
    return plain


def _write(file: Path, report: dict[str, Any]) -> None:
    """What took so long to measure is not lost with a disk."""
    try:
        file.write_text(json.dumps(report, indent=1) + "\n")
    except OSError as error:
        talk(f"{file} cannot be written: {error.strerror}; this is the report:")
        talk(json.dumps(report))


def _grown(rows: tuple[Row, ...], baseline: dict[str, Any], file: Path) -> tuple[Growth, ...]:
    try:
        return grown(rows, baseline)
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{file} is no report of `yaoki rehearse --json`: {error!r}") from error


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """A polite end from outside is taken like Ctrl-C: the lab is removed on the way out."""
    raise KeyboardInterrupt
