"""What the wire observer's sockets hear, in namespaces: every claim, whether the dead-man gate is open or shut."""

import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.linux.world import PREFIX, VIP4, VIP6, World
from yaoki.core.address import MacAddress
from yaoki.linux.claim_socket import ClaimSocket
from yaoki.linux.network_namespace import inside
from yaoki.packet.claim import Claim, Form

pytestmark = pytest.mark.netns

CLAIMANT = Path(__file__).parents[1] / "runtime" / "claimant.py"
INTRUDER = MacAddress.parse("02:00:00:00:66:66")
NEAR4, NEAR6, OWN4, OWN6 = map(ip_address, ("192.0.2.9", "2001:db8:1::9", "192.0.2.11", "2001:db8:1::11"))
VIPS = ip_address(VIP4), ip_address(VIP6)
HEARD_S, SHUT_S = 5.0, 0.05


@pytest.fixture
def listening(nat: World) -> Iterator[tuple[World, ClaimSocket]]:
    """The balancer, with a gate, listens for claims of its VIPs and of a neighbour's own addresses."""
    nat.agents["lb"].ask("gate", what="hook")
    with closing(inside(PREFIX + "lb", lambda: ClaimSocket("eth0", 0, (*VIPS, NEAR4, NEAR6)))) as sock:
        yield nat, sock
    nat.agents["lb"].ask("gate", what="remove")


def heard(sock: ClaimSocket, number: int, wanted: Callable[[Claim], bool]) -> list[Claim]:
    """So many claims that are wanted, or what has come of them within HEARD_S."""
    claims: list[Claim] = []
    until = time.monotonic() + HEARD_S
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLIN)
    while len(claims) < number and (left := until - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            claims += filter(wanted, sock.read(100)[1])
    return claims


def announce(world: World) -> None:
    """An intruder announces both VIPs, IPv4 as a request and as a reply."""
    world.inside("near", sys.executable, str(CLAIMANT), str(INTRUDER), "1", "0", VIP4, VIP6)


def heard_announced(sock: ClaimSocket) -> list[tuple[str, Form]]:
    """What the intruder announced."""
    return sorted((str(claim.address), claim.form) for claim in heard(sock, 3, lambda claim: claim.mac == INTRUDER))


ALL_THREE = [(VIP4, Form.ANNOUNCEMENT), (VIP4, Form.ANNOUNCEMENT), (VIP6, Form.ANNOUNCEMENT)]


@pytest.mark.req("B-07")
def test_who_claims_an_address_is_heard_through_a_gate_that_is_shut(listening: tuple[World, ClaimSocket]) -> None:
    world, sock = listening
    announce(world)
    assert heard_announced(sock) == ALL_THREE
    for vip in VIPS:
        world.agents["lb"].ask("gate", what="arm", addresses=[str(vip)], limit_ms=20)
    time.sleep(SHUT_S)
    announce(world)
    assert heard_announced(sock) == ALL_THREE


def test_both_families_are_asked_and_their_answers_heard(listening: tuple[World, ClaimSocket]) -> None:
    _, sock = listening
    mine = MacAddress.parse("02:00:00:00:00:11")
    sock.ask(mine, OWN4, NEAR4)
    sock.ask(mine, OWN6, NEAR6)
    answers = {claim.address: claim for claim in heard(sock, 2, lambda claim: claim.form is Form.ANSWER)}
    near = MacAddress.parse("02:00:00:00:00:09")
    assert answers == {each: Claim(each, near, Form.ANSWER, mine) for each in (NEAR4, NEAR6)}


def test_a_flood_in_one_family_leaves_room_for_the_other(listening: tuple[World, ClaimSocket]) -> None:
    world, sock = listening
    world.inside("near", sys.executable, str(CLAIMANT), str(INTRUDER), "2000", "0", VIP4)
    world.inside("near", sys.executable, str(CLAIMANT), str(INTRUDER), "1", "0", VIP6)
    claims = [claim for _ in range(2) for claim in sock.read(25)[1]]
    assert len(claims) > 25
    assert any(claim.address.version == 6 for claim in claims)
    assert sock.dropped() > 0
