"""The simulator finds what it is there to find: each patch of tests/mutations breaks a shipped engine in one place, and
a world that the unpatched engines live through then breaks an invariant.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import mutated
from tests.lab.mutated_rows import ROWS
from tests.simulation.shapes import SITES, shape
from yaoki.sim.campaign import run_seed
from yaoki.sim.timeline import SECOND


@dataclass(frozen=True, slots=True)
class Mutation:
    """A patch by name; the site, the seed from which on a world is looked for in which it shows, and the invariant that
    breaks there."""

    patch: str
    site: str
    seed: int
    invariant: str


# How long a world of each site lives here: a few episodes of faults.
SECONDS = {
    "two-nodes": 500,
    "fast": 150,
    "three-nodes": 400,
    "unicast": 180,
    "leased": 240,
    "edge": 150,
    "stateful": 240,
    "replaced": 200,
    "hindered": 400,
    "choices": 600,
}

WORLDS = 30
"""So many are looked at for one in which a mutation shows. What a seed holds in store changes with every kind of fault
that is added, so the seeds here only say where to begin."""

MUTATIONS = (
    Mutation("announcements-forgotten", "two-nodes", 0, "neighbours follow"),
    Mutation("addresses-not-released", "two-nodes", 14, "held is active"),
    Mutation("announced-before-taken", "fast", 3, "planned moves"),
    Mutation("backups-serve-along", "three-nodes", 0, "tables true"),
    Mutation("bid-not-heeded", "leased", 1, "right owner"),
    Mutation("down-timer-not-restarted", "two-nodes", 15, "nothing moves"),
    Mutation("drain-ignored", "two-nodes", 97, "tables true"),
    Mutation("failing-owner-let-be", "unicast", 7, "sick owner relieved"),
    Mutation("falls-counted-wrong", "two-nodes", 0, "verdicts earned"),
    Mutation("foreign-claims-not-contradicted", "fast", 10, "claims told"),
    Mutation("gate-never-armed", "two-nodes", 0, "armed with peers"),
    Mutation("group-left-apart", "edge", 19, "group together"),
    Mutation("held-addresses-forgotten", "fast", 37, "kept until taken"),
    Mutation("kernel-not-adopted", "two-nodes", 111, "tables kept"),
    Mutation("last-advertisement-forgotten", "two-nodes", 245, "neighbours follow"),
    Mutation("lease-not-inherited", "stateful", 8, "nothing moves"),
    Mutation("lease-not-waited-out", "leased", 12, "never two owners"),
    Mutation("leaks-not-minded", "choices", 4, "leakers out"),
    Mutation("leaver-goes-on-answering", "fast", 3, "planned moves"),
    Mutation("leaver-keeps-the-virtual-mac", "fast", 0, "virtual mac of owner"),
    Mutation("owner-made-the-least", "three-nodes", 22, "nothing moves"),
    Mutation("priorities-compared-in-reverse", "two-nodes", 2, "right owner"),
    Mutation("priority-zero-ignored", "fast", 3, "planned moves"),
    Mutation("quarantine-forgotten", "stateful", 0, "quarantine kept"),
    Mutation("released-before-relieved", "fast", 3, "planned moves"),
    Mutation("replacement-forgotten", "replaced", 0, "replaced owns nothing"),
    Mutation("successor-answers-at-once", "two-nodes", 14, "answered by one"),
    Mutation("successor-not-heard", "fast", 3, "planned moves"),
    Mutation("tables-not-waited-for", "two-nodes", 0, "copies find places"),
    Mutation("unbarred-by-restart", "hindered", 80, "unbarred by answer"),
    Mutation("withdrawal-forgotten", "choices", 4, "disabled as declared"),
)


def simulate(source: Path, *words: str) -> dict[str, Any]:
    """What `yaoki sim` of the sources in `source` says, as JSON."""
    ran = subprocess.run(
        [sys.executable, "-m", "yaoki.cli", "-j", "sim", *words],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert ran.returncode in (0, 1), ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def world(mutation: Mutation) -> list[str]:
    """The words that name the mutation's site and hours."""
    words = ["--hours", str(SECONDS[mutation.site] / 3600)]
    return words if mutation.site == "two-nodes" else [*words, "--site", str(SITES / f"{mutation.site}.yaml")]


def patched(mutation: Mutation, target: Path) -> Path:
    """A copy of src with the mutation."""
    return mutated.patched(mutation.patch, target)


def caught(source: Path, mutation: Mutation) -> int | None:
    """The first seed at which the mutation breaks its invariant."""
    first, end = mutation.seed, mutation.seed + WORLDS
    while first < end:
        words = ["--first", str(first), "--seeds", str(end - first), "--jobs", "1", "--fail-fast", *world(mutation)]
        failed: list[dict[str, Any]] = simulate(source, *words)["failed"]
        if not failed:
            return None
        seed = int(failed[0]["seed"])
        if failed[0]["invariant"] == mutation.invariant:
            return seed
        first = seed + 1
    return None


@pytest.mark.campaign
@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.patch)
def test_a_mutated_engine_breaks_an_invariant_where_the_shipped_one_does_not(
    mutation: Mutation, tmp_path: Path
) -> None:
    seed = caught(patched(mutation, tmp_path), mutation)
    assert seed is not None, f"{mutation.patch} shows in none of {WORLDS} worlds"
    outcome = run_seed(shape(mutation.site), seed, until_us=SECONDS[mutation.site] * SECOND)
    assert outcome.broken is None, outcome.broken


@pytest.mark.campaign
@pytest.mark.timeout(300)
def test_a_failing_campaign_names_few_faults_and_the_command_that_replays_them(tmp_path: Path) -> None:
    """Two are what it takes as a rule: the node that loses the VIP must have won it before."""
    [mutation] = [each for each in MUTATIONS if each.patch == "last-advertisement-forgotten"]
    source = patched(mutation, tmp_path)
    seed = caught(source, mutation)
    [failed] = simulate(source, "--first", str(seed), "--seeds", "1", *world(mutation))["failed"]
    assert failed["invariant"] == mutation.invariant
    assert 1 <= len(failed["faults"]) <= 4
    assert failed["trace"]
    again = simulate(source, *failed["replay"].removeprefix("yaoki sim ").split())
    assert (again["what"], again["at_s"]) == (failed["what"], failed["at_s"])


def test_every_patch_is_tried_and_told() -> None:
    assert {path.stem for path in mutated.PATCHES.glob("*.patch")} == {mutation.patch for mutation in MUTATIONS}
    page = (mutated.ROOT / "docs/simulation.md").read_text()
    told = re.findall(r"^\| ([a-z-]+-[a-z-]+)[^|]*\| ([a-z ]+) \| ([a-z0-9-]*) *\|$", page, re.MULTILINE)
    rows = {row.patch: row.scenario for row in ROWS}
    assert set(told) == {(mutation.patch, mutation.invariant, rows.get(mutation.patch, "")) for mutation in MUTATIONS}
    assert rows.keys() <= {mutation.patch for mutation in MUTATIONS}
