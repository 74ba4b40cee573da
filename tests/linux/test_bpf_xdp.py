"""The program in an interface's driver, by XDP: as the one at tcx, and what becomes of it when somebody interferes."""

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lb.samples import trio
from tests.linux.program import frame, packet
from tests.linux.test_dead_man_gate import gate
from tests.linux.world import PREFIX, VIP4, VIP6, Agent, World, world
from tests.linux.xdp_program import NAME
from yaoki.core.address import MacAddress
from yaoki.lb.service import Duty, Forward, PlaneWish, Protocol, VirtualService
from yaoki.packet.tcp import TcpFlags

pytestmark = pytest.mark.netns

DIRECT = Forward.DIRECT
UDP, TCP = trio(DIRECT, protocol=Protocol.UDP), trio(DIRECT)
VETH = "tcx is the faster hook of a veth, and what XDP sends there is lost unless the other end runs XDP, too"
WANTED = (TCP, trio(DIRECT, family=6, protocol=Protocol.UDP), UDP)
SERVED = ["s1", "s2", "s3"]
VIP = {4: VIP4, 6: VIP6}
CLIENT = {4: "198.51.100.9", 6: "2001:db8:2::9"}


@pytest.fixture(scope="module")
def network() -> Iterator[World]:
    """Servers hold the VIP and answer on port 80; XDP at the balancer's end of its cable can send."""
    with world() as built:
        built.servers_hold_vip()
        for name in SERVED:
            built.agents[name].ask("serve", name=name, port=80)
        built.xdp_sends()
        yield built


@pytest.fixture
def xdp(network: World) -> Iterator[World]:
    network.agents["lb"].ask("deaf", yes=False)
    restart(network)
    yield network
    network.clean_up()
    assert in_driver(network) is None
    assert network.agents["lb"].ask("programs") == []


def restart(world: World, plane: str = "xdp") -> None:
    world.agents["lb"].ask("new_balancer", plane=plane)


def in_driver(world: World) -> list[object] | None:
    found: list[object] | None = world.agents["lb"].ask("in_driver")
    return found


def is_ours(world: World) -> bool:
    found = in_driver(world)
    return found is not None and found[0] == "balance_xdp"


def choices(world: World) -> dict[str, str]:
    found: dict[str, str] = world.agents["lb"].ask("choices")
    return found


@pytest.mark.parametrize(("family", "protocol"), [(4, Protocol.TCP), (6, Protocol.UDP)])
def test_the_driver_sends_to_servers_and_the_client_is_seen_as_it_is(
    xdp: World, family: int, protocol: Protocol
) -> None:
    xdp.balance(trio(DIRECT, family=family, protocol=protocol))
    assert is_ours(xdp)
    answers = xdp.agents["client"].ask(f"ask_{protocol.value}", address=VIP[family], port=80, times=6)
    assert sorted(answer.split()[0] for answer in answers) == sorted(SERVED * 2)
    assert {answer.split()[1] for answer in answers} == {CLIENT[family]}
    counted = xdp.agents["lb"].ask("counters")
    assert all(packets > 0 for packets, _ in counted.values())


def test_what_the_driver_sends_never_comes_to_tcx(xdp: World) -> None:
    """Taken away from tcx, the program in the driver serves alone."""
    xdp.balance(*WANTED)
    xdp.agents["lb"].ask("detach_programs")
    assert sorted(xdp.names(4, "udp", times=3)) == SERVED
    restart(xdp)
    assert xdp.balance(*WANTED)["changes"] != []
    assert len(xdp.agents["lb"].ask("programs")) == 1, "it is at tcx again"
    assert is_ours(xdp)
    counted = xdp.agents["lb"].ask("counters")
    assert sum(packets for place, (packets, _) in counted.items() if place.startswith("udp/192")) == 3


@pytest.mark.req("B-14")
def test_it_goes_on_while_no_process_of_ours_lives_and_is_taken_up_as_it_is(xdp: World) -> None:
    client = xdp.agents["client"]
    xdp.balance(*WANTED)
    before = in_driver(xdp)
    first = {name: client.ask("open_flow", name=name, protocol="tcp", address=VIP4, port=80) for name in "abc"}
    xdp.agents["lb"].close()
    try:
        assert {name: client.ask("talk", name=name) for name in first} == first
    finally:
        xdp.agents["lb"] = Agent(PREFIX + "lb")
    assert in_driver(xdp) == before
    restart(xdp)
    assert xdp.balance(*WANTED)["changes"] == []
    assert in_driver(xdp) == before
    assert {name: client.ask("talk", name=name) for name in first} == first
    for name in first:
        client.ask("close_flow", name=name)


@pytest.mark.req("B-14")
def test_another_program_takes_its_place_without_losing_a_packet_or_a_flow(xdp: World) -> None:
    xdp.balance(*WANTED)
    client, balancer = xdp.agents["client"], xdp.agents["lb"]
    before = in_driver(xdp)
    client.ask("start_stream", name="s", address=VIP4, port=80)
    for _ in range(3):
        balancer.ask("make_program_old")
        restart(xdp)
        assert xdp.balance(*WANTED)["changes"] == []
    found = client.ask("stop_stream", name="s")
    assert is_ours(xdp)
    assert in_driver(xdp) != before
    assert len(found["answers"]) == found["sent"]
    assert len(set(found["answers"])) == 1


@pytest.mark.req("B-14")
def test_to_go_from_hook_to_hook_moves_no_flow(xdp: World) -> None:
    client = xdp.agents["client"]
    xdp.balance(*WANTED)
    flow = client.ask("open_flow", name="t", protocol="tcp", address=VIP4, port=80)
    for plane in ("bpf", "xdp"):
        restart(xdp, plane)
        assert xdp.balance(*WANTED)["changes"] == []
        assert is_ours(xdp) == (plane == "xdp")
        assert xdp.agents["lb"].ask("hidden") == (["eth0"] if plane == "xdp" else [])
        assert client.ask("talk", name="t") == flow
    client.ask("close_flow", name="t")


def test_a_program_whose_maps_are_of_another_layout_is_replaced(xdp: World) -> None:
    xdp.balance(*WANTED)
    before = in_driver(xdp)
    xdp.agents["lb"].ask("make_program_old", layout="of-last-year")
    restart(xdp)
    assert len(xdp.balance(*WANTED)["changes"]) == 3
    assert is_ours(xdp)
    assert in_driver(xdp) != before
    assert sorted(xdp.names(4, "udp", times=3)) == SERVED


def test_somebody_elses_program_is_neither_displaced_nor_taken_away(xdp: World) -> None:
    xdp.xdp_program("lb", "eth0")
    try:
        theirs = in_driver(xdp)
        assert theirs is not None
        assert theirs[0] == NAME
        assert xdp.agents["lb"].ask("hidden") == ["eth0"]
        xdp.balance(*WANTED)
        assert in_driver(xdp) == theirs
        why = xdp.agents["lb"].ask("refused_by_driver")
        assert why == f"the program {NAME} (number {theirs[1]}) is there, and is none of Yaoki's"
        assert sorted(xdp.names(4, "udp", times=3)) == SERVED, "by tcx"
        xdp.agents["lb"].ask("cleanup")
        assert in_driver(xdp) == theirs
    finally:
        xdp.xdp_program("lb", "eth0", off=True)
    xdp.balance(*WANTED)
    assert is_ours(xdp)
    assert xdp.agents["lb"].ask("refused_by_driver") is None


def test_where_somebody_takes_it_away_tcx_goes_on_with_every_flow(xdp: World) -> None:
    client = xdp.agents["client"]
    xdp.balance(*WANTED)
    flow = client.ask("open_flow", name="t", protocol="tcp", address=VIP4, port=80)
    xdp.ip("lb", "link set eth0 xdp off")
    assert in_driver(xdp) is None
    assert client.ask("talk", name="t") == flow
    xdp.balance(*WANTED)
    assert is_ours(xdp), "it is put there again"
    assert client.ask("talk", name="t") == flow
    client.ask("close_flow", name="t")


def test_a_mac_that_changes_loses_nothing(xdp: World) -> None:
    """The program in the driver compares MACs with the one that the interface had; tcx asks the kernel."""
    xdp.balance(*WANTED)
    own = "02:00:00:00:00:11"
    try:
        xdp.ip("lb", "link set eth0 address 02:00:00:00:00:99")
        for family in (4, 6):
            xdp.ip("router", f"-{family} neigh flush all")
        assert sorted(xdp.names(4, "udp", times=3)) == SERVED
    finally:
        xdp.ip("lb", f"link set eth0 address {own}")
        for family in (4, 6):
            xdp.ip("router", f"-{family} neigh flush all")


def test_a_driver_that_refuses_says_why_and_all_goes_on_at_tcx(xdp: World) -> None:
    xdp.xdp_program("sw", "p-lb", off=True)
    xdp.ip("sw", "link set p-lb mtu 9000")
    restart(xdp, "both on any driver")
    try:
        xdp.balance(replace(UDP, plane=PlaneWish.XDP))
        assert in_driver(xdp) is None
        assert choices(xdp)["udp/192.0.2.50:80"].startswith("bpf no-xdp XDP: attach to eth0: ")
        assert "MTU" in choices(xdp)["udp/192.0.2.50:80"], "in the words of the driver"
        assert sorted(xdp.names(4, "udp", times=3)) == SERVED
    finally:
        xdp.ip("sw", "link set p-lb mtu 1500")
        xdp.xdp_program("sw", "p-lb")


def test_one_service_that_wants_xdp_has_all_of_its_interface_there(xdp: World) -> None:
    restart(xdp, "both on any driver")
    others = trio(DIRECT), trio(DIRECT, family=6)
    xdp.balance(*others)
    assert in_driver(xdp) is None, "nobody asked for it"
    done = xdp.balance(*others, replace(UDP, plane=PlaneWish.XDP))
    assert done["costs"] == []
    assert choices(xdp) == {
        "tcp/192.0.2.50:80": "xdp shares",
        "tcp/[2001:db8:1::50]:80": "xdp shares",
        "udp/192.0.2.50:80": "xdp file",
    }
    assert sorted(xdp.names(4, "udp", times=3)) == SERVED
    xdp.balance(*others, UDP)
    assert in_driver(xdp) is None
    assert set(choices(xdp).values()) == {"bpf carries"}
    assert sorted(xdp.names(4, "udp", times=3)) == SERVED


def test_a_driver_that_runs_xdp_gets_it_and_a_veth_is_left_to_tcx(xdp: World) -> None:
    """A tap device is the driver: what the test writes to it arrives, and what is sent comes back to the test."""
    balancer = xdp.agents["lb"]
    mac = balancer.ask("make_tap", name="tap0")
    restart(xdp, "both")
    try:
        xdp.balance(replace(UDP, plane=PlaneWish.XDP), replace(TCP, interface="tap0", plane=PlaneWish.XDP))
        assert choices(xdp)["udp/192.0.2.50:80"] == f"bpf no-xdp {VETH}"
        assert choices(xdp)["tcp/192.0.2.50:80"] == "xdp file"
        assert in_driver(xdp) is None
        request = frame(packet(4, Protocol.TCP, flags=TcpFlags.SYN), to=MacAddress.parse(mac))
        back = bytes.fromhex(balancer.ask("through_tap", frame=request.hex()))
        assert back == bytes.fromhex("020000000021") + request[:6] + request[12:]
        to_us = frame(packet(4, Protocol.TCP, to_port=81, flags=TcpFlags.SYN), to=MacAddress.parse(mac))
        assert balancer.ask("through_tap", frame=to_us.hex()) is None, "of no service: it goes up the stack"
        assert balancer.ask("lacks_xdp") == {"eth0": VETH, "tap0": None, "nowhere": "there is no interface nowhere"}
    finally:
        balancer.ask("cleanup")
        balancer.ask("close_tap")


def test_whether_a_card_takes_vlan_tags_off_is_known(xdp: World) -> None:
    xdp.inside("lb", "ethtool", "-K", "eth0", "rxvlan", "off")
    assert xdp.agents["lb"].ask("takes_tags_off") is False
    xdp.inside("lb", "ethtool", "-K", "eth0", "rxvlan", "on")
    assert xdp.agents["lb"].ask("takes_tags_off") is True


@pytest.mark.req("B-19")
def test_a_gate_that_is_shut_lets_nothing_through_the_driver(xdp: World) -> None:
    balancer = xdp.agents["lb"]
    balancer.ask("gate", what="hook")
    try:
        gate(xdp, "arm")
        xdp.balance(UDP)
        assert is_ours(xdp)
        assert sorted(xdp.names(4, "udp", times=3)) == SERVED
        gate(xdp, "refresh", 4, 1)
        time.sleep(0.05)
        before = balancer.ask("counters")
        assert xdp.names(4, "udp", times=3, timeout=0.3) == ["timeout"] * 3
        assert balancer.ask("counters") == before
        gate(xdp, "disarm")
        assert sorted(xdp.names(4, "udp", times=3)) == SERVED
    finally:
        balancer.ask("gate", what="remove")


def test_what_nobody_serves_goes_up_the_stack_and_is_refused(xdp: World) -> None:
    dead: VirtualService = trio(DIRECT, *[Duty.OUT] * 3)
    xdp.balance(dead)
    assert is_ours(xdp)
    assert xdp.names(4, "tcp", times=2) == ["refused", "refused"]
