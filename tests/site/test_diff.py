"""What `yaoki plan` says: each change, what users would feel of it, and what is refused."""

from pathlib import Path

import pytest

from yaoki.pool.plan import Action, Plan
from yaoki.site.compile import compile_site
from yaoki.site.diff import SiteChange, diff, diff_sites
from yaoki.site.load import load_site
from yaoki.site.node_plan import NodePlan

EXAMPLE = (Path(__file__).parent / "pair.yaml").read_text()


@pytest.fixture
def plans(tmp_path: Path) -> "Plans":
    return Plans(tmp_path)


class Plans:
    """The example with some texts replaced, compiled and compared with the example itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.old = self.compiled(EXAMPLE)

    def compiled(self, text: str) -> dict[str, NodePlan]:
        path = self._folder / "site.yaml"
        path.write_text(text)
        return compile_site(load_site(path).site)

    def of(self, *edits: tuple[str, str], node: str = "lb1") -> Plan[SiteChange]:
        text = EXAMPLE
        for before, after in edits:
            assert before in text, before
            text = text.replace(before, after)
        return diff_sites(self.old, self.compiled(text))[node]


def told(plan: Plan[SiteChange]) -> list[str]:
    """The changes of IPv4 in one line each; those of IPv6 are the same but for their addresses."""
    return [
        f"{change.action.value} {change.subject}" + "".join(f"; {detail}" for detail in change.details)
        for change in plan.changes
        if "[" not in change.subject and "2001:" not in change.subject and "ipv6" not in change.subject
    ]


def test_an_equal_file_changes_nothing(plans: Plans) -> None:
    plan = plans.of(("web-vip:\n", "web-vip:    # a comment\n"))
    assert not plan
    assert plan == Plan(())


def test_a_changed_priority_may_move_the_vip(plans: Plans) -> None:
    plan = plans.of(("lb1: {priority: 150}", "lb1: {priority: 90}"))
    assert told(plan) == ["change VIP web-vip (eth0/ipv4/51); priority 150 -> 90"]
    assert plan.costs == ("VIP web-vip: its owner may change, by priority",)
    assert plan.unsafe == ()


def test_what_touches_the_other_node_only_is_no_change_here(plans: Plans) -> None:
    assert not plans.of(("lb2: {priority: 100}", "lb2: {priority: 90}"))


def test_a_removed_server_loses_its_flows(plans: Plans) -> None:
    plan = plans.of(("servers: {web1: {weight: 1000}, web2: {weight: 1000}}", "servers: {web1: {weight: 500}}"))
    assert told(plan) == [
        "change service web (tcp/192.0.2.50:80); server web1: weight 1000 -> 500; remove server web2",
        "remove check page on web2 (192.0.2.22)",
    ]
    assert plan.costs[0] == "service web (tcp/192.0.2.50:80): flows of web2 are cut; drain it first to keep them"
    assert plan.unsafe == ()


def test_a_server_that_is_reached_in_another_way_loses_its_flows(plans: Plans) -> None:
    plan = plans.of(("app1: {port: 8081}", "app1: {port: 9000}"))
    assert told(plan) == [
        "add check tcp on app1 (192.0.2.31)",
        "change service api (tcp/192.0.2.50:8080); server app1: port 8081 -> 9000;"
        " server app1: other parameters of check tcp on app1 (192.0.2.31)",
        "remove check tcp on app1 (192.0.2.31)",
    ]
    assert plan.costs[0].endswith("flows of app1 are cut, for it is reached in another way")


def test_a_new_service_is_there_before_an_old_one_goes(plans: Plans) -> None:
    plan = plans.of(("  echo: {vip: web-vip, listen: udp/7,", "  ping: {vip: web-vip, listen: udp/8,"))
    assert [change.action for change in plan.changes] == [Action.ADD, Action.ADD, Action.REMOVE, Action.REMOVE]
    assert "service echo (udp/192.0.2.50:7): its flows are cut" in plan.costs


def test_a_pool_that_would_be_emptied_is_unsafe(plans: Plans) -> None:
    plan = plans.of(("{web1: {weight: 1000}, web2: {weight: 1000}}", "{web1: {weight: 0}, web2: {weight: 0}}"))
    assert plan.unsafe == (
        "service web (tcp/192.0.2.50:80): no server would take new flows any more",
        "service web (tcp/[2001:db8:1::50]:80): no server would take new flows any more",
    )


def test_a_node_that_leaves_a_vip_hands_it_to_the_other(plans: Plans) -> None:
    plan = plans.of(("{lb1: {priority: 150}, lb2: {priority: 100}}", "{lb2: {priority: 100}}"))
    assert "remove VIP web-vip (eth0/ipv4/51); 192.0.2.50/24" in told(plan)
    assert "VIP web-vip: lb1 gives it up; lb2 may own it" in plan.costs
    assert plan.unsafe == ()


def test_an_address_that_nobody_would_own_is_unsafe(plans: Plans) -> None:
    plan = plans.of(("[192.0.2.50, ", "[192.0.2.51, "))
    assert plan.unsafe == ("VIP web-vip: nobody would own 192.0.2.50 any more",)
    assert "change VIP web-vip (eth0/ipv4/51); addresses [192.0.2.50/24] -> [192.0.2.51/24]" in told(plan)


def test_another_vrid_makes_two_owners_possible_for_a_while(plans: Plans) -> None:
    plan = plans.of(("vrid: 51", "vrid: 52"))
    assert (
        "VIP web-vip: its virtual router becomes eth0/ipv4/52; until every member has the change, two nodes may own it"
        in plan.costs
    )
    assert plan.unsafe == ()


def test_a_first_plan_adds_everything_and_costs_nothing(plans: Plans) -> None:
    plan = diff(None, plans.old["lb2"], owners={})
    assert {change.action for change in plan.changes} == {Action.ADD}
    assert (plan.costs, plan.unsafe) == ((), ())


def test_a_node_that_is_gone_from_the_file_gives_up_all(plans: Plans) -> None:
    alone = {"lb2": plans.old["lb2"]}
    plan = diff_sites(plans.old, alone)["lb1"]
    assert {change.action for change in plan.changes} == {Action.REMOVE}
    assert "VIP web-vip: lb1 gives it up; lb2 may own it" in plan.costs
    assert plan.unsafe == ()


def test_a_shorter_idle_timeout_forgets_what_is_idle(plans: Plans) -> None:
    line = "    scheduler: wrr\n"
    plan = plans.of((line, f"{line}    idle-timeout: 1m\n"))
    assert told(plan)[0] == "change service web (tcp/192.0.2.50:80); idle-timeout none -> 1m"
    assert plan.costs[0] == "service web (tcp/192.0.2.50:80): flows that are idle for longer than 1m are forgotten"
    plans.old = plans.compiled(EXAMPLE.replace(line, f"{line}    idle-timeout: 1m\n"))
    assert plans.of((line, f"{line}    idle-timeout: 2m\n")).costs == ()


def test_what_a_leak_leads_to_costs_nothing_to_change(plans: Plans) -> None:
    line = "    scheduler: wrr\n"
    plan = plans.of((line, f"{line}    arp-leak: remove\n"))
    assert told(plan)[0] == "change service web (tcp/192.0.2.50:80); arp-leak tell -> remove"
    assert plan.costs == ()


@pytest.mark.req("D-27")
def test_disabling_costs_flows_or_the_vip_as_the_file_chooses(plans: Plans) -> None:
    withdrawing = ("    failback: prefer", "    when-disabled: withdraw\n    failback: prefer")
    plan = plans.of(withdrawing)
    assert told(plan) == ["change VIP web-vip; when-disabled keep -> withdraw"]
    assert plan.costs == ()
    plans.old = plans.compiled(EXAMPLE.replace(*withdrawing))
    off = [(f"    listen: {port}\n", f"    listen: {port}\n    enabled: false\n") for port in ("tcp/80", "tcp/8080")]
    echo = ("echo: {vip: web-vip,", "echo: {enabled: false, when-disabled: drain, vip: web-vip,")
    plan = plans.of(withdrawing, *off, echo)
    assert "VIP web-vip: lb1 gives it up, for its services are disabled" in plan.costs
    assert "service web (tcp/192.0.2.50:80): disabled, its flows are cut" in plan.costs
    assert not any("echo" in cost for cost in plan.costs)
    assert "VIP web-vip: lb1 gives it up, for its services are disabled" not in plans.of(withdrawing, *off).costs


def test_a_named_plane_may_cut_flows_and_auto_moves_nothing(plans: Plans) -> None:
    line = "    scheduler: wrr\n"

    def costs(before: str, after: str) -> tuple[str, ...]:
        plans.old = plans.compiled(EXAMPLE.replace(line, before))
        return plans.of((line, after)).costs[:1]

    named = "service web (tcp/192.0.2.50:80): unless it is on bpf already, it moves there, and its flows are cut where"
    assert costs(line, f"{line}    plane: bpf\n") == (f"{named} the schedule leads them to another server",)
    assert costs(f"{line}    plane: bpf\n", line) == ()
    pause = "service web (tcp/192.0.2.50:80): a network card may pause for a moment while its driver takes the program"
    assert costs(f"{line}    plane: bpf\n", f"{line}    plane: xdp\n") == (pause,)
    assert costs(f"{line}    plane: xdp\n", f"{line}    plane: bpf\n") == ()
    assert costs(line, f"{line}    plane: xdp\n") == (f"{named} the schedule leads them to another server",)
    assert costs(f"{line}    plane: nftables\n", f"{line}    plane: auto\n") == ()
    hashed = "    scheduler: sh\n"
    (cost,) = costs(f"{hashed}    plane: bpf\n", f"{hashed}    plane: nftables\n")
    assert cost.endswith("flows that began before its servers last changed may be cut")
