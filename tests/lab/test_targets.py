"""What is probed, from which client, how often."""

from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import pair, site_with
from yaoki.core.address import Family
from yaoki.lab.probes.targets import ProbeKind, Target, targets_of


def named(targets: tuple[Target, ...], family: Family = Family.IPV4) -> dict[str, Target]:
    return {target.label: target for target in targets if target.family is family}


def test_every_service_is_probed_on_every_address_of_its_vip() -> None:
    targets = targets_of(pair())
    labels = {"web", "api", "echo", "echo@web1", "echo@web2"}
    assert set(named(targets)) == set(named(targets, Family.IPV6)) == labels
    assert {target.client for target in targets} == {"alice"}


def test_udp_goes_out_each_millisecond_and_http_each_ten() -> None:
    targets = named(targets_of(pair()))
    assert (targets["echo"].kind, targets["echo"].period_us) == (ProbeKind.UDP, 1_000)
    assert (targets["web"].kind, targets["web"].period_us) == (ProbeKind.HTTP, 10_000)
    assert (targets["echo@web1"].kind, targets["echo@web1"].period_us) == (ProbeKind.PINNED, 5_000)


def bob(plain: dict[str, Any]) -> None:
    plain["hosts"]["bob"] = {
        "plays": ["client"],
        "interfaces": {"eth0": {"network": "front", "addresses": ["192.0.2.99", "2001:db8:1::99"]}},
    }


def test_a_client_on_the_vips_own_network_does_not_probe_nat(tmp_path: Path) -> None:
    targets = targets_of(site_with(tmp_path, bob))
    assert {target.service for target in targets if target.client == "bob"} == {"web", "echo"}
    assert {target.service for target in targets if target.client == "alice"} == {"web", "api", "echo"}


def test_a_second_client_probes_less_often_and_pins_nothing(tmp_path: Path) -> None:
    targets = targets_of(site_with(tmp_path, bob))
    periods = {(t.client, t.label): t.period_us for t in targets}
    assert periods["alice", "echo"] == 1_000
    assert periods["bob", "echo"] == 5_000
    assert ("bob", "echo@web1") not in periods
    assert periods["alice", "web"] == 10_000
    assert periods["bob", "web"] == 50_000
    assert not any(target.spreads for target in targets if target.client == "bob")


def test_a_client_probes_only_the_families_that_it_has(tmp_path: Path) -> None:
    def without_ipv6(plain: dict[str, Any]) -> None:
        plain["hosts"]["alice"]["interfaces"]["eth0"]["addresses"] = ["198.51.100.9"]

    assert {target.family for target in targets_of(site_with(tmp_path, without_ipv6))} == {Family.IPV4}


@pytest.mark.parametrize("setting", [{"scheduler": "sh"}, {"persistence": {"source": {"timeout": "1m"}}}])
def test_where_one_client_meets_one_server_no_flow_is_pinned(tmp_path: Path, setting: dict[str, Any]) -> None:
    targets = targets_of(site_with(tmp_path, lambda plain: plain["services"]["echo"].update(setting)))
    assert set(named(targets)) == {"web", "api", "echo"}
    assert not named(targets)["echo"].spreads


def test_a_vip_without_services_is_probed_at_its_owner(tmp_path: Path) -> None:
    def bare(plain: dict[str, Any]) -> None:
        plain["services"] = {}
        plain["vips"]["web-vip"].pop("track")
        for name in ("web1", "web2"):
            plain["hosts"].pop(name)

    targets = targets_of(site_with(tmp_path, bare))
    assert {(t.label, t.kind, t.port) for t in targets} == {
        ("web-vip udp", ProbeKind.UDP, 7),
        ("web-vip tcp", ProbeKind.TCP, 7),
    }
    assert targets[0].servers == ("lb1", "lb2")


def test_a_site_with_many_services_is_probed_less_often(tmp_path: Path) -> None:
    def many(plain: dict[str, Any]) -> None:
        for number in range(9):
            plain["services"][f"echo{number}"] = {**plain["services"]["echo"], "listen": f"udp/{100 + number}"}

    targets = targets_of(site_with(tmp_path, many))
    udp = [target for target in targets if target.kind is ProbeKind.UDP]
    assert len(udp) == 20
    assert {target.period_us for target in udp} == {5_000}


def test_a_service_whose_servers_nobody_plays_is_not_probed(tmp_path: Path) -> None:
    def unplayed(plain: dict[str, Any]) -> None:
        plain["hosts"]["app1"].pop("plays")

    assert "api" not in named(targets_of(site_with(tmp_path, unplayed)))
