"""Parameters of a virtual router: what is refused on construction."""

from datetime import timedelta
from ipaddress import IPv4Interface, IPv6Interface

import pytest

from yaoki.core.address import Family, IPInterface
from yaoki.vrrp.params import RouterKey, RouterParams

VIP, VIP_6 = IPv4Interface("192.0.2.50/24"), IPv6Interface("2001:db8:1::50/64")


def made(
    *,
    vrid: int = 51,
    priority: int = 100,
    interval: timedelta = timedelta(seconds=1),
    version: int = 3,
    addresses: tuple[IPInterface, ...] = (VIP,),
    family: Family = Family.IPV4,
) -> RouterParams:
    key = RouterKey("eth0", family, vrid)
    return RouterParams("web-vip", key, priority, interval, addresses, version=version)


@pytest.mark.rfc("9568", "5.2.3")
@pytest.mark.parametrize("vrid", [1, 255])
def test_vrid_is_1_to_255(vrid: int) -> None:
    assert made(vrid=vrid).key.vrid == vrid
    with pytest.raises(ValueError, match="VRID"):
        made(vrid=256 if vrid == 255 else 0)


@pytest.mark.rfc("9568", "5.2.4")
@pytest.mark.parametrize("priority", [0, 256])
def test_configured_priority_is_1_to_255(priority: int) -> None:
    with pytest.raises(ValueError, match="priority"):
        made(priority=priority)


@pytest.mark.rfc("9568", "5.2.7")
@pytest.mark.parametrize(
    ("version", "milliseconds", "fits"),
    [
        (3, 10, True), (3, 40_950, True), (3, 9, False), (3, 15, False), (3, 40_960, False), (3, 0, False),
        (2, 1000, True), (2, 255_000, True), (2, 500, False), (2, 1500, False), (2, 256_000, False),
    ],
)  # fmt: skip
def test_interval_fits_the_version(version: int, milliseconds: int, fits: bool) -> None:
    interval = timedelta(milliseconds=milliseconds)
    if fits:
        assert made(version=version, interval=interval).interval == interval
    else:
        with pytest.raises(ValueError, match="interval"):
            made(version=version, interval=interval)


def test_other_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="version 4"):
        made(version=4)
    with pytest.raises(ValueError, match="IPv6"):
        made(version=2, family=Family.IPV6, addresses=(VIP_6,))
    with pytest.raises(ValueError, match="at least one"):
        made(addresses=())
    with pytest.raises(ValueError, match="of its family"):
        made(addresses=(VIP, VIP_6))
