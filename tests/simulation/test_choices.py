"""Servers that claim a VIP and services that are disabled: what a site chooses for them, one fault at a time, and the
invariants of both."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from tests.simulation.scene import Deaf, Scene
from tests.simulation.shapes import shape
from yaoki.lb.service import Desired, Duty
from yaoki.sim.faults import AddressLeaked, Fault, Killed, Part, PowerLost, ServerFault, ServicesDisabled
from yaoki.sim.invariants.disabling import DisabledAsDeclared
from yaoki.sim.invariants.leaks import LeakersOut
from yaoki.sim.invariants.truth import CAUGHT_US, QUIET_US
from yaoki.sim.ledger import InvariantBroken
from yaoki.sim.schedule import MIXES, episodes
from yaoki.sim.servers import Condition
from yaoki.sim.timeline import SECOND

KEPT, DRAWN = IPv4Address("192.0.2.50"), IPv6Address("2001:db8:1::51")
LEAK = AddressLeaked("front", "web1", KEPT, IPv4Address("192.0.2.21"))
LEAK6 = AddressLeaked("front", "web1", DRAWN, IPv6Address("2001:db8:1::21"))
CAUGHT_S = CAUGHT_US / SECOND
ALL = ("web", "mail", "shop", "stock")
NOBODY = {"drawn/ipv4": (), "drawn/ipv6": ()}
BOTH = {"kept/ipv4": ("lb1",), "kept/ipv6": ("lb1",)}


def table(scene: Scene, node: str, service: str, address: IPv4Address | IPv6Address) -> dict[str, Duty] | None:
    """What a node's tables have of a service; None: nothing."""
    desired: Desired = scene.world.nodes[node].kernel.table
    held = [each for each in desired.services if each.name == service and each.key.address == address]
    return {server.name: server.duty for server in held[0].servers} if held else None


# --- servers that claim a VIP -----------------------------------------------------------------------------------------


@pytest.mark.req("Z-04")
@pytest.mark.parametrize(("leak", "service", "other"), [(LEAK, "web", "mail"), (LEAK6, "stock", "shop")])
def test_a_server_that_answers_for_a_vip_gets_no_new_flows_of_the_service_that_minds(
    leak: AddressLeaked, service: str, other: str
) -> None:
    scene = Scene("choices")
    scene.fault(leak, lasts=20)
    scene.run(CAUGHT_S)
    for node in ("lb1", "lb2"):
        assert table(scene, node, service, leak.address) == {"web1": Duty.DRAIN, "web2": Duty.SERVE}
        assert table(scene, node, other, leak.address) == {"web1": Duty.SERVE, "web2": Duty.SERVE}
    scene.run(20 - CAUGHT_S + QUIET_US / SECOND - 2)
    assert table(scene, "lb1", service, leak.address) == {"web1": Duty.DRAIN, "web2": Duty.SERVE}
    scene.run(2 + CAUGHT_S)
    for node in ("lb1", "lb2"):
        assert table(scene, node, service, leak.address) == {"web1": Duty.SERVE, "web2": Duty.SERVE}


def test_a_server_that_answers_for_a_vip_serves_while_the_other_is_down() -> None:
    scene = Scene("choices")
    scene.fault(LEAK, lasts=30)
    scene.fault(ServerFault("web2", Condition.DEAD), at=10, lasts=10)
    scene.run(18)
    assert table(scene, "lb1", "web", KEPT) == {"web1": Duty.SERVE, "web2": Duty.OUT}
    scene.run(10)
    assert table(scene, "lb1", "web", KEPT) == {"web1": Duty.DRAIN, "web2": Duty.SERVE}


def test_a_server_that_is_off_answers_for_nothing() -> None:
    scene = Scene("choices")
    scene.fault(ServerFault("web1", Condition.DEAD), lasts=20)
    scene.fault(LEAK, lasts=20)
    scene.run(10)
    assert scene.world.servers.claimants(KEPT) == ()
    assert table(scene, "lb1", "web", KEPT) == {"web1": Duty.OUT, "web2": Duty.SERVE}


def test_a_server_that_claims_a_vip_and_is_sent_new_flows_is_found() -> None:
    scene = Scene("choices")
    scene.fault(LEAK, lasts=20)
    scene.run(10)
    kernel = scene.world.nodes["lb2"].kernel
    services = (
        replace(each, servers=tuple(replace(server, duty=Duty.SERVE, weight=1) for server in each.servers))
        for each in kernel.table.services
    )
    kernel.table = Desired(tuple(services))
    with pytest.raises(InvariantBroken, match="leakers out: lb2 sends new flows of web to web1, which claims 192"):
        scene.world.ledger.table_changed("lb2")


@pytest.mark.parametrize("part", [Part.MAIN, Part.WORKER, Part.ALL])
def test_a_server_that_answers_for_a_vip_stays_out_when_the_node_is_started_again(part: Part) -> None:
    scene = Scene("choices")
    scene.fault(LEAK, lasts=20)
    scene.fault(Killed("lb1", part), at=8, lasts=1)
    scene.run(5)
    for _ in range(300):
        scene.run(0.05)
        assert table(scene, "lb1", "web", KEPT) == {"web1": Duty.DRAIN, "web2": Duty.SERVE}


def test_a_server_that_is_put_back_for_a_moment_while_it_answers_for_a_vip_is_found() -> None:
    scene = Scene("choices")
    kernel, ledger = scene.world.nodes["lb1"].kernel, scene.world.ledger
    served = kernel.table
    scene.fault(LEAK, lasts=30)
    scene.fault(Killed("lb1", Part.MAIN), at=8, lasts=1)
    scene.run(10)
    ledger.table_changed("lb1")
    kernel.table = served
    with pytest.raises(InvariantBroken, match="lb1 put web1 back into web, though it claims"):
        ledger.table_changed("lb1")


def test_a_claim_of_a_server_that_is_not_told_of_is_found() -> None:
    scene = Scene("choices")
    scene.fault(LEAK, lasts=20)
    scene.run(0.1)
    # This one hears of no events.
    LeakersOut(scene.world.ledger).leaks_changed("web1", KEPT)
    with pytest.raises(InvariantBroken, match=r"leakers out: lb1 has not told that web1 claims 192\.0\.2\.50"):
        scene.run(CAUGHT_S)


def test_a_server_that_is_not_let_off_is_found() -> None:
    scene = Scene("choices")
    scene.fault(LEAK, lasts=10)
    scene.run(20)
    table = scene.world.nodes["lb2"].kernel.table
    scene.run(10 - 20 + QUIET_US / SECOND + CAUGHT_S - 0.1)
    scene.world.nodes["lb2"].kernel.table = table
    with pytest.raises(InvariantBroken, match="lb2 sends no new flows of web to web1, which claims nothing"):
        scene.run(0.2)


# --- services that are disabled ---------------------------------------------------------------------------------------


@pytest.mark.req("D-27")
def test_what_disabled_services_leave_is_as_the_site_says() -> None:
    scene = Scene("choices")
    before = scene.owners()
    scene.fault(ServicesDisabled(None, ALL), lasts=10)
    scene.run(5)
    assert scene.owners() == {**BOTH, **NOBODY}
    for node in ("lb1", "lb2"):
        assert table(scene, node, "web", KEPT) is None
        assert table(scene, node, "mail", KEPT) == {"web1": Duty.DRAIN, "web2": Duty.DRAIN}
        assert table(scene, node, "shop", DRAWN) is None
    scene.run(10)
    assert scene.owners() == before
    assert table(scene, "lb2", "mail", KEPT) == {"web1": Duty.SERVE, "web2": Duty.SERVE}
    assert table(scene, "lb2", "shop", DRAWN) == {"web1": Duty.SERVE, "web2": Duty.SERVE}


@pytest.mark.req("D-27")
def test_a_vip_that_one_node_withdraws_goes_to_the_other_and_comes_back() -> None:
    scene = Scene("choices")
    scene.fault(ServicesDisabled("lb2", ("shop", "stock")), lasts=10)
    scene.run(3)
    assert scene.owners() == {**BOTH, "drawn/ipv4": ("lb1",), "drawn/ipv6": ("lb1",)}
    scene.run(10)
    assert scene.owners() == {**BOTH, "drawn/ipv4": ("lb2",), "drawn/ipv6": ("lb2",)}


@pytest.mark.req("D-27")
@pytest.mark.parametrize("fault", [Killed("lb1", Part.ALL), PowerLost("lb1")], ids=str)
def test_a_node_that_begins_anew_takes_no_vip_that_is_withdrawn(fault: Fault) -> None:
    scene = Scene("choices")
    scene.fault(ServicesDisabled(None, ("shop", "stock")), lasts=40)
    scene.fault(fault, at=5, lasts=2)
    scene.run(5)
    for _ in range(34):
        scene.run(1)
        assert {**scene.owners(), **NOBODY} == scene.owners()
    scene.run(1)
    scene.settle()


def test_services_may_be_disabled_twice_and_are_enabled_when_both_faults_have_ended() -> None:
    scene = Scene("choices")
    scene.fault(ServicesDisabled(None, ("shop", "stock")), lasts=10)
    scene.fault(ServicesDisabled("lb1", ("web", "shop")), at=2, lasts=10)
    scene.run(11)
    assert table(scene, "lb1", "shop", DRAWN) is None
    assert table(scene, "lb2", "shop", DRAWN) is not None
    scene.settle()
    assert table(scene, "lb1", "shop", DRAWN) is not None


@pytest.mark.parametrize(
    ("service", "what"),
    [("web", "has tables of web"), ("mail", "has new flows to web1, web2 of mail"), ("shop", "has tables of shop")],
)
def test_tables_of_a_disabled_service_are_found(service: str, what: str) -> None:
    scene = Scene("choices")
    kernel = scene.world.nodes["lb1"].kernel
    served = kernel.table
    scene.fault(ServicesDisabled(None, (service,)), lasts=10)
    scene.run(5)
    kernel.table = served
    with pytest.raises(InvariantBroken, match=f"disabled as declared: lb1 {what}"):
        scene.run(2)


def test_no_tables_of_a_service_that_is_drained_or_enabled_again_are_found() -> None:
    scene = Scene("choices")
    kernel = scene.world.nodes["lb1"].kernel
    scene.fault(ServicesDisabled(None, ("mail",)), lasts=10)
    scene.run(5)
    kernel.table = Desired(tuple(each for each in kernel.table.services if each.name != "mail"))
    with pytest.raises(InvariantBroken, match=r"lb1 has no tables of mail on .*, which is disabled and drained"):
        scene.run(2)
    scene = Scene("choices")
    invariant = DisabledAsDeclared(scene.world.ledger)
    invariant.decided("lb1")
    scene.run(1)
    scene.world.nodes["lb1"].kernel.table = Desired()
    with pytest.raises(InvariantBroken, match="lb1 has no tables of web on"):
        invariant.settled()


def test_who_holds_a_vip_that_is_withdrawn_is_found() -> None:
    scene = Scene("choices")
    scene.fault(ServicesDisabled(None, ("shop", "stock")), lasts=20)
    scene.run(6)
    [virtual] = [each for each in scene.world.topology.virtuals if str(each) == "drawn/ipv4"]
    params = virtual.params("lb1")
    scene.world.nodes["lb1"].speaker.process.machine = Deaf()
    scene.world.nodes["lb1"].kernel.claim(params.key.interface, params.addresses[0])
    with pytest.raises(InvariantBroken, match="lb1 takes part in drawn/ipv4, which is withdrawn"):
        scene.run(5)


def test_who_withdraws_a_vip_that_is_to_be_kept_is_found() -> None:
    scene = Scene("choices")
    # The plans of the world say otherwise than what its nodes go by.
    for node in scene.world.nodes.values():
        node.main._site_plan = replace(node.main._site_plan, withdrawable=("drawn", "kept"))
    scene.fault(ServicesDisabled(None, ("web", "mail")), lasts=20)
    scene.run(0.1)
    for node in scene.world.nodes.values():
        node.main.plan = replace(node.main.plan, withdrawable=("drawn",))
    with pytest.raises(InvariantBroken, match="takes no part in kept/ipv4, which is not withdrawn"):
        scene.run(15)


# --- which seeds meet them --------------------------------------------------------------------------------------------


def test_only_sites_that_choose_something_for_them_meet_these_faults() -> None:
    def kinds(site: str) -> set[type[Fault]]:
        settle = 10 * SECOND
        found = (
            episodes(seed, shape(site), begins=settle, until=3600 * SECOND, settle=settle) for seed in range(len(MIXES))
        )
        return {type(each.fault) for schedule in found for episode in schedule for each in episode.faults}

    assert kinds("choices") >= {AddressLeaked, ServicesDisabled}
    assert not kinds("two-nodes") & {AddressLeaked, ServicesDisabled}
