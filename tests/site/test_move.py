"""What a move of a VIP would do, by the site file: values, and the words of `yaoki plan --move`."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.cli.plan_move import told
from yaoki.lb.service import Forward, Scheduler
from yaoki.site.load import load_site
from yaoki.site.model import Site, SyncGroup, Vip, VipMember
from yaoki.site.move import Move, Refusal, move
from yaoki.site.what_if import owner

EXAMPLES = Path(__file__).parents[2] / "examples"
PAIR = load_site(EXAMPLES / "web-pair/site.yaml").site
LEASED = load_site(EXAMPLES / "lease-pair/site.yaml").site
THREE = load_site(EXAMPLES.parent / "tests/simulation/sites/three-nodes.yaml").site
NODES = [node.name for node in THREE.nodes]


def first(site: Site) -> Vip:
    return site.vips[0]


@pytest.mark.req("B-20")
def test_the_best_of_the_others_takes_over_and_nothing_is_lost() -> None:
    found = move(PAIR, first(PAIR), None, ())
    assert found == Move("web-vip", "lb1", "lb2", None, both_serve=True, cut=())
    assert list(told(first(PAIR), found, None))[:3] == [
        "VIP web-vip: lb1 -> lb2, by `yaoki vip move web-vip` on lb1",
        "  nothing is lost: lb1 keeps the addresses until it hears lb2, and 40ms more; if it hears nobody, it stays.",
        "  lb1 then owns it only if nobody else does, until `yaoki vip admit web-vip` on lb1; it is the only one left"
        " to take over.",
    ]


@pytest.mark.req("B-21")
def test_under_a_lease_the_owner_is_silent_first() -> None:
    found = move(LEASED, first(LEASED), "lb2", ())
    assert (found.before, found.after, found.refused, found.both_serve) == ("lb1", "lb2", None, False)
    assert "packets are lost until lb2 has the lease" in list(told(first(LEASED), found, "lb2"))[1]


@pytest.mark.req("B-20")
@pytest.mark.parametrize(
    ("site", "to", "failed", "refused", "said"),
    [
        (PAIR, None, {"lb2"}, Refusal.NO_SUCCESSOR, "VIP web-vip: stays on lb1; no other member lives that may own it"),
        (PAIR, None, {"lb1", "lb2"}, Refusal.NO_OWNER, "VIP web-vip: stays on nobody; no member lives"),
        (PAIR, "lb1", set(), Refusal.OTHER_FIRST, "VIP web-vip: stays on lb1; lb1 owns it already"),
        (LEASED, None, {"etcd1", "etcd2"}, Refusal.NO_OWNER, "VIP data: stays on nobody; no member lives"),
        (LEASED, None, {"lb2"}, Refusal.NO_SUCCESSOR, "VIP data: stays on lb1; no other member lives"),
    ],
)
def test_what_is_refused_says_why(site: Site, to: str | None, failed: set[str], refused: Refusal, said: str) -> None:
    found = move(site, first(site), to, failed)
    assert (found.refused, found.cut) == (refused, ())
    (line,) = told(first(site), found, to)
    assert line.startswith(said)


def test_who_is_named_must_be_the_best_of_the_others() -> None:
    vip = first(THREE)
    best, second, last = sorted(vip.members, key=lambda member: -member.priority)
    found = move(THREE, vip, last.node, ())
    assert (found.before, found.after, found.refused) == (best.node, second.node, Refusal.OTHER_FIRST)
    (line,) = told(vip, found, last.node)
    assert f"{second.node} comes before {last.node} by its priority" in line
    assert move(THREE, vip, last.node, {second.node}).refused is None


@pytest.mark.req("B-06")
def test_the_vips_of_a_sync_group_move_along() -> None:
    inner = replace(first(PAIR), name="inner")
    in_turn = Scheduler.WEIGHTED_ROUND_ROBIN
    elsewhere = replace(PAIR.services[0], name="inside", vip="inner", scheduler=in_turn, copy_flows=False)
    group = SyncGroup("both", ("web-vip", "inner"))
    site = replace(PAIR, vips=(first(PAIR), inner), services=(*PAIR.services, elsewhere), sync_groups=(group,))
    found = move(site, first(site), None, ())
    assert (found.after, found.along) == ("lb2", ("inner",))
    assert "inside" in found.cut
    assert list(told(first(site), found, None))[1] == "  with it, of its sync group: inner."
    assert move(site, first(site), None, {"lb2"}).along == ()


def test_the_address_s_own_node_does_not_move_it() -> None:
    vip = replace(first(PAIR), members=(VipMember("lb1", 255), VipMember("lb2", 100)))
    assert move(PAIR, vip, None, ()).refused is Refusal.OWN_ADDRESS


@pytest.mark.parametrize(
    ("forward", "scheduler", "copy", "cut"),
    [
        (Forward.DIRECT, Scheduler.SOURCE_HASH, True, False),
        (Forward.DIRECT, Scheduler.MAGLEV, True, False),
        (Forward.DIRECT, Scheduler.MAGLEV, False, False),
        (Forward.DIRECT, Scheduler.WEIGHTED_ROUND_ROBIN, True, False),
        (Forward.DIRECT, Scheduler.WEIGHTED_ROUND_ROBIN, False, True),
        (Forward.NAT, Scheduler.WEIGHTED_ROUND_ROBIN, True, False),
        (Forward.NAT, Scheduler.SOURCE_HASH, False, True),
        (Forward.FULLNAT, Scheduler.SOURCE_HASH, True, True),
    ],
)
def test_flows_stay_where_the_next_node_knows_the_same_server(
    forward: Forward, scheduler: Scheduler, *, copy: bool, cut: bool
) -> None:
    service = replace(PAIR.services[0], forward=forward, scheduler=scheduler, copy_flows=copy)
    service = replace(service, servers=tuple(replace(server, forward=None) for server in service.servers))
    site = replace(PAIR, services=(service,))
    assert bool(move(site, first(site), None, ()).cut) is cut


@given(st.sets(st.sampled_from(NODES)))
@pytest.mark.req("B-20")
def test_a_move_goes_from_a_living_owner_to_another_living_member_or_is_refused(failed: set[str]) -> None:
    vip = first(THREE)
    found = move(THREE, vip, None, failed)
    assert found.before == owner(THREE, vip, failed)
    if found.refused is None:
        assert found.before is not None
        assert found.after is not None
        assert found.before != found.after
        assert not failed & {found.before, found.after}
    else:
        assert len([member for member in vip.members if member.node not in failed]) < 2
