"""What `yaoki capture` records, and who is who, taken from a site."""

from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

from yaoki.core.address import MacAddress
from yaoki.lb.capture import Role
from yaoki.lb.service import Encapsulation, Tunnel
from yaoki.site.capture_task import capture_task, recorded_by_default
from yaoki.site.load import load_site

LESSON = Path(__file__).parents[2] / "examples" / "dsr-lesson"


def test_who_is_who_around_a_service() -> None:
    site = load_site(LESSON / "nat.yaml").site
    assert recorded_by_default(site, "web") == ("lb1", "web1", "web2")
    task = capture_task(site, "web", ("lb1", "router", "alice"))
    assert task.interfaces == (("lb1", ("eth0",)), ("router", ("eth0",)), ("alice", ("eth0",)))
    assert [(party.name, party.role) for party in task.scene.parties] == [
        ("lb1", Role.BALANCER),
        ("web-vip", Role.BALANCER),
        ("web1", Role.SERVER),
        ("web2", Role.SERVER),
        ("router", Role.OTHER),
        ("alice", Role.OTHER),
        ("bob", Role.OTHER),
    ]
    assert (IPv4Address("192.0.2.201"), 80) in task.places
    assert task.protocol == 6
    assert IPv4Address("192.0.2.11") in task.scene.own


def test_under_direct_return_servers_are_known_by_the_vip_alone_and_an_owner_by_the_virtual_mac() -> None:
    task = capture_task(load_site(LESSON / "direct.yaml").site, "web", ("lb1",))
    assert {str(address) for address, _ in task.places} == {"192.0.2.50", "2001:db8:1::50"}
    owner = task.scene.of_mac(MacAddress.parse("00:00:5e:00:01:33"))
    assert owner is not None
    assert (owner.name, owner.role) == ("web-vip", Role.BALANCER)


def test_behind_tunnels_servers_are_known_by_their_ends_and_all_interfaces_are_recorded() -> None:
    site = load_site(LESSON.parents[1] / "tests" / "lab" / "tunnel.yaml").site
    task = capture_task(site, "echo", ("lb1", "router"))
    assert task.interfaces == (("lb1", ("eth0",)), ("router", ("eth0", "eth1", "eth2")))
    assert [str(end) for end in task.ends] == ["203.0.113.21", "2001:db8:9::21", "203.0.113.22", "2001:db8:9::22"]
    assert task.scene.tunnel == Tunnel(Encapsulation.GUE)
    assert {str(address) for address, _ in task.places} == {"192.0.2.50", "2001:db8:1::50"}


def test_who_says_sorry_gets_packets_of_the_service_as_well() -> None:
    site = load_site(LESSON / "nat.yaml").site
    (web,) = site.services
    web1, web2 = web.servers
    site = replace(site, services=(replace(web, servers=(web1,), sorry=web2),))
    assert recorded_by_default(site, "web") == ("lb1", "web1", "web2")
    parties = {party.name: party.role for party in capture_task(site, "web", ("lb1",)).scene.parties}
    assert (parties["web2"], parties["bob"]) == (Role.SERVER, Role.OTHER)
