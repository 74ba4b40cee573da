"""A mistake in a shipped engine is not only found by the simulator: a row of the rehearsal fails for it on the wire.

The same rows with the engines as they are keep their promises, on the same sites: test_rehearsal.py and
test_leased_rehearsal.py.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.lab.mutated_rows import ROWS, MutatedRow
from tests.lab.rehearsals import Breaking, named, rehearsed
from tests.lab.sites import changed
from tests.mutated import patched
from yaoki.lab.software_yaoki import Yaoki

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(300)]

LONG_ENOUGH = timedelta(seconds=2)
"""To miss every promise of the pair."""

LABS = 6
"""A machine with other work makes rows void, or makes them fail by itself, and what two routers toss about may rest for
a row; then the lab is built anew."""


@pytest.mark.parametrize(
    "mutated",
    [pytest.param(row, marks=[pytest.mark.long] if row.long else [], id=row.patch) for row in ROWS],
)
def test_a_mutated_engine_fails_its_row_for_its_own_reason(mutated: MutatedRow, tmp_path: Path) -> None:
    source = patched(mutated.patch, tmp_path)
    file = changed(tmp_path, _unchanged, name="yke3", base=mutated.site)
    others = []
    for _ in range(LABS):
        rows = rehearsed(
            file,
            named(file, mutated.scenario),
            Breaking,
            patience=LONG_ENOUGH,
            software=lambda lab: Yaoki(lab, environment={"PYTHONPATH": str(source)}),
            retries=0,
        )
        row = rows[mutated.scenario]
        if mutated.shows(row):
            return
        # What a busy machine makes it miss proves nothing, neither for it nor against it.
        others.append(row.void or ("it kept its promises" if row.ok else f"it failed for another reason: {row}"))
    raise AssertionError(f"it did not show in {LABS} labs: {others}")


def _unchanged(_: dict[str, Any]) -> None: ...
