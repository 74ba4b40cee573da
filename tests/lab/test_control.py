"""The control probe keeps away from what a fault touches."""

import pytest

from tests.lab.sites import pair
from yaoki.core.address import Family
from yaoki.lab.catalogue import catalogue
from yaoki.lab.fault import CutLink, Fault, NetworkDown, PowerOff, ServerTrouble, StopNode, Trouble
from yaoki.lab.probes.control import control_targets


@pytest.mark.parametrize(
    ("fault", "hosts"),
    [
        (StopNode("lb1"), {"web1", "web2"}),
        (ServerTrouble("web1", Trouble.KILLED), {"web2"}),
        (PowerOff("web2"), {"web1"}),
        (NetworkDown("front"), {"router"}),
        (PowerOff("router"), {"alice"}),
        (CutLink("alice", "eth0"), {"alice"}),
    ],
)
def test_the_control_probe_goes_as_far_as_it_can_on_ways_that_the_fault_does_not_touch(
    fault: Fault, hosts: set[str]
) -> None:
    targets = control_targets(pair(), fault)
    assert [target.family for target in targets] == [Family.IPV4, Family.IPV6]
    assert {target.server for target in targets} <= hosts


def test_no_control_probe_crosses_a_balancer() -> None:
    site = pair()
    answering = {t.server for scenario in catalogue(site) for t in control_targets(site, scenario.fault)}
    assert answering.isdisjoint({"app1", "app2", "lb1", "lb2"})
