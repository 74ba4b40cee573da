"""Where a plan comes from, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.core.error import SiteError, UsageError
from yaoki.runtime.plan_source import PlanSource

GOOD = """
version: 1
site: small
networks:
  front: {prefixes: [192.0.2.0/24]}
nodes:
  lb1: {interfaces: {eth0: {network: front, addresses: [192.0.2.11]}}}
  lb2: {interfaces: {eth0: {network: front, addresses: [192.0.2.12]}}}
vips:
  vip: {network: front, addresses: [192.0.2.50], vrid: 51, members: {lb1: {priority: 150}, lb2: {priority: 100}}}
"""
OTHER = GOOD.replace("priority: 150", "priority: 140")
BAD = GOOD.replace("vrid: 51", "vrid: 510")


def source(directory: Path, text: str, node: str = "lb1", *, tick_ms: int = 4) -> PlanSource:
    (directory / "site.yaml").write_text(text)
    return PlanSource(directory / "site.yaml", node, timedelta(milliseconds=tick_ms))


def no_crashes(_: str) -> int:
    return 0


def test_a_good_file_is_the_plan(tmp_path: Path) -> None:
    offer = source(tmp_path, GOOD).first(None, no_crashes, 3)
    assert offer.plan.node == "lb1"
    assert offer.instead_of is None
    assert offer.problems == ()


def test_a_bad_file_gives_way_to_the_last_good_plan(tmp_path: Path) -> None:
    good = source(tmp_path, GOOD).first(None, no_crashes, 3).plan
    offer = source(tmp_path, BAD).first(good, no_crashes, 3)
    assert offer.plan == good
    assert offer.instead_of == "the file is refused"
    assert "site.yaml:10:" in offer.problems[0]


def test_a_bad_file_without_a_good_plan_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SiteError):
        source(tmp_path, BAD).first(None, no_crashes, 3)
    with pytest.raises(UsageError, match='has no node "lb9"; it has: lb1, lb2'):
        source(tmp_path, GOOD, "lb9").first(None, no_crashes, 3)


def test_a_node_that_has_not_got_a_vips_key_refuses_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YAOKI_SECRETS", str(tmp_path))
    signed = GOOD.replace("vrid: 51,", "vrid: 51, authentication: {hmac: {secret: vrrp51}},")
    with pytest.raises(SiteError) as refused:
        source(tmp_path, signed).first(None, no_crashes, 3)
    (problem,) = refused.value.problems
    assert (problem.rule, problem.where.line) == ("secret-unavailable", 10)
    assert problem.what == f"secret vrrp51: {tmp_path}/vrrp51: No such file or directory"
    (tmp_path / "vrrp51").write_text("hex:" + "0f" * 32 + "\n")
    (tmp_path / "vrrp51").chmod(0o600)
    (router,) = source(tmp_path, signed).first(None, no_crashes, 3).plan.routers
    assert router.authentication is not None
    assert router.authentication.window == timedelta(seconds=5)


def test_a_plan_that_keeps_crashing_gives_way_to_the_last_good_one(tmp_path: Path) -> None:
    good = source(tmp_path, GOOD).first(None, no_crashes, 3).plan
    crashing = source(tmp_path, OTHER)
    assert crashing.first(good, lambda _: 2, 3).instead_of is None
    offer = crashing.first(good, lambda _: 3, 3)
    assert offer.plan == good
    assert offer.instead_of == "the process died 3 times with it"
    assert source(tmp_path, GOOD).first(good, lambda _: 3, 3).instead_of is None, "there is nothing to go back to"


def test_a_reload_says_what_it_changes(tmp_path: Path) -> None:
    running = source(tmp_path, GOOD).first(None, no_crashes, 3).plan
    offer = source(tmp_path, OTHER).again(None, running=running, force=False)
    assert offer.change is not None
    assert [change.details for change in offer.change.changes] == [("priority 150 -> 140",)]
    assert source(tmp_path, BAD).again(None, running=running, force=True).plan == running


def test_a_change_that_is_not_safe_needs_force(tmp_path: Path) -> None:
    running = source(tmp_path, GOOD).first(None, no_crashes, 3).plan
    without = source(tmp_path, GOOD.partition("vips:")[0])
    refused = without.again(None, running=running, force=False)
    assert refused.plan == running
    assert refused.problems == (
        "VIP vip: nobody would own 192.0.2.50 any more; `yaoki apply --force` does it all the same",
    )
    assert without.again(None, running=running, force=True).plan.routers == ()


@pytest.mark.req("B-21")
def test_a_file_that_this_kernel_cannot_keep_is_refused(tmp_path: Path) -> None:
    running = source(tmp_path, GOOD).first(None, no_crashes, 3).plan
    fast = GOOD.replace("vrid: 51", "vrid: 51, advertise: 10ms")
    assert source(tmp_path, fast, tick_ms=4).first(None, no_crashes, 3).problems == ()
    with pytest.raises(SiteError):
        source(tmp_path, fast, tick_ms=10).first(None, no_crashes, 3)
    offer = source(tmp_path, fast, tick_ms=10).again(None, running=running, force=True)
    assert offer.plan == running
    assert [problem.partition(": ")[2] for problem in offer.problems] == [
        "vip is advertised every 10ms, but the kernel of lb1 counts time-outs in 10 ms: no gate can silence a dead"
        " speaker within three intervals, before vip is taken over; advertise every 20ms or slower"
    ]
    assert source(tmp_path, fast, tick_ms=10).first(running, no_crashes, 3).instead_of == "the file is refused"
