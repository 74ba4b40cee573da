"""The catalogue of a site with leases: what of its store may fail, and that a partition makes no second owner."""

from pathlib import Path

import pytest

from yaoki.lab.catalogue import catalogue
from yaoki.lab.fault import Fault, Partition, PowerOff, PowerOffTogether
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.survival import Reason, Survival, survival
from yaoki.site.load import load_site

EXAMPLE = Path(__file__).parents[2] / "examples/lease-pair/site.yaml"
SITE = load_site(EXAMPLE).site


def judged(fault: Fault, *, mended: bool = False) -> Survival:
    return survival(SITE, fault, targets_of(SITE)[0], mended=mended)


@pytest.mark.req("B-20")
def test_a_minority_and_the_majority_of_the_store_fail() -> None:
    rows = {scenario.name: scenario for scenario in catalogue(SITE)}
    assert {"etcd1-power-off", "etcd2-eth0-cut", "store-majority-off", "store-back"} <= rows.keys()
    assert rows["store-majority-off"].fault == PowerOffTogether(("etcd1", "etcd2"))


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    ("fault", "reason", "names"),
    [
        (PowerOff("etcd3"), Reason.UNTOUCHED, ()),
        (PowerOff("lb1"), Reason.TAKEOVER, ("lb2",)),
        (PowerOffTogether(("etcd1", "etcd3")), Reason.NO_MAJORITY, ("etcd1", "etcd3")),
        (Partition("front", ("lb1", "lb2")), Reason.UNTOUCHED, ()),
    ],
)
def test_what_a_leased_vip_survives(fault: Fault, reason: Reason, names: tuple[str, ...]) -> None:
    assert judged(fault) == Survival(reason, names)


def test_what_comes_back_is_handed_over() -> None:
    assert judged(PowerOff("lb1"), mended=True).reason is Reason.HANDED_OVER
