"""`yaoki verify` in namespaces: every fault of a server that its source names, made and found."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.linux.world import PREFIX, VIP4, VIP6, World, listening
from yaoki.lb.proof import Finding, Result, Saying, findings
from yaoki.linux.network_namespace import inside
from yaoki.runtime.prover import Prover
from yaoki.site.load import load_site
from yaoki.site.proof_task import proof_task

pytestmark = pytest.mark.netns

SITE = load_site(Path(__file__).with_name("site.yaml")).site


def verify(service: str) -> tuple[Finding, ...]:
    task = proof_task(SITE, service, "lb")
    return findings(*inside(PREFIX + "lb", lambda: Prover(task).run()))


def wrong(found: tuple[Finding, ...], version: int = 4) -> set[tuple[str, Saying]]:
    return {
        (one.server, one.saying) for one in found if one.result is not Result.RIGHT and one.address.version == version
    }


@pytest.fixture
def faulty(direct_network: World) -> Iterator[World]:
    """The world whose servers may be spoilt; they are as they should be again afterwards."""
    yield direct_network
    for name in ("s1", "s2", "s3"):
        for conf, ignore in (("all", 1), ("lo", 0), ("eth0", 0)):
            direct_network.sysctl(name, f"net/ipv4/conf/{conf}/arp_ignore", str(ignore))
        direct_network.sysctl(name, "net/ipv4/conf/all/arp_announce", "2")
        direct_network.ip(name, f"addr replace {VIP4}/32 dev lo")
        direct_network.inside(name, "nft", "flush", "ruleset")


@pytest.mark.req("D-09", "D-11", "D-23", "D-26")
@pytest.mark.parametrize("service", ["web", "datagrams"])
def test_servers_that_are_right(direct_network: World, service: str) -> None:
    assert direct_network.agents
    found = verify(service)
    assert wrong(found) == wrong(found, 6) == set()
    # Of each address its owner, and four questions of each of three servers.
    assert len(found) == 2 * (1 + 3 * 4)


@pytest.mark.req("D-09", "D-21")
def test_arp_ignore_at_the_loopback_alone_keeps_nobody_quiet(faulty: World) -> None:
    for name in ("s1", "s2", "s3"):
        faulty.sysctl(name, "net/ipv4/conf/all/arp_ignore", "0")
    faulty.sysctl("s2", "net/ipv4/conf/lo/arp_ignore", "1")
    faulty.sysctl("s3", "net/ipv4/conf/eth0/arp_ignore", "1")
    found = verify("web")
    assert wrong(found) == {("s1", Saying.LEAKS), ("s2", Saying.LEAKS)}
    assert wrong(found, 6) == set()


@pytest.mark.req("D-09", "D-10", "D-11")
def test_a_packet_filter_keeps_quiet_arp_announce_matters_and_the_vip_must_be_there(faulty: World) -> None:
    faulty.sysctl("s1", "net/ipv4/conf/all/arp_ignore", "0")
    quiet = f"table arp q {{ chain c {{ type filter hook input priority 0; arp daddr ip {VIP4} drop; }}; }}"
    faulty.inside("s1", "nft", "-f", "-", text=quiet)
    faulty.sysctl("s2", "net/ipv4/conf/all/arp_announce", "0")
    faulty.ip("s3", f"addr del {VIP4}/32 dev lo")
    found = verify("web")
    assert wrong(found) == {("s2", Saying.NAMES_VIP), ("s3", Saying.NOT_TAKEN)}
    assert wrong(found, 6) == set()


def test_a_standby_is_told_what_an_owner_is_and_refuses_no_answer(direct_network: World) -> None:
    """Without the VIP, this node's kernel knows nothing of the connections that are answered to it."""
    for family in (4, 6):
        direct_network.ip("lb", f"-{family} addr del {VIP4 + '/24' if family == 4 else VIP6 + '/64'} dev eth0")
    try:
        before = refusals(direct_network)
        found = (*verify("web"), *verify("datagrams"))
        after = refusals(direct_network)
    finally:
        direct_network.own_vip("lb")
    # Three servers in two families: the checks of their own addresses reset their connections.
    assert after == [before[0] + 6, *before[1:]]
    assert wrong(found) == wrong(found, 6) == {("", Saying.NOBODY)}


def refusals(world: World) -> list[int]:
    """Resets and ICMP errors that the node has sent."""
    found = {}
    for line in world.inside("lb", "nstat", "-asz").splitlines()[1:]:
        name, number, _ = line.split()
        found[name] = int(number)
    return [found[name] for name in ("TcpOutRsts", "IcmpOutDestUnreachs", "Icmp6OutDestUnreachs")]


@pytest.mark.req("D-23")
def test_a_service_that_listens_on_its_own_address_only(direct_network: World) -> None:
    assert direct_network.agents
    with listening("s1", "192.0.2.21", 81):
        found = verify("other")
    assert wrong(found) == {("s1", Saying.OWN_ADDRESS_ONLY), ("s2", Saying.NOWHERE)}
    assert wrong(found, 6) == {("s1", Saying.NOWHERE), ("s2", Saying.NOWHERE)}
