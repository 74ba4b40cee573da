"""What `stateful` and `quarantine` say, compiled; and what `yaoki plan` says of them."""

from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.cli.stand import stand
from yaoki.site.compile import compile_node, compile_site
from yaoki.site.diff import diff_sites
from yaoki.site.load import load_site
from yaoki.site.model import DataCheck, Site
from yaoki.vrrp.params import Failback, Quarantine

pytestmark = pytest.mark.req("N-13")

FILE = """version: 1
site: tokyo
networks: {front: {prefixes: [192.0.2.0/24]}}
nodes:
  db1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  db2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
vips:
  data:
    network: front
    addresses: [192.0.2.50]
    vrid: 51
    members: {db1: {priority: PRIORITY}, db2: {priority: 100}}
"""
CHECK = "quarantine: {data-check: {command: [/usr/local/bin/is-current, --quick], user: db, timeout: 5s, interval: 1m}}"


def site(tmp_path: Path, *lines: str, priority: int = 150) -> Site:
    path = tmp_path / "site.yaml"
    path.write_text(FILE.replace("PRIORITY", str(priority)) + "".join(f"    {line}\n" for line in lines))
    return load_site(path).site


@pytest.mark.parametrize(
    ("lines", "priority", "failback", "quarantine"),
    [
        ((), 150, Failback.PREFER, Quarantine.NONE),
        (("stateful: true",), 150, Failback.MANUAL, Quarantine.WAIT),
        (("stateful: true", "failback: sticky"), 150, Failback.STICKY, Quarantine.WAIT),
        (("stateful: true", "quarantine: {alone: own}"), 150, Failback.MANUAL, Quarantine.LAST),
        (("stateful: true", "quarantine: {alone: wait}"), 150, Failback.MANUAL, Quarantine.WAIT),
        (("stateful: true", "failback: prefer", "acknowledge: [stateful-failback]"), 150, Failback.PREFER,
         Quarantine.NONE),
        (("stateful: true", "acknowledge: [stateful-failback]"), 255, Failback.MANUAL, Quarantine.NONE),
        (("quarantine: {alone: own}",), 150, Failback.PREFER, Quarantine.NONE),
    ],
)  # fmt: skip
def test_who_is_kept_in_quarantine(
    tmp_path: Path, lines: tuple[str, ...], priority: int, failback: Failback, quarantine: Quarantine
) -> None:
    (router,) = compile_node(site(tmp_path, *lines, priority=priority), "db1").routers
    assert (router.failback, router.quarantine) == (failback, quarantine)


def test_a_data_check_is_part_of_every_members_plan(tmp_path: Path) -> None:
    plans = compile_site(site(tmp_path, "stateful: true", CHECK))
    command = ("/usr/local/bin/is-current", "--quick")
    check = DataCheck("data", command, "db", timedelta(seconds=5), timedelta(minutes=1))
    assert [plan.data_checks for plan in plans.values()] == [(check,), (check,)]
    assert DataCheck("data", command).user == "nobody"


def test_a_data_check_of_a_vip_that_is_not_stateful_is_none(tmp_path: Path) -> None:
    assert compile_node(site(tmp_path, CHECK), "db1").data_checks == ()


def test_the_plan_tells_what_changes(tmp_path: Path) -> None:
    before = compile_site(site(tmp_path))
    after = compile_site(site(tmp_path, "stateful: true", CHECK))
    changes = {change.subject: change.details for change in diff_sites(before, after)["db1"].changes}
    assert changes["VIP data (eth0/ipv4/51)"] == ("failback prefer -> manual", "quarantine none -> wait")
    assert "data check of VIP data" in changes


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ((), ()),
        (
            ("stateful: true",),
            (
                "it is stateful: a node that starts or returns waits in quarantine until `yaoki vip admit data`"
                " releases it.",
                "while only nodes in quarantine are left nobody owns it; so it is at the very first start.",
            ),
        ),
        (
            ("stateful: true", "quarantine: {alone: own, data-check: {command: [/bin/true]}}"),
            (
                "it is stateful: a node that starts or returns waits in quarantine until `yaoki vip admit data` or its"
                " data check releases it.",
                "a node in quarantine owns it when no other does, with the data that it has.",
            ),
        ),
        (
            ("stateful: true", "failback: prefer", "acknowledge: [stateful-failback]"),
            ("it is stateful, yet a node that returns takes it back: what was written since is lost.",),
        ),
    ],
)
def test_the_plan_says_it_in_plain_words(tmp_path: Path, lines: tuple[str, ...], said: tuple[str, ...]) -> None:
    found = site(tmp_path, *lines)
    assert (
        tuple(line for line in stand(found, found.vip("data")) if "stateful" in line or "in quarantine" in line) == said
    )
