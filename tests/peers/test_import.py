"""A pair of keepalived is imported, and each half in turn runs beside the other's keepalived: the same node owns."""

from pathlib import Path

import pytest

from tests.peers.test_keepalived import Keepalived
from tests.runtime.speakers import Segment, eventually
from yaoki.core.address import Family
from yaoki.node.messages import RouterState
from yaoki.site.compile import compile_node
from yaoki.site.examine import accept_site
from yaoki.site.foreign.keepalived import Disk, Original, import_keepalived
from yaoki.vrrp.events import PacketRejected

pytestmark = [pytest.mark.netns, pytest.mark.peers]

VIP = "192.0.2.50/24"
PAIR = """
    $PEERS= \\
        unicast_peer { \\
            @lb1 192.0.2.12 \\
            @lb2 192.0.2.11 \\
        }
    global_defs {
        vrrp_version 3
    }
    vrrp_instance web {
        state BACKUP
        interface eth0
        virtual_router_id 51
        @lb1 priority 150
        @lb2 priority 100
        @lb1 unicast_src_ip 192.0.2.11
        @lb2 unicast_src_ip 192.0.2.12
        $PEERS
        advert_int 0.1
        virtual_ipaddress {
            192.0.2.50/24
        }
    }
"""


@pytest.mark.req("B-26", "B-05")
@pytest.mark.parametrize(("ours", "theirs", "owner"), [("lb1", "lb2", "y"), ("lb2", "lb1", "k")])
def test_an_imported_half_and_the_other_keepalived_elect_the_owner_that_the_pair_had(
    ours: str, theirs: str, owner: str, tmp_path: Path
) -> None:
    (tmp_path / "pair.conf").write_text(PAIR)
    originals = [Original(str(tmp_path / "pair.conf"), node) for node in ("lb1", "lb2")]
    (tmp_path / "site.yaml").write_text(import_keepalived(originals, Disk()).text)
    plan = compile_node(accept_site(tmp_path / "site.yaml").site, ours)
    numbers = {"lb1": 11, "lb2": 12}
    with Segment() as segment:
        segment.add("y", numbers[ours])
        segment.add("k", numbers[theirs])
        speaker = segment.speaker("y", tmp_path)
        speaker.configure(*plan.routers)
        keepalived = Keepalived(segment, tmp_path, PAIR, f"--config-id={theirs}")
        keepalived.start()
        priority = {"lb1": 150, "lb2": 100}[theirs]
        state = RouterState.ACTIVE if owner == "y" else RouterState.BACKUP
        if owner == "k":
            eventually(lambda: speaker.hears(priority), "we hear it")
        eventually(lambda: speaker.state(Family.IPV4) is state, "we are what the pair had us be")
        eventually(lambda: segment.holders(VIP) == [owner], f"only {owner} owns", within=30)
        assert speaker.told(PacketRejected) == []
        if owner == "k":
            keepalived.stop()
            eventually(lambda: segment.holders(VIP) == ["y"], "we take over")
