"""Lint rules beyond their broken files: when they must keep silent, and laws that hold for any site."""

from ipaddress import IPv4Network, ip_network
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.core.error import Problem
from yaoki.core.event import Severity
from yaoki.lb.service import Protocol
from yaoki.site.examine import MAX_FINDINGS, examine
from yaoki.site.lint import RULES, View
from yaoki.site.lint.redundancy import RULES as REDUNDANCY
from yaoki.site.model import Interface, Machine, Network, Server, Service, Site, Track, TrackedService, Vip, VipMember

EXAMPLE = (Path(__file__).parent / "pair.yaml").read_text()

TWO_ARMED = """version: 1
site: two-armed
networks:
  front: {prefixes: [192.0.2.0/24], gateway: router}
  back: {prefixes: [198.51.100.0/24], gateway: inner}
  far: {prefixes: [203.0.113.0/24], gateway: hop}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]},
                     eth1: {network: back, addresses: [198.51.100.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]},
                     eth1: {network: back, addresses: [198.51.100.12]}}}
hosts:
  router: {forwards: true, interfaces: {eth0: {network: front, addresses: [192.0.2.1]}}}
  hop: {forwards: true, gateway: inner, interfaces: {eth0: {network: far, addresses: [203.0.113.1]},
                                                     eth1: {network: back, addresses: [198.51.100.1]}}}
  app1: {interfaces: {eth0: {network: back, addresses: [198.51.100.21]}}}
  app2: {interfaces: {eth0: {network: far, addresses: [203.0.113.22]}}}
vips:
  outer: {network: front, addresses: [192.0.2.50], vrid: 1, members: {lb1: {priority: 150}, lb2: {priority: 100}}}
  inner: {network: back, addresses: [198.51.100.50], vrid: 2, members: {lb1: {priority: 150}, lb2: {priority: 100}}}
services:
  app: {vip: outer, listen: tcp/80, forward: nat, servers: {app1: {}, app2: {}}}
"""


def findings(folder: Path, text: str, *edits: tuple[str, str], least: Severity = Severity.WARNING) -> list[Problem]:
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    path = folder / "site.yaml"
    path.write_text(text)
    order = [Severity.NOTICE, Severity.WARNING, Severity.ERROR]
    return [problem for problem in examine(path).problems if order.index(problem.severity) >= order.index(least)]


def rules_of(folder: Path, text: str, *edits: tuple[str, str], least: Severity = Severity.WARNING) -> list[str]:
    return [problem.rule for problem in findings(folder, text, *edits, least=least)]


@pytest.mark.parametrize(("plane", "found"), [("bpf", True), ("xdp", True), ("auto", False), ("nftables", False)])
def test_a_service_that_is_translated_names_no_plane_on_bpf(plane: str, found: bool, tmp_path: Path) -> None:
    rules = rules_of(tmp_path, TWO_ARMED, ("forward: nat", f"forward: nat, plane: {plane}"))
    assert ("bpf-not-direct" in rules) == found


def test_rule_ids_are_unique_words() -> None:
    ids = [rule.id for rule in RULES]
    assert len(ids) == len(set(ids))
    assert all(rule.id.replace("-", "").isalnum() and rule.summary for rule in RULES)


def test_the_example_has_no_error_and_no_warning(tmp_path: Path) -> None:
    assert rules_of(tmp_path, EXAMPLE) == []


@pytest.mark.req("D-05")
def test_nat_through_an_inner_vip_of_the_same_nodes_is_right_also_across_a_router(tmp_path: Path) -> None:
    assert rules_of(tmp_path, TWO_ARMED) == []


def test_nat_through_an_inner_vip_of_another_node_is_wrong(tmp_path: Path) -> None:
    alone = (
        "vrid: 2, members: {lb1: {priority: 150}, lb2: {priority: 100}}",
        "vrid: 2, members: {lb2: {priority: 100}}",
    )
    assert rules_of(tmp_path, TWO_ARMED, alone) == ["nat-gateway", "nat-gateway"]


def test_a_single_balancer_may_be_the_gateway_itself(tmp_path: Path) -> None:
    edits = [
        ("back: {prefixes: [198.51.100.0/24], gateway: inner}", "back: {prefixes: [198.51.100.0/24], gateway: lb1}")
    ]
    edits += [
        ("gateway: inner,", "gateway: lb1,"),
        ("members: {lb1: {priority: 150}, lb2: {priority: 100}}", "members: {lb1: {priority: 150}}"),
    ]
    assert rules_of(tmp_path, TWO_ARMED, *edits) == []


@pytest.mark.req("D-32")
def test_a_client_on_the_servers_network_is_warned_of_under_nat_only(tmp_path: Path) -> None:
    bob = (
        "  app1:   {",
        "  bob: {plays: [client], interfaces: {eth0: {network: front, addresses: [192.0.2.9]}}}\n  app1:   {",
    )
    assert rules_of(tmp_path, EXAMPLE, bob) == ["nat-on-link-clients"]
    assert rules_of(tmp_path, EXAMPLE, bob, ("forward: nat", "forward: fullnat")) == []


@pytest.mark.req("D-04", "D-13")
@pytest.mark.parametrize("forward", ["nat", "fullnat", "direct"])
@pytest.mark.parametrize("persistence", ["none", "{source: {}}", "{cookie: x}", "{header: x}", "{tls-session: x}"])
def test_persistence_by_forwarding_method(tmp_path: Path, forward: str, persistence: str) -> None:
    edits = [("forward: direct   ", f"forward: {forward}   "), ("persistence: none ", f"persistence: {persistence} ")]
    edits += [
        ("gateway: web-vip", "gateway: web-vip"),
        ("  web1:   {", "  web1:   {gateway: web-vip, "),
        ("  web2:   {", "  web2:   {gateway: web-vip, "),
    ]
    rules = rules_of(tmp_path, EXAMPLE, *edits)
    if persistence in ("none", "{source: {}}"):
        assert rules == []
    else:
        assert rules[0] == ("direct-persistence" if forward == "direct" else "not-in-this-release")


@pytest.mark.req("B-11")
@pytest.mark.parametrize(
    ("edit", "warned"),
    [
        (("kind: http, path: /healthz, expect: {status: 200}", "kind: icmp"), True),
        (("kind: http, path: /healthz, expect: {status: 200}", "kind: neighbour"), True),
        (("kind: http, path: /healthz, expect: {status: 200}", "kind: tcp"), False),
    ],
)
def test_a_check_of_the_machine_only_is_warned_of(tmp_path: Path, edit: tuple[str, str], warned: bool) -> None:
    assert rules_of(tmp_path, EXAMPLE, edit) == (["icmp-only"] if warned else [])


SORRY = """version: 1
site: sorry
networks: {front: {prefixes: [192.0.2.0/24], gateway: router}, far: {prefixes: [203.0.113.0/24], gateway: router}}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
hosts:
  router: {forwards: true, interfaces: {eth0: {network: front, addresses: [192.0.2.1]},
                                        eth1: {network: far, addresses: [203.0.113.1]}}}
  web1: {interfaces: {eth0: {network: front, addresses: [192.0.2.21]}}}
  web2: {interfaces: {eth0: {network: front, addresses: [192.0.2.22]}}}
  sorry: {interfaces: {eth0: {network: far, addresses: [203.0.113.23]}}}
checks:
  slow: {kind: tcp, port: 81, interval: 10s}
  fast: {kind: tcp, interval: 100ms}
  apology: {kind: http}
vips:
  gate: {network: front, addresses: [192.0.2.50], vrid: 1, members: {lb1: {priority: 150}, lb2: {priority: 100}}}
services:
  web:
    vip: gate
    listen: tcp/80
    forward: fullnat
    check: [slow, fast]
    servers: {web1: {}, web2: {}}
    when-all-down: {sorry: sorry, check: apology}
    slo: {outage: 4s, server-outage: 1s}
"""


def test_what_only_who_says_sorry_is_asked_is_no_unused_check(tmp_path: Path) -> None:
    assert rules_of(tmp_path, SORRY, least=Severity.NOTICE) == ["single-gateway", "single-gateway"]


def test_who_says_sorry_behind_a_router_has_no_neighbour_check(tmp_path: Path) -> None:
    assert rules_of(tmp_path, SORRY, ("apology: {kind: http}", "apology: {kind: neighbour}")) == ["neighbour-off-link"]


def test_the_check_that_is_too_slow_is_the_fastest_of_several(tmp_path: Path) -> None:
    (found,) = findings(tmp_path, SORRY, ("server-outage: 1s", "server-outage: 200ms"))
    assert found.what == (
        "a server outage of at most 200ms cannot be kept: the check fast needs up to 350ms (its interval, 2 more"
        " failures and the last timeout)"
    )
    assert found.other is not None
    assert found.other.text == "  fast: {kind: tcp, interval: 100ms}"


@pytest.mark.parametrize(
    ("outage", "vip", "cure"),
    [
        ("2s", "vrid: 1", "advertise every 550ms or faster, or promise less"),
        ("2s", "vrid: 1, version: 2", "write version: 3 and advertise every 550ms or faster, or promise less"),
        ("10ms", "vrid: 1", "promise 3610ms or more"),
    ],
)
def test_the_cure_of_a_promise_that_cannot_be_kept_mends_it(tmp_path: Path, outage: str, vip: str, cure: str) -> None:
    promised, said = ("outage: 4s", f"outage: {outage}"), ("vrid: 1", vip)
    (found,) = findings(tmp_path, SORRY, promised, said)
    assert found.cure == cure
    faster = ("vrid: 1", "vrid: 1, advertise: 550ms")
    assert outage == "10ms" or rules_of(tmp_path, SORRY, promised, faster) == []


def test_equal_priorities_under_a_lease_make_no_two_owners_at_the_start(tmp_path: Path) -> None:
    store = ("vips:", "store: {kind: witness, endpoint: router}\nvips:")
    equal = ("lb1: {priority: 150}", "lb1: {priority: 100}")
    (found,) = findings(tmp_path, SORRY, store, equal, ("vrid: 1", "vrid: 1, election: lease"))
    assert found.cure == "give them different ones, or the higher address decides"


def test_a_standby_without_an_address_on_the_network_of_a_check_is_unfit(tmp_path: Path) -> None:
    armed = ("addresses: [192.0.2.11]}", "addresses: [192.0.2.11]}, eth1: {network: far, addresses: [203.0.113.11]}")
    other = ("addresses: [192.0.2.12]}", "addresses: [192.0.2.12]}, eth1: {network: far, addresses: [203.0.113.12]}")
    spare = "  lb3: {standby-for: [lb1], interfaces: {eth0: {network: front, addresses: [192.0.2.13]}}}\nhosts:"
    (found,) = findings(
        tmp_path,
        SORRY,
        armed,
        other,
        ("hosts:", spare),
        ("apology: {kind: http}", "apology: {kind: http, source: far}"),
    )
    assert found.what == "lb3 cannot take the place of lb1: lb3 makes apology as well, and has no address on far"


def test_rules_that_need_the_whole_site_are_silent_on_a_file_with_mistakes(tmp_path: Path) -> None:
    edits = [("listen: tcp/8080", "listen: tcp"), ("gateway: web-vip", "gateway: router")]
    assert rules_of(tmp_path, EXAMPLE, *edits, least=Severity.NOTICE) == ["wrong-value"]


def test_a_rule_that_finds_too_much_is_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    servers = "".join(
        f"  s{n}: {{vip: web-vip, listen: tcp/80, forward: direct, servers: {{web1: {{}}}}}}\n" for n in range(150)
    )
    path.write_text(EXAMPLE + servers)
    examination = examine(path)
    assert examination.cut_short == ("duplicate-listener", "single-server")
    assert sum(problem.rule == "duplicate-listener" for problem in examination.problems) == MAX_FINDINGS


prefixes = st.builds(
    lambda number, length: ip_network((number << 24 >> (32 - length) << (32 - length), length)),
    st.integers(192, 195),
    st.integers(6, 10),
)


@given(st.lists(prefixes, max_size=8))
def test_a_prefix_is_found_to_overlap_if_and_only_if_it_does(found: list[IPv4Network]) -> None:
    site = Site("s", networks=tuple(Network(f"n{index}", (prefix,)) for index, prefix in enumerate(found)))
    rule = next(rule for rule in RULES if rule.id == "overlapping-prefixes")
    told = {frozenset((finding.subject[1], (finding.other or ("", ""))[1])) for finding in rule.find(View(site))}
    clashes = {frozenset((f"n{i}", f"n{j}")) for (i, a), (j, b) in combinations(enumerate(found), 2) if a.overlaps(b)}
    assert told <= clashes
    assert bool(told) == bool(clashes)
    # Whoever takes all that was told of out of the way has mended everything.
    mended = [
        p for index, p in enumerate(found) if f"n{index}" not in {str(f.subject[1]) for f in rule.find(View(site))}
    ]
    assert not any(a.overlaps(b) for a, b in combinations(mended, 2))


EDGES = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8, unique=True)


def routed_site(tracks: list[tuple[int, int]], ways: list[tuple[int, int]]) -> Site:
    """Five VIPs, each with a service on it; VIP a tracks service b, and the servers of service a are behind VIP b."""
    near = Machine("lb", (Interface("eth0", "front", ()),), is_node=True)
    hosts = [
        Machine(f"h{a}-{b}", (Interface("eth0", f"back{b}", ()),), is_node=False)
        for a, b in (*ways, *((n, 9) for n in range(5)))
    ]
    networks = [Network(f"back{b}", (), f"v{b}") for b in range(5)]
    members = (VipMember("lb", 100),)
    return Site(
        "s",
        networks=(Network("front", ()), Network("back9", ()), *networks),
        machines=(near, *hosts),
        vips=tuple(
            Vip(
                f"v{a}",
                "front",
                (),
                members,
                a + 1,
                track=tuple(Track(TrackedService(f"s{y}"), -9) for x, y in tracks if x == a),
            )
            for a in range(5)
        ),
        services=tuple(
            Service(
                f"s{a}", f"v{a}", Protocol.TCP, 80, tuple(Server(f"h{a}-{b}") for x, b in (*ways, (a, 9)) if x == a)
            )
            for a in range(5)
        ),
    )


@given(EDGES, EDGES)
def test_a_cycle_is_found_if_and_only_if_there_is_one(
    tracks: list[tuple[int, int]], ways: list[tuple[int, int]]
) -> None:
    rule = next(rule for rule in REDUNDANCY if rule.id == "cycle")
    found = list(rule.find(View(routed_site(tracks, ways))))
    edges = {("v", a): {("s", b) for x, b in tracks if x == a} for a in range(5)}
    edges |= {("s", a): {("v", b) for x, b in ways if x == a} for a in range(5)}
    # What can be taken away leaf by leaf has no circle.
    left = dict(edges)
    while leaves := [pool for pool, targets in left.items() if not targets & left.keys()]:
        for leaf in leaves:
            del left[leaf]
    assert bool(found) == bool(left)
