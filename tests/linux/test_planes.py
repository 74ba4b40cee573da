"""Services split between the planes, and what becomes of their packets when they go from one to the other."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.lb.samples import trio
from tests.linux.test_dead_man_gate import gate
from tests.linux.world import VIP4, World
from yaoki.lb.service import Duty, Forward, PlaneWish, Protocol, Scheduler, VirtualService

pytestmark = pytest.mark.netns

UDP = trio(Forward.DIRECT, protocol=Protocol.UDP)
TCP6 = trio(Forward.DIRECT, family=6)
TRANSLATED = trio(Forward.FULLNAT, protocol=Protocol.TCP)
ON_BPF = {"udp/192.0.2.50:80": "bpf carries", "tcp/[2001:db8:1::50]:80": "bpf carries"}


@pytest.fixture
def planes(direct_network: World) -> Iterator[World]:
    direct_network.agents["lb"].ask("deaf", yes=False)
    restart(direct_network)
    yield direct_network
    direct_network.clean_up()


def restart(world: World) -> None:
    world.agents["lb"].ask("new_balancer", plane="both")


def on(plane: PlaneWish, service: VirtualService = UDP) -> VirtualService:
    return replace(service, plane=plane)


def choices(world: World) -> dict[str, str]:
    found: dict[str, str] = world.agents["lb"].ask("choices")
    return found


def test_direct_return_is_on_bpf_and_the_rest_on_nftables_and_a_restart_moves_nothing(planes: World) -> None:
    planes.balance(UDP, TCP6, TRANSLATED)
    assert choices(planes) == {**ON_BPF, "tcp/192.0.2.50:80": "nftables not-direct"}
    assert planes.names(4, "udp", times=3) == ["s1", "s2", "s3"]
    restart(planes)
    assert planes.balance(UDP, TCP6, TRANSLATED)["changes"] == []
    assert choices(planes) == {**ON_BPF, "tcp/192.0.2.50:80": "nftables not-direct"}
    counted = planes.agents["lb"].ask("counters")
    assert sum(packets for place, (packets, _) in counted.items() if place.startswith("udp")) == 3
    assert planes.agents["lb"].ask("totals") == {
        "udp/192.0.2.50:80": [3, 3],
        "tcp/[2001:db8:1::50]:80": [0, 0],
        "tcp/192.0.2.50:80": [0, None],
    }


def test_what_the_program_sends_nobody_is_counted_with_its_reason(planes: World) -> None:
    assert planes.agents["lb"].ask("unsent") == {}, "no program"
    planes.balance(trio(Forward.DIRECT, Duty.OUT, Duty.OUT, Duty.OUT, protocol=Protocol.UDP))
    assert planes.names(4, "udp", times=2) == ["refused", "refused"]
    found = planes.agents["lb"].ask("unsent")
    assert found["no-server"] == 2
    assert (found["shut"], found["no-headroom"]) == (0, 0)
    assert "sent" not in found


def test_a_service_that_was_on_nftables_stays_there_until_the_file_names_bpf(planes: World) -> None:
    planes.balance(on(PlaneWish.NFTABLES))
    assert choices(planes) == {"udp/192.0.2.50:80": "nftables file"}
    assert planes.agents["lb"].ask("programs") == []
    restart(planes)
    assert planes.balance(UDP)["changes"] == []
    assert choices(planes) == {"udp/192.0.2.50:80": "nftables stays"}
    done = planes.balance(on(PlaneWish.BPF))
    assert done["changes"] == ["change service web (udp/192.0.2.50:80)"]
    assert done["costs"] == ["service web (udp/192.0.2.50:80): its flows are scheduled anew, on another plane"]
    assert choices(planes) == {"udp/192.0.2.50:80": "bpf file"}
    assert planes.names(4, "udp", times=3) == ["s1", "s2", "s3"]


@pytest.mark.req("B-14")
def test_a_service_goes_from_plane_to_plane_without_losing_a_packet(planes: World) -> None:
    """By a hash of the source both planes lead to one server, so not even the server changes."""
    client = planes.agents["client"]
    hashed = trio(Forward.DIRECT, protocol=Protocol.UDP, scheduler=Scheduler.SOURCE_HASH)
    planes.balance(on(PlaneWish.BPF, hashed))
    client.ask("start_stream", name="s", address=VIP4, port=80)
    for _ in range(5):
        planes.balance(on(PlaneWish.NFTABLES, hashed))
        planes.balance(on(PlaneWish.BPF, hashed))
    found = client.ask("stop_stream", name="s")
    assert found["sent"] >= 20, "the stream runs while the service moves"
    assert len(found["answers"]) == found["sent"]
    assert len(set(found["answers"])) == 1


def test_what_bpf_refuses_is_carried_by_nftables_and_the_reason_is_kept(planes: World) -> None:
    planes.balance(TRANSLATED)
    planes.agents["lb"].ask("gate", what="hook")
    gate(planes, "arm")
    planes.agents["lb"].ask("deaf", yes=True)
    try:
        planes.balance(on(PlaneWish.BPF), TRANSLATED)
        assert choices(planes)["udp/192.0.2.50:80"].startswith("nftables unable")
        assert "does not write its dead-man deadline" in choices(planes)["udp/192.0.2.50:80"]
        assert planes.names(4, "udp", times=3) == ["s1", "s2", "s3"]
    finally:
        planes.agents["lb"].ask("deaf", yes=False)
        planes.agents["lb"].ask("gate", what="remove")


def test_cleanup_leaves_nothing_of_either(planes: World) -> None:
    before = planes.ruleset()
    planes.balance(UDP, TRANSLATED)
    planes.agents["lb"].ask("cleanup")
    assert planes.agents["lb"].ask("programs") == []
    assert planes.ruleset() == before


def test_what_hinders_bpf_is_said_of_each_interface(planes: World) -> None:
    planes.ip("lb", "tuntap add dev tun0 mode tun")
    try:
        found = planes.agents["lb"].ask("lacks")
        assert found == {
            "eth0": None,
            "tun0": "tun0 is no Ethernet interface",
            "nowhere": "there is no interface nowhere",
        }
    finally:
        planes.ip("lb", "link del tun0")
