"""Accept_Mode off, in namespaces: what a client still gets from a VIP that takes nothing for the node itself."""

import subprocess

import pytest

from tests.lb.samples import server, service, trio
from tests.linux.world import PREFIX, VIP4, VIP6, World, run
from tests.runtime.network import eventually
from yaoki.core.address import parse_address
from yaoki.lb.service import Duty, Forward, Protocol
from yaoki.linux.vip_delivery import VipDelivery

pytestmark = pytest.mark.netns

BOTH = pytest.mark.parametrize("family", [4, 6])
VIP = {4: VIP4, 6: VIP6}
OWN = {4: "192.0.2.11", 6: "2001:db8:1::11"}
MAC = "02:00:00:00:00:11"


class OnBalancer:
    """nft on the balancer."""

    def run(self, text: str, /, *, purpose: str) -> None:
        assert purpose
        run("ip", "netns", "exec", PREFIX + "lb", "nft", "-f", "-", text=text)


DELIVERY = VipDelivery(OnBalancer())


def refuse(*addresses: str) -> None:
    DELIVERY.refuse(map(parse_address, addresses))


def answers(address: str, *, by: str = "router") -> bool:
    words = ["ip", "netns", "exec", PREFIX + by, "ping", "-c1", "-W1", address]
    return subprocess.run(words, capture_output=True, check=False, timeout=30).returncode == 0


@pytest.mark.req("D-05")
@BOTH
def test_what_is_forwarded_by_translation_is_as_before(nat: World, family: int) -> None:
    nat.balance(trio(family=family))
    refuse(VIP4, VIP6)
    assert nat.names(family, "tcp", times=6) == ["s1", "s2", "s3"] * 2
    nat.balance(trio(Forward.FULLNAT, family=family))
    assert sorted(nat.names(family, "tcp", times=3)) == ["s1", "s2", "s3"]
    refuse()


@BOTH
def test_a_service_without_servers_still_refuses_at_once(nat: World, family: int) -> None:
    nat.balance(service(server(1, Forward.NAT, family=family, duty=Duty.OUT), family=family, protocol=Protocol.TCP))
    refuse(VIP4, VIP6)
    assert nat.names(family, "tcp", times=1, timeout=1.5) == ["refused"]
    refuse()


@pytest.mark.rfc("9568", "6.4.3", "accept")
@BOTH
def test_the_node_itself_takes_nothing_but_answers_who_has_the_address(nat: World, family: int) -> None:
    nat.balance()
    assert answers(VIP[family])
    refuse(VIP4, VIP6)
    assert not answers(VIP[family])
    assert answers(OWN[family]), "only the VIP is refused"
    assert answers(VIP[family], by="lb"), "what the node sends to itself passes"
    nat.ip("router", f"neighbour flush dev eth0 to {VIP[family]}", check=False)
    assert not answers(VIP[family])
    assert MAC in nat.ip("router", f"neighbour show {VIP[family]}"), "the solicitation to the group is answered"
    # A solicitation to the address itself, as of somebody who asks whether the neighbour is still there.
    nat.ip("router", f"neighbour replace {VIP[family]} lladdr {MAC} nud probe dev eth0")
    eventually(lambda: "REACHABLE" in nat.ip("router", f"neighbour show {VIP[family]}"), within=10, what="probed")
    refuse(VIP[10 - family])
    assert answers(VIP[family]), "what is not on the new list is taken again"
    refuse()
    assert "yaoki-accept" not in nat.ruleset()


@pytest.mark.req("D-01")
@BOTH
def test_what_is_sent_on_directly_is_as_before(direct: World, family: int) -> None:
    direct.balance(trio(Forward.DIRECT, family=family))
    refuse(VIP4, VIP6)
    assert direct.names(family, "tcp", times=6) == ["s1", "s2", "s3"] * 2
    refuse()
