"""The flow copier: one process that tells a node's peers of its flows, and puts theirs into the kernel.

    python -m yaoki.runtime.flow_copier --node N --run-dir D

It listens on D/flows.sock for the node process, and goes on without it for as long as this node owns a VIP whose flows
are copied; after that, alone, it ends in ALONE_LIMIT. SIGTERM ends it after LAST_WORDS: the kernel keeps what it has.
"""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from yaoki.core.address import IPAddress
from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import ActuatorError
from yaoki.core.event import Emit, EventBody, EventNumbering
from yaoki.lb.flow import Flow
from yaoki.lb.flow_datagram import PORT, DatagramFlaw
from yaoki.lb.flow_events import FlowKeyUnavailable
from yaoki.lb.flow_signature import FLOW_SIGNATURE
from yaoki.lb.service import ServiceKey
from yaoki.linux.flow_stores import FlowStores
from yaoki.linux.flow_table import established_s
from yaoki.linux.heartbeat_socket import HeartbeatSocket
from yaoki.linux.interface_watch import InterfaceState, InterfaceWatch
from yaoki.node.flow_copier import OPENINGS_TOLD, FlowCopier
from yaoki.node.flow_messages import (
    AddressesHeld,
    ConfigureFlows,
    CopierEffect,
    CopierInput,
    CopierOrder,
    DatagramArrived,
    EventsOverrun,
    FlowsPut,
    FlowsSeen,
    FlowStatus,
    KeepPaths,
    PutFlows,
    ReadTable,
    RememberSources,
    RepeatFlowStatus,
    SendDatagram,
    TableFilled,
    TableRead,
    WatchFlows,
)
from yaoki.node.messages import Published
from yaoki.node.speaker_events import OrderUnreadable
from yaoki.runtime.driver import Driver, monotonic_now
from yaoki.runtime.part_process import AsyncioPoller, Reports, run_part
from yaoki.runtime.peer_authentication import PeerAuthentication
from yaoki.runtime.polled_link import PolledLinkServer
from yaoki.vrrp.peer_params import PeerPath

SOCKET_NAME = "flows.sock"
LOCK_NAME = "flows.lock"
ALONE_LIMIT = timedelta(seconds=60)
LAST_WORDS = timedelta(milliseconds=200)
"""So long a copier that ends still tells of flows: some clients learn a moment late that a VIP has moved, and what they
open here meanwhile the next owner must know."""
STRAGGLERS_S = 0.05
"""After a VIP has gone, when flows that opened here meanwhile are looked for once more."""
LOOK_EVERY_S = 1.0
"""How often the kernel is asked how full its table is."""
NICENESS = -15
"""Before what else the machine does, and behind the speaker, whose priority is a real-time one."""


class FlowCopierProcess:
    """The process, from its first to its last turn."""

    def __init__(self, node: str, run_dir: Path) -> None:
        # The process id keeps event ids of different lives apart.
        source = f"{node}/flows.{os.getpid()}"
        machine = FlowCopier(source, secrets.randbits(64), established_s())
        self._own_events = EventNumbering(f"{source}.process")
        self._driver: Driver[CopierInput, CopierEffect] = Driver(machine, self._perform)
        self._codec = Codec()
        self._link = PolledLinkServer(
            run_dir / SOCKET_NAME,
            AsyncioPoller(),
            on_message=self._told,
            on_up=self._reached,
            on_down=lambda _: self._left(),
        )
        self._stores = FlowStores(self._listen, self._ignore, self._heard)
        self._authentication = PeerAuthentication(
            FLOW_SIGNATURE, lambda peer, why: self._tell(FlowKeyUnavailable(peer, why))
        )
        self._interfaces = InterfaceWatch()
        self._sockets: dict[PeerPath, HeartbeatSocket] = {}
        self._paths: frozenset[PeerPath] = frozenset()
        self._services: dict[ServiceKey, None] = {}
        self._held: frozenset[IPAddress] = frozenset()
        self._reports = Reports(self._link, self._codec)
        self._alone_since: float | None = None
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Work until told to end or left alone."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._over.set)
        self._link.listen()
        self._left()
        self._look_at_interfaces()
        loop.add_reader(self._interfaces.fileno(), self._look_at_interfaces)
        looking = loop.create_task(self._look())
        await self._over.wait()
        await asyncio.sleep(LAST_WORDS.total_seconds())
        looking.cancel()
        self._driver.close()
        self._link.close()
        for path in list(self._sockets):
            self._close(path)
        loop.remove_reader(self._interfaces.fileno())
        self._interfaces.close()
        self._stores.close()

    # --- the machine's effects ----------------------------------------------------------------------------------------

    def _perform(self, effect: CopierEffect) -> None:
        match effect:
            case SendDatagram():
                self._send(effect)
            case PutFlows(flows, owned):
                refused = self._stores.put(flows, owned=owned)
                self._driver.give(FlowsPut(len(flows) - refused, refused))
            case RememberSources(service, server, port, sources, seconds):
                self._stores.remember(service, server, port, sources, seconds)
            case ReadTable():
                self._read(again=effect.again)
            case KeepPaths():
                self._paths = frozenset(effect.paths)
                for path in self._sockets.keys() - self._paths:
                    self._close(path)
                # A peer is heard before it is spoken to.
                for path in effect.paths:
                    self._socket(path)
            case WatchFlows(services, servers, direct):
                self._services = dict.fromkeys((*services, *(service.key for service in direct)))
                self._stores.watch(services, servers, direct)
            case FlowStatus() | Published():
                self._reports.send(effect)

    def _read(self, *, again: bool) -> None:
        if again:
            self._stores.begin()
        flows, last = self._stores.read()
        self._driver.give(TableRead(tuple(flows), last))

    # --- the kernel ---------------------------------------------------------------------------------------------------

    def _heard(self, flows: list[Flow], lost: bool) -> None:
        if flows:
            self._driver.give(FlowsSeen(tuple(flows)))
        if lost:
            self._driver.give(EventsOverrun())

    @staticmethod
    def _listen(descriptor: int, hear: Callable[[], None]) -> None:
        asyncio.get_running_loop().add_reader(descriptor, hear)

    @staticmethod
    def _ignore(descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)

    def _look_at_interfaces(self) -> None:
        changed = self._interfaces.read()
        for state in changed:
            self._reopen(state)
        held = frozenset(address.ip for state in self._interfaces.states() for address in state.ours)
        if changed and held != self._held:
            gone = {key.address for key in self._services} & (self._held - held)
            self._held = held
            self._driver.give(AddressesHeld(held))
            if gone:
                self._tell_openings(gone)
                asyncio.get_running_loop().call_later(STRAGGLERS_S, self._tell_openings, gone)

    def _tell_openings(self, gone: Collection[IPAddress]) -> None:
        """What is opening at VIPs that have gone from here goes on at their next owner. If these are more than may be
        told, as in a flood, none is told of: it is enough to see that."""
        if flows := self._stores.openings(gone, OPENINGS_TOLD + 1):
            self._driver.give(FlowsSeen(tuple(flows)))

    async def _look(self) -> None:
        while True:
            self._driver.give(TableFilled(self._stores.look()))
            self._look_whether_alone()
            await asyncio.sleep(LOOK_EVERY_S)

    # --- the peers ----------------------------------------------------------------------------------------------------

    def _send(self, effect: SendDatagram) -> None:
        path = effect.path
        sock = self._socket(path)
        if sock is None:
            return
        payload = self._authentication.sign((path.interface, path.own, path.peer), effect.payload)
        if payload is None:
            return
        try:
            sock.send(payload)
        except ActuatorError:
            # An interface that is being taken away; what is lost is told again with the next refresh.
            self._close(path)

    def _socket(self, path: PeerPath) -> HeartbeatSocket | None:
        sock = self._sockets.get(path)
        state = self._interfaces.state(path.interface)
        if sock is not None or state is None or not state.up or path not in self._paths:
            return sock
        try:
            sock = HeartbeatSocket(path.interface, state.index, path.own, path.peer, PORT, urgent=False)
        except ActuatorError:
            return None  # its address is not there yet
        self._sockets[path] = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), partial(self._hear, path, sock))
        return sock

    def _hear(self, path: PeerPath, sock: HeartbeatSocket) -> None:
        for datagram in sock.read():
            payload, found = self._authentication.judge(path.interface, datagram)
            flaw = None if found is None else DatagramFlaw(found.value)
            self._driver.give(DatagramArrived(path.interface, datagram.source, datagram.hop_limit, payload, flaw))

    def _reopen(self, state: InterfaceState) -> None:
        """Sockets of an earlier interface of this name are closed, those that could not be opened tried again."""
        for path in self._paths:
            sock = self._sockets.get(path)
            if path.interface == state.name and sock is not None and sock.index != state.index:
                self._close(path)
            if path.interface == state.name:
                self._socket(path)

    def _close(self, path: PeerPath) -> None:
        sock = self._sockets.pop(path, None)
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock.fileno())
            sock.close()

    # --- the node process ---------------------------------------------------------------------------------------------

    def _told(self, message: bytes) -> None:
        try:
            order: CopierOrder = self._codec.decode(message, CopierOrder)
        except Undecodable as error:
            self._tell(OrderUnreadable(str(error)))
            return
        if isinstance(order, ConfigureFlows):
            self._authentication.configure(order.peers)
        self._driver.give(order)

    def _tell(self, body: EventBody) -> None:
        self._reports.send(Published(self._own_events.event(monotonic_now(), Emit(body))))

    def _reached(self) -> None:
        self._alone_since = None
        self._reports.send_kept()
        self._driver.give(RepeatFlowStatus())

    def _left(self) -> None:
        self._alone_since = asyncio.get_running_loop().time()

    def _look_whether_alone(self) -> None:
        if self._alone_since is None or self._owns(self._services):
            return
        if asyncio.get_running_loop().time() - self._alone_since >= ALONE_LIMIT.total_seconds():
            self._over.set()

    def _owns(self, services: Iterable[ServiceKey]) -> bool:
        return any(key.address in self._held for key in services)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the process; its exit status."""
    return run_part("flow copier", LOCK_NAME, _run, arguments)


async def _run(node: str, run_dir: Path) -> None:
    # A connection that is not told yet when its VIP moves is cut; where this is not allowed, it is told a little later.
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
    await FlowCopierProcess(node, run_dir).run()


if __name__ == "__main__":
    sys.exit(main())
