"""What `yaoki verify` has to ask, taken from a site."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from yaoki.checks.check import HttpParams, TcpParams
from yaoki.core.error import UsageError
from yaoki.lb.service import Encapsulation, Tunnel
from yaoki.site.load import load_site
from yaoki.site.proof_task import proof_task

LESSON = Path(__file__).parents[2] / "examples" / "dsr-lesson"


def test_each_server_is_asked_on_each_address_and_its_own_address_checked_beside_it() -> None:
    task = proof_task(load_site(LESSON / "direct.yaml").site, "web", "lb1")
    assert [(one.server, one.address, one.key.address, one.source) for one in task.targets] == [
        (f"web{number}", address(f"{base}20{number}"), address(f"{base}50"), address(f"{base}11"))
        for base in ("192.0.2.", "2001:db8:1::")
        for number in (1, 2)
    ]
    # The check through the path itself says nothing of the server's own address.
    assert [[type(spec.id.params) for spec in one.checks] for one in task.targets] == [[HttpParams]] * 4
    assert (task.interface, task.members) == (
        "eth0",
        (("lb1", (IPv4Address("192.0.2.11"), IPv6Address("2001:db8:1::11"))),),
    )
    assert [str(mac) for mac, _ in task.virtual] == ["00:00:5e:00:01:33", "00:00:5e:00:02:33"]
    assert task.vips == (IPv4Address("192.0.2.50"), IPv6Address("2001:db8:1::50"))
    assert task.names[IPv4Address("192.0.2.201")] == "web1"
    assert IPv4Address("192.0.2.99") in task.taken


def test_where_only_the_path_is_checked_a_connection_to_the_own_address_is_made(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text((LESSON / "direct.yaml").read_text().replace("check: [page, path]", "check: path"))
    first, *_ = proof_task(load_site(file).site, "web", "lb1").targets
    (spec,) = first.checks
    assert (spec.id.target, spec.id.params, spec.id.source) == (
        IPv4Address("192.0.2.201"),
        TcpParams(80),
        IPv4Address("192.0.2.11"),
    )


def test_servers_behind_tunnels_are_asked_through_them() -> None:
    site = load_site(LESSON.parents[1] / "tests" / "lab" / "tunnel.yaml").site
    task = proof_task(site, "web", "lb1")
    assert [(one.server, str(one.address), one.tunnel) for one in task.targets] == [
        (f"web{number}", f"{base}2{number}", Tunnel()) for base in ("203.0.113.", "2001:db8:9::") for number in (1, 2)
    ]
    assert [str(one.source) for one in task.targets[::2]] == ["192.0.2.11", "2001:db8:1::11"]
    assert [[type(spec.id.params) for spec in one.checks] for one in task.targets] == [[HttpParams]] * 4
    assert {one.tunnel for one in proof_task(site, "echo", "lb1").targets} == {Tunnel(Encapsulation.GUE)}


def test_a_service_without_direct_return_has_nothing_to_prove() -> None:
    with pytest.raises(UsageError, match="no server of web is of direct return"):
        proof_task(load_site(LESSON / "nat.yaml").site, "web", "lb1")


def address(text: str) -> IPv4Address | IPv6Address:
    return IPv6Address(text) if ":" in text else IPv4Address(text)
