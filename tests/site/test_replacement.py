"""Cold standbys: whose place they can take, what the site is with one of them in it, and the line that says so."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from yaoki.cli.stand import stand
from yaoki.site.compile import compile_node, compile_site, generation_of
from yaoki.site.examine import examine
from yaoki.site.load import load_site
from yaoki.site.model import Site
from yaoki.site.node_plan import NodePlan
from yaoki.site.replacement import as_before, replaced_by, replaced_nodes
from yaoki.site.rewriting import with_replaces

pytestmark = pytest.mark.req("B-02")

FILE = """version: 1
site: tokyo
networks:
  front: {prefixes: [192.0.2.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
  lb3: {interfaces: {eth0: {network: front, addresses: [192.0.2.13]}}, standby-for: [lb1, lb2]}
  lb4: {interfaces: {eth0: {network: front, addresses: [192.0.2.14]}}, standby-for: [lb3]}
vips:
  gate:
    network: front
    addresses: [192.0.2.50]
    vrid: 51
    transport: unicast
    members: {lb1: {priority: 150}, lb2: {priority: 100}}
hooks:
  note: {events: [became-active], command: [logger], nodes: [lb1]}
"""


def site(directory: Path, text: str = FILE) -> Site:
    file = directory / "site.yaml"
    file.write_text(text)
    return load_site(file).site


def told(plan: NodePlan) -> dict[str, tuple[tuple[str, ...], bool]]:
    """Of each peer the VIPs that are shared, and whether it is told that it was replaced."""
    return {peer.node: (peer.vips, peer.replaced) for peer in plan.heartbeat.peers}


def test_a_standby_has_no_role_and_hears_those_that_it_stands_by_for(tmp_path: Path) -> None:
    plans = compile_site(site(tmp_path))
    assert (plans["lb3"].routers, plans["lb3"].hooks) == ((), ())
    assert told(plans["lb3"]) == {"lb1": ((), False), "lb2": ((), False), "lb4": ((), False)}
    assert told(plans["lb1"]) == {"lb2": (("gate",), False), "lb3": ((), False)}


def test_a_standby_is_known_to_the_observer_so_that_its_first_claim_is_no_alarm(tmp_path: Path) -> None:
    (wire,) = compile_site(site(tmp_path))["lb2"].wires
    assert [(m.node, m.priority, m.stands_by) for m in wire.members] == [
        ("lb1", 150, False),
        ("lb2", 100, False),
        ("lb3", 150, True),
    ]


def test_who_takes_a_place_has_its_priority_and_its_hooks_and_is_a_peer_like_any_other(tmp_path: Path) -> None:
    plans = compile_site(replaced_by(site(tmp_path), "lb1", "lb3"))
    (router,) = plans["lb3"].routers
    assert (router.priority, router.others, router.peers) == (150, (100,), (IPv4Address("192.0.2.12"),))
    assert [router.peers for router in plans["lb2"].routers] == [(IPv4Address("192.0.2.13"),)]
    assert [hook.name for hook in plans["lb3"].hooks] == ["note"]
    assert told(plans["lb2"]) == {"lb1": ((), True), "lb3": (("gate",), False)}
    assert told(plans["lb3"]) == {"lb1": ((), True), "lb2": (("gate",), False), "lb4": ((), False)}


def test_who_was_replaced_is_nothing_any_more(tmp_path: Path) -> None:
    plan = compile_site(replaced_by(site(tmp_path), "lb1", "lb3"))["lb1"]
    assert (plan.routers, plan.hooks, plan.wires, plan.heartbeat.peers) == ((), (), (), ())


def test_the_file_of_before_is_what_the_dead_node_comes_back_with(tmp_path: Path) -> None:
    before = site(tmp_path)
    after = replaced_by(before, "lb1", "lb3")
    assert [node.name for node in replaced_nodes(after)] == ["lb1"]
    assert as_before(after, "lb1") == before
    assert compile_node(as_before(after, "lb1"), "lb1") == compile_node(before, "lb1")
    assert generation_of(after) != generation_of(before)


def test_a_standby_that_died_in_its_turn_is_replaced_like_any_node(tmp_path: Path) -> None:
    after = replaced_by(replaced_by(site(tmp_path), "lb1", "lb3"), "lb3", "lb4")
    plans = compile_site(after)
    assert [router.priority for router in plans["lb4"].routers] == [150]
    assert plans["lb3"].routers == plans["lb1"].routers == ()
    assert told(plans["lb2"]) == {"lb1": ((), True), "lb3": ((), True), "lb4": (("gate",), False)}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("standby-for: [lb1, lb2]}", "replaces: lb1, standby-for: [lb1, lb2]}"),
        ("standby-for: [lb1,\n    lb2]}  # spare", "replaces: lb1, standby-for: [lb1,\n    lb2]}  # spare"),
        ("\n    standby-for: [lb1, lb2]}", "\n    replaces: lb1, standby-for: [lb1, lb2]}"),
    ],
)
def test_one_line_says_it_within_braces(tmp_path: Path, written: str, expected: str) -> None:
    text = FILE.replace("standby-for: [lb1, lb2]}", written)
    before = site(tmp_path, text)
    made = with_replaces(load_site(tmp_path / "site.yaml"), "lb1", "lb3")
    assert made.text == text.replace(written, expected)
    assert site(tmp_path, made.text) == replaced_by(before, "lb1", "lb3")


def test_one_line_says_it_in_a_block_of_an_included_file(tmp_path: Path) -> None:
    (tmp_path / "nodes").mkdir()
    spare = tmp_path / "nodes" / "lb3.yaml"
    block = """nodes:
  lb3:
    # the shelf
    interfaces:
      eth0: {network: front, addresses: [192.0.2.13]}
    standby-for:
      - lb1
      - lb2
"""
    spare.write_text(block)
    lines = [line for line in FILE.split("\n") if not line.startswith("  lb3:")]
    main = "\n".join(lines).replace("site: tokyo", "site: tokyo\ninclude: [nodes/*]")
    before = site(tmp_path, main)
    made = with_replaces(load_site(tmp_path / "site.yaml"), "lb1", "lb3")
    assert made.file.resolve() == spare
    assert made.text == block.replace("    standby-for:", "    replaces: lb1\n    standby-for:")
    spare.write_text(made.text)
    assert site(tmp_path, main) == replaced_by(before, "lb1", "lb3")


def test_a_standby_is_looked_at_with_the_rules_of_the_place_before_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(FILE.replace("addresses: [192.0.2.13]", "addresses: []"))
    (problem, *_) = examine(file).problems
    assert problem.rule == "unfit-standby"
    assert problem.what == ("lb3 cannot take the place of lb1: lb3 has no IPv4 address of its own on front")
    for taken in ("", "replaces: lb1, "):
        file.write_text(FILE.replace("standby-for: [lb1, lb2]", f"{taken}standby-for: [lb1, lb2]"))
        assert examine(file).problems == ()


def test_plan_says_who_can_be_put_into_whose_place(tmp_path: Path) -> None:
    before = site(tmp_path)
    said = "lb3 can be put into the place of lb1 or lb2, on command (yaoki node replace)."
    assert stand(before, before.vip("gate"))[2] == said
    after = replaced_by(before, "lb1", "lb3")
    assert [line for line in stand(after, after.vip("gate")) if "put into" in line] == [
        "lb4 can be put into the place of lb3, on command (yaoki node replace).",
    ]
