"""What machines play."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import pair, site_with
from yaoki.core.error import UsageError
from yaoki.lab.plays.roles import (
    EchoServer,
    Role,
    StoreServer,
    WebServer,
    WitnessRole,
    etcd_command,
    nginx_configuration,
    roles_of,
    witness_command,
)
from yaoki.site.load import load_site
from yaoki.site.model import Site


def play(site: Site, machine: str) -> tuple[Role, ...]:
    return roles_of(site, site.machine(machine))


def test_a_web_server_listens_on_the_ports_of_the_services_that_name_it() -> None:
    assert play(pair(), "app1") == (WebServer("app1", (8081,)),)


def test_the_echo_server_binds_its_own_addresses_and_the_vips_that_it_serves_directly() -> None:
    web, echo = play(pair(), "web1")
    assert web == WebServer("web1", (80,))
    assert isinstance(echo, EchoServer)
    assert (echo.udp_ports, echo.tcp_ports) == ((7,), ())
    assert [str(a) for a in echo.addresses] == ["192.0.2.21", "2001:db8:1::21", "192.0.2.50", "2001:db8:1::50"]


def test_nothing_on_a_balancer_answers_for_a_vip_with_services() -> None:
    assert play(pair(), "lb1") == ()


def test_the_owner_itself_answers_for_a_vip_without_services(tmp_path: Path) -> None:
    def bare(plain: dict[str, Any]) -> None:
        plain["services"] = {}
        plain["vips"]["web-vip"].pop("track")

    (echo,) = play(site_with(tmp_path, bare), "lb2")
    assert isinstance(echo, EchoServer)
    assert [str(address) for address in echo.addresses] == ["192.0.2.50", "2001:db8:1::50"]
    assert (echo.udp_ports, echo.tcp_ports) == ((7,), (7,))


def test_a_play_that_the_lab_does_not_know_is_refused() -> None:
    singer = replace(pair().machine("web1"), plays=("opera",))
    with pytest.raises(UsageError, match='cannot play "opera" on web1'):
        roles_of(pair(), singer)


def test_nginx_answers_with_its_machines_name_on_both_families() -> None:
    text = nginx_configuration(WebServer("web1", (80, 8080)), Path("/run/lab/web1"))
    assert "listen 0.0.0.0:80 " in text
    assert "listen [::]:8080 ipv6only=on" in text
    assert 'return 200 "web1\\n"' in text
    assert 'if (-f /run/lab/web1/broken) { return 500 "web1\\n"; }' in text


LEASE_PAIR = load_site(Path(__file__).parents[2] / "examples/lease-pair/site.yaml").site


def test_a_member_of_the_store_is_etcd_with_the_pace_of_the_site_file(tmp_path: Path) -> None:
    (role,) = play(LEASE_PAIR, "etcd2")
    assert isinstance(role, StoreServer)
    assert (role.port, role.election_timeout) == (2379, timedelta(milliseconds=500))
    assert [(name, str(address)) for name, address in role.cluster] == [
        ("etcd1", "192.0.2.31"),
        ("etcd2", "192.0.2.32"),
        ("etcd3", "192.0.2.33"),
    ]
    words = etcd_command(role, tmp_path)
    wanted = {
        "--name": "etcd2",
        "--advertise-client-urls": "http://192.0.2.32:2379",
        "--initial-cluster": "etcd1=http://192.0.2.31:2380,etcd2=http://192.0.2.32:2380,etcd3=http://192.0.2.33:2380",
        "--heartbeat-interval": "50",
        "--election-timeout": "500",
    }
    assert {key: words[words.index(key) + 1] for key in wanted} == wanted


def test_a_witness_serves_where_the_site_file_says() -> None:
    site = load_site(Path(__file__).parents[2] / "examples/witness-pair/site.yaml").site
    (role,) = roles_of(site, site.machine("w1"))
    assert role == WitnessRole("w1", ip_address("192.0.2.31"), 2379)
    assert witness_command(role, Path("/x"))[2:] == [
        *("yaoki.cli", "witness", "--listen", "192.0.2.31:2379", "--state-dir", "/x")
    ]
    stranger = replace(site.machine("alice"), plays=("witness",))
    with pytest.raises(UsageError, match="alice plays witness, but is no endpoint"):
        roles_of(site, stranger)
    with pytest.raises(UsageError, match="etcd1 plays witness, but is no endpoint"):
        roles_of(LEASE_PAIR, replace(LEASE_PAIR.machine("etcd1"), plays=("witness",)))


def test_who_plays_etcd_must_be_an_endpoint_of_the_store() -> None:
    stranger = replace(LEASE_PAIR.machine("alice"), plays=("etcd",))
    with pytest.raises(UsageError, match="alice plays etcd, but is no endpoint"):
        roles_of(LEASE_PAIR, stranger)
