"""Flows of direct return as other nodes are told of them and tell of theirs, on both planes."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from itertools import count

import pytest

from tests.lb.samples import trio
from tests.linux.world import VIP4, VIP6, World
from yaoki.core.codec import Codec
from yaoki.lb.flow import Flow, Stage, hash_of
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler, VirtualService
from yaoki.node.flow_messages import ConfigureFlows, FlowsSeen, RememberSources
from yaoki.node.flow_wish import copied

pytestmark = pytest.mark.netns

CODEC = Codec()
CLIENT = {4: "198.51.100.9", 6: "2001:db8:2::9"}
VIPS = {4: VIP4, 6: VIP6}
FAMILIES, PLANES = (4, 6), ("bpf", "nftables")
PORTS = count(40000)
HOSTS = {21: "s1", 22: "s2", 23: "s3"}


class Copying:
    """A balancer whose flows are copied."""

    def __init__(self, world: World, plane: str) -> None:
        self.world, self.plane = world, plane
        self.balancer, self.client = world.agents["lb"], world.agents["client"]

    def begin(self, *services: VirtualService) -> None:
        self.world.balance(*services)
        self.copy(*services)

    def copy(self, *services: VirtualService) -> None:
        wish = ConfigureFlows((), tuple(copied(service) for service in services))
        self.balancer.ask("copy_flows", wish=CODEC.encode(wish).decode())

    def held_up(self) -> int:
        """Segments (BPF) or connections (nftables) so far."""
        if self.plane == "bpf":
            return int(self.balancer.ask("unsent")["held-up"])
        return sum(
            self.world.inside("lb", "nft", "list", "set", "netdev", "yaoki", f"seen{n}").count(" expires ")
            for n in (4, 6)
        )

    def begin_anew(self, *services: VirtualService) -> None:
        """As a node where the VIP has just come: nothing is known here."""
        self.balancer.ask("end_copying")
        self.balancer.ask("cleanup")
        self.balancer.ask("new_balancer", plane=self.plane)
        self.begin(*services)

    def told(self) -> tuple[Flow, ...]:
        return self._seen("flows_told")

    def read(self) -> tuple[Flow, ...]:
        return self._seen("flows_read")

    def opening(self, address: str, *, most: int = 10) -> tuple[Flow, ...]:
        return self._seen("flows_opening", address=address, most=most)

    def _seen(self, asked: str, **how: object) -> tuple[Flow, ...]:
        seen: FlowsSeen = CODEC.decode(self.balancer.ask(asked, **how).encode(), FlowsSeen)
        return seen.flows

    def put(self, *flows: Flow, owned: bool = False) -> int:
        refused: int = self.balancer.ask("flows_put", flows=CODEC.encode(FlowsSeen(flows)).decode(), owned=owned)
        return refused

    def answerer(self, flow: Flow) -> str:
        """Who answers a client that comes from the port of a flow."""
        address, protocol = str(flow.service.address), flow.service.protocol
        found = self.client.ask(f"ask_{protocol}", address=address, port=80, source_port=flow.client_port)
        return str(found[0].split()[0])


@pytest.fixture(params=PLANES)
def copying(request: pytest.FixtureRequest, direct_network: World) -> Iterator[Copying]:
    balancer = direct_network.agents["lb"]
    balancer.ask("new_balancer", plane=request.param)
    yield Copying(direct_network, request.param)
    direct_network.clean_up()
    balancer.ask("end_copying")


@pytest.fixture
def patient(direct_network: World) -> Iterator[None]:
    """Clients whose kernels wait for seconds, and not for 200 ms, before they send a segment again."""

    def route(words: str) -> None:
        direct_network.ip("client", f"route replace default via 198.51.100.1 {words}")
        direct_network.ip("client", f"-6 route replace default via 2001:db8:2::1 {words}")

    route("rto_min 2s")
    yield
    route("")


def web(family: int, scheduler: Scheduler, *duties: Duty, protocol: Protocol = Protocol.TCP) -> VirtualService:
    return trio(Forward.DIRECT, *duties, family=family, scheduler=scheduler, protocol=protocol)


def flow(service: VirtualService, port: int, server: int, *, seconds: int = 100) -> Flow:
    """From a port of the client, to server 1, 2 or 3."""
    target = service.servers[server - 1]
    client = ip_address(CLIENT[service.key.address.version])
    return Flow(service.key, client, port, target.address, target.port, Stage.ESTABLISHED, seconds)


def host(flow: Flow) -> str:
    return HOSTS[int(flow.server) & 0xFF] if flow.server.version == 4 else f"s{int(flow.server) & 0xF}"


@pytest.mark.req("B-14", "D-31")
def test_what_opens_is_told_with_its_server_and_read_again(copying: Copying) -> None:
    services = [web(family, Scheduler.ROUND_ROBIN) for family in FAMILIES]
    copying.begin(*services)
    answers: dict[int, list[str]] = {}
    for number in range(6):
        family = FAMILIES[number % 2]
        answer = copying.client.ask("open_flow", name=f"f{number}", protocol="tcp", address=VIPS[family], port=80)
        answers.setdefault(family, []).append(answer.split()[0])
    told = copying.told()
    assert {str(each.client) for each in told} == set(CLIENT.values())
    read = copying.read()
    for family in FAMILIES:
        assert [host(each) for each in told if each.client.version == family] == answers[family]
        found = [each for each in read if each.service.address.version == family]
        assert sorted(map(host, found)) == sorted(answers[family])
        assert all(890 <= each.seconds <= 900 and each.stage is Stage.ESTABLISHED for each in found)
        ports = {each.client_port for each in told if each.client.version == family}
        hashed = copying.plane == "nftables" and family == 6
        assert {each.client_port for each in found} == ({0} if hashed else ports)
        assert all((hash_of(each) is not None) is hashed for each in found)
    for number in range(6):
        copying.client.ask("close_flow", name=f"f{number}")
    assert copying.read() == ()


@pytest.mark.req("B-14")
@pytest.mark.parametrize("protocol", Protocol)
def test_a_copy_leads_to_the_server_that_was_told(copying: Copying, protocol: Protocol) -> None:
    services = [web(family, Scheduler.ROUND_ROBIN, protocol=protocol) for family in FAMILIES]
    copying.begin(*services)
    # A port of its own for each: one that has just been used is not free at once.
    copies = [flow(each, next(PORTS), 1 + number % 3) for number in range(6) for each in services]
    assert copying.put(*copies) == 0
    assert [copying.answerer(each) for each in copies] == [host(each) for each in copies]


@pytest.mark.req("B-14")
def test_an_owner_takes_only_what_it_lacks_and_others_take_the_last_word(copying: Copying) -> None:
    service = web(4, Scheduler.ROUND_ROBIN)
    copying.begin(service)
    first, second = flow(service, 41000, 1), flow(service, 41000, 2)
    assert copying.put(first) == copying.put(second, owned=True) == 0
    assert [host(each) for each in copying.read()] == ["s1"]
    assert copying.put(second) == 0
    assert [host(each) for each in copying.read()] == ["s2"]
    assert copying.put(flow(service, 41001, 3), owned=True) == 0
    assert sorted(map(host, copying.read())) == ["s2", "s3"]


@pytest.mark.req("B-14", "D-34")
@pytest.mark.parametrize("scheduler", [Scheduler.MAGLEV, Scheduler.SOURCE_HASH])
def test_of_hashed_flows_only_those_are_told_that_are_elsewhere(copying: Copying, scheduler: Scheduler) -> None:
    service = web(4, scheduler)
    copying.begin(service)
    answers = []
    for number in range(12):
        answer = copying.client.ask("open_flow", name=f"f{number}", protocol="tcp", address=VIP4, port=80)
        copying.client.ask("talk", name=f"f{number}")
        answers.append(answer.split()[0])
    assert copying.told() == copying.read() == ()
    gone = answers[0]
    duties = [Duty.DRAIN if name == gone else Duty.SERVE for name in HOSTS.values()]
    copying.world.balance(web(4, scheduler, *duties))
    assert [host(each) for each in copying.read()] == [gone] * answers.count(gone)
    for number in range(12):
        copying.client.ask("close_flow", name=f"f{number}")


def test_a_copy_goes_when_its_time_is_over_and_a_dead_server_gets_none(copying: Copying) -> None:
    service = web(4, Scheduler.ROUND_ROBIN)
    copying.begin(service)
    ports = [next(PORTS) for _ in range(3)]
    copying.put(flow(service, ports[0], 1, seconds=1), flow(service, ports[1], 2))
    copying.world.balance(web(4, Scheduler.ROUND_ROBIN, Duty.SERVE, Duty.OUT, Duty.SERVE))
    copying.put(flow(service, ports[2], 2))
    time.sleep(1.2)
    assert [host(each) for each in copying.read() if each.client_port == ports[0]] == []
    assert {copying.answerer(flow(service, port, 2)) for port in ports[1:]} <= {"s1", "s3"}


def test_a_copy_lasts_no_longer_than_its_service_lets_flows_idle(copying: Copying) -> None:
    service = replace(web(4, Scheduler.ROUND_ROBIN), idle_timeout=timedelta(seconds=20))
    copying.begin(service)
    copying.put(flow(service, 43000, 1), flow(service, 43001, 2, seconds=10))
    kept = {each.client_port: each.seconds for each in copying.read()}
    assert 15 <= kept[43000] <= 20
    assert 5 <= kept[43001] <= 10


def test_a_client_that_comes_back_finds_the_server_that_was_told(copying: Copying) -> None:
    for family in FAMILIES:
        service = replace(
            trio(Forward.DIRECT, family=family, mask=24 if family == 4 else 64), scheduler=Scheduler.ROUND_ROBIN
        )
        copying.begin(service)
        masked = ip_address("198.51.100.0" if family == 4 else "2001:db8:2::").packed
        target = service.servers[1]
        what = RememberSources(service.key, target.address, target.port, (masked,), 300)
        copying.balancer.ask("remember_source", what=CODEC.encode(what).decode())
        assert copying.world.names(family, "tcp", times=4) == ["s2"] * 4
        if family == 4:
            copying.balancer.ask("end_copying")


@pytest.mark.req("B-14", "B-22")
@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("family", FAMILIES)
def test_connections_whose_copies_come_late_go_on(copying: Copying, family: int) -> None:
    service = web(family, Scheduler.ROUND_ROBIN)
    copying.begin(service)
    connected = {name: open_connection(copying, name, family) for name in ("a", "b", "c")}
    for name in connected:
        copying.client.ask("talk", name=name)
    copies = copying.told()
    assert sorted(map(host, copies)) == sorted(connected.values()) == ["s1", "s2", "s3"]
    copying.begin_anew(service)
    for name in reversed(connected):
        # In turn the last one would be given to the first one's server.
        copying.client.ask("say", name=name)
    assert copying.client.ask("heard", seconds=0.05) == []
    copying.put(*copies)
    for name, server in connected.items():
        assert copying.client.ask("hear", name=name).split()[0] == server
        copying.client.ask("close_flow", name=name)


@pytest.mark.req("B-14")
@pytest.mark.parametrize("family", FAMILIES)
def test_one_without_a_copy_is_scheduled_anew_after_a_while(copying: Copying, family: int) -> None:
    copying.begin(web(family, Scheduler.ROUND_ROBIN))
    server = open_connection(copying, "a", family)
    copying.begin_anew(without(server, family))
    begun = time.monotonic()
    assert copying.client.ask("talk", name="a") == "reset"
    assert time.monotonic() - begun > 0.15
    copying.client.ask("close_flow", name="a")


@pytest.mark.req("B-22")
@pytest.mark.parametrize("family", FAMILIES)
def test_new_connections_never_wait(copying: Copying, family: int) -> None:
    copying.begin(web(family, Scheduler.ROUND_ROBIN))
    begun = time.monotonic()
    assert set(copying.world.names(family, "tcp", times=30)) == {"s1", "s2", "s3"}
    assert time.monotonic() - begun < 20, "a first segment comes again a second later"


@pytest.mark.req("B-14")
@pytest.mark.parametrize("why", ["hashed", "not copied", "copied no more"])
def test_nobody_waits_where_nothing_is_told(copying: Copying, why: str) -> None:
    service = web(4, Scheduler.MAGLEV if why == "hashed" else Scheduler.ROUND_ROBIN)
    copying.begin(service)
    server = open_connection(copying, "a", 4)
    if why == "hashed":
        copying.begin_anew(service)
    elif why == "not copied":
        copying.begin_anew(web(6, Scheduler.ROUND_ROBIN))
        copying.world.balance(without(server, 4), web(6, Scheduler.ROUND_ROBIN))
    else:
        copying.begin_anew(without(server, 4))
        copying.copy()
    assert copying.client.ask("talk", name="a").split()[0] == (server if why == "hashed" else "reset")
    assert copying.held_up() == 0
    copying.client.ask("close_flow", name="a")


@pytest.mark.parametrize("copying", ["nftables"], indirect=True)
def test_a_copier_that_has_nothing_to_copy_leaves_no_rules_of_an_earlier_life(copying: Copying) -> None:
    copying.begin(web(4, Scheduler.ROUND_ROBIN))
    assert "log group" in copying.world.inside("lb", "nft", "list", "chain", "netdev", "yaoki", "news")
    copying.balancer.ask("end_copying")
    copying.copy()
    assert "log group" not in copying.world.inside("lb", "nft", "list", "chain", "netdev", "yaoki", "news")


@pytest.mark.req("B-14")
@pytest.mark.parametrize("copying", ["bpf"], indirect=True)
@pytest.mark.parametrize("family", FAMILIES)
def test_what_has_sent_one_packet_when_its_vip_goes_is_read(copying: Copying, family: int) -> None:
    service, other, port = web(family, Scheduler.ROUND_ROBIN), web(10 - family, Scheduler.ROUND_ROBIN), next(PORTS)
    copying.begin(service, other)
    open_connection(copying, "a", family)
    copying.world.inside("client", "nft", MUTE)
    try:
        copying.client.ask("ask_tcp", address=VIPS[family], port=80, source_port=port, timeout=0.05)
        (found,) = copying.opening(VIPS[family])
        assert (found.client_port, host(found), found.stage) == (port, "s2", Stage.OPENING)
        assert 50 <= found.seconds <= 60
        assert copying.opening(VIPS[10 - family]) == ()
        copying.client.ask("ask_tcp", address=VIPS[family], port=80, times=2, timeout=0.05)
        assert [len(copying.opening(VIPS[family], most=most)) for most in (1, 2)] == [1, 2]
        time.sleep(1.2)
        assert copying.opening(VIPS[family]) == ()
    finally:
        copying.world.inside("client", "nft", "delete table inet mute")
    copying.client.ask("close_flow", name="a")
    copying.begin_anew(service, other)
    copy = replace(found, client_port=next(PORTS))
    copying.put(copy)
    assert copying.answerer(copy) == "s2"


MUTE = """add table inet mute; add chain inet mute hear { type filter hook input priority 0; };
add rule inet mute hear tcp sport 80 tcp flags & (syn | ack) == syn | ack drop"""
"""No answer to a first packet is heard."""


def without(server: str, family: int) -> VirtualService:
    """In turn, and with no new flows for a server: who is scheduled anew is refused by another."""
    return web(
        family, Scheduler.ROUND_ROBIN, *(Duty.DRAIN if name == server else Duty.SERVE for name in HOSTS.values())
    )


def open_connection(copying: Copying, name: str, family: int) -> str:
    """The server that answers it."""
    answer = copying.client.ask("open_flow", name=name, protocol="tcp", address=VIPS[family], port=80)
    return str(answer.split()[0])
