"""Every interface of this machine or namespace: whether it is up, what it may send from, which VIPs of ours it holds.

Invariant: `read` answers with an interface when, and only when, its state differs from the one answered before, and
then with its state after every notification there was and every change noted here: never with one in between.
"""

import errno
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address

from yaoki.core.address import IPInterface, MacAddress
from yaoki.linux import rtnetlink
from yaoki.linux.attributes import messages
from yaoki.linux.rtnetlink import Address, Link, Notice, Rtnetlink

_BUFFER = 65536
_UNUSABLE = rtnetlink.IFA_F_TENTATIVE | rtnetlink.IFA_F_DADFAILED
# Real machines have tens; a notification storm must not hold the speaker up for long.
MAX_NOTIFICATIONS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class InterfaceState:
    """An interface. `ipv4` is the first address that is not a VIP, `ipv6_link_local` one that may be sent from, `ipv6`
    the others of its own that may. `ours` are its VIPs, those at virtual MACs among them; those that have `lowered`
    interfaces cannot be reached."""

    name: str
    index: int
    up: bool
    mac: MacAddress | None = None
    ipv4: IPv4Address | None = None
    ipv6_link_local: IPv6Address | None = None
    ours: tuple[IPInterface, ...] = ()
    carrier_changes: int = 0
    ipv6: tuple[IPv6Address, ...] = ()
    lowered: tuple[int, ...] = ()


@dataclass(slots=True)
class _Interface:
    link: Link | None = None
    addresses: dict[IPInterface, Address] = field(default_factory=dict)

    @property
    def bears_vips(self) -> bool:
        return self.link is not None and self.link.bears_vips

    @property
    def ours(self) -> list[IPInterface]:
        """What bears our mark; on an interface that we made, everything."""
        return [held.address for held in self.addresses.values() if held.ours or self.bears_vips]


class InterfaceWatch:
    """Lists the interfaces once, then follows the kernel's notifications."""

    def __init__(self) -> None:
        # The notifications are asked for before the lists, so that no change falls in between.
        self._socket = rtnetlink.monitor()
        self._known: dict[int, _Interface] = {}
        self._told: dict[str, InterfaceState] = {}
        self._list()

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[InterfaceState]:
        """Interfaces that have changed since the last call; on the first all of them. Does not block."""
        self._drain()
        return self._news()

    def again(self) -> list[InterfaceState]:
        """As `read`, but lists everything anew, and answers with every interface."""
        self._drain()
        self._list()
        self._told.clear()
        return self._news()

    def catch_up(self) -> None:
        """Take note of what has changed, to be answered by `read`."""
        self._drain()

    def state(self, name: str) -> InterfaceState | None:
        """The interface of this name as answered last."""
        return self._told.get(name)

    def states(self) -> tuple[InterfaceState, ...]:
        """Every interface as answered last."""
        return tuple(self._told.values())

    def bearer(self, name: str, address: IPInterface, *, but: int = 0) -> int | None:
        """The interface that holds a VIP of the interface `name`: itself, or that of a virtual MAC of it; None if none
        does. Not the one `but`."""
        state = self.state(name)
        for index, interface in self._known.items():
            link = interface.link
            if state is None or link is None or index == but or address not in interface.ours:
                continue
            if index == state.index or (link.bears_vips and link.parent == state.index):
                return index
        return None

    def bears_none(self, index: int) -> bool:
        """Whether an interface is a virtual MAC's, and holds no VIP."""
        interface = self._known.get(index)
        return interface is not None and interface.bears_vips and not interface.ours

    def note_claimed(self, index: int, address: IPInterface) -> None:
        """We have just put an address there. The kernel's word may come late: of IPv6 it tells after other work."""
        self._take(Address(index, address, 0, ours=True))

    def note_released(self, index: int, address: IPInterface) -> None:
        """We have just taken an address away."""
        self._take(Address(index, address, 0, ours=True, gone=True))

    def _news(self) -> list[InterfaceState]:
        bearers: dict[int, list[_Interface]] = {}
        for interface in self._known.values():
            if interface.link is not None and interface.link.bears_vips:
                bearers.setdefault(interface.link.parent, []).append(interface)
        found = (
            _state(interface, bearers.get(index, ()))
            for index, interface in self._known.items()
            if not interface.bears_vips
        )
        states = {state.name: state for state in found if state is not None}
        news = [state for state in states.values() if self._told.get(state.name) != state]
        news += [InterfaceState(old.name, old.index, False) for name, old in self._told.items() if name not in states]
        self._told = states
        return news

    def _drain(self) -> None:
        for _ in range(MAX_NOTIFICATIONS_AT_ONCE):
            try:
                datagram = self._socket.recv(_BUFFER)
            except BlockingIOError:
                return
            except OSError as error:
                # Notifications were lost; what they said is in the lists.
                if error.errno != errno.ENOBUFS:
                    raise
                self._list()
                continue
            for kind, _, body in messages(datagram):
                notice = rtnetlink.parse(kind, body)
                if notice is not None:
                    self._take(notice)

    def _list(self) -> None:
        self._known.clear()
        requests = Rtnetlink()
        try:
            for kind in (rtnetlink.RTM_GETLINK, rtnetlink.RTM_GETADDR):
                for notice in requests.dump(kind):
                    self._take(notice)
        finally:
            requests.close()

    def _take(self, notice: Notice) -> None:
        if isinstance(notice, Link) and notice.gone:
            self._known.pop(notice.index, None)
            return
        interface = self._known.setdefault(notice.index, _Interface())
        if isinstance(notice, Link):
            interface.link = notice
        elif notice.gone:
            interface.addresses.pop(notice.address, None)
        else:
            interface.addresses[notice.address] = notice


def _state(interface: _Interface, bearers: Iterable[_Interface]) -> InterfaceState | None:
    """`bearers` are the interfaces of its virtual MACs."""
    link = interface.link
    if link is None:
        return None
    foreign = [held for held in interface.addresses.values() if not held.ours]
    ipv4 = [held for held in foreign if isinstance(held.address.ip, IPv4Address)]
    primary = [held for held in ipv4 if not held.flags & rtnetlink.IFA_F_SECONDARY] or ipv4
    ipv6 = [
        held.address.ip for held in foreign if isinstance(held.address.ip, IPv6Address) and not held.flags & _UNUSABLE
    ]
    link_local = [address for address in ipv6 if address.is_link_local]
    first = primary[0].address.ip if primary else None
    return InterfaceState(
        link.name,
        link.index,
        link.up,
        link.mac,
        first if isinstance(first, IPv4Address) else None,
        link_local[0] if link_local else None,
        tuple(sorted({each for bearer in (interface, *bearers) for each in bearer.ours}, key=str)),
        link.carrier_changes,
        tuple(sorted(address for address in ipv6 if not address.is_link_local)),
        tuple(each.link.index for each in bearers if each.link is not None and each.ours and not each.link.up),
    )
