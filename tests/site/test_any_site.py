"""Laws of compilation, comparison and addition that hold for any site that a node may run, however odd."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from yaoki.core.address import Family
from yaoki.core.error import SiteError
from yaoki.lb.service import Forward
from yaoki.site.additions import NewServer, server_added, service_added
from yaoki.site.compile import compile_node, compile_site
from yaoki.site.diff import diff_sites
from yaoki.site.examine import accept_site
from yaoki.site.load import LoadedSite, load_site
from yaoki.site.notation import read

NETWORKS = ("front", "back")
NODES = ("lb1", "lb2", "lb3")
HOSTS = ("web1", "web2", "web3")
CHECKS = ("page", "port", "ping")
VIPS = ("outer", "inner")


def addresses(network: str, number: int) -> list[str]:
    index = NETWORKS.index(network)
    return [f"192.0.2.{128 * index + number}", f"2001:db8:{index}::{number}"]


def some(of: list[str]) -> st.SearchStrategy[list[str]]:
    """All of them, or one."""
    return st.sampled_from([of, *([item] for item in of)])


@st.composite
def hosts(draw: st.DrawFn) -> dict[str, object]:
    found: dict[str, object] = {}
    for number, name in enumerate(HOSTS):
        plugged = draw(some(list(NETWORKS)))
        found[name] = {
            "interfaces": {
                f"eth{NETWORKS.index(n)}": {"network": n, "addresses": draw(some(addresses(n, 21 + number)))}
                for n in plugged
            }
        }
    return found


@st.composite
def vips(draw: st.DrawFn) -> dict[str, object]:
    """Mostly both with the same members, as nat needs it."""
    found: dict[str, object] = {}
    members = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True))
    for index, name in enumerate(VIPS):
        if draw(st.integers(0, 3)) == 0:
            members = draw(st.lists(st.sampled_from(NODES), min_size=1, max_size=3, unique=True))
        found[name] = {
            "network": NETWORKS[index],
            "addresses": draw(some(addresses(NETWORKS[index], 50))),
            "vrid": index + 1,
            "advertise": draw(st.sampled_from(["10ms", "1s", "40950ms"])),
            "members": {node: {"priority": draw(st.integers(1, 254))} for node in members},
            "track": draw(st.sampled_from([[], [], [{"service": "s0", "weight": -50}]])),
        }
    return found


@st.composite
def services(draw: st.DrawFn) -> dict[str, object]:
    found: dict[str, object] = {}
    for index in range(draw(st.integers(1, 3))):
        servers = draw(st.lists(st.sampled_from(HOSTS), min_size=1, max_size=3, unique=True))
        options = st.sampled_from([{}, {}, {}, {"weight": 0}, {"port": 80 + index}, {"forward": "nat"}])
        found[f"s{index}"] = {
            "vip": draw(st.sampled_from(VIPS)),
            "listen": draw(st.sampled_from(["tcp", "udp"])) + f"/{80 + index}",
            "forward": draw(st.sampled_from(["nat", "fullnat", "fullnat", "direct"])),
            "check": draw(st.lists(st.sampled_from(CHECKS), max_size=2, unique=True)),
            "servers": {host: draw(options) for host in servers},
        }
    return found


@st.composite
def sites(draw: st.DrawFn) -> dict[str, object]:
    prefixes = [["192.0.2.0/25", "2001:db8:0::/64"], ["192.0.2.128/25", "2001:db8:1::/64"]]
    gateways: list[dict[str, object]] = draw(
        st.sampled_from([[{"gateway": vip} for vip in VIPS], [{"gateway": "lb1"}] * 2, [{}, {}]])
    )
    nodes = {
        name: {
            "interfaces": {
                f"eth{i}": {"network": n, "addresses": addresses(n, 1 + number)} for i, n in enumerate(NETWORKS)
            }
        }
        for number, name in enumerate(NODES)
    }
    return {
        "version": 1,
        "site": "any",
        "networks": {name: {"prefixes": prefixes[i]} | gateways[i] for i, name in enumerate(NETWORKS)},
        "nodes": nodes,
        "hosts": draw(hosts()),
        "checks": {"page": {"kind": "http"}, "port": {"kind": "tcp", "port": 80}, "ping": {"kind": "icmp", "fall": 9}},
        "vips": draw(vips()),
        "services": draw(services()),
    }


def accepted(folder: Path, site: dict[str, object]) -> LoadedSite | None:
    path = folder / "site.yaml"
    path.write_text(json.dumps(site))
    try:
        return accept_site(path)
    except SiteError as error:
        event(error.problems[0].rule)
        return None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(sites())
def test_what_a_node_accepts_is_complete_and_consistent(tmp_path: Path, site: dict[str, object]) -> None:
    loaded = accepted(tmp_path, site)
    if loaded is None:
        return
    event("accepted")
    plans = compile_site(loaded.site)
    owned = {address for plan in plans.values() for router in plan.routers for address in router.addresses}
    assert owned == {address for vip in loaded.site.vips for address in vip.addresses}
    for name, plan in plans.items():
        assert compile_node(loaded.site, name) == plan
        named = {check for service in plan.services for server in service.servers for check in server.checks}
        assert named == {check.id for check in plan.checks}
        assert len(named) == len(plan.checks)
        own = {address.ip for interface in loaded.site.machine(name).interfaces for address in interface.addresses}
        assert all(check.source is None or check.source in own for check in named)
        keys = [service.key for service in plan.services]
        assert len(keys) == len(set(keys))
        for service in plan.services:
            for server in service.servers:
                assert Family.of(server.address) is service.key.family
                assert server.checks
                assert (server.source is not None) == (server.forward is Forward.FULLNAT)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(sites(), sites())
def test_a_plan_is_empty_if_and_only_if_nothing_differs(
    tmp_path: Path, before: dict[str, object], after: dict[str, object]
) -> None:
    first, second = accepted(tmp_path, before), accepted(tmp_path, after)
    if first is None or second is None:
        return
    old, new = compile_site(first.site), compile_site(second.site)
    assert not any(diff_sites(old, old).values())
    for name, plan in diff_sites(old, new).items():
        same = all(
            set(getattr(old[name], part)) == set(getattr(new[name], part)) for part in ("services", "checks", "tracks")
        )
        # What a node knows of the other members is no change of its own.
        mine = [{replace(router, others=None) for router in plans[name].routers} for plans in (old, new)]
        assert bool(plan) != (same and mine[0] == mine[1])


@pytest.mark.req("D-15")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(sites(), st.sampled_from([False, None, True]), st.sampled_from(HOSTS), st.integers(0, 65535))
def test_what_is_added_is_all_that_differs(
    tmp_path: Path, site: dict[str, object], flow: bool | None, host: str, weight: int
) -> None:
    """In lines, in lines with braces, and within braces alone."""
    path = tmp_path / "site.yaml"
    # Without the anchors that PyYAML writes for what is one object in two places.
    path.write_text(yaml.safe_dump(json.loads(json.dumps(site)), default_flow_style=flow, sort_keys=False))
    old = load_site(path).site
    keys = {"vip": read("", VIPS[0]), "listen": read("", "udp/4000")}
    (change,) = service_added(path, "new", keys, [NewServer(host, {"weight": read("", str(weight))})])
    path.write_text(change.after)
    new = load_site(path).site
    assert replace(new, services=new.services[:-1]) == old
    assert [(s.host, s.weight) for s in new.services[-1].servers] == [(host, weight)]
    other = next(each for each in HOSTS if each != host)
    (change,) = server_added(path, "new", NewServer(other, {}))
    path.write_text(change.after)
    assert [s.host for s in load_site(path).site.services[-1].servers] == [host, other]
    assert replace(load_site(path).site, services=new.services) == new
