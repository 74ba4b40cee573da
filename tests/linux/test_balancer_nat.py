"""Address translation, in namespaces: what clients and servers see."""

import time
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.world import VIP4, VIP6, World
from yaoki.core.address import parse_address
from yaoki.core.codec import Codec
from yaoki.lb.connection import ConnectionList, ConnectionState
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
OWN = {4: "192.0.2.11", 6: "2001:db8:1::11"}


@pytest.mark.req("D-05")
@BOTH
@EITHER
def test_nat_spreads_flows_in_turn_and_keeps_the_clients_address(nat: World, family: int, protocol: Protocol) -> None:
    nat.balance(trio(family=family, protocol=protocol))
    answers = nat.agents["client"].ask(f"ask_{protocol}", address=VIP[family], port=80, times=6, source=CLIENT[family])
    assert [answer.split()[0] for answer in answers] == ["s1", "s2", "s3"] * 2
    assert {answer.split()[1] for answer in answers} == {CLIENT[family]}


@pytest.mark.req("D-05")
@BOTH
@EITHER
def test_fullnat_puts_the_nodes_own_address_in_place_of_the_clients(
    nat: World, family: int, protocol: Protocol
) -> None:
    nat.balance(trio(Forward.FULLNAT, family=family, protocol=protocol))
    answers = nat.agents["client"].ask(f"ask_{protocol}", address=VIP[family], port=80, times=6)
    assert Counter(answer.split()[0] for answer in answers) == {"s1": 2, "s2": 2, "s3": 2}
    assert {answer.split()[1] for answer in answers} == {OWN[family]}


@pytest.mark.req("D-32")
@BOTH
def test_a_client_beside_the_servers_gets_no_answer_by_nat_but_one_by_fullnat(nat: World, family: int) -> None:
    nat.balance(trio(family=family))
    assert nat.names(family, "tcp", times=1, by="near", timeout=1.5) == ["timeout"]
    nat.balance(trio(Forward.FULLNAT, family=family))
    # Long enough for a lost packet to be sent again twice, after one and after three seconds.
    assert sorted(nat.names(family, "tcp", times=3, by="near", timeout=8.0)) == ["s1", "s2", "s3"]


@pytest.mark.req("D-12")
def test_nat_and_fullnat_share_a_service(nat: World) -> None:
    nat.balance(service(server(1, Forward.NAT), server(2, Forward.FULLNAT)))
    answers = nat.agents["client"].ask("ask_tcp", address=VIP4, port=80, times=4, source=CLIENT[4])
    assert Counter(answers) == {f"s1 {CLIENT[4]}": 2, f"s2 {OWN[4]}": 2}


@pytest.mark.req("D-30")
@EITHER
def test_weights_are_shares_of_new_flows(nat: World, protocol: Protocol) -> None:
    nat.balance(trio(weights=(3000, 2000, 1000), protocol=protocol))
    assert Counter(nat.names(4, protocol, times=12)) == {"s1": 6, "s2": 4, "s3": 2}


@pytest.mark.req("D-30")
def test_plain_round_robin_looks_at_no_weight(nat: World) -> None:
    nat.balance(trio(weights=(3000, 2000, 1000), scheduler=Scheduler.ROUND_ROBIN))
    assert Counter(nat.names(4, "tcp", times=6)) == {"s1": 2, "s2": 2, "s3": 2}


@pytest.mark.req("D-30")
@BOTH
def test_the_kernel_hashes_sources_as_we_foretell(nat: World, family: int) -> None:
    sources = [f"198.51.100.{n}" for n in range(20, 36)] if family == 4 else [f"2001:db8:2::{n}" for n in range(20, 36)]
    length = 24 if family == 4 else 64
    for source in sources:
        nat.ip("client", f"addr replace {source}/{length} dev eth0 {'' if family == 4 else 'nodad'}")
    hashed = trio(family=family, scheduler=Scheduler.SOURCE_HASH)
    slots = slots_of(hashed)
    assert slots is not None
    nat.balance(hashed)
    for source in sources:
        foretold = slots.servers[source_slot(parse_address(source), len(slots))].name
        assert nat.names(family, "tcp", times=2, source=source) == [foretold] * 2


@pytest.mark.req("D-30", "D-34")
@BOTH
def test_the_kernel_hashes_flows_as_we_foretell(nat: World, family: int) -> None:
    hashed = trio(family=family, scheduler=Scheduler.MAGLEV)
    slots = slots_of(hashed)
    assert slots is not None
    nat.balance(hashed)
    client = parse_address(CLIENT[family])
    ports = [next(PORTS) for _ in range(12)]
    found = [nat.names(family, "tcp", times=1, source=str(client), source_port=port)[0] for port in ports]
    assert found == [slots.servers[flow_slot(client, port, len(slots))].name for port in ports]
    assert len(set(found)) > 1


@pytest.mark.req("D-31")
@BOTH
@EITHER
def test_a_source_stays_with_its_server(nat: World, family: int, protocol: Protocol) -> None:
    nat.balance(trio(family=family, protocol=protocol, mask=32 if family == 4 else 128))
    assert len(set(nat.names(family, protocol, times=6))) == 1


@pytest.mark.req("D-31")
@pytest.mark.parametrize(("mask", "servers"), [(32, 3), (24, 1), (0, 1)])
def test_persistence_looks_at_as_much_of_the_source_as_its_mask_says(nat: World, mask: int, servers: int) -> None:
    nat.balance(trio(mask=mask))
    seen = set()
    for number in (40, 41, 42):
        nat.ip("client", f"addr replace 198.51.100.{number}/24 dev eth0")
        seen |= set(nat.names(4, "tcp", times=2, source=f"198.51.100.{number}"))
    assert len(seen) == servers


@pytest.mark.req("D-31")
def test_persistence_ends_when_the_source_was_idle_for_its_time(nat: World) -> None:
    nat.balance(trio(protocol=Protocol.UDP, mask=32, seconds=1))
    assert nat.names(4, "udp", times=3) == ["s1"] * 3
    time.sleep(3.5)
    assert nat.names(4, "udp", times=3) == ["s2"] * 3


@pytest.mark.req("D-31")
def test_packets_of_a_flow_keep_its_source_remembered(nat: World) -> None:
    nat.balance(trio(protocol=Protocol.UDP, mask=32, seconds=4))
    first = nat.agents["client"].ask("open_flow", name="long", protocol="udp", address=VIP4, port=80).split()[0]
    for _ in range(6):
        time.sleep(1)
        nat.agents["client"].ask("talk", name="long")
    assert nat.names(4, "udp", times=2) == [first] * 2
    nat.agents["client"].ask("close_flow", name="long")


@BOTH
@EITHER
@pytest.mark.req("D-12")
def test_a_drained_server_keeps_its_flows_and_gets_no_new_ones(nat: World, family: int, protocol: Protocol) -> None:
    client = nat.agents["client"]
    nat.balance(trio(family=family, protocol=protocol))
    first = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80) for name in "abc"
    }
    nat.balance(trio(Forward.NAT, Duty.DRAIN, family=family, protocol=protocol))
    assert {name: client.ask("talk", name=name) for name in first} == first
    assert set(nat.names(family, protocol, times=6)) == {"s2", "s3"}
    for name in first:
        client.ask("close_flow", name=name)


@pytest.mark.req("D-31")
def test_a_drained_server_lets_go_of_the_sources_it_remembered(nat: World) -> None:
    nat.balance(trio(mask=32))
    (before,) = set(nat.names(4, "tcp", times=2))
    duties = [Duty.DRAIN if name == before else Duty.SERVE for name in ("s1", "s2", "s3")]
    nat.balance(trio(Forward.NAT, *duties, mask=32))
    (after,) = set(nat.names(4, "tcp", times=4))
    assert after != before
    nat.balance(trio(mask=32))
    assert nat.names(4, "tcp", times=4) == [after] * 4


@BOTH
def test_a_dead_servers_udp_flow_goes_on_with_another_server(nat: World, family: int) -> None:
    client = nat.agents["client"]
    nat.balance(trio(family=family, protocol=Protocol.UDP))
    first = client.ask("open_flow", name="u", protocol="udp", address=VIP[family], port=80)
    assert first.split()[0] == "s1"
    nat.balance(trio(Forward.NAT, Duty.OUT, family=family, protocol=Protocol.UDP))
    again = [client.ask("talk", name="u").split()[0] for _ in range(3)]
    assert len(set(again)) == 1
    assert again[0] in {"s2", "s3"}
    client.ask("close_flow", name="u")


@BOTH
@EITHER
def test_flows_of_other_servers_stay_when_one_dies(nat: World, family: int, protocol: Protocol) -> None:
    client = nat.agents["client"]
    nat.balance(trio(family=family, protocol=protocol))
    first = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80) for name in "abcdef"
    }
    nat.balance(trio(Forward.NAT, Duty.OUT, family=family, protocol=protocol))
    others = [name for name, answer in first.items() if not answer.startswith("s1")]
    assert len(others) == 4
    assert {name: client.ask("talk", name=name) for name in others} == {name: first[name] for name in others}
    for name in first:
        client.ask("close_flow", name=name)


@BOTH
def test_a_dead_servers_tcp_connection_is_reset_at_once(nat: World, family: int) -> None:
    client = nat.agents["client"]
    nat.balance(trio(family=family))
    assert client.ask("open_flow", name="t", protocol="tcp", address=VIP[family], port=80).split()[0] == "s1"
    nat.balance(trio(Forward.NAT, Duty.OUT, family=family))
    assert client.ask("talk", name="t") == "reset"
    client.ask("close_flow", name="t")


@BOTH
def test_flows_of_a_server_that_has_come_back_are_not_removed(nat: World, family: int) -> None:
    client = nat.agents["client"]
    nat.balance(trio(family=family))
    first = client.ask("open_flow", name="t", protocol="tcp", address=VIP[family], port=80)
    assert first.split()[0] == "s1"
    nat.balance(trio(Forward.NAT, Duty.OUT, family=family), remove=False)
    assert nat.names(family, "tcp", times=4) == ["s2", "s3"] * 2, "new flows wait for no removal"
    nat.balance(trio(family=family))
    assert client.ask("talk", name="t") == first
    client.ask("close_flow", name="t")


def test_flows_that_a_balancer_did_not_live_to_remove_are_removed_by_the_next(nat: World) -> None:
    client = nat.agents["client"]
    nat.balance(trio())
    assert client.ask("open_flow", name="t", protocol="tcp", address=VIP4, port=80).split()[0] == "s1"
    dead = trio(Forward.NAT, Duty.OUT)
    nat.balance(dead, remove=False)
    nat.agents["lb"].ask("new_balancer")
    assert nat.balance(dead)["changes"] == []
    assert client.ask("talk", name="t") == "reset"
    client.ask("close_flow", name="t")


@BOTH
@EITHER
def test_a_service_without_servers_refuses(nat: World, family: int, protocol: Protocol) -> None:
    nat.balance(trio(Forward.NAT, *[Duty.OUT] * 3, family=family, protocol=protocol))
    assert nat.names(family, protocol, times=3) == ["refused"] * 3
    nat.balance(trio(family=family, protocol=protocol))
    assert nat.names(family, protocol, times=3) == ["s1", "s2", "s3"]


def test_a_service_that_is_taken_away_takes_its_flows_along(nat: World) -> None:
    client = nat.agents["client"]
    nat.balance(trio(protocol=Protocol.UDP), trio())
    client.ask("open_flow", name="u", protocol="udp", address=VIP4, port=80)
    done = nat.balance(trio())
    assert done["costs"] == ["service web (udp/192.0.2.50:80): its flows are cut"]
    assert client.ask("talk", name="u") == "refused"
    assert nat.names(4, "tcp", times=3) == ["s1", "s2", "s3"]
    client.ask("close_flow", name="u")


def test_a_node_that_does_not_own_the_vip_translates_nothing(nat: World) -> None:
    """It has the rules, and passes the packet on to whoever owns the VIP."""
    nat.balance(trio())
    nat.ip("lb", f"addr del {VIP4}/24 dev eth0")
    try:
        nat.ip("near", f"neigh replace {VIP4} lladdr 02:00:00:00:00:11 dev eth0")
        assert nat.names(4, "tcp", times=1, by="near", timeout=1.0)[0] in {"timeout", "[Errno 113] No route to host"}
        assert nat.agents["lb"].ask("flows") == {}
    finally:
        nat.ip("near", f"neigh del {VIP4} lladdr 02:00:00:00:00:11 dev eth0", check=False)
        nat.ip("lb", f"addr add {VIP4}/24 dev eth0")


@BOTH
@EITHER
def test_a_flow_that_came_before_the_vip_is_served_once_the_vip_is_there(
    nat: World, family: int, protocol: Protocol
) -> None:
    """A client whose first packet met a node that was about to take over sends it again, from the same port."""
    port = 20_000 + 10 * family + (protocol is Protocol.UDP)
    vip, length = VIP[family], 24 if family == 4 else 64
    nat.balance(trio(family=family, protocol=protocol))
    nat.ip("lb", f"addr del {vip}/{length} dev eth0")
    try:
        nat.ip("router", f"neigh replace {vip} lladdr 02:00:00:00:00:11 dev eth0 nud permanent")
        (before,) = nat.names(family, protocol, times=1, timeout=0.5, source_port=port)
        assert before not in {"s1", "s2", "s3"}
    finally:
        nat.ip("router", f"neigh del {vip} dev eth0", check=False)
        nat.own_vip("lb", family=family)
    # The kernel's route to itself comes a moment after an IPv6 address: a datagram that is earlier is lost.
    answers = (nat.names(family, protocol, times=1, timeout=2.0, source_port=port)[0] for _ in range(3))
    assert next((answer for answer in answers if answer != "timeout"), None) == "s1"


@BOTH
@EITHER
def test_the_server_of_a_flow_is_found_and_flows_are_counted(nat: World, family: int, protocol: Protocol) -> None:
    client, balancer = nat.agents["client"], nat.agents["lb"]
    nat.balance(trio(family=family, protocol=protocol))
    for name in "abcd":
        client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80, source=CLIENT[family])
    port = client.ask("local_port", name="b")
    where = f"{protocol} {VIP[family]} 80"
    assert balancer.ask("find", service=where, source=CLIENT[family], port=port) == "s2"
    assert balancer.ask("find", service=where, source=CLIENT[family], port=1) is None
    counts = balancer.ask("flows")
    assert sorted(count for place, count in counts.items() if place.startswith(str(protocol))) == [1, 1, 2]
    for name in "abcd":
        client.ask("close_flow", name=name)


def test_servers_are_not_told_a_shorter_way_past_the_balancer(nat: World) -> None:
    """Client and server are both behind the balancer's one interface, as a redirect would be sent for."""
    nat.balance(trio(), trio(family=6))
    assert nat.agents["lb"].ask("read", path="/proc/sys/net/ipv4/conf/eth0/send_redirects") == "0"
    for family in (4, 6):
        assert set(nat.names(family, "tcp", times=6)) == {"s1", "s2", "s3"}
    for name in ("s1", "s2", "s3"):
        for option in ("-4", "-6"):
            assert "redirect" not in nat.ip(name, f"{option} route show cache")


@pytest.mark.req("D-31")
@BOTH
def test_the_server_that_a_source_is_remembered_with_is_found(nat: World, family: int) -> None:
    balancer = nat.agents["lb"]
    nat.balance(trio(Forward.NAT, family=family, mask=24 if family == 4 else 64))
    where = f"tcp {VIP[family]} 80"
    assert balancer.ask("remembered", service=where, source=CLIENT[family]) is None
    (name,) = set(nat.names(family, "tcp", times=2, source=CLIENT[family]))
    assert balancer.ask("remembered", service=where, source=CLIENT[family]) == name
    elsewhere = "203.0.113.1" if family == 4 else "2001:db8:7::1"
    assert balancer.ask("remembered", service=where, source=elsewhere) is None


@BOTH
def test_connections_are_listed_with_their_servers_and_what_persistence_remembers(nat: World, family: int) -> None:
    client = nat.agents["client"]
    servers = (server(1, family=family), server(2, Forward.FULLNAT, family=family))
    nat.balance(service(*servers, family=family, protocol=Protocol.UDP), trio(family=family, mask=24))
    answers = {
        name: client.ask("open_flow", name=name, protocol=protocol, address=VIP[family], port=80, source=CLIENT[family])
        for name, protocol in (("a", "udp"), ("b", "udp"), ("c", "tcp"))
    }
    text = nat.agents["lb"].ask("connections")
    found: ConnectionList = Codec().decode(text.encode(), ConnectionList)
    assert {(each.service.protocol, each.name) for each in found.connections} == {
        (Protocol.TCP if name == "c" else Protocol.UDP, answer.split()[0]) for name, answer in answers.items()
    }
    assert {str(each.client) for each in found.connections} == {CLIENT[family]}
    ports = {client.ask("local_port", name=name) for name in answers}
    assert {each.client_port for each in found.connections} == ports
    assert {each.state for each in found.connections} == {ConnectionState.ESTABLISHED}
    assert all(timedelta(0) < each.expires for each in found.connections)
    ((source, name),) = ((each.source, each.name) for each in found.sources)
    assert (str(source), name) == ({4: "198.51.100.0", 6: "2001:d00::"}[family], answers["c"].split()[0])
    assert (found.total, found.total_sources) == (3, 1)
    for each in answers:
        client.ask("close_flow", name=each)
