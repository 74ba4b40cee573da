"""Makes, raises, lowers and removes the interfaces of virtual MAC addresses (macvlan.py), and sets their parameters.

* They answer for their own addresses only: a question for eth0's comes up here as well.
* IPv4: replies to the clients leave by eth0, so a strict check of the way back would refuse what comes in here.
* IPv6: no address of their own, no router advertisements taken; the VIPs are put there without duplicate detection.
* They forward if eth0 does, for a VIP may be the clients' gateway.

Invariant: nothing of eth0 is changed but that it takes frames for one MAC more while one of these is up.
"""

import errno
import socket
from collections.abc import Iterable
from contextlib import suppress

from yaoki.core.address import Family, MacAddress
from yaoki.core.error import ActuatorError
from yaoki.linux import macvlan, rtnetlink
from yaoki.linux.rtnetlink import Link, Rtnetlink
from yaoki.linux.sysctl import ROOT

_ONLY_ITS_OWN, _NOBODY = "1", "8"
"""Values of arp_ignore (ip-sysctl)."""
_LOOSE = "2"


class VirtualMacs:
    """Those of this network namespace."""

    def __init__(self) -> None:
        self._requests = Rtnetlink()
        self._known: dict[tuple[str, MacAddress], tuple[int, int]] = {}
        """By the name of the interface and the MAC: its index, and that of what was made on it."""
        self.raised: set[int] = set()
        """Those that are up, or may be."""

    def close(self) -> None:
        """Leave them as they are."""
        self._requests.close()

    def have(self, parent: str, index: int, family: Family, vrid: int, mac: MacAddress) -> int:
        """The interface of one virtual router on `parent`, made if it is not there, down. Raises ActuatorError."""
        name = macvlan.name_of(family, vrid, parent)
        on, known = self._known.get((parent, mac), (0, 0))
        if on == index and _name_of(known) == name:
            return known
        found = {link.name: link for link in self._links()}
        link = found.get(name)
        if link is None or (link.parent, link.mac) != (index, mac):
            self._make(found, parent, index, name, mac)
            link = next(link for link in self._links() if link.name == name)
            if link.parent != index:
                # Linux puts it on what `parent` is on, whose hooks are none of ours.
                self._tolerating(macvlan.delete(link.index), f"remove {name}")
                raise ActuatorError(f"make {name}", f"{parent} is a macvlan itself; write mac: own")
            alias = f"Yaoki: virtual router {vrid}, IPv{family.value}, of {parent}"
            self._requests.request(macvlan.describe(link.index, alias), f"describe {name}")
        else:
            # An earlier life may have left it up.
            self.raised.add(link.index)
        self._known[parent, mac] = index, link.index
        _set(name, family, parent)
        return link.index

    def known(self, parent: str, mac: MacAddress) -> int | None:
        """The interface of a MAC on `parent`, as `have` gave it last."""
        found = self._known.get((parent, mac))
        return None if found is None else found[1]

    def raise_(self, parent: str, index: int, family: Family) -> None:
        """Take one up: from now on frames for its MAC are taken. Raises ActuatorError."""
        name = _name_of(index)
        if name is not None:
            # What a person may have changed since.
            _set_as_parent(name, family, parent)
        self._requests.request(macvlan.set_up(index, up=True), f"take up {name or index}")
        self.raised.add(index)

    def lower(self, index: int) -> None:
        """Take one down; no error if it is gone. Raises ActuatorError."""
        self._tolerating(macvlan.set_up(index, up=False), f"take down {_name_of(index) or index}")
        self.raised.discard(index)

    def keep(self, wanted: Iterable[int]) -> None:
        """Remove all but these. Raises ActuatorError."""
        kept = set(wanted)
        for link in self._links():
            if link.bears_vips and link.index not in kept:
                self._tolerating(macvlan.delete(link.index), f"remove {link.name}")
        self._known = {place: found for place, found in self._known.items() if found[1] in kept}
        self.raised &= kept

    def _make(self, found: dict[str, Link], parent: str, index: int, name: str, mac: MacAddress) -> None:
        for link in found.values():
            if link.index == index and link.master:
                # Its MAC would be at the port of another device, or its routes in another table.
                raise ActuatorError(f"make {name}", f"{parent} is part of another interface; name that one instead")
        if name in found and found[name].bears_vips:
            # Of an interface that had this name before.
            self._tolerating(macvlan.delete(found[name].index), f"remove {name}")
        try:
            self._requests.request(macvlan.create(index, name, mac), f"make {name}")
        except ActuatorError as error:
            if error.errno == errno.EBUSY:
                raise ActuatorError(f"make {name}", f"{parent} carries something that excludes a macvlan") from error
            if error.errno == errno.EOPNOTSUPP:
                raise ActuatorError(f"make {name}", "this kernel has no macvlan; remove `mac: virtual`") from error
            raise

    def _links(self) -> list[Link]:
        return [link for link in self._requests.dump(rtnetlink.RTM_GETLINK) if isinstance(link, Link)]

    def _tolerating(self, request: bytes, change: str) -> None:
        try:
            self._requests.request(request, change)
        except ActuatorError as error:
            if error.errno != errno.ENODEV:
                raise


def remove_virtual_macs() -> None:
    """Remove them all, whoever made them. Raises ActuatorError."""
    macs = VirtualMacs()
    try:
        macs.keep(())
    finally:
        macs.close()


def _name_of(index: int) -> str | None:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return None


def _set(name: str, family: Family, parent: str) -> None:
    """All parameters, while it is down."""
    if family is Family.IPV4:
        _write(f"net/ipv6/conf/{name}/disable_ipv6", "1")
        _write(f"net/ipv4/conf/{name}/arp_ignore", _ONLY_ITS_OWN)
    else:
        _write(f"net/ipv4/conf/{name}/arp_ignore", _NOBODY)
        _write(f"net/ipv6/conf/{name}/addr_gen_mode", "1")
        _write(f"net/ipv6/conf/{name}/accept_ra", "0")
    _set_as_parent(name, family, parent)


def _set_as_parent(name: str, family: Family, parent: str) -> None:
    kind = f"net/ipv{family.value}/conf"
    _write(f"{kind}/{name}/forwarding", _read(f"{kind}/{parent}/forwarding"))
    if family is Family.IPV4:
        # The greater one of this and `all` is in force, and only 1 is strict.
        _write(f"{kind}/{name}/rp_filter", _LOOSE if _read(f"{kind}/all/rp_filter") != "0" else "0")


def _read(name: str) -> str:
    try:
        return (ROOT / name).read_text().strip()
    except OSError:
        return "0"


def _write(name: str, value: str) -> None:
    """A kernel without IPv6 has none of its parameters."""
    with suppress(FileNotFoundError):
        if _read(name) != value:
            try:
                (ROOT / name).write_text(value)
            except FileNotFoundError:
                raise
            except OSError as error:
                what = f"set {name} to {value}"
                raise ActuatorError(what, error.strerror or str(error), errno=error.errno) from error
