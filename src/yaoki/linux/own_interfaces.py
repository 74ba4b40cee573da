"""The interfaces of this machine or namespace with all their addresses, asked once."""

from dataclasses import dataclass

from yaoki.core.address import IPAddress, IPInterface, MacAddress
from yaoki.linux import rtnetlink
from yaoki.linux.rtnetlink import Address, Link, Rtnetlink


@dataclass(frozen=True, slots=True)
class OwnInterface:
    """An interface; `vips` are the addresses on it that bear Yaoki's mark, `addresses` the others."""

    name: str
    up: bool
    mac: MacAddress | None
    addresses: tuple[IPInterface, ...]
    vips: tuple[IPInterface, ...]


def own_interfaces() -> tuple[OwnInterface, ...]:
    """Every interface, in the kernel's order. Raises ActuatorError."""
    requests = Rtnetlink()
    try:
        links = [notice for notice in requests.dump(rtnetlink.RTM_GETLINK) if isinstance(notice, Link)]
        held = [notice for notice in requests.dump(rtnetlink.RTM_GETADDR) if isinstance(notice, Address)]
    finally:
        requests.close()
    return tuple(
        OwnInterface(
            link.name,
            link.up,
            link.mac,
            tuple(one.address for one in held if one.index == link.index and not one.ours),
            tuple(one.address for one in held if one.index == link.index and one.ours),
        )
        for link in links
    )


def own_addresses() -> frozenset[IPAddress]:
    """All addresses of this machine. Raises ActuatorError."""
    return frozenset(
        address.ip for interface in own_interfaces() for address in (*interface.addresses, *interface.vips)
    )
