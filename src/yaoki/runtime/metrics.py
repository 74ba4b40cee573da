"""Prometheus metrics of a node, made when they are asked for; text format or OpenMetrics, as the scraper accepts.

State is never a label that changes: a state set has one series per state, 0 or 1 (`yaoki_vip_state`). Off unless an
address is given; no login, so give it a loopback address or one of a management network.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from yaoki import __version__
from yaoki.core.event import Event
from yaoki.node.flow_messages import CopyState
from yaoki.node.hook_environment import kind_of
from yaoki.node.messages import CheckStatus, RouterState
from yaoki.node.snapshot import FlowsView, NodeView
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.pool.policy import Reason
from yaoki.vrrp.events import BecameActive

MAX_CHECK_SERIES = 2_000
"""Checks with series of their own; on a node with more only their number is told."""
MAX_REQUEST = 16 * 1024
REQUEST_LIMIT_S = 5.0


class Tally:
    """Counts what only events tell: takeovers, and events by kind. The number of kinds is the limit of both."""

    def __init__(self) -> None:
        self.events: dict[str, int] = {}
        self.takeovers: dict[tuple[str, str, str], int] = {}

    def take(self, event: Event) -> None:
        """Count one event."""
        kind = kind_of(event.body)
        self.events[kind] = self.events.get(kind, 0) + 1
        if isinstance(event.body, BecameActive):
            family = f"ipv{event.body.router.family.value}"
            key = (event.body.vip, family, event.body.reason.name.lower())
            self.takeovers[key] = self.takeovers.get(key, 0) + 1


@dataclass(frozen=True, slots=True)
class Picture:
    """What is shown in one scrape; `checks` is None when their worker did not answer."""

    node: NodeView
    checks: tuple[CheckStatus, ...] | None = None


class NodeCollector(Collector):
    """The metrics of one picture of a node."""

    def __init__(self, picture: Picture, tally: Tally) -> None:
        self._node = picture.node
        self._checks = picture.checks
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        """See prometheus_client's Collector."""
        yield from self._of_node()
        yield from self._of_vips()
        if self._node.flows is not None:
            yield from self._of_flows(self._node.flows)
        yield from self._of_services()
        yield from self._of_servers()
        if self._checks is not None:
            yield from self._of_checks(self._checks)
        yield from self._of_events()

    def _of_node(self) -> Iterable[Metric]:
        node = self._node
        yield InfoMetricFamily("yaoki_build", "The running version.", {"version": __version__})
        yield InfoMetricFamily(
            "yaoki_config", "The plan in force.", {"generation": node.generation, "site": node.site, "node": node.node}
        )
        yield GaugeMetricFamily("yaoki_node_up", "1 while the node process runs.", 1)
        yield GaugeMetricFamily("yaoki_node_paused", "1 while nothing is applied, by an operator's wish.", node.paused)
        in_force = GaugeMetricFamily("yaoki_balancer_in_force", "1 when the kernel has the tables that are wanted.")
        in_force.add_metric((), node.balancer.in_force)
        yield in_force
        reached = GaugeMetricFamily("yaoki_part_up", "1 when a process of the node is reached.", labels=("part",))
        for part in node.parts:
            reached.add_metric((part.part.value,), part.reached)
        yield reached

    def _of_vips(self) -> Iterable[Metric]:
        labels = ("vip", "node", "family")
        owner = GaugeMetricFamily("yaoki_vip_owner", "1 on the node that owns the VIP.", labels=labels)
        state = StateSetMetricFamily("yaoki_vip_state", "State of the virtual router.", labels=labels)
        priority = GaugeMetricFamily("yaoki_vip_priority", "Priority advertised.", labels=labels)
        for router in self._node.routers:
            values = (router.vip, self._node.node, f"ipv{router.family.value}")
            owner.add_metric(values, router.state is not None and router.state.owns)
            state.add_metric(values, {each.value: router.state is each for each in RouterState})
            priority.add_metric(values, router.wanted_priority if router.priority is None else router.priority)
        yield from (owner, state, priority)
        yield from self._of_wires()
        takeovers = CounterMetricFamily(
            "yaoki_vip_takeovers", "Times that this node became owner.", labels=("vip", "family", "reason")
        )
        for key, count in self._tally.takeovers.items():
            takeovers.add_metric(key, count)
        yield takeovers

    def _of_flows(self, flows: FlowsView) -> Iterable[Metric]:
        yield GaugeMetricFamily(
            "yaoki_flows_catching_up",
            "1 while peers tell their flows: no VIP is taken from them.",
            flows.catching_up or 0,
        )
        yield CounterMetricFamily("yaoki_flows_told", "Flows told to the peers.", flows.told)
        yield CounterMetricFamily("yaoki_flows_refused", "Copies that the kernel did not take.", flows.refused)
        following = GaugeMetricFamily("yaoki_flows_following", "1 when a peer's flows are followed.", labels=("peer",))
        taken = CounterMetricFamily("yaoki_flows_taken", "Flows taken from a peer.", labels=("peer",))
        lost = CounterMetricFamily("yaoki_flows_datagrams_lost", "Datagrams of it that were lost.", labels=("peer",))
        for peer in flows.peers:
            following.add_metric((peer.node,), peer.state is CopyState.FOLLOWING)
            taken.add_metric((peer.node,), peer.taken)
            lost.add_metric((peer.node,), peer.lost)
        yield from (following, taken, lost)

    def _of_wires(self) -> Iterable[Metric]:
        labels = ("vip", "node", "family")
        owners = GaugeMetricFamily("yaoki_vip_owners_seen", "Machines that answer for an address of it.", labels=labels)
        claims = CounterMetricFamily("yaoki_vip_foreign_claims", "Claims by MACs that are no member's.", labels=labels)
        for router in self._node.routers:
            values = (router.vip, self._node.node, f"ipv{router.family.value}")
            if router.seen:
                owning = router.state is not None and router.state.owns
                owners.add_metric(values, max(seen.answers for seen in router.seen) + owning)
            claims.add_metric(values, router.foreign_claims)
        yield from (owners, claims)
        dropped = CounterMetricFamily(
            "yaoki_wire_dropped", "Frames about VIPs that were dropped unseen.", labels=("interface",)
        )
        for wire in self._node.wires:
            dropped.add_metric((wire.interface,), wire.dropped)
        yield dropped

    def _of_services(self) -> Iterable[Metric]:
        labels = ("service", "address", "protocol", "port")
        up = GaugeMetricFamily(
            "yaoki_lb_service_up", "1 while a server, other than the sorry one, takes new flows.", labels=labels
        )
        enabled = GaugeMetricFamily("yaoki_lb_service_enabled", "1 unless switched off.", labels=labels)
        packets = CounterMetricFamily("yaoki_lb_service_packets", "Packets sent to its servers.", labels=labels)
        octets = CounterMetricFamily("yaoki_lb_service_bytes", "Bytes of packets sent to them.", labels=labels)
        opened = CounterMetricFamily("yaoki_lb_service_flows_opened", "Flows given a server.", labels=labels)
        for service in self._node.services:
            key = service.key
            values = (service.name, str(key.address), key.protocol.value, str(key.port))
            up.add_metric(values, any(s.duty is Duty.SERVE and s.reason is not Reason.SORRY for s in service.servers))
            enabled.add_metric(values, service.enabled)
            if service.total is not None:
                packets.add_metric(values, service.total.packets)
                octets.add_metric(values, service.total.octets)
                if service.total.opened is not None:
                    opened.add_metric(values, service.total.opened)
        yield from (up, enabled, packets, octets, opened)
        yield from self._of_unsent()

    def _of_unsent(self) -> Iterable[Metric]:
        unsent = CounterMetricFamily(
            "yaoki_lb_program_packets",
            "Packets that the program on BPF sent to no server, and why; since it was loaded.",
            labels=("reason",),
        )
        for each in self._node.unsent:
            unsent.add_metric((each.reason.value,), each.packets)
        yield unsent

    def _of_servers(self) -> Iterable[Metric]:
        labels = ("service", "address", "server", "server_address")
        up = GaugeMetricFamily("yaoki_lb_server_up", "1 when its checks pass, 0 when not or not known.", labels=labels)
        health = StateSetMetricFamily("yaoki_lb_server_health", "What its checks found.", labels=labels)
        duty = StateSetMetricFamily("yaoki_lb_server_duty", "What it does for its service.", labels=labels)
        admin = StateSetMetricFamily("yaoki_lb_server_admin", "What people decided about it.", labels=labels)
        weight = GaugeMetricFamily("yaoki_lb_server_weight", "Weight in force, after slow start.", labels=labels)
        flows = GaugeMetricFamily("yaoki_lb_server_flows", "Flows that it has now.", labels=labels)
        packets = CounterMetricFamily("yaoki_lb_packets", "Packets sent to it.", labels=labels)
        octets = CounterMetricFamily("yaoki_lb_bytes", "Bytes of packets sent to it.", labels=labels)
        for service in self._node.services:
            for server in service.servers:
                place = f"{server.address} {server.port}"
                values = (service.name, str(service.key.address), server.name, place)
                up.add_metric(values, server.health is Health.UP)
                health.add_metric(values, {each.value: server.health is each for each in Health})
                duty.add_metric(values, {each.value: server.duty is each for each in Duty})
                admin.add_metric(values, {each.value: server.admin is each for each in AdminState})
                weight.add_metric(values, server.weight)
                if server.count is not None:
                    packets.add_metric(values, server.count.packets)
                    octets.add_metric(values, server.count.octets)
                    if server.count.flows is not None:
                        flows.add_metric(values, server.count.flows)
        yield from (up, health, duty, admin, weight, flows, packets, octets)

    def _of_checks(self, checks: tuple[CheckStatus, ...]) -> Iterable[Metric]:
        yield GaugeMetricFamily("yaoki_checks", "Checks that are run.", len(checks))
        if len(checks) > MAX_CHECK_SERIES:
            return
        labels = ("check", "target", "kind", "port")
        up = GaugeMetricFamily("yaoki_check_up", "1 when its verdict is up.", labels=labels)
        took = GaugeMetricFamily("yaoki_check_duration_seconds", "How long the latest probe took.", labels=labels)
        for check in checks:
            params = check.check.params
            kind = type(params).__name__.removesuffix("Params").lower()
            values = (check.name, str(check.check.target), kind, str(getattr(params, "port", "")))
            up.add_metric(values, check.health is Health.UP)
            if check.last is not None:
                took.add_metric(values, check.last.took.total_seconds())
        yield from (up, took)

    def _of_events(self) -> Iterable[Metric]:
        events = CounterMetricFamily("yaoki_events", "Events by kind.", labels=("kind",))
        for kind, count in sorted(self._tally.events.items()):
            events.add_metric((kind,), count)
        yield events


def exposition(picture: Picture, tally: Tally, accept: str) -> tuple[bytes, str]:
    """The metrics in the form that the scraper accepts, and that form's content type."""
    registry = CollectorRegistry()
    registry.register(NodeCollector(picture, tally))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type


class MetricsServer:
    """Answers GET /metrics."""

    def __init__(self, address: tuple[str, int], picture: Callable[[], Awaitable[Picture]], tally: Tally) -> None:
        self._address = address
        self._picture = picture
        self._tally = tally
        self._server: asyncio.Server | None = None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def listen(self) -> None:
        """Bind the address. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, *self._address, limit=MAX_REQUEST)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                writer.write(await self._answer(head))
                await writer.drain()
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # a scraper that leaves or does not speak HTTP gets no more of our time
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, head: str) -> bytes:
        request, *lines = head.split("\r\n")
        method, path = (*request.split(" "), "", "")[:2]
        if path.split("?")[0] != "/metrics":
            return _response("404 Not Found", b"see /metrics\n", "text/plain")
        if method != "GET":
            return _response("405 Method Not Allowed", b"GET only\n", "text/plain")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body, content_type = exposition(await self._picture(), self._tally, headers.get("accept", ""))
        return _response("200 OK", body, content_type)


def _response(status: str, body: bytes, content_type: str) -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
