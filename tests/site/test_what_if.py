"""Who takes what when machines fail."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.cli.stand import stand
from yaoki.site.load import load_site
from yaoki.site.model import Server, Site
from yaoki.site.what_if import VipOutcome, what_if

EXAMPLE = Path(__file__).parents[2] / "examples/web-pair/site.yaml"
SITE: Site = load_site(EXAMPLE).site
MACHINES = sorted(machine.name for machine in SITE.machines)


EDGE: Site = load_site(Path(__file__).parents[1] / "simulation/sites/edge.yaml").site


def shares(failed: set[str], service: str) -> dict[str, Fraction]:
    (found,) = (s for s in what_if(SITE, failed).services if s.service == service)
    return {share.host: share.after for share in found.shares}


def test_vips_of_a_sync_group_are_owned_by_one_node() -> None:
    owners = {outcome.vip: (outcome.before, outcome.after) for outcome in what_if(EDGE, {"r2"}).vips}
    assert owners == {
        "inner": ("r1", "r1"),
        "outer": ("r1", "r1"),
        "guests": ("r2", "r1"),
        "guests-out": ("r2", "r1"),
    }
    assert stand(EDGE, EDGE.vip("inner"))[-1] == (
        "it is owned by the same node as outer (sync group edge), and moves with them."
    )


@pytest.mark.req("B-20")
def test_the_other_node_takes_the_vip() -> None:
    assert what_if(SITE, {"lb1"}).vips == (VipOutcome("web-vip", "lb1", "lb2"),)
    assert what_if(SITE, {"lb2"}).vips == (VipOutcome("web-vip", "lb1", "lb1"),)
    assert what_if(SITE, {"lb1", "lb2"}).vips == (VipOutcome("web-vip", "lb1", None),)


@pytest.mark.req("B-13")
def test_the_servers_that_are_left_carry_the_load() -> None:
    assert shares({"web2"}, "web") == {"web1": 1, "web2": 0}
    (web,) = (s for s in what_if(SITE, {"web2"}).services if s.service == "web")
    assert web.growth == 2
    (none,) = (s for s in what_if(SITE, {"web1", "web2"}).services if s.service == "web")
    assert (none.growth, none.serving) == (None, ())


@pytest.mark.req("B-13")
def test_a_backup_that_had_no_load_serves_all_the_same() -> None:
    servers = (Server("web1"), Server("web2", priority=50))
    site = replace(SITE, services=tuple(replace(service, servers=servers) for service in SITE.services[:1]))
    (web,) = what_if(site, {"web1"}).services
    assert (web.growth, web.serving) == (None, ("web2",))


@pytest.mark.req("B-20")
@given(st.sets(st.sampled_from(MACHINES)))
def test_every_set_of_failures_leaves_one_living_owner_and_whole_shares(failed: set[str]) -> None:
    outcome = what_if(SITE, failed)
    for vip, result in zip(SITE.vips, outcome.vips, strict=True):
        alive = [member.node for member in vip.members if member.node not in failed]
        assert (result.after in alive) if alive else result.after is None
    for service, found in zip((s for s in SITE.services if s.enabled), outcome.services, strict=True):
        left = [server for server in service.servers if server.host not in failed]
        assert sum(share.after for share in found.shares) == (1 if left else 0)
        assert all(share.after == 0 for share in found.shares if share.host in failed)
