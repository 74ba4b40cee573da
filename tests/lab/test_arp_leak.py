"""A real server whose ARP suppression is lost, with the real daemon and the kernel's own answers."""

from pathlib import Path
from typing import Any

import pytest

from tests.lab.flow_pair import pair
from tests.lab.sites import changed
from tests.lab.test_rejoin import NODES, SITE
from yaoki.lab.namespaces import inside, run
from yaoki.lab.software_yaoki import Yaoki

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(120)]

IPV4 = "192.0.2.50"


class Asked(Yaoki):
    def reasons(self, node: str) -> dict[tuple[str, str], str]:
        """Why each server of `web` does what it does, by address and name."""
        status = self._ask(node, {"do": "status", "counted": False})
        services = [each for each in status["services"] if each["name"] == "web"]
        return {(each["key"]["address"], s["name"]): s["reason"] for each in services for s in each["servers"]}


@pytest.mark.req("D-09")
def test_both_nodes_give_it_no_new_flows_for_the_address_that_it_answers_for(tmp_path: Path) -> None:
    def removing(plain: dict[str, Any]) -> None:
        plain["services"]["web"]["arp-leak"] = "remove"

    with pair(changed(tmp_path, removing, name="ykleak", base=SITE)) as both:
        asked = Asked(both.lab)
        assert {reason for node in NODES for reason in asked.reasons(node).values()} == {"up"}
        run(inside(both.lab.namespace("web1"), ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"]))
        expected = dict.fromkeys(asked.reasons("lb1"), "up") | {(IPV4, "web1"): "leaks"}
        assert len(expected) == 4
        both.until("both have seen it", lambda: all(asked.reasons(node) == expected for node in NODES))
