from pathlib import Path

from bench.downloads import PAIRS, PEER, site
from yaoki.core.event import Severity
from yaoki.site.examine import examine


def test_the_site_of_the_pairs_is_one_that_lint_has_nothing_against(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(site())
    assert [each for each in examine(file).problems if each.severity is not Severity.NOTICE] == []


def test_every_pair_has_addresses_of_its_own_and_the_peer_no_service_of_ours() -> None:
    addresses = [each for pair in PAIRS for each in (pair.vip, pair.client, *pair.own)]
    assert len(set(addresses)) == len(addresses) == 4 * len(PAIRS)
    assert f"  {PEER.machine}:\n" not in site()
