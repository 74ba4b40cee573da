"""Which plane carries a service, as exact values."""

from dataclasses import replace

import pytest

from tests.lb.samples import far, server, service, trio
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason, at_its_hook, choose, leaving_elsewhere
from yaoki.lb.service import Forward, PlaneWish

BPF, NFTABLES = Plane.BPF, Plane.NFTABLES
LACKS = "Linux 6.1 has no tcx hook"


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
        (PlaneWish.XDP, None, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.XDP, BPF, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.XDP, NFTABLES, None, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.XDP, None, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.XDP, NFTABLES, LACKS, PlaneChoice(NFTABLES, PlaneReason.UNABLE, LACKS)),
        (PlaneWish.NFTABLES, None, None, PlaneChoice(NFTABLES, PlaneReason.FILE)),
        (PlaneWish.NFTABLES, BPF, None, PlaneChoice(NFTABLES, PlaneReason.FILE)),
        (PlaneWish.NFTABLES, None, LACKS, PlaneChoice(NFTABLES, PlaneReason.FILE)),
    ],
)
def test_direct_return_goes_to_bpf_where_nothing_hinders_and_stays_where_it_is(
    wish: PlaneWish, held: Plane | None, lacks: str | None, choice: PlaneChoice
) -> None:
    assert choose(replace(trio(Forward.DIRECT), plane=wish), held=held, lacks=lacks) == choice


NO_DRIVER = "the driver of eth0 runs no XDP programs"


@pytest.mark.parametrize(
    ("wish", "in_driver", "lacks", "choice"),
    [
        (PlaneWish.XDP, True, None, PlaneChoice(Plane.XDP, PlaneReason.FILE)),
        (PlaneWish.XDP, False, NO_DRIVER, PlaneChoice(BPF, PlaneReason.NO_XDP, NO_DRIVER)),
        (PlaneWish.XDP, False, None, PlaneChoice(BPF, PlaneReason.NO_XDP)),
        (PlaneWish.BPF, True, None, PlaneChoice(Plane.XDP, PlaneReason.SHARES)),
        (PlaneWish.BPF, False, NO_DRIVER, PlaneChoice(BPF, PlaneReason.FILE)),
        (PlaneWish.AUTO, True, None, PlaneChoice(Plane.XDP, PlaneReason.SHARES)),
        (PlaneWish.AUTO, False, NO_DRIVER, PlaneChoice(BPF, PlaneReason.FILE)),
    ],
)
def test_one_service_that_wants_xdp_has_all_of_its_interface_there_if_the_driver_takes_it(
    wish: PlaneWish, in_driver: bool, lacks: str | None, choice: PlaneChoice
) -> None:
    at_tcx = PlaneChoice(BPF, PlaneReason.FILE)
    assert at_its_hook(at_tcx, wish, in_driver=in_driver, lacks=lacks) == choice


@pytest.mark.parametrize("reason", [PlaneReason.NOT_DIRECT, PlaneReason.FILE, PlaneReason.STAYS, PlaneReason.UNABLE])
@pytest.mark.parametrize("wish", list(PlaneWish))
@pytest.mark.parametrize("in_driver", [True, False])
def test_what_is_on_nftables_has_no_hook_of_the_program(reason: PlaneReason, wish: PlaneWish, in_driver: bool) -> None:
    choice = PlaneChoice(NFTABLES, reason, "why")
    assert at_its_hook(choice, wish, in_driver=in_driver, lacks=NO_DRIVER) == choice


@pytest.mark.parametrize("forward", [Forward.NAT, Forward.FULLNAT])
@pytest.mark.parametrize("wish", list(PlaneWish))
@pytest.mark.parametrize("held", [None, *Plane])
def test_what_is_translated_is_on_nftables_whatever_the_site_wants(
    forward: Forward, wish: PlaneWish, held: Plane | None
) -> None:
    choice = choose(replace(trio(forward), plane=wish), held=held, lacks=None)
    assert choice == PlaneChoice(NFTABLES, PlaneReason.NOT_DIRECT)


@pytest.mark.req("D-05")
@pytest.mark.parametrize("wish", list(PlaneWish))
@pytest.mark.parametrize("held", [None, *Plane])
def test_what_is_behind_a_tunnel_is_on_bpf_or_nowhere(wish: PlaneWish, held: Plane | None) -> None:
    wanted = replace(service(server(1, Forward.DIRECT), far(2)), plane=wish)
    assert choose(wanted, held=held, lacks=None) == PlaneChoice(BPF, PlaneReason.TUNNEL)
    assert choose(wanted, held=held, lacks=LACKS) == PlaneChoice(Plane.NONE, PlaneReason.UNABLE, LACKS)


def test_xdp_is_not_had_where_frames_leave_by_another_interface() -> None:
    way = far(1).way
    assert way is not None
    by_eth0, by_eth1 = (replace(far(1), way=replace(way, interface=name)) for name in ("eth0", "eth1"))
    here = (service(by_eth0, far(2, resolved=False)), trio(Forward.DIRECT))
    assert {each.interface for each in here} == {"eth0"}
    assert leaving_elsewhere(here) == {}
    assert leaving_elsewhere((*here, service(by_eth1))) == {"eth0": "f1, behind a tunnel, is reached by eth1"}
