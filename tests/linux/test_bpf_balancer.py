"""The plane on BPF over its life: restarts, upgrades, what somebody took away, and leaving nothing behind."""

from collections.abc import Iterator

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.world import PREFIX, VIP4, VIP6, Agent, World
from yaoki.core.codec import Codec
from yaoki.lb.service import Desired, Duty, Forward, Protocol, VirtualService

pytestmark = pytest.mark.netns

DIRECT = Forward.DIRECT
WANTED = (trio(DIRECT), trio(DIRECT, family=6, protocol=Protocol.UDP), trio(DIRECT, protocol=Protocol.UDP, mask=24))


@pytest.fixture
def bpf(direct_network: World) -> Iterator[World]:
    restart(direct_network)
    yield direct_network
    direct_network.clean_up()


def restart(world: World) -> None:
    world.agents["lb"].ask("new_balancer", plane="bpf")


def observed(world: World) -> dict[str, VirtualService]:
    found: Desired = Codec().decode(world.agents["lb"].ask("observed").encode(), Desired)
    return {str(each.key): each for each in found.services}


def test_a_restarted_plane_finds_what_was_asked_for_and_changes_nothing(bpf: World) -> None:
    bpf.balance(*WANTED)
    restart(bpf)
    assert observed(bpf) == {str(each.key): each for each in WANTED}
    assert bpf.balance(*WANTED)["changes"] == []


@pytest.mark.req("B-14")
def test_it_forwards_while_no_process_of_ours_lives_and_is_taken_up_as_it_is(bpf: World) -> None:
    client = bpf.agents["client"]
    bpf.balance(*WANTED)
    first = {name: client.ask("open_flow", name=name, protocol="tcp", address=VIP4, port=80) for name in "abc"}
    bpf.agents["lb"].close()
    try:
        assert {name: client.ask("talk", name=name) for name in first} == first
        assert set(bpf.names(4, "tcp", times=3)) == {"s1", "s2", "s3"}
    finally:
        bpf.agents["lb"] = Agent(PREFIX + "lb")
    restart(bpf)
    assert bpf.balance(*WANTED)["changes"] == []
    assert {name: client.ask("talk", name=name) for name in first} == first
    for name in first:
        client.ask("close_flow", name=name)


@pytest.mark.req("B-14")
def test_another_program_takes_the_place_of_this_one_without_losing_a_packet_or_a_flow(bpf: World) -> None:
    bpf.balance(*WANTED)
    client, balancer = bpf.agents["client"], bpf.agents["lb"]
    before = balancer.ask("programs")
    client.ask("start_stream", name="s", address=VIP4, port=80)
    for _ in range(5):
        balancer.ask("make_program_old")
        restart(bpf)
        assert bpf.balance(*WANTED)["changes"] == []
    found = client.ask("stop_stream", name="s")
    after = balancer.ask("programs")
    assert [name for name, _ in after] == [name for name, _ in before] == ["balance_tc"]
    assert after != before
    assert len(found["answers"]) == found["sent"]
    assert len(set(found["answers"])) == 1


def test_a_program_whose_maps_are_of_another_layout_is_replaced_by_an_empty_one(bpf: World) -> None:
    bpf.balance(*WANTED)
    before = bpf.agents["lb"].ask("programs")
    bpf.agents["lb"].ask("make_program_old", layout="of-last-year")
    restart(bpf)
    assert observed(bpf) == {}
    assert bpf.agents["lb"].ask("programs") == before
    assert len(bpf.balance(*WANTED)["changes"]) == 3
    after = bpf.agents["lb"].ask("programs")
    assert len(after) == 1
    assert after != before
    assert bpf.names(4, "tcp", times=3) == ["s1", "s2", "s3"]


def test_looking_changes_nothing(bpf: World) -> None:
    bpf.balance(*WANTED)
    bpf.agents["lb"].ask("make_program_old")
    before = bpf.agents["lb"].ask("programs")
    restart(bpf)
    assert len(observed(bpf)) == 3
    assert bpf.agents["lb"].ask("programs") == before


def test_counters_survive_restarts_and_changes(bpf: World) -> None:
    bpf.balance(trio(DIRECT, protocol=Protocol.UDP))
    bpf.names(4, "udp", times=6)
    restart(bpf)
    bpf.balance(trio(DIRECT, Duty.DRAIN, protocol=Protocol.UDP))
    counted = bpf.agents["lb"].ask("counters")
    assert [packets for packets, _ in counted.values()] == [2, 2, 2]
    bpf.balance(service(server(2, DIRECT), server(3, DIRECT), protocol=Protocol.UDP))
    bpf.balance(trio(DIRECT, protocol=Protocol.UDP))
    counted = bpf.agents["lb"].ask("counters")
    assert sorted(packets for packets, _ in counted.values()) == [0, 2, 2]


def test_what_somebody_took_away_is_put_there_again(bpf: World) -> None:
    bpf.balance(*WANTED)
    bpf.agents["lb"].ask("detach_programs")
    restart(bpf)
    assert bpf.balance(*WANTED)["changes"] != []
    assert bpf.names(4, "tcp", times=3) == ["s1", "s2", "s3"]


def test_what_flows_under_way_go_by_is_put_there_again(bpf: World) -> None:
    bpf.balance(*WANTED)
    client = bpf.agents["client"]
    first = client.ask("open_flow", name="w", protocol="tcp", address=VIP4, port=80)
    bpf.agents["lb"].ask("spoil_under_way")
    restart(bpf)
    assert bpf.balance(*WANTED)["changes"] != []
    assert client.ask("talk", name="w") == first
    restart(bpf)
    assert bpf.balance(*WANTED)["changes"] == []
    client.ask("close_flow", name="w")


def test_a_server_that_no_service_knows_of_loses_its_seat(bpf: World) -> None:
    """As a process may leave one that dies between a change and its end."""
    bpf.balance(WANTED[0])
    balancer = bpf.agents["lb"]
    balancer.ask("put_stray", number=77, stamp=9999, service=0)
    restart(bpf)
    bpf.balance(*WANTED)
    assert balancer.ask("server_flags", number=77) == 0
    assert balancer.ask("server_flags", number=1) != 0
    assert bpf.names(4, "tcp", times=3) == ["s1", "s2", "s3"]


def test_a_service_that_is_removed_leaves_the_others_alone(bpf: World) -> None:
    client = bpf.agents["client"]
    bpf.balance(*WANTED)
    first = client.ask("open_flow", name="t", protocol="tcp", address=VIP4, port=80)
    done = bpf.balance(WANTED[0])
    assert {change.split()[0] for change in done["changes"]} == {"remove"}
    assert client.ask("talk", name="t") == first
    assert list(observed(bpf)) == ["tcp/192.0.2.50:80"]
    client.ask("close_flow", name="t")


def test_each_address_has_a_number_for_its_deadline_while_it_has_services(bpf: World) -> None:
    balancer = bpf.agents["lb"]
    bpf.balance(*WANTED)
    first = balancer.ask("gate_numbers")
    assert set(first) == {VIP4, VIP6}
    assert len(set(first.values()) - {0}) == 2
    restart(bpf)
    bpf.balance(WANTED[1])
    assert balancer.ask("gate_numbers") == {VIP6: first[VIP6]}
    bpf.balance(*WANTED)
    again = balancer.ask("gate_numbers")
    assert again[VIP6] == first[VIP6]
    assert len(set(again.values()) - {0}) == 2


def test_what_the_plane_cannot_do_is_refused_before_anything_is_done(bpf: World) -> None:
    with pytest.raises(AssertionError, match="nat is not for this plane"):
        bpf.balance(trio(Forward.NAT))
    assert bpf.agents["lb"].ask("programs") == []


def test_cleanup_leaves_nothing(bpf: World) -> None:
    before = bpf.ruleset()
    parameter = "/proc/sys/net/ipv4/neigh/eth0/retrans_time_ms"
    original = bpf.agents["lb"].ask("read", path=parameter)
    bpf.balance(trio(DIRECT, *[Duty.OUT] * 3), WANTED[1])
    assert bpf.agents["lb"].ask("programs") != []
    assert bpf.ruleset() != before
    bpf.agents["lb"].ask("cleanup")
    assert bpf.agents["lb"].ask("programs") == []
    assert bpf.ruleset() == before
    assert bpf.agents["lb"].ask("read", path=parameter) == original
