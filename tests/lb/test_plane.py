"""Which plane carries a service, as exact values."""

from dataclasses import replace

import pytest

from tests.lb.samples import trio
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason, choose
from yaoki.lb.service import Forward, PlaneWish

BPF, NFTABLES = Plane.BPF, Plane.NFTABLES
LACKS = "Linux 6.1 has no tcx hook"


@pytest.mark.req("B-13")
@pytest.mark.parametrize(
    ("wish", "held", "lacks", "choice"),
    [
        (PlaneWish.AUTO, None, None, PlaneChoice(BPF, PlaneReason.CARRIES)),
        (PlaneWish.AUTO, BPF, None, PlaneChoice(BPF, PlaneReason.CARRIES)),
        (PlaneWish.AUTO, NFTABLES, None, PlaneChoice(NFTABLES, PlaneReason.STAYS)),
        (PlaneWish.AUTO, None, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.AUTO, BPF, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.AUTO, NFTABLES, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.BPF, None, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.BPF, BPF, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.BPF, NFTABLES, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.BPF, None, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.BPF, NFTABLES, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.NFTABLES, None, None, PlaneChoice(NFTABLES, PlaneReason.FILE)),
        (PlaneWish.NFTABLES, BPF, None, PlaneChoice(NFTABLES, PlaneReason.FILE)),
        (PlaneWish.NFTABLES, None, LACKS, PlaneChoice(NFTABLES, PlaneReason.FILE)),
    ],
)
def test_direct_return_goes_to_bpf_where_nothing_hinders_and_stays_where_it_is(
    wish: PlaneWish, held: Plane | None, lacks: str | None, choice: PlaneChoice
) -> None:
    assert choose(replace(trio(Forward.DIRECT), plane=wish), held=held, lacks=lacks) == choice


@pytest.mark.parametrize("forward", [Forward.NAT, Forward.FULLNAT])
@pytest.mark.parametrize("wish", list(PlaneWish))
@pytest.mark.parametrize("held", [None, *Plane])
def test_what_is_translated_is_on_nftables_whatever_the_site_wants(
    forward: Forward, wish: PlaneWish, held: Plane | None
) -> None:
    choice = choose(replace(trio(forward), plane=wish), held=held, lacks=None)
    assert choice == PlaneChoice(NFTABLES, PlaneReason.NOT_DIRECT)
