"""What becomes of keepalived's statements: exact sites and exact remarks."""

from datetime import timedelta
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest

from tests.site.foreign.shelf import Shelf, examined, imported, problems, said_of, site_of
from yaoki.checks.check import HttpParams, IcmpParams, Schedule, ScriptParams, TcpParams, UdpParams
from yaoki.lb.service import Encapsulation, Forward, Protocol, Scheduler, Tunnel, WhenAllDown
from yaoki.site.foreign.keepalived import Original, Outcome, import_keepalived
from yaoki.site.foreign.keepalived.methods import ENDS
from yaoki.site.model import (
    CheckDefinition,
    Hook,
    Persistence,
    Server,
    Site,
    SyncGroup,
    Track,
    TrackedCheck,
    TrackedInterface,
    Vip,
    VipMember,
)
from yaoki.vrrp.params import Failback, Transport
from yaoki.vrrp.virtual_mac import MacKind

pytestmark = pytest.mark.req("B-26", "Z-08")

SECOND = timedelta(seconds=1)


def instance(priority: int, own: str = "", *more: str, vip: str = "192.0.2.50/24", name: str = "VI_1") -> str:
    source = f"mcast_src_ip {own}" if own else ""
    lines = "\n".join(more)
    return f"""
        vrrp_instance {name} {{
            state BACKUP
            interface eth0
            virtual_router_id 51
            priority {priority}
            {source}
            {lines}
            virtual_ipaddress {{
                {vip}
            }}
        }}
    """


def pair(*more: str, folder: Path) -> Site:
    first, second = instance(150, "192.0.2.11", *more), instance(100, "192.0.2.12", *more)
    return site_of(imported(lb1=first, lb2=second), folder)


def only_vip(site: Site) -> Vip:
    (vip,) = site.vips
    return vip


def test_two_files_make_one_vip_with_two_members(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11"), lb2=instance(100, "192.0.2.12"))
    assert made.count(Outcome.GAP) == 0
    assert "GAP" not in made.text.split("version: 1")[1]
    site = site_of(made, tmp_path)
    assert only_vip(site) == Vip(
        name="vi-1",
        network="eth0",
        addresses=(ip_interface("192.0.2.50/24"),),
        members=(VipMember("lb1", 150), VipMember("lb2", 100)),
        vrid=51,
        version=2,
    )
    assert site.network("eth0").prefixes == (ip_network("192.0.2.0/24"),)
    assert [str(node.interfaces[0].addresses[0]) for node in site.nodes] == ["192.0.2.11/24", "192.0.2.12/24"]


def test_one_file_leaves_the_other_member_as_a_marked_gap(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11"))
    assert only_vip(site_of(made, tmp_path)).members == (VipMember("lb1", 150),)
    assert "  # GAP: no file of another member was given" in made.text
    assert said_of(made, "vi-1") == [
        (Outcome.GAP, "no file of another member was given: add the member by hand, or import its file as well")
    ]
    assert "single-member" in {problem.rule for problem in examined(made, tmp_path).problems}


def test_what_no_file_says_is_assumed_and_marked(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, vip="192.0.2.50"), lb2=instance(100, vip="192.0.2.50"))
    site = site_of(made, tmp_path)
    assert site.network("eth0").prefixes == (ip_network("192.0.2.0/24"),)
    assert [str(node.interfaces[0].addresses[0].ip) for node in site.nodes] == ["192.0.2.254", "192.0.2.253"]
    assert "# GAP: no file says how long the prefix is; 192.0.2.0/24 is assumed" in made.text
    assert "# GAP: its own address on eth0 is in no file; 192.0.2.254 is made up" in made.text
    assert made.count(Outcome.GAP) == 3


def test_what_the_operator_knows_fills_the_gaps(tmp_path: Path) -> None:
    shelf = Shelf({"a": instance(150, vip="192.0.2.50"), "b": instance(100, vip="192.0.2.50")})
    own = [("lb1", "eth0", ip_interface("192.0.2.1/26")), ("lb2", "eth0", ip_interface("192.0.2.2/26"))]
    made = import_keepalived([Original("a", "lb1"), Original("b", "lb2")], shelf, own=own)
    assert made.count(Outcome.GAP) == 0
    assert site_of(made, tmp_path).network("eth0").prefixes == (ip_network("192.0.2.0/26"),)


def test_the_unicast_peer_of_one_is_the_other(tmp_path: Path) -> None:
    first = instance(150, "192.0.2.11", "unicast_peer {", "192.0.2.12", "}")
    site = site_of(imported(lb1=first, lb2=instance(100)), tmp_path)
    assert str(site.machine("lb2").interfaces[0].addresses[0].ip) == "192.0.2.12"
    assert (only_vip(site).transport, only_vip(site).peers) == (Transport.UNICAST, ())


def test_an_own_address_of_two_nodes_is_taken_once(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11"), lb2=instance(100, "192.0.2.11"))
    owns = [str(node.interfaces[0].addresses[0].ip) for node in site_of(made, tmp_path).nodes]
    assert owns == ["192.0.2.11", "192.0.2.254"]
    assert [outcome for outcome, _ in said_of(made, "mcast_src_ip")] == [Outcome.TAKEN, Outcome.NOT_TAKEN]


def test_unicast_peers_that_are_no_members_stay_peers(tmp_path: Path) -> None:
    peers = ("unicast_peer {", "192.0.2.12", "192.0.2.13", "198.51.100.9", "192.0.2.50", "}")
    made = imported(lb1=instance(150, "192.0.2.11", *peers), lb2=instance(100, "192.0.2.12"))
    vip = only_vip(site_of(made, tmp_path))
    assert (vip.transport, [str(peer) for peer in vip.peers]) == (Transport.UNICAST, ["192.0.2.13"])
    assert said_of(made, "192.0.2.12") == [(Outcome.TAKEN, "the member lb2")]
    assert [said_of(made, peer)[0][0] for peer in ("198.51.100.9", "192.0.2.50")] == [Outcome.NOT_TAKEN] * 2


def test_interfaces_of_other_names_are_one_network_if_they_share_a_virtual_router(tmp_path: Path) -> None:
    second = instance(100, "192.0.2.12").replace("eth0", "ens3")
    site = site_of(imported(lb1=instance(150, "192.0.2.11"), lb2=second), tmp_path)
    assert [node.interfaces[0].name for node in site.nodes] == ["eth0", "ens3"]
    assert len(only_vip(site).members) == 2


def test_nodes_are_called_by_router_id_or_path() -> None:
    def names(*texts: str, files: tuple[str, ...]) -> list[str]:
        made = import_keepalived([Original(file) for file in files], Shelf(dict(zip(files, texts, strict=True))))
        return [line.strip().split(":")[0] for line in made.text.split("nodes:")[1].split("\n")[1:3] if ":" in line]

    first, second = instance(150, "192.0.2.11"), instance(100, "192.0.2.12")
    assert names(first, second, files=("/a/east/keepalived.conf", "/a/west/keepalived.conf")) == ["east", "west"]
    same = "global_defs { router_id LVS_DEVEL\n}\n"
    assert names(same + first, same + second, files=("one.conf", "two.conf")) == ["one", "two"]
    own = "global_defs { router_id LB_East\n}\n"
    assert names(own + first, same + second, files=("one.conf", "two.conf")) == ["lb-east", "lvs-devel"]


@pytest.mark.parametrize(
    ("lines", "interval", "version", "outcome"),
    [
        (["advert_int 1"], SECOND, 2, Outcome.TAKEN),
        (["advert_int 0.1", "version 3"], SECOND / 10, 3, Outcome.TAKEN),
        (["advert_int 0.123", "version 3"], SECOND * 0.12, 3, Outcome.CHANGED),
        (["advert_int 0.4"], SECOND, 2, Outcome.CHANGED),
        (["advert_int 1.6"], 2 * SECOND, 2, Outcome.CHANGED),
        (["advert_int 100", "version 3"], SECOND * 40.95, 3, Outcome.CHANGED),
        (["advert_int soon"], SECOND, 2, Outcome.NOT_TAKEN),
    ],
)
def test_the_interval_is_what_the_version_can_carry(
    lines: list[str], interval: timedelta, version: int, outcome: Outcome, tmp_path: Path
) -> None:
    vip = only_vip(pair(*lines, folder=tmp_path))
    assert (vip.advertise, vip.version) == (interval, version)
    assert said_of(imported(lb1=instance(150, "", *lines)), "advert_int")[0][0] is outcome


def test_of_a_statement_given_twice_the_last_is_in_force(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11", "priority 120"))
    assert only_vip(site_of(made, tmp_path)).members == (VipMember("lb1", 120),)
    assert said_of(made, "priority 150") == [(Outcome.NOT_TAKEN, "another of its kind, further down, is in force")]


def test_a_delay_before_preemption_is_a_delay_before_failback(tmp_path: Path) -> None:
    assert only_vip(pair("preempt_delay 4.5", folder=tmp_path)).failback_delay == SECOND * 4.5
    assert only_vip(pair("preempt_delay 300", "nopreempt", folder=tmp_path)).failback_delay == timedelta(0)


def test_global_defaults_reach_the_instances(tmp_path: Path) -> None:
    text = "global_defs {\n vrrp_version 3\n}\n" + instance(150, "192.0.2.11")
    assert only_vip(site_of(imported(lb1=text), tmp_path)).version == 3


def test_addresses_of_ipv6_are_of_version_3(tmp_path: Path) -> None:
    text = instance(150, "2001:db8:1::11", "native_ipv6", vip="fe80::50/64\n2001:db8:1::50/64")
    vip = only_vip(site_of(imported(lb1=text), tmp_path))
    assert vip.version == 3
    assert [str(one) for one in vip.addresses] == ["fe80::50/64", "2001:db8:1::50/64"]


def test_excluded_addresses_are_taken_and_said_to_be_advertised(tmp_path: Path) -> None:
    lines = ("version 3", "virtual_ipaddress_excluded {", "192.0.2.60/24", "2001:db8:1::60/64", "}")
    made = imported(lb1=instance(150, "192.0.2.11", *lines))
    addresses = [str(one.ip) for one in only_vip(site_of(made, tmp_path)).addresses]
    assert addresses == ["192.0.2.50", "192.0.2.60", "2001:db8:1::60"]
    assert said_of(made, "192.0.2.60")[0][0] is Outcome.CHANGED
    made = imported(lb1=instance(150, "192.0.2.11", *lines[1:]))
    assert said_of(made, "2001:db8:1::60") == [(Outcome.NOT_TAKEN, "version 2 knows no IPv6: give it a VIP of its own")]


def test_addresses_that_no_host_can_have_or_another_vip_has_are_left_out(tmp_path: Path) -> None:
    other = instance(90, vip="192.0.2.50/24\n192.0.2.51/24\n192.0.2.255/24\n127.0.0.1\nnonsense", name="VI_2")
    made = imported(lb1=instance(150, "192.0.2.11") + other.replace("router_id 51", "router_id 52"))
    site = site_of(made, tmp_path)
    assert [str(one.ip) for one in site.vip("vi-2").addresses] == ["192.0.2.51"]
    assert [outcome for outcome, _ in said_of(made, "192.0.2.50/24")] == [Outcome.TAKEN, Outcome.NOT_TAKEN]
    assert said_of(made, "192.0.2.255/24") == [(Outcome.NOT_TAKEN, "no host on its network can have it")]


def test_members_that_differ_are_remarked_on_and_the_leading_one_is_taken(tmp_path: Path) -> None:
    made = imported(
        lb1=instance(150, "192.0.2.11", "advert_int 1"), lb2=instance(100, "192.0.2.12", "advert_int 2", "nopreempt")
    )
    vip = only_vip(site_of(made, tmp_path))
    assert vip.advertise == SECOND
    assert vip.failback is Failback.STICKY
    (_, remark) = said_of(made, "advert_int 2")[0]
    assert remark == "members of VI_1 differ: advert_int is 2s here and 1s there; 1s is taken"


def test_a_vrid_used_twice_on_a_network_is_taken_once(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11") + instance(90, vip="192.0.2.60/24", name="VI_2"))
    assert only_vip(site_of(made, tmp_path)).name == "vi-1"
    assert said_of(made, "vrrp_instance VI_2")[0][0] is Outcome.NOT_TAKEN


def test_no_secret_is_repeated_anywhere() -> None:
    made = imported(lb1=instance(150, "", "authentication {", "auth_type PASS", "auth_pass hush-hush", "}"))
    assert "hush-hush" not in made.text
    assert all("hush-hush" not in f"{remark}" or "hush-hush" in remark.where.text for remark in made.remarks)
    assert said_of(made, "auth_pass")[0][0] is Outcome.NOT_TAKEN
    assert [remark.statement for remark in made.remarks if "auth_pass" in remark.statement] == ["auth_pass ***"]


def test_a_key_of_auth_hmac_is_not_repeated_and_its_place_is_named() -> None:
    made = imported(lb1=instance(150, "", "auth_hmac {", "key 1 hex:0f0f0f0f", "active_key 1", "}"))
    assert all("0f0f" not in f"{remark.statement} {remark.text}" for remark in made.remarks)
    assert [remark.statement for remark in made.remarks if remark.statement.startswith("key")] == ["key ***"]
    outcome, text = said_of(made, "auth_hmac")[0]
    assert outcome is Outcome.NOT_TAKEN
    assert "name it under authentication" in text


def test_notify_scripts_become_hooks_of_their_vip_and_nodes(tmp_path: Path) -> None:
    both = 'notify_master "/opt/up VI_1" admin'
    first = instance(150, "192.0.2.11", both, "notify /opt/any") + instance(
        150, vip="192.0.2.60/24", name="other"
    ).replace("router_id 51", "router_id 52")
    made = imported(lb1=first, lb2=instance(100, "192.0.2.12", both))
    hooks = {hook.name: hook for hook in site_of(made, tmp_path).hooks}
    assert hooks["vi-1-became-active"] == Hook(
        "vi-1-became-active", ("became-active",), ("/opt/up", "VI_1"), user="admin", vips=("vi-1",)
    )
    assert hooks["vi-1-became-backup"] == Hook(
        "vi-1-became-backup",
        ("became-backup",),
        ("/opt/any", "INSTANCE", "VI_1", "BACKUP", "150"),
        vips=("vi-1",),
        nodes=("lb1",),
    )


TRACKS = """
    vrrp_script chk {
        script "pidof haproxy"
        interval 2
        timeout 1
        weight -4
        fall 2
        rise 3
        user root
    }
"""


@pytest.mark.parametrize(
    ("said", "track"),
    [
        ("eth1", Track(TrackedInterface("eth1"), None)),
        ("eth1 weight -20", Track(TrackedInterface("eth1"), -20)),
        ("eth1 weight 20", Track(TrackedInterface("eth1"), 20, reverse=True)),
        ("eth1 weight 20 reverse", Track(TrackedInterface("eth1"), -20, reverse=True)),
        ("eth1 weight -20 reverse", Track(TrackedInterface("eth1"), 20)),
    ],
)
def test_a_weight_counts_while_keepalived_would_count_it(said: str, track: Track, tmp_path: Path) -> None:
    site = pair("track_interface {", said, "}", folder=tmp_path)
    assert only_vip(site).track == (track,)
    assert [[each.name for each in node.interfaces] for node in site.nodes] == [["eth0", "eth1"]] * 2


def test_of_two_tracks_on_one_line_the_first_is_taken_and_that_is_said() -> None:
    made = imported(lb1=instance(150, "", "track_interface { eth1 eth2", "}"))
    assert said_of(made, "eth1 eth2") == [
        (Outcome.CHANGED, "eth1 alone; keepalived reads one on a line, and no eth2 here")
    ]


def test_scripts_that_are_tracked_become_script_checks(tmp_path: Path) -> None:
    first = TRACKS + instance(150, "192.0.2.11", "track_script {", "chk", "other", "}")
    second = TRACKS + instance(100, "192.0.2.12", "track_script {", "chk weight -9", "}")
    made = imported(lb1=first, lb2=second)
    site = site_of(made, tmp_path)
    assert only_vip(site).track == (Track(TrackedCheck("chk", ip_address("127.0.0.1")), -4),)
    schedule = Schedule(interval=2 * SECOND, timeout=SECOND, fall=2, rise=3)
    assert site.checks == (CheckDefinition("chk", ScriptParams(("pidof", "haproxy"), "root"), schedule),)
    assert said_of(made, "chk weight -9") == [(Outcome.CHANGED, "track: with the weight that lb1 gives it")]
    why = "the file of lb2 does not track it, and a VIP's tracks are for every member"
    assert said_of(made, "other") == [(Outcome.NOT_TAKEN, why)]


def test_the_vips_own_interface_need_not_be_tracked_and_what_a_group_tracks_all_its_vips_track(tmp_path: Path) -> None:
    group = "vrrp_sync_group g {\ngroup {\nVI_1\n}\ntrack_script {\nchk\n}\n}\n"
    made = imported(lb1=TRACKS + group + instance(150, "192.0.2.11", "track_interface {", "eth0", "}"))
    assert [str(track.tracked) for track in only_vip(site_of(made, tmp_path)).track] == ["chk on 127.0.0.1"]
    assert (Outcome.NOT_NEEDED, "a node without its interface does not own") in said_of(made, "eth0")


def test_a_vip_that_accepts_nothing_is_taken_as_the_leading_member_has_it(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11", "no_accept"), lb2=instance(100, "192.0.2.12", "accept"))
    assert not only_vip(site_of(made, tmp_path)).accept
    assert said_of(made, "no_accept") == [(Outcome.TAKEN, "accept: false")]
    assert said_of(made, "accept") == [(Outcome.NOT_NEEDED, "a VIP accepts by itself")]
    why = "members of VI_1 differ: no_accept is not set here and set there; set is taken"
    assert (Outcome.CHANGED, why) in said_of(made, "vrrp_instance VI_1")
    assert only_vip(pair("no_accept", "accept", folder=tmp_path)).accept


@pytest.mark.req("B-06")
def test_use_vmac_becomes_a_virtual_mac_where_nothing_excludes_it(tmp_path: Path) -> None:
    made = imported(lb1=instance(150, "192.0.2.11", "use_vmac vrrp.51"), lb2=instance(100, "192.0.2.12", "use_vmac"))
    assert only_vip(site_of(made, tmp_path)).mac is MacKind.VIRTUAL
    assert said_of(made, "use_vmac vrrp.51") == [(Outcome.TAKEN, "mac: virtual")]
    made = imported(lb1=instance(255, "192.0.2.11", "use_vmac"), lb2=instance(100, "192.0.2.12", "use_vmac"))
    assert only_vip(site_of(made, tmp_path)).mac is MacKind.OWN
    assert "use_vmac is left out: who has priority 255 has the addresses on its interface" in made.text


def edge(priority: int, own: str, group: str, *, outer: int | None = None) -> str:
    """The file of a router: a VIP inside and one outside, and a group."""
    inside = instance(priority, f"192.0.2.{own}", name="INSIDE", vip="192.0.2.1/24")
    outside = instance(outer or priority, f"198.51.100.{own}", name="OUTSIDE", vip="198.51.100.1/24")
    return inside + outside.replace("eth0", "eth1") + group


SYNC = "vrrp_sync_group EDGE {\ngroup {\nINSIDE\nOUTSIDE\n}\n}\n"


def test_a_sync_group_becomes_one(tmp_path: Path) -> None:
    made = imported(r1=edge(150, "11", SYNC), r2=edge(100, "12", SYNC))
    assert site_of(made, tmp_path).sync_groups == (SyncGroup("edge", ("inside", "outside")),)
    assert said_of(made, "vrrp_sync_group EDGE") == [(Outcome.TAKEN, "the sync group edge")] * 2
    assert said_of(made, "group") == [(Outcome.TAKEN, "its VIPs")] * 2
    assert said_of(made, "OUTSIDE") == [(Outcome.TAKEN, "the VIP outside")] * 2


def test_a_group_that_one_file_only_has_is_the_sites(tmp_path: Path) -> None:
    made = imported(r1=edge(150, "11", SYNC), r2=edge(100, "12", ""))
    assert site_of(made, tmp_path).sync_groups == (SyncGroup("edge", ("inside", "outside")),)


def test_a_group_of_vips_that_are_not_owned_alike_is_not_taken(tmp_path: Path) -> None:
    made = imported(r1=edge(150, "11", SYNC, outer=90), r2=edge(100, "12", SYNC))
    assert site_of(made, tmp_path).sync_groups == ()
    why = "members or priorities of outside and inside differ, and those of one group must not"
    assert said_of(made, "vrrp_sync_group EDGE") == [(Outcome.NOT_TAKEN, f"VIPs that move together: {why}")] * 2


def test_what_a_group_names_that_is_no_vip_is_remarked_on_and_two_groups_share_no_vip(tmp_path: Path) -> None:
    first = SYNC.replace("OUTSIDE", "OUTSIDE\nNOWHERE")
    made = imported(r1=edge(150, "11", first), r2=edge(100, "12", SYNC.replace("INSIDE\n", "")))
    assert site_of(made, tmp_path).sync_groups == (SyncGroup("edge", ("inside", "outside")),)
    assert said_of(made, "NOWHERE") == [(Outcome.NOT_TAKEN, "NOWHERE is no VIP here")]
    why = "VIPs that move together: outside is in the sync group edge, which has other VIPs"
    assert said_of(made, "vrrp_sync_group EDGE")[1] == (Outcome.NOT_TAKEN, why)


SERVICE = """
    virtual_server 192.0.2.50 80 {
        delay_loop 6
        lb_algo rr
        lb_kind DR
        persistence_timeout 50
        persistence_granularity 255.255.255.0
        protocol TCP
        real_server 192.0.2.21 80 {
            weight 3
            CHECK
        }
        real_server 192.0.2.22 80 {
            weight 1
            CHECK
        }
    }
"""
HTTP = """HTTP_GET {
                url {
                    path /testurl/test.jsp
                    status_code 200-206 301
                }
                connect_timeout 3
                retry 2
                delay_before_retry 2
            }"""


def test_a_sorry_server_is_one_here(tmp_path: Path) -> None:
    said = SERVICE.replace("CHECK", "").replace("protocol TCP", "protocol TCP\n        sorry_server 192.0.2.29 80")
    made = imported(lb1=instance(150, "192.0.2.11") + said)
    (service,) = site_of(made, tmp_path).services
    assert service.when_all_down is WhenAllDown.SORRY
    assert service.sorry == Server("server-192-0-2-29")
    assert said_of(made, "sorry_server") == [(Outcome.TAKEN, "when-all-down: sorry")]
    twice = imported(lb1=instance(150, "192.0.2.11") + said.replace("2.29", "2.22"))
    (service,) = site_of(twice, tmp_path).services
    assert service.sorry is None
    why = "192.0.2.22 is a server of it already, and a service has one port of a host"
    assert said_of(twice, "sorry_server") == [(Outcome.NOT_TAKEN, why)]


def test_a_virtual_server_becomes_a_service_with_hosts_and_checks(tmp_path: Path) -> None:
    text = instance(150, "192.0.2.11") + SERVICE.replace("CHECK", HTTP)
    site = site_of(imported(lb1=text, lb2=text.replace("150", "100").replace("2.11", "2.12")), tmp_path)
    (service,) = site.services
    assert (service.vip, service.protocol, service.port) == ("vi-1", Protocol.TCP, 80)
    assert (service.forward, service.scheduler) == (Forward.DIRECT, Scheduler.ROUND_ROBIN)
    assert service.persistence == Persistence(ipv4_mask=24, timeout=50 * SECOND)
    assert service.servers == (Server("server-192-0-2-21", 3000), Server("server-192-0-2-22", 1000))
    assert site.check("http-get") == CheckDefinition(
        "http-get",
        HttpParams(0, path="/testurl/test.jsp", status=(200, 201, 202, 203, 204, 205, 206, 301)),
        Schedule(interval=6 * SECOND, timeout=3 * SECOND, fall=3, rise=1, fast_interval=2 * SECOND),
    )


@pytest.mark.parametrize(
    ("checker", "params"),
    [
        ("TCP_CHECK {\nconnect_timeout 3\n}", TcpParams(0)),
        ("TCP_CHECK {\nconnect_port 81\n}", TcpParams(81)),
        ("PING_CHECK {\n}", IcmpParams()),
        ('MISC_CHECK {\nmisc_path "/opt/ok a \'b c\'"\nuser nobody\n}', ScriptParams(("/opt/ok", "a", "b c"))),
        ("UDP_CHECK {\npayload 0aff\nrequire_reply 01\n}", UdpParams(0, send=b"\x0a\xff", expect=b"\x01")),
        ("UDP_CHECK {\n}", UdpParams(0, require_answer=False)),
        ('SSL_GET {\nurl {\npath /\nregex "^ok"\nvirtualhost www.example\nstatus_code 200\n}\n}',
         HttpParams(0, tls=True, body="^ok", host="www.example")),
        ("SMTP_CHECK {\n}", TcpParams(0)),
    ],
)  # fmt: skip
def test_checkers_become_checks(checker: str, params: object, tmp_path: Path) -> None:
    site = site_of(imported(lb1=instance(150, "192.0.2.11") + SERVICE.replace("CHECK", checker)), tmp_path)
    assert [check.params for check in site.checks] == [params]


@pytest.mark.req("D-05")
@pytest.mark.parametrize(
    ("said", "outcome", "tunnel"),
    [
        ("TUN", Outcome.TAKEN, Tunnel()),
        ("TUN type ipip", Outcome.TAKEN, Tunnel()),
        ("tun type gue port 6080 nocsum", Outcome.CHANGED, Tunnel(Encapsulation.GUE)),
        ("TUN type gue port 5555", Outcome.CHANGED, Tunnel(Encapsulation.GUE, 5555)),
    ],
)
def test_servers_behind_tunnels_may_be_on_any_network(
    said: str, outcome: Outcome, tunnel: Tunnel, tmp_path: Path
) -> None:
    text = SERVICE.replace("lb_kind DR", f"lb_kind {said}").replace("192.0.2.2", "203.0.113.2").replace("CHECK", "")
    made = imported(lb1=instance(150, "192.0.2.11", "use_vmac") + text)
    site = site_of(made, tmp_path)
    (service,) = site.services
    assert (service.forward, service.tunnel) == (Forward.TUNNEL, tunnel)
    assert site.machine("server-203-0-113-21").interfaces[0].network == "servers"
    assert [kind for kind, _ in said_of(made, "lb_kind")] == [outcome]
    assert said_of(made, service.name) == [(Outcome.GAP, ENDS.format(service=service.name))]
    assert only_vip(site).mac is MacKind.OWN, "what comes to a virtual MAC is not seen by the balancer's program"


def test_one_server_behind_a_tunnel_is_beside_those_of_direct_return(tmp_path: Path) -> None:
    text = SERVICE.replace("192.0.2.22", "203.0.113.22").replace("weight 1", "weight 1\n            lvs_method TUN")
    (service,) = site_of(imported(lb1=instance(150, "192.0.2.11") + text.replace("CHECK", "")), tmp_path).services
    assert service.servers == (
        Server("server-192-0-2-21", 3000),
        Server("server-203-0-113-22", 1000, forward=Forward.TUNNEL),
    )


def test_under_nat_servers_send_their_answers_to_the_vip_of_their_network(tmp_path: Path) -> None:
    inner = instance(150, "10.0.0.11", vip="10.0.0.1/24", name="inner").replace("eth0", "eth1")
    nat = SERVICE.replace("DR", "NAT").replace("CHECK", "").replace("192.0.2.2", "10.0.0.2")
    site = site_of(imported(lb1=instance(150, "192.0.2.11") + inner + nat), tmp_path)
    assert site.machine("server-10-0-0-21").gateway == "inner"
    made = imported(lb1=instance(150, "192.0.2.11") + nat)
    assert site_of(made, tmp_path).machine("server-10-0-0-21").interfaces[0].network == "servers"
    assert "acknowledge: [nat-gateway]" in made.text
    assert made.count(Outcome.GAP) > 0


def test_groups_are_services_on_each_address_that_a_vip_has(tmp_path: Path) -> None:
    group = "virtual_server_group G {\n192.0.2.50 80\n192.0.2.50 443\n192.0.2.77-78 80\nfwmark 1\n}\n"
    text = instance(150, "192.0.2.11") + group + SERVICE.replace("192.0.2.50 80", "group G").replace("CHECK", "")
    made = imported(lb1=text)
    assert [service.port for service in site_of(made, tmp_path).services] == [80, 443]
    assert said_of(made, "fwmark")[0][0] is Outcome.NOT_TAKEN


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("192.0.2.50 80", "192.0.2.99 80", "no VIP has 192.0.2.99"),
        ("192.0.2.50 80", "fwmark 1", "packets are told by address and port"),
        ("192.0.2.50 80", "192.0.2.50", "a service listens on an address and one port"),
        ("protocol TCP", "protocol SCTP", "SCTP is not balanced"),
        ("lb_kind DR", "lb_kind TUN type gre", "there are no tunnels by GRE"),
        ("lb_kind DR", "lb_kind ROUTE", "it is forwarded to in a way that is not imported"),
        ("real_server 192.0.2.22", "real_server 2001:db8:1::22", "it is of another family than the VIP"),
        ("real_server 192.0.2.2", "real_server 192.0.2.1", "192.0.2.11 is the node lb1"),
    ],
)
def test_what_cannot_be_a_service_is_said_with_its_reason(before: str, after: str, why: str, tmp_path: Path) -> None:
    text = instance(150, "192.0.2.11") + SERVICE.replace("CHECK", "").replace(before, after)
    made = imported(lb1=text)
    site_of(made, tmp_path)
    assert any(outcome is Outcome.NOT_TAKEN and why in text for outcome, text in said_of(made, ""))


def test_a_second_virtual_server_on_one_vip_and_port_is_told_apart(tmp_path: Path) -> None:
    vips = instance(150, "192.0.2.11", vip="192.0.2.50/24\n192.0.2.60/24")
    other = SERVICE.replace("2.50", "2.60").replace("weight 3", "weight 9")
    made = imported(lb1=vips + (SERVICE + other).replace("CHECK", ""))
    assert len(site_of(made, tmp_path).services) == 1
    (outcome, why), *_ = said_of(made, "virtual_server 192.0.2.60")
    assert outcome is Outcome.NOT_TAKEN
    assert "listens on all addresses of vi-1" in why


def test_files_that_are_no_keepalived_conf_are_refused_with_their_place() -> None:
    assert problems(lb1="vrrp_instance a {\n") == ["lb1.conf:1: the block of vrrp_instance is not closed"]
    assert problems(lb1="hello\n") == ["lb1.conf:1: there is no vrrp_instance that could be a VIP"]
    assert problems(lb1="include other*\n'\n") == ["lb1.conf:2: a quote is opened and not closed on its line"]


def test_a_file_of_which_nothing_can_be_taken_says_why_at_each_part() -> None:
    text = instance(150).replace("virtual_router_id", "router_id") + instance(150, name="VI_2", vip="999.1.1.1")
    assert problems(lb1=text) == [
        "lb1.conf:2: vrrp_instance VI_1 is not taken: it has no virtual_router_id of 1..255",
        "lb1.conf:14: vrrp_instance VI_2 is not taken: it has no address that it could advertise",
    ]


def test_the_zone_of_an_address_is_that_of_the_interface(tmp_path: Path) -> None:
    peers = "unicast_peer {\nfe80::12%eth0\n}"
    made = imported(lb1=instance(150, "2001:db8:1::11", peers, vip="fe80::50%eth0/64\n2001:db8:1::50/64"))
    vip = only_vip(site_of(made, tmp_path))
    assert ([str(one.ip) for one in vip.addresses], list(map(str, vip.peers))) == (
        ["fe80::50", "2001:db8:1::50"],
        ["fe80::12"],
    )


def test_an_own_address_of_an_interface_that_no_vip_is_on_is_remarked_on() -> None:
    own = [("lb9", "eth0", ip_interface("192.0.2.9/24"))]
    made = import_keepalived([Original("a", "lb1")], Shelf({"a": instance(150, "192.0.2.11")}), own=own)
    assert said_of(made, "--own") == [
        (Outcome.NOT_TAKEN, "no VIP is on that interface; those that VIPs are on: lb1:eth0"),
    ]


def test_a_prefix_without_room_is_refused_with_the_cure() -> None:
    full = "\n".join(f"192.0.2.{number}/29" for number in range(1, 7))
    assert problems(lb1=instance(150, vip=full)) == [
        "lb1.conf:2: the prefix of VI_1 has no free IPv4 address to stand for lb1's own"
    ]


def test_a_vip_of_link_local_addresses_has_a_network_all_the_same(tmp_path: Path) -> None:
    site = site_of(imported(lb1=instance(150, vip="fe80::50/64")), tmp_path)
    assert site.network("eth0").prefixes == (ip_network("fd00::/64"),)


def test_conditions_make_two_nodes_of_one_file(tmp_path: Path) -> None:
    text = instance(0, "", "@lb1 priority 150", "@lb2 priority 100").replace("priority 0", "")
    shelf = Shelf({"k": text})
    made = import_keepalived([Original("k", "lb1"), Original("k", "lb2")], shelf)
    assert only_vip(site_of(made, tmp_path)).members == (VipMember("lb1", 150), VipMember("lb2", 100))
    alone = import_keepalived([Original("k")], shelf)
    assert any("write NAME=FILE" in remark.text for remark in alone.remarks)
