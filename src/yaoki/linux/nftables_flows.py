"""Flows of direct return in the maps of nftables' rules, as other nodes are told of them and tell of theirs.

The rules know a flow by its client's address and port, of IPv6 by a hash of them; and the server by its MAC. So what is
read of IPv6 is told by that hash, which another node with this plane can put into its own map, and no other can.

A new flow is told of as its first packet is logged, by a rule in the chain `news` that is put there here: where the
kernel cannot log, flows are told when the maps are read. An entry of TCP that has less than OPENING_S left is not told
of again: it may be a first packet only; but where flows idle out nearly as soon themselves, all are told of.

What is in the midst of a TCP connection and unknown here comes through `news` as well, and is held up first, once: a
connection that was told of as its first packet was logged may be ahead of its copy (yaoki.linux.strangers).

    chain news              holds up strangers to what is in these sets, then logs
    set copied4, copied6    services of TCP: address, port
    and what strangers.holding_chain makes

Limits: PART entries in one read; NEWS_PER_S first packets are logged in a second.
"""

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice

from yaoki.core.address import Family, IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.flow import MAX_SECONDS, CopiedService, DirectService, Flow, Stage, hash_of, hashed_client
from yaoki.lb.kernel_hash import flow_slot, source_slot
from yaoki.lb.schedulers import Pick
from yaoki.lb.service import USUAL_IDLE_TIMEOUT, Protocol, ServiceKey
from yaoki.linux.flow_log import GROUP, OCTETS, FlowLog
from yaoki.linux.nftables_direct import NEWS, OPENING_S
from yaoki.linux.nftables_elements import ElementWriter, TimedElement
from yaoki.linux.nftables_keys import flow_key, read_flow_key
from yaoki.linux.nftables_names import ADDRESS_TYPE, DIRECT, IP, service_name
from yaoki.linux.nftables_reader import NftablesReader, RawElement
from yaoki.linux.nftables_session import NftSession, open_session
from yaoki.linux.strangers import holding_chain

PART = 256
NEWS_PER_S = 5_000


class NftablesFlows:
    """In the network namespace of this process. `listen` and `ignore` say which descriptor is readable for `hear`."""

    def __init__(self, listen: Callable[[int], None], ignore: Callable[[int], None]) -> None:
        self._listen, self._ignore = listen, ignore
        self._services: dict[ServiceKey, tuple[CopiedService, DirectService]] = {}
        self._reader = NftablesReader()
        self._writer = ElementWriter()
        self._session: NftSession | None = None
        self._log: FlowLog | None = None
        self._written: frozenset[ServiceKey] | None = None
        self._dump: NftablesReader | None = None
        self._reading: Iterator[Flow | None] = iter(())

    def watch(self, services: Iterable[CopiedService]) -> None:
        """These services, and no others. Raises ActuatorError, as everything here."""
        self._services = {each.key: (each, each.direct) for each in services if each.direct is not None}
        self.look()

    def look(self) -> None:
        """Whether first packets are logged; to be called once a second."""
        wanted = frozenset(self._services)
        if not wanted and self._written == wanted:
            return
        if not self._reader.has_table(DIRECT):
            self._written = None if wanted else wanted
        elif self._written != wanted or not self._reader.has_rules(DIRECT, NEWS):
            self._write_news(wanted)

    def close(self) -> None:
        """What was put there stays."""
        if self._log is not None:
            self._ignore(self._log.fileno())
            self._log.close()
        self._end_reading()
        self._reader.close()
        self._writer.close()

    def _write_news(self, services: frozenset[ServiceKey]) -> None:
        # Somebody who has no use for it must not lack his flows' refresh: where this is refused, only that is left.
        with suppress(ActuatorError):
            if self._log is None and services:
                self._log = FlowLog()
                self._listen(self._log.fileno())
            self._session = self._session or open_session()
            self._session.run("\n".join(_news(services)) + "\n", purpose="log first packets")
            self._written = services

    # --- telling

    def hear(self) -> tuple[list[Flow], bool]:
        """Flows whose first packets were logged, and whether some were lost."""
        if self._log is None:
            return [], False
        packets, lost = self._log.read()
        found = []
        for packet in packets:
            known = self._services.get(packet.service)
            if known is not None and (place := _place(*known, packet.mac)) is not None:
                stage, seconds = Stage.ESTABLISHED, _idle_s(*known)
                if packet.service.protocol is Protocol.TCP:
                    stage, seconds = Stage.OPENING, min(OPENING_S, seconds)
                found.append(Flow(packet.service, packet.client, packet.client_port, *place, stage, seconds))
        return found, lost

    def begin(self) -> None:
        """Read the maps from the beginning."""
        self._end_reading()
        if self._services and self._reader.has_table(DIRECT):
            self._dump = NftablesReader()
            self._reading = self._entries(self._dump)

    def read(self) -> tuple[list[Flow], bool]:
        """The next part: flows that the other nodes have to be told of, and whether that was the last."""
        part = list(islice(self._reading, PART))
        if len(part) < PART:
            self._end_reading()
        return [flow for flow in part if flow is not None], len(part) < PART

    def _end_reading(self) -> None:
        if self._dump is not None:
            self._dump.close()
        self._dump, self._reading = None, iter(())

    def _entries(self, reader: NftablesReader) -> Iterator[Flow | None]:
        """Every entry: its flow, or None where there is nothing to tell."""
        for service, direct in list(self._services.values()):
            slots = self._slots(service, direct)
            for element in reader.elements(DIRECT, f"flows/{service_name(service.key)}"):
                flow = _flow(service, direct, element)
                found = flow is not None and flow.client_port and _leads(slots, direct, flow, element.value[:6])
                yield None if found else flow

    def _slots(self, service: CopiedService, direct: DirectService) -> dict[int, bytes]:
        if direct.found_by is None:
            return {}
        elements = self._reader.elements(DIRECT, f"slots/{service_name(service.key)}")
        return {int.from_bytes(each.key, sys.byteorder): each.value[:6] for each in elements}

    # --- being told

    def put(self, flows: Sequence[Flow], *, owned: bool) -> int:
        """Put copies there; how many there was no place for. `owned`: only those of which there is nothing."""
        found: dict[str, list[TimedElement]] = {}
        refused = 0
        for flow in flows:
            known, key = self._services.get(flow.service), _key(flow)
            mac = None if known is None else _mac(*known, flow)
            if known is None or mac is None or key is None or flow.stage is Stage.CLOSING:
                refused += 1
                continue
            name = f"flows/{service_name(flow.service)}"
            if not owned or self._reader.element(DIRECT, name, key) is None:
                seconds = max(1, min(flow.seconds, _idle_s(*known)))
                timed = TimedElement(key, seconds * 1000, mac)
                found.setdefault(name, []).append(timed)
        for name, elements in found.items():
            refused += sum(self._writer.put(DIRECT, name, elements).values())
        return refused

    def remember(self, key: ServiceKey, server: IPAddress, port: int, sources: Iterable[bytes], seconds: int) -> None:
        """Keep sources, masked, with a server for so long."""
        service, direct = self._services.get(key, (None, None))
        if service is None or direct is None or (server, port) not in service.servers:
            return
        mac = direct.macs[service.servers.index((server, port))]
        if mac is not None:
            elements = [TimedElement(source, seconds * 1000, mac.octets) for source in sources]
            self._writer.put(DIRECT, f"persist/{service_name(key)}", elements)


def _news(services: Collection[ServiceKey]) -> Iterator[str]:
    """What is in the chain where new flows pass, in the place of whatever was there."""
    yield f"flush chain {DIRECT} {NEWS}"
    if not services:
        return
    for family in Family:
        n, ip = family.value, IP[family]
        yield from holding_chain(DIRECT, family)
        yield f"add set {DIRECT} copied{n} {{ type {ADDRESS_TYPE[family]} . inet_service; }}"
        yield f"flush set {DIRECT} copied{n}"
        mine = sorted(
            f"{key.address} . {key.port}" for key in services if key.family is family and key.protocol is Protocol.TCP
        )
        if mine:
            yield f"add element {DIRECT} copied{n} {{ {', '.join(mine)} }}"
            in_the_midst = "tcp flags & (syn | rst | ack) == ack"
            yield f"add rule {DIRECT} {NEWS} {in_the_midst} {ip} daddr . tcp dport @copied{n} jump hold{n}"
    limit = f"limit rate {NEWS_PER_S}/second burst {NEWS_PER_S} packets"
    yield f"add rule {DIRECT} {NEWS} {limit} log group {GROUP} snaplen {OCTETS}"


def _place(service: CopiedService, direct: DirectService, mac: bytes) -> tuple[IPAddress, int] | None:
    """The first server with this MAC: as the rules, it cannot tell two on one machine apart."""
    known = zip(service.servers, direct.macs, strict=True)
    return next((place for place, each in known if each is not None and each.octets == mac), None)


def _mac(service: CopiedService, direct: DirectService, flow: Flow) -> bytes | None:
    known = zip(service.servers, direct.macs, strict=True)
    found = next((mac for place, mac in known if place == (flow.server, flow.port)), None)
    return None if found is None else found.octets


def _key(flow: Flow) -> bytes | None:
    if flow.client_port:
        return flow_key(flow.client, flow.client_port)
    return hash_of(flow) if flow.service.family is Family.IPV6 else None


def _idle_s(service: CopiedService, direct: DirectService) -> int:
    return round((direct.idle_timeout or USUAL_IDLE_TIMEOUT[service.key.protocol]).total_seconds())


def _is_under_way(service: CopiedService, direct: DirectService, seconds: int) -> bool:
    """Whether a flow that is kept for so long is one that other nodes have to be told of."""
    told_apart = service.key.protocol is Protocol.TCP and _idle_s(service, direct) >= 2 * OPENING_S
    return seconds > (OPENING_S if told_apart else 0)


def _flow(service: CopiedService, direct: DirectService, element: RawElement) -> Flow | None:
    seconds = (element.left_ms or 0) // 1000
    place = _place(service, direct, element.value[:6])
    if place is None or not _is_under_way(service, direct, seconds):
        return None
    client, port = read_flow_key(service.key.family, element.key)
    known = hashed_client(element.key) if client is None else client
    return Flow(service.key, known, port or 0, *place, Stage.ESTABLISHED, min(seconds, MAX_SECONDS))


def _leads(slots: dict[int, bytes], direct: DirectService, flow: Flow, mac: bytes) -> bool:
    """Whether every node with the same servers leads the flow to this one without being told."""
    if not slots:
        return False
    by_flow = direct.found_by is Pick.BY_FLOW
    slot = flow_slot(flow.client, flow.client_port, len(slots)) if by_flow else source_slot(flow.client, len(slots))
    return slots.get(slot) == mac
