"""VIPs on interfaces: put there, taken away, and found again by the mark they bear.

Invariant: an address that does not bear our mark is never taken away, whoever put it there. Kernels before 5.18 keep
no mark: there only what this process itself has put somewhere is taken away.
"""

import errno
from collections.abc import Iterable
from datetime import timedelta

from yaoki.core.address import IPAddress, IPInterface
from yaoki.core.error import ActuatorError
from yaoki.linux import rtnetlink
from yaoki.linux.rtnetlink import Address, Link, Rtnetlink

_GONE_ALREADY = (errno.EADDRNOTAVAIL, errno.ENODEV)


class VipAddresses:
    """Adds and deletes by messages made once for each address."""

    def __init__(self) -> None:
        self._requests = Rtnetlink()
        self._messages: dict[tuple[int, IPInterface], tuple[bytes, bytes]] = {}
        self._sharing: dict[tuple[int, IPInterface], bool] = {}
        self._put: set[tuple[int, IPInterface]] = set()
        self._apart: set[int] = set()

    def close(self) -> None:
        self._requests.close()

    def claim(self, index: int, address: IPInterface) -> bool:
        """Put an address on an interface; whether it was not there before. Raises ActuatorError."""
        if not self._sharing.get((index, address), True):
            # The interface may have been given an address of the prefix since.
            del self._sharing[index, address]
            self._messages.pop((index, address), None)
        add, _ = self._prepared(index, address)
        try:
            self._requests.request(add, f"add {address}")
        except ActuatorError as error:
            if error.errno != errno.EEXIST:
                raise
            return False
        self._put.add((index, address))
        return True

    def release(self, index: int, address: IPInterface, *, marked: bool) -> bool:
        """Take an address off an interface, if it is `marked` or was put there by us; whether it was there."""
        if not marked and (index, address) not in self._put:
            return False
        _, delete = self._prepared(index, address)
        self._put.discard((index, address))
        try:
            self._requests.request(delete, f"delete {address}")
        except ActuatorError as error:
            if error.errno not in _GONE_ALREADY:
                raise
            return False
        return True

    def limit(self, index: int, address: IPInterface, lifetime: timedelta | None, *, marked: bool) -> None:
        """Let an address that is `marked` or was put there by us last for so long, None for ever. Raises
        ActuatorError."""
        if not marked and (index, address) not in self._put:
            return
        seconds = None if lifetime is None else -(-lifetime // timedelta(seconds=1))
        shares = self._shares_prefix(index, address)
        request = rtnetlink.limit_address(index, address, seconds, shares_prefix=shares)
        self._requests.request(request, f"limit {address}")

    def taken(self, index: int, address: IPAddress) -> bool:
        """Whether the kernel takes packets for an address by now."""
        return self._requests.takes(index, address)

    def put(self, index: int, address: IPInterface) -> bool:
        """Whether this process has put the address there."""
        return (index, address) in self._put

    def set_apart(self, index: int) -> None:
        """An interface is there for VIPs alone, beside the one that has the network: no route is to lead to it, but
        the link-local one, which each interface has."""
        if index not in self._apart:
            self.forget(index)
            self._apart.add(index)

    def forget(self, index: int) -> None:
        """The interface is gone: its number may be given to another."""
        self._apart.discard(index)
        self._messages = {key: value for key, value in self._messages.items() if key[0] != index}
        self._sharing = {key: value for key, value in self._sharing.items() if key[0] != index}
        self._put = {key for key in self._put if key[0] != index}

    def _prepared(self, index: int, address: IPInterface) -> tuple[bytes, bytes]:
        ready = self._messages.get((index, address))
        if ready is None:
            add = rtnetlink.add_address(index, address, shares_prefix=self._shares_prefix(index, address))
            ready = (add, rtnetlink.delete_address(index, address))
            self._messages[index, address] = ready
        return ready

    def _shares_prefix(self, index: int, address: IPInterface) -> bool:
        """Whether an IPv6 address lies in a prefix that an address of the interface's own has brought already. Asked of
        the kernel until it is so, at most once for each time that the address is put there."""
        if index in self._apart:
            return not address.is_link_local
        if address.version == 4:
            return False  # the kernel keeps routes of IPv4 and lifetimes of addresses apart
        known = self._sharing.get((index, address))
        if known is None:
            others = (found for found in self._requests.dump(rtnetlink.RTM_GETADDR) if isinstance(found, Address))
            known = any(
                found.index == index and found.address.network == address.network and not self._is_vip(found, address)
                for found in list(others)
            )
            self._sharing[index, address] = known
        return known

    def _is_vip(self, found: Address, address: IPInterface) -> bool:
        return found.ours or found.address == address or (found.index, found.address) in self._put


def release_marked(interfaces: Iterable[str]) -> list[tuple[str, IPInterface]]:
    """Take every address that bears our mark off these interfaces and off what virtual MACs they have; which they were,
    each with the name of such an interface. Raises ActuatorError."""
    wanted = set(interfaces)
    requests = Rtnetlink()
    try:
        links = {link.index: link for link in requests.dump(rtnetlink.RTM_GETLINK) if isinstance(link, Link)}
        bearing = {index: links.get(link.parent) if link.bears_vips else link for index, link in links.items()}
        names = {index: link.name for index, link in bearing.items() if link is not None}
        marked = [
            (found.index, found.address)
            for found in requests.dump(rtnetlink.RTM_GETADDR)
            if isinstance(found, Address) and found.ours and names.get(found.index) in wanted
        ]
        for index, address in marked:
            try:
                requests.request(rtnetlink.delete_address(index, address), f"delete {address}")
            except ActuatorError as error:
                if error.errno not in _GONE_ALREADY:
                    raise
    finally:
        requests.close()
    return [(names[index], address) for index, address in marked]
