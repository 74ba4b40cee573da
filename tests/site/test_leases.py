"""VIPs that are owned by lease: compiled, compared, and what they stand."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.cli.stand import stand, why_nobody
from yaoki.election.lease_params import LeaseParams, longest_takeover, patience, wait_out
from yaoki.election.store import Endpoint, EtcdStore, LocalStore
from yaoki.site.compile import compile_node, compile_site
from yaoki.site.diff import diff_sites
from yaoki.site.load import load_site
from yaoki.site.model import Election, Site, Store, StoreKind, StoreMember, TrackedCheck
from yaoki.site.survival import gateways, loss_that_mutes, store_answers, survival
from yaoki.site.what_if import VipOutcome, what_if

LEASED = (Path(__file__).parent / "leased.yaml").read_text()
FROZEN = "one exception: an owner that its hypervisor froze answers, when it is thawed, until its first renewal fails."
STORE = "store: {kind: etcd, endpoints: [etcd1, etcd2, etcd3]}\n"


def site(folder: Path, *edits: tuple[str, str]) -> Site:
    text = LEASED
    for before, after in edits:
        assert before in text, before
        text = text.replace(before, after)
    path = folder / "site.yaml"
    path.write_text(text)
    return load_site(path).site


def endpoints(folder: Path, written: str) -> tuple[str, ...]:
    plan = compile_node(site(folder, ("[etcd1, etcd2, etcd3]", written)), "lb1")
    assert isinstance(plan.store, EtcdStore)
    return tuple(map(str, plan.store.endpoints))


@pytest.mark.req("B-06")
def test_both_families_of_a_vip_name_one_lease(tmp_path: Path) -> None:
    plan = compile_node(site(tmp_path), "lb1")
    lease = LeaseParams.usual("gate", timedelta(milliseconds=1500))
    assert [router.lease for router in plan.routers] == [lease, lease]
    assert plan.leases == (lease,)
    addresses = tuple(Endpoint(f"192.0.2.3{number}", 2379) for number in (1, 2, 3))
    assert plan.store == EtcdStore(addresses, prefix="yaoki/tokyo/")


def test_a_node_without_a_leased_vip_needs_no_store(tmp_path: Path) -> None:
    plan = compile_node(site(tmp_path, ("    election: lease\n", "")), "lb1")
    assert (plan.store, plan.leases) == (None, ())


def test_endpoints_are_machines_or_addresses_with_or_without_port(tmp_path: Path) -> None:
    written = "['etcd1:12379', 192.0.2.32, '192.0.2.33:99', '2001:db8::1', '[2001:db8::2]:77']"
    assert endpoints(tmp_path, written) == (
        "http://192.0.2.31:12379",
        "http://192.0.2.32:2379",
        "http://192.0.2.33:99",
        "http://[2001:db8::1]:2379",
        "http://[2001:db8::2]:77",
    )
    secured = "[etcd1, etcd2, etcd3], ca: {secret: etcd-ca}, certificate: {secret: mine}, key: {secret: mine-key}"
    plan = compile_node(site(tmp_path, ("[etcd1, etcd2, etcd3]", secured)), "lb1")
    assert isinstance(plan.store, EtcdStore)
    assert str(plan.store.endpoints[0]) == "https://192.0.2.31:2379"
    assert (plan.store.ca, plan.store.certificate, plan.store.key) == ("etcd-ca", "mine", "mine-key")


def test_a_member_of_the_store_is_reached_on_a_network_that_both_are_on(tmp_path: Path) -> None:
    both = (
        "etcd1: {interfaces: {eth0: {network: front, addresses: [192.0.2.31]}}}",
        "etcd1: {interfaces: {eth1: {network: clients, addresses: [198.51.100.31]},"
        " eth0: {network: front, addresses: [192.0.2.31]}}}",
    )
    plan = compile_node(site(tmp_path, both), "lb1")
    assert isinstance(plan.store, EtcdStore)
    assert plan.store.endpoints[0].host == "192.0.2.31"


def test_a_single_node_keeps_its_leases_in_its_own_memory(tmp_path: Path) -> None:
    alone = site(tmp_path, (", lb2: {priority: 100}", ""), (STORE, "store: {kind: in-process}\n"))
    assert compile_node(alone, "lb1").store == LocalStore()
    assert survival(alone, alone.vip("gate")).fatal == (("lb1",),)


@pytest.mark.req("B-06")
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (("    election: lease\n", ""), "VIP gate: its election changes"),
        ((STORE, "store: {kind: etcd, endpoints: [192.0.2.41, 192.0.2.42, 192.0.2.43]}\n"), "leases move to another"),
    ],
)
def test_what_could_make_two_owners_on_the_way_is_unsafe(tmp_path: Path, edit: tuple[str, str], said: str) -> None:
    old, new = compile_site(site(tmp_path)), compile_site(site(tmp_path, edit))
    assert any(reason.startswith(said) for reason in diff_sites(old, new)["lb1"].unsafe)


@pytest.mark.req("B-06")
def test_another_name_is_another_lease_and_so_is_a_group(tmp_path: Path) -> None:
    old = compile_site(site(tmp_path))
    edits = (("  gate:\n", "  portal:\n"), ("gateway: gate", "gateway: portal"), ("vip: gate", "vip: portal"))
    renamed = compile_site(site(tmp_path, *edits))
    grouped = compile_site(site(tmp_path, ("vips:\n", "sync-groups: {edge: {vips: [gate]}}\nvips:\n")))
    assert [lease.key for lease in grouped["lb1"].leases] == ["group/edge"]
    for name, new in (("portal", renamed), ("gate", grouped)):
        [reason] = diff_sites(old, new)["lb1"].unsafe
        assert reason.startswith(f"VIP {name}: it is owned by another lease: until every member has the change, two")


def test_a_store_that_keeps_a_member_stays_the_same_store(tmp_path: Path) -> None:
    old, new = compile_site(site(tmp_path)), compile_site(site(tmp_path, ("etcd3]", "192.0.2.99]")))
    plan = diff_sites(old, new)["lb1"]
    assert plan.unsafe == ()
    assert [change.subject for change in plan.changes] == ["store of leases"]


@pytest.mark.req("B-20")
def test_a_living_member_owns_only_with_a_majority_of_the_store(tmp_path: Path) -> None:
    leased = site(tmp_path)
    assert what_if(leased, {"lb1", "etcd1"}).vips == (VipOutcome("gate", "lb1", "lb2"),)
    assert what_if(leased, {"etcd1", "etcd3"}).vips == (VipOutcome("gate", "lb1", None),)
    assert why_nobody(leased, leased.vip("gate"), ["etcd1", "etcd3"]).startswith(" (lb1 and lb2 may not")
    assert why_nobody(leased, leased.vip("gate"), ["lb1", "lb2"]) == ""


@pytest.mark.req("B-20")
def test_what_an_address_stands_is_said_in_plain_words(tmp_path: Path) -> None:
    leased = site(tmp_path)
    assert stand(leased, leased.vip("gate")) == (
        "it survives the failure of any one machine.",
        "it does not survive the failure of lb1 and lb2 together.",
        "it does not survive the failure of etcd1 and etcd2 together: lb1 and lb2 may not own it without a majority of"
        " the store.",
        "it never has two owners: who cannot reach 2 of the store's 3 members falls silent within 1500ms.",
        FROZEN,
        "where a majority is reached, another member owns it within 1650ms (longer where the store elects a leader just"
        " then); where none is, nobody does.",
    )
    plain = site(tmp_path, ("    election: lease\n", ""))
    assert stand(plain, plain.vip("gate")) == (
        "it survives the failure of any one machine.",
        "it does not survive the failure of lb1 and lb2 together.",
        "when the network between its members is cut, it has an owner on either side until that is healed.",
    )


@pytest.mark.req("B-20")
def test_routers_that_do_not_run_yaoki_make_a_second_owner_and_it_is_said(tmp_path: Path) -> None:
    beside = "    transport: unicast\n    peers: [192.0.2.13, 192.0.2.14]\n"
    leased = site(tmp_path, ("    election: lease\n", f"    election: lease\n{beside}"))
    assert stand(leased, leased.vip("gate"))[-1] == (
        "of leases 192.0.2.13 and 192.0.2.14 know nothing: what runs there may own it beside the holder."
    )
    plain = site(tmp_path, ("    election: lease\n", beside))
    assert stand(plain, plain.vip("gate"))[-1] == (
        "no dead-man gate is armed for 192.0.2.13 and 192.0.2.14: while an owner hears no other member, its speaker's"
        " death leaves it a second owner beside them."
    )


def test_the_fewest_losses_that_silence_a_living_member(tmp_path: Path) -> None:
    for written, lost in (
        ("[lb1, lb2, etcd3]", ("lb1", "etcd3")),
        ("[etcd1, etcd2, etcd3]", ("etcd1", "etcd2")),
        ("[192.0.2.90, 192.0.2.91, lb1]", None),
        ("[lb1, 'lb1:2380', etcd3]", ("lb1",)),
    ):
        found = site(tmp_path, ("[etcd1, etcd2, etcd3]", written))
        assert loss_that_mutes(found, found.vip("gate")) == lost, written


MACHINES = ("lb1", "lb2", "etcd1", "etcd2", "etcd3")


@given(
    voters=st.lists(st.sampled_from([*MACHINES, None]), min_size=1, max_size=5),
    failed=st.sets(st.sampled_from(MACHINES)),
    leased=st.booleans(),
)
def test_what_is_survived_is_what_the_rules_of_failure_say(
    tmp_path_factory: pytest.TempPathFactory, voters: list[str | None], failed: set[str], leased: bool
) -> None:
    folder = tmp_path_factory.mktemp("site")
    base = site(folder) if leased else site(folder, ("    election: lease\n", ""))
    members = tuple(StoreMember(voter, None, 2379 + index) for index, voter in enumerate(voters))
    found = Site(
        base.name, base.networks, base.machines, base.checks, base.vips, base.services,
        store=Store(StoreKind.ETCD, members),
    )  # fmt: skip
    vip = found.vip("gate")
    assert vip.election is (Election.LEASE if leased else Election.VRRP)
    stood = survival(found, vip)
    nobody = what_if(found, failed).vips[0].after is None
    if len(failed) <= stood.losses:
        assert not nobody
    for loss in stood.fatal:
        assert what_if(found, set(loss)).vips[0].after is None
    if nobody and leased and not {"lb1", "lb2"} <= failed:
        assert not store_answers(found.store, failed)


@pytest.mark.req("B-06")
@given(st.integers(100_000, 60_000_000), st.integers(1, 255))
def test_waiting_and_patience_leave_time_for_the_swap(duration_us: int, priority: int) -> None:
    duration = timedelta(microseconds=duration_us)
    waited = wait_out(duration) + patience(duration, priority)
    assert longest_takeover(duration) - waited > duration * 3 / 100


@pytest.mark.parametrize(
    ("priority", "ms"), [(255, 0.234375), (254, 0.46875), (150, 24.84375), (100, 36.5625), (1, 59.765625)]
)
def test_the_patience_of_a_priority(priority: int, ms: float) -> None:
    assert patience(timedelta(milliseconds=1500), priority) == timedelta(microseconds=round(ms * 1000))


# --- with a witness ---------------------------------------------------------------------------------------------------

WITNESS = (STORE, "store: {kind: witness, endpoint: 'etcd1:4001'}\n")


@pytest.mark.req("N-13")
def test_a_witness_is_a_store_of_one_member(tmp_path: Path) -> None:
    plan = compile_node(site(tmp_path, WITNESS), "lb1")
    assert plan.store == EtcdStore((Endpoint("192.0.2.31", 4001),), prefix="witness/tokyo/")


@pytest.mark.req("N-13")
@pytest.mark.req("B-20")
def test_without_the_witness_nobody_owns_and_plan_says_so(tmp_path: Path) -> None:
    leased = site(tmp_path, WITNESS)
    assert what_if(leased, {"lb1"}).vips == (VipOutcome("gate", "lb1", "lb2"),)
    assert what_if(leased, {"etcd2", "etcd3"}).vips == (VipOutcome("gate", "lb1", "lb1"),)
    assert what_if(leased, {"etcd1"}).vips == (VipOutcome("gate", "lb1", None),)
    assert why_nobody(leased, leased.vip("gate"), ["etcd1"]) == " (lb1 and lb2 may not: the witness is lost)"
    assert stand(leased, leased.vip("gate")) == (
        "it does not survive the failure of lb1 and lb2 together.",
        "it does not survive the failure of etcd1: lb1 and lb2 may not own it without the witness.",
        "while etcd1 lives it survives the failure of lb1 or lb2.",
        "it never has two owners: who cannot reach the witness on etcd1 falls silent within 1500ms.",
        FROZEN,
        "another member that reaches the witness owns it within 1650ms.",
        "while the witness is lost nobody owns it, not even its last owner: it is dark until etcd1 is back.",
    )


def test_etcd_in_the_place_of_a_witness_is_another_store(tmp_path: Path) -> None:
    old = compile_site(site(tmp_path, (STORE, "store: {kind: witness, endpoint: etcd1}\n")))
    assert "leases move to another store" in diff_sites(old, compile_site(site(tmp_path)))["lb1"].unsafe[0]


# --- with a gateway ---------------------------------------------------------------------------------------------------

GATEWAY = load_site(Path(__file__).parents[1] / "simulation/sites/gateway.yaml").site


@pytest.mark.req("N-13")
def test_a_gateway_that_is_checked_in_time_hinders_who_is_cut_off_from_it() -> None:
    assert stand(GATEWAY, GATEWAY.vip("vip")) == (
        "it survives the failure of any one machine.",
        "it does not survive the failure of lb1 and lb2 together.",
        "when the network between its members is cut, a member that does not reach router may not take it over.",
        "an owner that does not reach router keeps it until it hears another.",
        "where two sides reach router and not each other, it has an owner on either until that is healed.",
    )


@pytest.mark.req("N-13")
def test_a_gateway_that_is_checked_too_slowly_is_said_to_hinder_nothing() -> None:
    vip = replace(GATEWAY.vip("vip"), advertise=timedelta(milliseconds=100))
    assert stand(GATEWAY, vip)[2:] == (
        "when the network between its members is cut, it has an owner on either side until that is healed.",
        "the check ping of router hinders no second owner: it needs up to 800ms, and a member takes over after 261ms.",
    )


def test_only_a_check_of_another_machine_that_bars_makes_a_gateway() -> None:
    vip = GATEWAY.vip("vip")
    (track,) = vip.track
    for other in (
        replace(track, weight=-10),
        replace(track, reverse=True),
        replace(track, tracked=TrackedCheck("ping", "lb2")),
    ):
        assert gateways(GATEWAY, replace(vip, track=(other,))) == ()
    assert gateways(GATEWAY, replace(vip, members=vip.members[:1])) == ()
    assert [(each.target, each.in_time) for each in gateways(GATEWAY, vip)] == [("router", True)]
