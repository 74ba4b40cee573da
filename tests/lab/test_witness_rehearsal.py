"""A VIP that is owned by lease, with a witness on a third machine: rehearsed with the real daemon and witness."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.lab.rehearsals import Breaking, named, rehearsed
from tests.lab.test_leased_rehearsal import BUSY_MS, MS, assert_never_two, outage_ms
from yaoki.election.lease_params import DEFAULT_DURATION, longest_takeover
from yaoki.lab.rehearsal import RECOVERY_LIMIT

pytestmark = [pytest.mark.lab, pytest.mark.netns, pytest.mark.timeout(300)]

EXAMPLE = (Path(__file__).parents[2] / "examples/witness-pair/site.yaml").read_text()


@pytest.mark.req("B-21", "N-13", "N-22")
def test_two_nodes_and_a_witness_never_have_two_owners_and_none_without_it(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(EXAMPLE.replace("site: witness-pair", "site: ykw6"))
    names = ("front-partition", "lb1-kill-all", "w1-power-off")
    seen = rehearsed(file, named(file, *names), Breaking, patience=RECOVERY_LIMIT)
    for name in names:
        assert_never_two(seen[name])
    assert outage_ms(seen["front-partition"]) == 0
    assert outage_ms(seen["lb1-kill-all"]) <= longest_takeover(DEFAULT_DURATION) / MS + BUSY_MS
    assert seen["w1-power-off"].expectation.survivable is False
    assert outage_ms(seen["w1-power-off"]) > timedelta(seconds=1) / MS, "it falls silent, as `yaoki plan` says"
