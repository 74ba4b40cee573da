"""The catalogue of failures: complete, and with the rows that are fixed."""

from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import example, pair, site_with
from yaoki.core.error import UsageError
from yaoki.lab.catalogue import Promise, catalogue, chosen
from yaoki.lab.element import elements_of
from yaoki.site.model import Site


def names(site: Site) -> list[str]:
    return [scenario.name for scenario in catalogue(site)]


@pytest.mark.req("B-01")
def test_every_element_of_the_site_fails_at_least_once() -> None:
    site = example()
    covered = {element for scenario in catalogue(site) for element in scenario.covers}
    assert set(elements_of(site)) - covered == set()


@pytest.mark.req("B-01")
def test_every_element_of_an_odd_site_fails_at_least_once(tmp_path: Path) -> None:
    def odd(plain: dict[str, Any]) -> None:
        plain["nodes"]["lb3"] = {
            "interfaces": {
                "eth0": {"network": "front", "addresses": ["192.0.2.13"]},
                "eth1": {"network": "clients", "addresses": ["198.51.100.13"]},
            }
        }
        plain["hosts"]["printer"] = {"interfaces": {"eth0": {"network": "clients", "addresses": ["198.51.100.77"]}}}
        plain["services"] = {}
        plain["vips"]["web-vip"].pop("track")

    site = site_with(tmp_path, odd)
    covered = {element for scenario in catalogue(site) for element in scenario.covers}
    assert set(elements_of(site)) - covered == set()


def test_names_are_unique() -> None:
    assert len(set(names(example()))) == len(names(example()))


@pytest.mark.req("Z-03")
@pytest.mark.parametrize(
    "name",
    [
        "lb1-stop",
        "lb1-kill-main",
        "lb1-kill-speaker",
        "lb1-kill-all",
        "lb1-hang-main",
        "lb1-hang-speaker",
        "lb1-hang-all",
        "lb1-power-off",
        "lb1-eth0-cut",
        "lb1-eth0-blackhole",
        "lb1-eth0-flap",
        "front-partition",
        "front-heal",
        "lb1-failback",
        "web1-killed",
        "web1-hung",
        "web1-http-500",
        "web1-drained",
        "web1-added",
        "lb1-restart",
        "reconfigure",
    ],
)
def test_the_fixed_rows_of_the_demo_are_there(name: str) -> None:
    assert name in names(example())


def test_planned_work_promises_to_lose_nothing() -> None:
    nothing_lost = {s.name for s in catalogue(pair()) if s.promise is Promise.NOTHING_LOST}
    assert nothing_lost == {"web1-drained", "web1-added", "lb1-restart", "reconfigure"}


def test_a_vip_with_one_member_has_no_partition(tmp_path: Path) -> None:
    def alone(plain: dict[str, Any]) -> None:
        plain["vips"]["web-vip"]["members"] = {"lb1": {"priority": 150}}

    assert "front-partition" not in names(site_with(tmp_path, alone))


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (("lb1-stop",), {"lb1-stop"}),
        (("web1-h*",), {"web1-hung", "web1-http-500"}),
        (("kill-main", "reconfigure"), {"lb1-kill-main", "reconfigure"}),
    ],
)
def test_scenarios_are_chosen_by_name_part_or_pattern(patterns: tuple[str, ...], expected: set[str]) -> None:
    assert {s.name for s in chosen(catalogue(example()), patterns)} == expected


def test_without_a_pattern_all_are_chosen() -> None:
    assert chosen(catalogue(example()), ()) == catalogue(example())


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match='no scenario fits "lb9"'):
        chosen(catalogue(example()), ("lb1-stop", "lb9"))
