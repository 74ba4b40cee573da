"""Direct server return, in namespaces: what clients, servers and the wire see."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.test_dead_man_gate import gated, silences
from tests.linux.world import PREFIX, VIP4, VIP6, Agent, World, run
from tests.runtime.network import eventually
from yaoki.core.address import parse_address
from yaoki.core.codec import Codec
from yaoki.lb.connection import Connection, ConnectionList, ConnectionState
from yaoki.lb.kernel_hash import flow_slot, source_slot
from yaoki.lb.schedulers import slots_of
from yaoki.lb.service import Duty, Forward, Protocol, Scheduler

pytestmark = pytest.mark.netns

BOTH = pytest.mark.parametrize("family", [4, 6])
EITHER = pytest.mark.parametrize("protocol", list(Protocol), ids=str)
VIP = {4: VIP4, 6: VIP6}
CLIENT = {4: "198.51.100.9", 6: "2001:db8:2::9"}
PORTS = count(41000)
"""Of clients: a port that was used a moment ago is not to be had."""
DIRECT = Forward.DIRECT
AT_XDP_TOO = pytest.mark.parametrize("direct", ["nftables", "bpf", "xdp"], indirect=True)
"""What the hook has a part in; all else is in the tables, which both hooks share."""


@pytest.fixture(params=["nftables", "bpf"])
def direct(direct_network: World, request: pytest.FixtureRequest) -> Iterator[World]:
    """The direct world with a plane of each kind that starts from nothing."""
    if request.param == "xdp":
        direct_network.xdp_sends()
    direct_network.agents["lb"].ask("new_balancer", plane=request.param)
    yield direct_network
    direct_network.clean_up()


@pytest.fixture
def nftables(direct_network: World) -> Iterator[World]:
    """What only the plane of nftables does."""
    yield direct_network
    direct_network.clean_up()


@contextmanager
def capture(name: str, expression: str) -> Iterator[list[str]]:
    """What tcpdump sees at eth0 of a namespace, line by line; the list is filled when the block ends, and with all that
    came before an echo request of ours."""
    last = "icmp[icmptype] == icmp-echo"
    words = ["ip", "netns", "exec", PREFIX + name, "tcpdump", "-lnnei", "eth0", "-v", "--immediate-mode"]
    process = subprocess.Popen(
        [*words, f"({expression}) or {last}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    while "listening on" not in process.stderr.readline():
        pass
    seen: list[str] = []
    try:
        yield seen
        time.sleep(0.5)
        run("ip", "netns", "exec", PREFIX + name, "ping", "-c1", "192.0.2.1")
        output = ""
        while "echo request" not in output:
            output += process.stdout.readline()
        seen += [line for line in output.replace("\n    ", " ").splitlines() if line and "echo request" not in line]
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.req("D-01")
@BOTH
@EITHER
def test_flows_are_spread_in_turn_and_the_client_is_seen_as_it_is(
    direct: World, family: int, protocol: Protocol
) -> None:
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    answers = direct.agents["client"].ask(
        f"ask_{protocol}", address=VIP[family], port=80, times=6, source=CLIENT[family]
    )
    assert [answer.split()[0] for answer in answers] == ["s1", "s2", "s3"] * 2
    assert {answer.split()[1] for answer in answers} == {CLIENT[family]}


@pytest.mark.req("D-01", "D-08")
@BOTH
@EITHER
def test_answers_never_pass_the_balancer(direct: World, family: int, protocol: Protocol) -> None:
    """The proof of direct return: of the VIP's packets the balancer sends none, and lets each request in and out."""
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    ip = "ip" if family == 4 else "ip6"
    with capture("lb", f"{ip} and {protocol} and port 80") as seen:
        assert direct.names(family, protocol, times=3) == ["s1", "s2", "s3"]
    to_vip = [line for line in seen if f"> {VIP[family]}.80:" in line]
    assert [line for line in seen if line not in to_vip] == []
    assert len(to_vip) >= 6


@pytest.mark.req("D-08", "D-06", "D-33")
def test_only_macs_are_rewritten_the_ttl_and_the_addresses_stay(direct: World) -> None:
    direct.balance(service(server(1, DIRECT), protocol=Protocol.UDP))
    with capture("s1", "udp and dst port 80") as seen:
        assert direct.names(4, "udp", times=1) == ["s1"]
    assert len(seen) == 1
    assert "02:00:00:00:00:11 > 02:00:00:00:00:21" in seen[0]
    assert "ttl 63," in seen[0]
    assert f"> {VIP4}.80:" in seen[0]


@pytest.mark.req("D-32")
@BOTH
def test_clients_beside_the_servers_are_served(direct: World, family: int) -> None:
    direct.balance(trio(DIRECT, family=family))
    assert direct.names(family, "tcp", times=3, by="near") == ["s1", "s2", "s3"]


@BOTH
@EITHER
def test_every_packet_of_a_flow_goes_to_one_server_although_servers_take_turns(
    direct: World, family: int, protocol: Protocol
) -> None:
    client = direct.agents["client"]
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    first = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80) for name in "abc"
    }
    assert {answer.split()[0] for answer in first.values()} == {"s1", "s2", "s3"}
    for _ in range(10):
        assert {name: client.ask("talk", name=name) for name in first} == first
    for name in first:
        client.ask("close_flow", name=name)


@BOTH
@EITHER
def test_flows_beyond_the_maps_room_go_where_their_hash_says_and_stay_there(
    nftables: World, family: int, protocol: Protocol
) -> None:
    client = nftables.agents["client"]
    nftables.agents["lb"].ask("new_balancer", flows=2)
    nftables.balance(trio(DIRECT, family=family, protocol=protocol))
    names = [f"n{number}" for number in range(12)]
    first = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80) for name in names
    }
    for _ in range(3):
        assert {name: client.ask("talk", name=name) for name in first} == first
    assert sum(nftables.agents["lb"].ask("flows").values()) == 2
    for name in first:
        client.ask("close_flow", name=name)


@pytest.mark.parametrize("short", list(Protocol), ids=str)
def test_a_flow_is_forgotten_when_it_idles_for_as_long_as_its_service_says(direct: World, short: Protocol) -> None:
    """The other service beside it keeps its own, of the same client, for long. Meanwhile last words of connections that
    an earlier test has closed may be flows, too."""
    client, lb = direct.agents["client"], direct.agents["lb"]
    idle = {protocol: timedelta(seconds=3 if protocol is short else 600) for protocol in Protocol}
    direct.balance(*(replace(trio(DIRECT, protocol=protocol), idle_timeout=idle[protocol]) for protocol in Protocol))
    answers = {
        protocol: client.ask("open_flow", name=str(protocol), protocol=protocol, address=VIP4, port=80)
        for protocol in Protocol
    }
    assert all(counted(lb).values())
    end = time.monotonic() + 15
    while (kept := counted(lb))[short] and time.monotonic() < end:
        time.sleep(0.2)
    assert {protocol: count > 0 for protocol, count in kept.items()} == {each: each is not short for each in Protocol}
    (long,) = (protocol for protocol in Protocol if protocol is not short)
    assert client.ask("talk", name=str(long)) == answers[long]
    for protocol in Protocol:
        client.ask("close_flow", name=str(protocol))


@BOTH
def test_connections_are_listed_with_their_servers_and_what_persistence_remembers(direct: World, family: int) -> None:
    client, length = direct.agents["client"], 24 if family == 4 else 64
    names = ["a", "b", "c"]
    direct.balance(trio(DIRECT, family=family, mask=length), trio(DIRECT, family=family, protocol=Protocol.UDP))
    answers = {name: client.ask("open_flow", name=name, protocol="tcp", address=VIP[family], port=80) for name in names}
    udp = client.ask("open_flow", name="u", protocol="udp", address=VIP[family], port=80).split()[0]
    for name in names:
        client.ask("talk", name=name)
    ports = {client.ask("local_port", name=name) for name in names}
    found = listed(direct)
    tcp = mine(found, ports)
    assert {each.name for each in tcp} == {answers["a"].split()[0]}
    assert [each.name for each in found.connections if each.service.protocol is Protocol.UDP] == [udp]
    if {each.client for each in tcp} != {None}:
        assert {each.client_port for each in tcp} == ports
        assert {str(each.client) for each in tcp} == {answer.split()[1] for answer in answers.values()}
    assert {each.state for each in tcp} == {ConnectionState.ESTABLISHED}
    assert all(timedelta(minutes=14) < each.expires <= timedelta(minutes=15) for each in tcp)
    assert all(each.idle is not None and each.idle < timedelta(minutes=1) for each in tcp)
    (source,) = found.sources
    assert f"{source.source}/{source.prefix_length}" == {4: "198.51.100.0/24", 6: "2001:db8:2::/64"}[family]
    assert (source.name, timedelta(minutes=4) < source.expires <= timedelta(minutes=5)) == (tcp[0].name, True)
    assert (found.total, found.total_sources) == (len(found.connections), 1)
    few = listed(direct, limit=2)
    assert (len(few.connections), len(few.sources), few.total_sources) == (2, 1, 1)
    assert few.total >= len(tcp) + 1
    client.ask("close_flow", name="a")

    def one_closes() -> bool:
        states = [str(each.state) for each in mine(listed(direct), ports)]
        return (states.count("closing"), states.count("established")) == (1, len(states) - 1)

    eventually(one_closes, what="its last words have come")
    for name in ("b", "c", "u"):
        client.ask("close_flow", name=name)


def mine(found: ConnectionList, ports: set[int]) -> list[Connection]:
    """Those of TCP from these ports, as far as ports are told: a connection of the test before may still say its last
    words, and be scheduled anew."""
    tcp = [each for each in found.connections if each.service.protocol is Protocol.TCP]
    return [each for each in tcp if each.client_port is None or each.client_port in ports]


def listed(world: World, limit: int = 100) -> ConnectionList:
    found: ConnectionList = Codec().decode(world.agents["lb"].ask("connections", limit=limit).encode(), ConnectionList)
    return found


def counted(lb: Agent) -> dict[Protocol, int]:
    """The flows of each transport that the plane holds to be under way."""
    flows: dict[str, int] = lb.ask("flows")
    return {each: sum(n for name, n in flows.items() if name.startswith(f"{each}/")) for each in Protocol}


@pytest.mark.req("B-14")
@BOTH
def test_a_running_flow_loses_nothing_to_fifty_changes(direct: World, family: int) -> None:
    direct.balance(trio(DIRECT, family=family, protocol=Protocol.UDP))
    direct.agents["client"].ask("start_stream", name="s", address=VIP[family], port=80)
    for number in range(50):
        direct.balance(
            trio(DIRECT, family=family, protocol=Protocol.UDP, weights=(1000 + number, 1000 + 2 * number, 500)),
            *([trio(DIRECT, family=family)] if number % 2 else []),
        )
    found = direct.agents["client"].ask("stop_stream", name="s")
    assert found["sent"] >= 50, "the stream runs while the changes are made"
    assert len(found["answers"]) == found["sent"]
    assert len(set(found["answers"])) == 1


@pytest.mark.req("D-30")
@EITHER
def test_weights_are_shares_of_new_flows(direct: World, protocol: Protocol) -> None:
    direct.balance(trio(DIRECT, weights=(3000, 2000, 1000), protocol=protocol))
    assert Counter(direct.names(4, protocol, times=12)) == {"s1": 6, "s2": 4, "s3": 2}


@pytest.mark.req("D-30", "D-34")
@BOTH
def test_the_kernel_hashes_sources_as_we_foretell(direct: World, family: int) -> None:
    sources = [f"198.51.100.{n}" for n in range(20, 32)] if family == 4 else [f"2001:db8:2::{n}" for n in range(20, 32)]
    length = 24 if family == 4 else 64
    hashed = trio(DIRECT, family=family, scheduler=Scheduler.SOURCE_HASH)
    slots = slots_of(hashed)
    assert slots is not None
    direct.balance(hashed)
    for source in sources:
        direct.ip("client", f"addr replace {source}/{length} dev eth0 {'' if family == 4 else 'nodad'}")
        foretold = slots.servers[source_slot(parse_address(source), len(slots))].name
        assert direct.names(family, "tcp", times=2, source=source) == [foretold] * 2


@pytest.mark.req("D-30", "D-34")
@BOTH
def test_the_kernel_hashes_flows_as_we_foretell(direct: World, family: int) -> None:
    hashed = trio(DIRECT, family=family, scheduler=Scheduler.MAGLEV)
    slots = slots_of(hashed)
    assert slots is not None
    direct.balance(hashed)
    client = parse_address(CLIENT[family])
    ports = [next(PORTS) for _ in range(12)]
    found = [direct.names(family, "tcp", times=1, source=str(client), source_port=port)[0] for port in ports]
    assert found == [slots.servers[flow_slot(client, port, len(slots))].name for port in ports]
    assert len(set(found)) > 1


@pytest.mark.req("D-13", "D-31")
@BOTH
@EITHER
def test_a_source_stays_with_its_server(direct: World, family: int, protocol: Protocol) -> None:
    direct.balance(trio(DIRECT, family=family, protocol=protocol, mask=32 if family == 4 else 128))
    assert len(set(direct.names(family, protocol, times=6, source=CLIENT[family]))) == 1


@pytest.mark.req("D-31")
@BOTH
def test_sources_within_one_mask_share_a_server(direct: World, family: int) -> None:
    direct.balance(trio(DIRECT, family=family, mask=24 if family == 4 else 64))
    seen = set()
    for number in (40, 41, 42):
        source = f"198.51.100.{number}" if family == 4 else f"2001:db8:2::{number}"
        direct.ip("client", f"addr replace {source}/{24 if family == 4 else 64} dev eth0 {'nodad' * (family == 6)}")
        seen |= set(direct.names(family, "tcp", times=2, source=source))
    assert len(seen) == 1


@pytest.mark.req("D-31")
def test_persistence_ends_when_the_source_was_idle_for_its_time(direct: World) -> None:
    direct.balance(trio(DIRECT, protocol=Protocol.UDP, mask=32, seconds=1))
    assert direct.names(4, "udp", times=3) == ["s1"] * 3
    time.sleep(3.5)
    assert direct.names(4, "udp", times=3) == ["s2"] * 3


@pytest.mark.req("D-31")
def test_a_server_that_drains_or_dies_lets_go_of_the_sources_it_remembered(direct: World) -> None:
    direct.balance(trio(DIRECT, mask=32))
    (before,) = set(direct.names(4, "tcp", times=2))
    for duty in (Duty.DRAIN, Duty.OUT):
        duties = [duty if name == before else Duty.SERVE for name in ("s1", "s2", "s3")]
        direct.balance(trio(DIRECT, *duties, mask=32))
        (after,) = set(direct.names(4, "tcp", times=4))
        assert after != before
        before = after


@AT_XDP_TOO
@BOTH
@EITHER
@pytest.mark.req("D-12")
def test_a_drained_server_keeps_its_flows_and_gets_no_new_ones(direct: World, family: int, protocol: Protocol) -> None:
    client = direct.agents["client"]
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    first = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80) for name in "abc"
    }
    direct.balance(trio(DIRECT, Duty.DRAIN, family=family, protocol=protocol))
    for _ in range(3):
        assert {name: client.ask("talk", name=name) for name in first} == first
    assert set(direct.names(family, protocol, times=6)) == {"s2", "s3"}
    for name in first:
        client.ask("close_flow", name=name)


@BOTH
def test_a_dead_servers_udp_flow_goes_on_with_another_server_and_stays_there(direct: World, family: int) -> None:
    client = direct.agents["client"]
    direct.balance(trio(DIRECT, family=family, protocol=Protocol.UDP))
    assert client.ask("open_flow", name="u", protocol="udp", address=VIP[family], port=80).split()[0] == "s1"
    direct.balance(trio(DIRECT, Duty.OUT, family=family, protocol=Protocol.UDP))
    again = [client.ask("talk", name="u").split()[0] for _ in range(5)]
    assert len(set(again)) == 1
    assert again[0] in {"s2", "s3"}
    direct.balance(trio(DIRECT, family=family, protocol=Protocol.UDP))
    assert client.ask("talk", name="u").split()[0] == again[0]
    client.ask("close_flow", name="u")


@BOTH
def test_a_dead_servers_tcp_connection_is_reset_at_once(direct: World, family: int) -> None:
    client = direct.agents["client"]
    direct.balance(trio(DIRECT, family=family))
    assert client.ask("open_flow", name="t", protocol="tcp", address=VIP[family], port=80).split()[0] == "s1"
    direct.balance(trio(DIRECT, Duty.OUT, family=family))
    assert client.ask("talk", name="t") == "reset"
    client.ask("close_flow", name="t")


@BOTH
@EITHER
def test_a_service_without_servers_refuses(direct: World, family: int, protocol: Protocol) -> None:
    direct.balance(trio(DIRECT, *[Duty.OUT] * 3, family=family, protocol=protocol))
    assert direct.names(family, protocol, times=3) == ["refused"] * 3
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    assert direct.names(family, protocol, times=3) == ["s1", "s2", "s3"]


def test_with_its_last_server_drained_a_service_keeps_flows_and_refuses_new_ones(direct: World) -> None:
    client = direct.agents["client"]
    direct.balance(trio(DIRECT))
    first = client.ask("open_flow", name="t", protocol="tcp", address=VIP4, port=80)
    direct.balance(trio(DIRECT, *[Duty.DRAIN] * 3))
    assert client.ask("talk", name="t") == first
    assert direct.names(4, "tcp", times=2) == ["refused"] * 2
    client.ask("close_flow", name="t")


def test_a_server_whose_mac_is_not_known_is_left_out(direct: World) -> None:
    unknown = service(server(1, DIRECT, resolved=False), server(2, DIRECT))
    direct.balance(unknown)
    assert direct.names(4, "tcp", times=3) == ["s2"] * 3


def test_a_connection_that_ends_leaves_no_flow_behind(direct: World) -> None:
    direct.balance(trio(DIRECT))
    assert len(direct.names(4, "tcp", times=9)) == 9
    # The last packets of the last connection may be under way.
    eventually(lambda: direct.agents["lb"].ask("flows") == {}, what="no flow is left")


@pytest.mark.req("D-35")
@AT_XDP_TOO
@BOTH
def test_fragments_follow_the_first_one(direct: World, family: int) -> None:
    direct.balance(trio(DIRECT, family=family, protocol=Protocol.UDP))
    answers = direct.agents["client"].ask("ask_udp", address=VIP[family], port=80, times=6, octets=5000)
    assert [answer.split()[0] for answer in answers] == ["s1", "s2", "s3"] * 2
    assert {answer.split()[2] for answer in answers} == {"5000"}


@pytest.mark.req("D-35")
@AT_XDP_TOO
@BOTH
def test_an_icmp_error_about_a_servers_packet_reaches_that_server(direct: World, family: int) -> None:
    """A narrow link behind the router: its 'too big' is sent to the VIP, and without it long answers never arrive."""
    direct.ip("router", "link set eth1 mtu 1300")
    try:
        direct.balance(trio(DIRECT, family=family))
        found = [direct.agents["client"].ask("fetch", address=VIP[family], port=80, octets=30000) for _ in range(3)]
        assert found == ["s1", "s2", "s3"]
    finally:
        direct.ip("router", "link set eth1 mtu 1500")


@AT_XDP_TOO
def test_frames_to_another_mac_are_left_alone(direct: World) -> None:
    """A frame that the bridge floods reaches the balancer too, which must not send it on."""
    direct.balance(trio(DIRECT, protocol=Protocol.UDP))
    direct.ip("near", f"neigh replace {VIP4} lladdr 02:00:00:00:00:77 dev eth0")
    try:
        assert direct.names(4, "udp", times=1, by="near", timeout=1.0) == ["timeout"]
    finally:
        direct.ip("near", f"neigh del {VIP4} lladdr 02:00:00:00:00:77 dev eth0", check=False)


@BOTH
@EITHER
def test_the_server_of_a_flow_is_found_and_flows_are_counted(direct: World, family: int, protocol: Protocol) -> None:
    client, balancer = direct.agents["client"], direct.agents["lb"]
    direct.balance(trio(DIRECT, family=family, protocol=protocol))
    for name in "abcd":
        client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80, source=CLIENT[family])
    where = f"{protocol} {VIP[family]} 80"
    port = client.ask("local_port", name="b")
    assert balancer.ask("find", service=where, source=CLIENT[family], port=port) == "s2"
    assert balancer.ask("find", service=where, source=CLIENT[family], port=1) is None
    assert sorted(balancer.ask("flows").values()) == [1, 1, 2]
    for name in "abcd":
        client.ask("close_flow", name=name)


def test_direct_return_alone_brings_no_connection_tracking_with_it(direct: World) -> None:
    direct.balance(trio(DIRECT))
    assert "type nat" not in direct.ruleset()
    assert sorted(direct.names(4, "tcp", times=3)) == ["s1", "s2", "s3"]
    assert direct.agents["lb"].ask("read", path="/proc/sys/net/netfilter/nf_conntrack_count") == "0"


@pytest.mark.req("D-31")
@BOTH
def test_the_server_that_a_source_is_remembered_with_is_found(direct: World, family: int) -> None:
    balancer = direct.agents["lb"]
    direct.balance(trio(DIRECT, family=family, mask=24 if family == 4 else 64))
    where = f"tcp {VIP[family]} 80"
    assert balancer.ask("remembered", service=where, source=CLIENT[family]) is None
    (name,) = set(direct.names(family, "tcp", times=2, source=CLIENT[family]))
    assert balancer.ask("remembered", service=where, source=CLIENT[family]) == name
    elsewhere = "203.0.113.1" if family == 4 else "2001:db8:7::1"
    assert balancer.ask("remembered", service=where, source=elsewhere) is None


@pytest.fixture
def direct_gate(direct: World) -> Iterator[World]:
    yield from gated(direct)


@pytest.mark.req("B-19")
@pytest.mark.parametrize(("family", "protocol"), [(4, Protocol.UDP), (6, Protocol.TCP)])
def test_a_shut_dead_man_gate_comes_before_the_plane(direct_gate: World, family: int, protocol: Protocol) -> None:
    silences(direct_gate, DIRECT, protocol, family)
