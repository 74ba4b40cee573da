"""The driver's side of the wire observer: a claim socket on each interface of a VIP, and the interfaces' own state.

Limits: of one interface at most FRAMES_PER_WINDOW frames are looked at in WINDOW_S, whatever arrives; the rest waits in
a small buffer or is dropped by the kernel, which costs no time here, and told with its number.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.linux.claim_socket import ClaimSocket
from yaoki.linux.interface_watch import InterfaceState, InterfaceWatch
from yaoki.node.wire_messages import (
    AskWire,
    ClaimsSeen,
    FramesDropped,
    WatchWire,
    WireInput,
    WireInterface,
    WireOrder,
)
from yaoki.vrrp.wire_events import WireUnwatched

WINDOW_S = 0.2
FRAMES_PER_WINDOW = 100
FRAMES_AT_ONCE = 25
"""Read in one go, so that other work of the process comes in between."""
OPEN_AGAIN_S = 10.0


@dataclass(slots=True)
class _Open:
    """A socket, and the frames read from it in the window that began at `window_at`."""

    sock: ClaimSocket
    window_at: float = 0.0
    frames: int = 0
    paused: asyncio.TimerHandle | None = None


class Wire:
    """Runs on the running event loop. `give` takes the Brain's inputs, `tell` the events of this process."""

    def __init__(self, give: Callable[[WireInput], None], tell: Callable[[EventBody], None]) -> None:
        self._give = give
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._wanted: dict[str, tuple[IPAddress, ...]] = {}
        self._open: dict[str, _Open] = {}
        self._states: dict[str, InterfaceState] = {}
        self._again: asyncio.TimerHandle | None = None
        self._interfaces = InterfaceWatch()
        self._loop.add_reader(self._interfaces.fileno(), self._changed)
        self._changed()

    def close(self) -> None:
        """Stop watching."""
        if self._again is not None:
            self._again.cancel()
        self._loop.remove_reader(self._interfaces.fileno())
        self._interfaces.close()
        for interface in list(self._open):
            self._close(interface)

    def perform(self, order: WireOrder) -> None:
        """See yaoki.runtime.kernel.WireWatch."""
        match order:
            case WatchWire(places):
                self._wanted = dict(places)
                for interface in [interface for interface in self._open if interface not in self._wanted]:
                    self._close(interface)
                for interface in self._wanted:
                    self._attend(interface)
            case AskWire(interface, address):
                self._ask(interface, address)

    def _ask(self, interface: str, address: IPAddress) -> None:
        state, opened = self._states.get(interface), self._open.get(interface)
        if state is None or opened is None or state.mac is None:
            return
        source = state.ipv4 if address.version == 4 else state.ipv6_link_local
        if source is not None:
            opened.sock.ask(state.mac, source, address)

    def _changed(self) -> None:
        for state in self._interfaces.read():
            self._states[state.name] = state
            opened = self._open.get(state.name)
            if opened is not None and opened.sock.index != state.index:
                # The name has gone to another interface.
                self._close(state.name)
            if state.name in self._wanted:
                self._attend(state.name)

    def _attend(self, interface: str) -> None:
        """Have the socket as it is wanted, and tell how the interface is."""
        state = self._states.get(interface)
        if state is None:
            return
        opened = self._open.get(interface)
        try:
            if opened is not None:
                opened.sock.watch(self._wanted[interface])
            else:
                self._open[interface] = opened = _Open(ClaimSocket(interface, state.index, self._wanted[interface]))
                self._loop.add_reader(opened.sock.fileno(), self._read, interface)
        except ActuatorError as error:
            self._tell(WireUnwatched(interface, error.why))
            if self._again is None:
                self._again = self._loop.call_later(OPEN_AGAIN_S, self._open_again)
            state = InterfaceState(state.name, state.index, False)
        self._give(WireInterface(interface, state.up, state.mac, state.ipv4, state.ipv6_link_local))

    def _open_again(self) -> None:
        self._again = None
        for interface in self._wanted:
            if interface not in self._open:
                self._attend(interface)

    def _close(self, interface: str) -> None:
        opened = self._open.pop(interface)
        if opened.paused is not None:
            opened.paused.cancel()
        self._loop.remove_reader(opened.sock.fileno())
        opened.sock.close()

    def _read(self, interface: str) -> None:
        opened, now = self._open[interface], self._loop.time()
        if now - opened.window_at >= WINDOW_S:
            opened.window_at, opened.frames = now, 0
        count, claims = opened.sock.read(FRAMES_AT_ONCE)
        opened.frames += count
        if claims:
            self._give(ClaimsSeen(interface, claims))
        if opened.frames >= FRAMES_PER_WINDOW:
            self._loop.remove_reader(opened.sock.fileno())
            left = opened.window_at + WINDOW_S - self._loop.time()
            opened.paused = self._loop.call_later(max(0.0, left), self._resume, interface)
        elif count == FRAMES_AT_ONCE:
            self._count_dropped(interface, opened)

    def _resume(self, interface: str) -> None:
        opened = self._open[interface]
        opened.paused = None
        self._count_dropped(interface, opened)
        self._loop.add_reader(opened.sock.fileno(), self._read, interface)

    def _count_dropped(self, interface: str, opened: _Open) -> None:
        dropped = opened.sock.dropped()
        if dropped:
            self._give(FramesDropped(interface, dropped))
