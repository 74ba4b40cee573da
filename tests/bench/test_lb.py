from itertools import pairwise
from pathlib import Path

from bench.lb import BULK, CPU, FLOOD_ROUNDS, NO_BALANCER, ROUNDS, Figures, in_order, rows_of
from bench.lb_balancers import BPF, HAPROXY, IN_KERNEL, NAMES, PLACES
from bench.lb_lab import site
from bench.row import Row
from yaoki.core.event import Severity
from yaoki.site.examine import examine


def figures(**ours: list[float]) -> Figures:
    named: Figures = {NAMES[at]: [10.0, 12.0, 11.0] for at in PLACES if at is not HAPROXY}
    return named | {NO_BALANCER: [20.0]} | {name.replace("_", " "): taken for name, taken in ours.items()}


def beside(rows: list[Row], peer: str) -> Row:
    return next(row for row in rows if row.peer_name == peer)


def test_the_site_of_the_balancers_is_one_that_lint_has_nothing_against(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(site(PLACES))
    assert [each for each in examine(file).problems if each.severity is not Severity.NOTICE] == []


def test_ours_is_held_against_the_best_of_the_others_in_the_kernel() -> None:
    rows = list(rows_of(BULK, figures(nftlb_NAT=[13.0, 1.0, 14.0])))
    assert rows[0] == Row("one stream: BPF direct", 11.0, "Gbit/s", 13.0, "nftlb NAT", ">= 0.95")
    assert rows[0].ok is False
    rows = list(rows_of(CPU, figures(nftables_NAT=[9.0])))
    assert (rows[0].peer_name, rows[0].ok) == ("nftables NAT", False)


def test_whoever_cannot_do_it_has_no_row() -> None:
    rows = list(rows_of(BULK, figures()))
    assert NAMES[HAPROXY] not in [row.peer_name for row in rows]
    assert beside(rows, "nginx stream").goal is None
    assert beside(rows, NO_BALANCER).ratio == 11 / 20


def test_every_balancer_has_a_machine_a_vip_and_a_client_of_its_own() -> None:
    assert {at.direct for at in (BPF, *IN_KERNEL)} == {True, False}
    for named in zip(*((at.machine, at.vip, at.client, at.own) for at in PLACES), strict=True):
        assert len(set(named)) == len(PLACES)


def test_each_is_measured_after_every_other_as_often_and_as_early() -> None:
    targets = [NO_BALANCER, *(NAMES[at] for at in PLACES)]
    rounds = [in_order(targets, number) for number in range(ROUNDS)]
    assert all(sorted(order) == sorted(targets) for order in (*rounds, *zip(*rounds, strict=True)))
    followed = [pair for order in rounds for pair in pairwise(order)]
    assert len(set(followed)) == len(followed) == len(targets) * (len(targets) - 1)
    assert FLOOD_ROUNDS % ROUNDS == 0
