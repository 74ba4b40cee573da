"""The direct check in namespaces: servers that pass a check of their own address and serve nobody fail it."""

from collections.abc import Iterator

import pytest

from tests.lb.samples import trio
from tests.linux.world import PREFIX, VIP4, VIP6, World
from yaoki.core.address import parse_address
from yaoki.lb.service import Forward
from yaoki.linux.capture_filter import program
from yaoki.linux.capture_socket import CaptureSocket
from yaoki.linux.network_namespace import inside
from yaoki.packet.ethernet import ETHERTYPE_IPV4

pytestmark = [pytest.mark.netns, pytest.mark.req("D-11")]

SERVER, SERVER6, OWN, OWN6 = "192.0.2.21", "2001:db8:1::21", "192.0.2.11", "2001:db8:1::11"


def direct(world: World, target: str, source: str, vip: str, *, port: int = 80) -> list[str]:
    params = {"kind": "direct", "port": port, "vip": vip, "interface": "eth0"}
    answer: list[str] = world.agents["lb"].ask("probe", target=target, params=params, source=source)
    if answer[0] == "unreachable":
        # The first question makes the kernel ask for the MAC.
        world.agents["lb"].ask("probe", target=target, params={"kind": "tcp", "port": 80}, source=source)
        answer = world.agents["lb"].ask("probe", target=target, params=params, source=source)
    return answer


@pytest.fixture
def faulty(direct_network: World) -> Iterator[World]:
    yield direct_network
    direct_network.ip("s1", f"addr replace {VIP4}/32 dev lo")
    direct_network.ip("s1", f"addr replace {VIP6}/128 dev lo nodad")


@pytest.mark.parametrize(("target", "source", "vip"), [(SERVER, OWN, VIP4), (SERVER6, OWN6, VIP6)])
def test_a_server_without_the_vip_passes_the_normal_check_and_fails_the_direct_one(
    faulty: World, target: str, source: str, vip: str
) -> None:
    passed = ["passed", f"connected to {vip} at 02:00:00:00:00:21"]
    assert [direct(faulty, target, source, vip) for _ in range(3)] == [passed] * 3
    assert direct(faulty, target, source, vip, port=81) == ["refused", f"connection to {vip} refused"]
    faulty.ip("s1", f"addr del {vip}/{32 if '.' in vip else 128} dev lo")
    own = faulty.agents["lb"].ask("probe", target=target, params={"kind": "tcp", "port": 80}, source=source)
    assert own == ["passed", "connected"]
    assert direct(faulty, target, source, vip) == [
        "timed-out",
        f"no answer from {vip} at 02:00:00:00:00:21 within 500 ms",
    ]


def test_a_server_whose_mac_nobody_knows_and_an_address_that_is_not_here(direct_network: World) -> None:
    params = {"kind": "direct", "port": 80, "vip": VIP4, "interface": "eth0"}
    ask = direct_network.agents["lb"].ask
    assert ask("probe", target="192.0.2.77", params=params, source=OWN) == [
        "unreachable",
        "the MAC of 192.0.2.77 is not known",
    ]
    assert direct(direct_network, SERVER, OWN, VIP4)[0] == "passed"
    assert ask("probe", target=SERVER, params=params, source="192.0.2.99")[0] == "not-run"
    assert ask("probe", target=SERVER, params={**params, "interface": "eth9"}, source=OWN)[0] == "not-run"


def test_a_connection_that_a_server_has_not_been_told_to_forget_does_not_fail_the_next(direct_network: World) -> None:
    assert direct(direct_network, SERVER, OWN, VIP4)[0] == "passed"
    deaf = "table inet deaf { chain in { type filter hook input priority 0; tcp flags & rst == rst drop; }; }"
    direct_network.inside("s1", "nft", deaf)
    try:
        assert direct(direct_network, SERVER, OWN, VIP4)[0] == "passed"
    finally:
        direct_network.inside("s1", "nft", "delete table inet deaf")
    assert "SYN-RECV" in direct_network.inside("s1", "ss", "-tan")
    assert [direct(direct_network, SERVER, OWN, VIP4)[0] for _ in range(2)] == ["passed"] * 2
    assert "SYN-RECV" not in direct_network.inside("s1", "ss", "-tan")


def _behind_the_planes() -> CaptureSocket:
    return CaptureSocket("eth0", program((parse_address(VIP4),), (80,), 6, snap=128), snap=128, arriving=ETHERTYPE_IPV4)


@pytest.mark.parametrize("plane", ["bpf", "nftables"])
def test_it_is_asked_past_either_plane_and_nothing_that_these_forward_comes_to_its_socket(
    direct_network: World, plane: str
) -> None:
    lb = direct_network.agents["lb"]
    lb.ask("new_balancer", plane=plane)
    direct_network.balance(trio(Forward.DIRECT))
    assert direct(direct_network, SERVER, OWN, VIP4)[0] == "passed"
    socket = inside(PREFIX + "lb", _behind_the_planes)
    try:
        assert direct_network.names(4, "tcp", times=3) == ["s1", "s2", "s3"]
        assert socket.read() is None
        assert direct(direct_network, SERVER, OWN, VIP4)[0] == "passed"
        answer = socket.read()
        assert answer is not None
        assert answer.octets[6:12] == bytes.fromhex("020000000021")
    finally:
        socket.close()
        direct_network.clean_up()
