"""Changed copies of a site file still load, and differ in the one thing."""

from pathlib import Path

from tests.lab.sites import PAIR, pair
from yaoki.lab.site_variant import drained, on_plane, plain_site, with_extra_service, without_server, write
from yaoki.lb.service import PlaneWish
from yaoki.site.compile import compile_node
from yaoki.site.load import load_site

TUNNEL = PAIR.with_name("tunnel.yaml")


def test_an_unchanged_copy_is_the_same_site(tmp_path: Path) -> None:
    assert load_site(write(plain_site(PAIR), tmp_path / "copy.yaml")).site == pair()


def test_a_drained_server_has_no_weight_in_any_service(tmp_path: Path) -> None:
    site = load_site(write(drained(plain_site(PAIR), "web1"), tmp_path / "drained.yaml")).site
    weights = {(s.name, r.host): r.weight for s in site.services for r in s.servers}
    assert weights["web", "web1"] == weights["echo", "web1"] == 0
    assert weights["web", "web2"] == 1000


def test_a_removed_server_is_in_no_service_unless_it_is_the_only_one(tmp_path: Path) -> None:
    plain = plain_site(PAIR)
    plain["services"]["echo"]["servers"] = {"web1": {}}
    site = load_site(write(without_server(plain, "web1"), tmp_path / "removed.yaml")).site
    assert [server.host for server in site.service("web").servers] == ["web2"]
    assert [server.host for server in site.service("echo").servers] == ["web1"]


def test_a_reconfigured_site_has_one_service_more_and_nothing_else_changed(tmp_path: Path) -> None:
    site = load_site(write(with_extra_service(plain_site(PAIR)), tmp_path / "extra.yaml")).site
    assert site.services[:-1] == pair().services
    assert site.services[-1].port not in {service.port for service in pair().services}


def test_a_copy_holds_every_character_that_a_site_file_can(tmp_path: Path) -> None:
    plain = plain_site(PAIR)
    said = '八起き 😀 \x7f \x85 \u2028 \ufeff \\ " \n'
    plain["hooks"] = {"tell": {"events": ["became-active"], "command": ["/bin/echo", said]}}
    (hook,) = load_site(write(plain, tmp_path / "odd.yaml")).site.hooks
    assert hook.command == ("/bin/echo", said)


def test_a_site_that_has_a_service_of_the_same_name_keeps_it(tmp_path: Path) -> None:
    once = with_extra_service(plain_site(PAIR))
    twice = load_site(write(with_extra_service(once), tmp_path / "twice.yaml")).site
    assert len(twice.services) == len(pair().services) + 2


def test_tunnels_are_on_bpf_whatever_plane_the_site_is_on(tmp_path: Path) -> None:
    plain = on_plane(plain_site(TUNNEL), PlaneWish.NFTABLES.value)
    site = load_site(write(plain, tmp_path / "plane.yaml")).site
    assert {service.plane for service in compile_node(site, "lb1").services} == {PlaneWish.BPF}


def test_a_site_on_one_plane_has_every_service_on_it_whatever_it_named(tmp_path: Path) -> None:
    plain = plain_site(PAIR)
    plain["services"]["web"]["plane"] = "auto"
    for plane in (PlaneWish.BPF, PlaneWish.NFTABLES):
        site = load_site(write(on_plane(plain, plane.value), tmp_path / "plane.yaml")).site
        assert site.plane is plane
        assert {service.plane for service in site.services} == {None}
        assert {service.plane for service in compile_node(site, "lb1").services} == {plane}
        assert site.services == pair().services
