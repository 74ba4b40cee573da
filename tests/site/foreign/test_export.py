"""Services of a site as other products read them, and back."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.site.foreign.shelf import Shelf, imported, site_of
from tests.site.foreign.test_ipvsadm import LINE, TABLE, attempted
from yaoki.cli import main
from yaoki.core.error import SiteError
from yaoki.site.foreign.exporting import Lost
from yaoki.site.foreign.ipvsadm import import_ipvsadm
from yaoki.site.foreign.ipvsadm.writing import export_ipvsadm
from yaoki.site.foreign.keepalived import Original
from yaoki.site.foreign.keepalived.writing import export_keepalived
from yaoki.site.load import load_site
from yaoki.site.model import Site

pytestmark = pytest.mark.req("Z-09")

GOLDEN = Path(__file__).parent / "golden"
SITE = GOLDEN / "site.yaml"


def instances(site: Site) -> str:
    """What a keepalived.conf must have for the VIPs."""
    return "".join(
        f"vrrp_instance {vip.name} {{\ninterface eth0\nvirtual_router_id {vip.vrid}\npriority 100\n"
        + "virtual_ipaddress {\n"
        + "".join(f"{address}\n" for address in vip.addresses)
        + "}\n}\n"
        for vip in site.vips
    )


def table_again(text: str, folder: Path) -> Site:
    return site_of(import_ipvsadm([Original("lb1.rules", "lb1")], Shelf({"lb1.rules": text})), folder)


@pytest.mark.parametrize(("name", "format_"), [("services.rules", "ipvsadm"), ("services.conf", "keepalived")])
def test_what_is_written(name: str, format_: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", format_, str(SITE)]) == 0
    assert capsys.readouterr().out == (GOLDEN / name).read_text()
    assert main(["export", "--strict", format_, str(SITE)]) == 1


def test_what_ipvs_cannot_say_is_told() -> None:
    made = export_ipvsadm(load_site(SITE).site)
    assert made.lost == (
        Lost("closed", "it is not enabled"),
        Lost("web", "slow-start"),
        Lost("web", "when-all-down: last-known"),
        Lost("full", "web1: IPVS has no fullnat"),
    )


def test_what_keepalived_cannot_check_is_told() -> None:
    made = export_keepalived(load_site(SITE).site)
    assert [lost.what for lost in made.lost if lost.what.startswith("check")] == [
        "check page: method HEAD; it is GET",
        "check page: its body",
        "check page: rise 2; it is 1",
        "check odd: its command has words that need quotes; it is left out",
        "check tcp: rise 2; it is 1",
    ]


RANKED = (
    SITE.read_text()
    .partition("services:")[0]
    .replace(
        "hosts:\n",
        """hosts:
  web3: {interfaces: {eth0: {network: front, addresses: [192.0.2.23, "2001:db8:1::23"]}}, acknowledge: [nat-gateway]}
""",
    )
    + """services:
  web:
    vip: web-vip
    listen: tcp/80
    forward: direct
    servers: {web1: {priority: 150}, web2: {}}
    when-all-down: {sorry: web3}
  two: {vip: web-vip, listen: tcp/81, forward: direct, servers: {web1: {}, web2: {}, web3: {priority: 50}}}
"""
)


def test_servers_by_priority_are_the_scheduler_fo_where_each_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(RANKED)
    site = load_site(tmp_path / "site.yaml").site
    made = export_ipvsadm(site)
    assert made.text.splitlines()[:3] == [
        "-A -t 192.0.2.50:80 -s fo",
        "-a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w 150",
        "-a -t 192.0.2.50:80 -r 192.0.2.22:80 -g -w 100",
    ]
    assert "-a -t 192.0.2.50:81 -r 192.0.2.22:81 -g -w 1000" in made.text
    assert "-a -t 192.0.2.50:81 -r 192.0.2.23:81" not in made.text, "a backup would get its share there"
    backup = Lost("two", "web3, a backup: IPVS has them only where each server has a priority of its own (fo)")
    assert made.lost == (Lost("web", "when-all-down: sorry web3"), backup)
    blocks = export_keepalived(site)
    assert backup in blocks.lost
    assert Lost("web", "when-all-down: sorry web3") not in blocks.lost
    assert blocks.text.splitlines()[1:6] == [
        "virtual_server 192.0.2.50 80 {",
        "    protocol TCP",
        "    lb_algo fo",
        "    sorry_server 192.0.2.23 80",
        "    sorry_server_lvs_method DR",
    ]


def test_maglev_is_mh_by_address_and_port(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    file.write_text(
        RANKED.replace("    forward: direct\n", "    forward: direct\n    scheduler: maglev\n", 1).replace(
            "{web1: {priority: 150}, web2: {}}", "{web1: {}, web2: {}}"
        )
    )
    site = load_site(file).site
    assert export_ipvsadm(site).text.splitlines()[0] == "-A -t 192.0.2.50:80 -s mh -b mh-port"
    assert export_keepalived(site).text.splitlines()[3:5] == ["    lb_algo mh", "    mh-port"]
    assert not [lost for lost in export_ipvsadm(site).lost if "maglev" in lost.what]


@pytest.mark.peers
@pytest.mark.req("B-26")
def test_keepalived_itself_reads_it(tmp_path: Path) -> None:
    """Without MISC_CHECK: `keepalived -t` (2.2.7) ends by SIGTERM of any that has a user, as one must have."""
    text = re.sub(r" {8}MISC_CHECK \{\n.*?\n {8}\}\n", "", (GOLDEN / "services.conf").read_text(), flags=re.DOTALL)
    assert "UDP_CHECK" in text
    (tmp_path / "keepalived.conf").write_text(text)
    read = subprocess.run(
        ["keepalived", "-t", "-f", str(tmp_path / "keepalived.conf")], capture_output=True, text=True, check=False
    )
    assert read.returncode == 0, read.stdout + read.stderr


def test_a_table_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    first = export_ipvsadm(table_again(TABLE, tmp_path)).text
    assert first.splitlines()[:3] == [
        "-A -t 192.0.2.50:80 -s wrr -p 360 -M 255.255.255.0",
        "-a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w 1000",
        "-a -t 192.0.2.50:80 -r 192.0.2.22:80 -g -w 2000",
    ]
    assert export_ipvsadm(table_again(first, tmp_path)).text == first


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.lists(LINE, max_size=12))
def test_whatever_was_imported_is_the_same_after_round_trips(table: list[str], tmp_path: Path) -> None:
    made = attempted("\n".join(table), "")
    if isinstance(made, SiteError):
        return
    site = site_of(made, tmp_path)
    text = export_ipvsadm(site).text
    if not text:
        return
    assert export_ipvsadm(table_again(text, tmp_path)).text == text
    blocks = export_keepalived(site).text
    again = site_of(imported(lb1=instances(site) + blocks), tmp_path)
    assert sorted(export_ipvsadm(again).text.splitlines()) == sorted(text.splitlines())
