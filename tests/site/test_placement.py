"""VIPs spread over nodes: one owner whatever fails, an even load, and the same answer everywhere."""

from collections import Counter
from fractions import Fraction
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yaoki.site.examine import accept_site
from yaoki.site.load import load_site
from yaoki.site.model import Site
from yaoki.site.placement import HIGHEST, spread
from yaoki.site.what_if import owner

pytestmark = pytest.mark.req("B-20")


def site_of(nodes: int, vips: int, folder: Path) -> Site:
    members = ", ".join(f"n{node}: {{}}" for node in range(nodes))
    lines = ["version: 1", "site: s", "networks: {front: {prefixes: [192.0.2.0/24]}}", "nodes:"]
    lines += [
        f"  n{n}: {{interfaces: {{eth0: {{network: front, addresses: [192.0.2.{n + 1}]}}}}}}" for n in range(nodes)
    ]
    lines += ["vips:"]
    lines += [
        f"  v{v}: {{network: front, addresses: [192.0.2.{v + 101}], vrid: {v + 1}, placement: spread, "
        f"members: {{{members}}}}}"
        for v in range(vips)
    ]
    path = folder / "site.yaml"
    path.write_text("\n".join(lines) + "\n")
    return load_site(path).site


@pytest.mark.parametrize(("nodes", "vips"), [(2, 2), (2, 5), (3, 3), (3, 10), (4, 12), (5, 17), (6, 40)])
def test_every_set_of_failures_leaves_one_living_owner_and_a_bounded_load(
    nodes: int, vips: int, tmp_path: Path
) -> None:
    site = site_of(nodes, vips, tmp_path)
    names = [node.name for node in site.nodes]
    for count in range(nodes):
        for failed in combinations(names, count):
            owners = [owner(site, vip, failed) for vip in site.vips]
            assert all(found is not None and found not in failed for found in owners)
            load = max(Counter(owners).values())
            # With one group of VIPs for each set of nodes that fail before: each is shared out with a rest of one.
            assert load <= Fraction(vips, nodes - count) + 2**count
            if count == 0:
                assert load == -(-vips // nodes)


NAMES = st.lists(st.text("abcdef0123456789", min_size=1, max_size=6), unique=True, min_size=1, max_size=8)


@settings(max_examples=100, deadline=None)
@given(nodes=NAMES, vips=NAMES, later=st.text("xyz", min_size=1, max_size=3), data=st.data())
def test_the_order_of_members_changes_nothing_and_a_later_vip_moves_no_other(
    nodes: list[str], vips: list[str], later: str, data: st.DataObject
) -> None:
    placed = spread((vip, tuple(nodes)) for vip in vips)
    shuffled = data.draw(st.permutations(nodes))
    assert spread((vip, tuple(shuffled)) for vip in vips) == placed
    more = spread((vip, tuple(nodes)) for vip in [*vips, later])
    assert {vip: more[vip] for vip in vips} == placed


@settings(max_examples=60, deadline=None)
@given(nodes=NAMES, vips=NAMES)
def test_priorities_are_all_different_and_of_the_range(nodes: list[str], vips: list[str]) -> None:
    for placed in spread((vip, tuple(nodes)) for vip in vips).values():
        assert len(set(placed.values())) == len(nodes)
        assert max(placed.values()) == HIGHEST
        assert min(placed.values()) >= 1


def test_two_vips_of_two_nodes_back_each_other_up() -> None:
    assert spread([("a", ("n1", "n2")), ("b", ("n1", "n2"))]) in (
        {"a": {"n1": 200, "n2": 150}, "b": {"n2": 200, "n1": 150}},
        {"a": {"n2": 200, "n1": 150}, "b": {"n1": 200, "n2": 150}},
    )


def test_a_site_of_many_nodes_is_accepted(tmp_path: Path) -> None:
    site_of(20, 60, tmp_path)
    assert len(accept_site(tmp_path / "site.yaml").site.vips) == 60
