"""Where the kernel has the flows of copied services: connection tracking, the tables of the balancer's program, the
maps of nftables' rules. Each is opened when there is a service for it.

Of a service with direct return it is not asked which plane has it: the program's tables are looked at first, and what
is not there is for the rules'. So a copy finds its place while a service moves from one to the other.
"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.flow import CopiedService, Flow
from yaoki.lb.service import ServiceKey
from yaoki.linux.bpf.flow_copies import BpfFlows
from yaoki.linux.flow_table import FlowNews, FlowReader, FlowWriter, filled
from yaoki.linux.nftables_flows import NftablesFlows
from yaoki.linux.nftables_pins import PinWriter
from yaoki.linux.strangers import StrangerRules

Places = frozenset[tuple[IPAddress, int]]


class FlowStores:
    """In the network namespace of this process. `listen` has a function called while a descriptor is readable, until
    `ignore`; `heard` is told of new flows, and whether some were lost."""

    def __init__(
        self,
        listen: Callable[[int, Callable[[], None]], None],
        ignore: Callable[[int], None],
        heard: Callable[[list[Flow], bool], None],
    ) -> None:
        self._translated = _Translated(listen, ignore, heard)
        self._direct: dict[ServiceKey, None] = {}
        self._bpf = BpfFlows(lambda at: listen(at, lambda: heard(self._bpf.hear(), False)), ignore)
        self._nftables = NftablesFlows(lambda at: listen(at, lambda: heard(*self._nftables.hear())), ignore)
        self._unread: list[Callable[[], tuple[list[Flow], bool]]] = []

    def watch(self, services: Sequence[ServiceKey], servers: Places, direct: Sequence[CopiedService]) -> None:
        """Tell of flows of these services, and of no others: under address translation, with their TCP servers, and
        with direct return."""
        self._translated.watch(services, servers)
        self._direct = {service.key: None for service in direct}
        # The program that cannot be looked at now is looked at again a second later.
        with suppress(ActuatorError):
            self._bpf.watch(direct)
        with suppress(ActuatorError):
            self._nftables.watch(direct)

    def look(self) -> float:
        """Whether somebody else has changed something, to be called once a second; the share of connection tracking's
        table that is in use, 0..1, where that matters."""
        for store in (self._bpf, self._nftables):
            with suppress(ActuatorError):
                store.look()
        return self._translated.filled()

    def openings(self, addresses: Collection[IPAddress], most: int) -> list[Flow]:
        """Flows to these VIPs that are opening and that nobody was told of, as all but the program's are at once: some,
        if there are more than `most`."""
        with suppress(ActuatorError):
            return list(islice(self._bpf.openings(addresses), most))
        return []

    def begin(self) -> None:
        """Read everything, from the beginning."""
        self._unread = [self._translated.read] if self._translated.begin() else []
        for store in (self._bpf, self._nftables) if self._direct else ():
            with suppress(ActuatorError):
                store.begin()
                self._unread.append(store.read)

    def read(self) -> tuple[list[Flow], bool]:
        """The next part, and whether that was the last."""
        flows, last = list[Flow](), True
        if self._unread:
            with suppress(ActuatorError):
                flows, last = self._unread[0]()
        if last and self._unread:
            del self._unread[0]
        return flows, not self._unread

    def put(self, flows: Sequence[Flow], *, owned: bool) -> int:
        """Put copies there; how many were refused. `owned`: only those of which there is nothing."""
        direct = [flow for flow in flows if flow.service in self._direct]
        translated = [flow for flow in flows if flow.service not in self._direct]
        refused = self._translated.put(translated, owned=owned) if translated else 0
        if direct:
            left, full = direct, 0
            with suppress(ActuatorError):
                left, full = self._bpf.put(direct, owned=owned)
            try:
                refused += full + (self._nftables.put(left, owned=owned) if left else 0)
            except ActuatorError:
                refused += len(left)
        return refused

    def remember(self, key: ServiceKey, server: IPAddress, port: int, sources: Sequence[bytes], seconds: int) -> None:
        """Keep sources, masked, with a server of a service for so long. What the kernel refuses costs a client its
        server at a move, and is tried again with the next refresh."""
        with suppress(ActuatorError):
            if key not in self._direct:
                self._translated.remember(key, server, port, sources, seconds)
            elif not self._bpf.remember(key, server, port, sources):
                self._nftables.remember(key, server, port, sources, seconds)

    def close(self) -> None:
        """What was put there stays."""
        self._translated.close()
        self._bpf.close()
        self._nftables.close()


class _Translated:
    """Connection tracking, which is not woken before there is a service for it."""

    def __init__(
        self,
        listen: Callable[[int, Callable[[], None]], None],
        ignore: Callable[[int], None],
        heard: Callable[[list[Flow], bool], None],
    ) -> None:
        self._listen, self._ignore, self._heard = listen, ignore, heard
        self._services: dict[ServiceKey, None] = {}
        self._tools: tuple[FlowWriter, FlowNews, FlowReader, PinWriter] | None = None
        self._strangers = StrangerRules()

    def watch(self, services: Sequence[ServiceKey], servers: Places) -> None:
        self._services = dict.fromkeys(services)
        if services and self._tools is None:
            writer = FlowWriter()
            news = FlowNews((writer.id,))
            self._tools = writer, news, FlowReader(), PinWriter()
            self._listen(news.fileno(), lambda: self._heard(*news.read(self._services)))
        # Without it a connection of the last milliseconds may be cut when its VIP moves; nothing else is lost.
        with suppress(ActuatorError):
            self._strangers.apply(services, servers)

    def filled(self) -> float:
        return filled() if self._services else 0.0

    def begin(self) -> bool:
        """Whether there is something to read."""
        if self._tools is None or not self._services:
            return False
        families = {key.family for key in self._services}
        self._tools[2].begin(family for family in Family if family in families)
        return True

    def read(self) -> tuple[list[Flow], bool]:
        return ([], True) if self._tools is None else self._tools[2].read(self._services)

    def put(self, flows: Sequence[Flow], *, owned: bool) -> int:
        try:
            return len(flows) if self._tools is None else self._tools[0].put(flows, owned=owned)
        except ActuatorError:
            return len(flows)

    def remember(self, key: ServiceKey, server: IPAddress, port: int, sources: Sequence[bytes], seconds: int) -> None:
        if self._tools is not None:
            self._tools[3].put(key, server, port, sources, seconds)

    def close(self) -> None:
        if self._tools is not None:
            self._ignore(self._tools[1].fileno())
            for each in self._tools:
                each.close()
            self._tools = None
