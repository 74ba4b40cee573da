"""The probes against a network whose outages are known: VIPs are moved by hand, nothing decides anything."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.lab.sites import changed
from yaoki.core.address import Family
from yaoki.lab.crew import Crew, Records
from yaoki.lab.fault import CutLink, Partition
from yaoki.lab.injector import Injector
from yaoki.lab.judging import LATEST_MS
from yaoki.lab.lab import Lab
from yaoki.lab.measure import first_heard, last_owner, outage, two_owners_ms
from yaoki.lab.namespaces import inside, ip_batch, run
from yaoki.lab.peers_keepalived import Keepalived
from yaoki.lab.probes.control import control_targets
from yaoki.lab.probes.targets import ProbeKind, targets_of
from yaoki.lab.settling import Wanted, unsettled
from yaoki.site.load import load_site

pytestmark = pytest.mark.netns

VIPS = ("192.0.2.50/24", "2001:db8:1::50/64")
SETTLE_S = 15.0
ATTEMPTS = 8
"""As in a rehearsal, what was measured while the probes themselves were late counts for nothing."""


def bare(plain: dict[str, Any]) -> None:
    """A VIP that its owner answers for itself."""
    plain["services"] = {}
    plain["vips"]["web-vip"].pop("track")
    plain["hosts"] = {name: plain["hosts"][name] for name in ("router", "alice")}


class Stage:
    """A lab with a VIP that is moved by hand, and its probes."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.crew = Crew(lab)
        self.injector = Injector(lab, Keepalived(lab))
        self.macs = {port.mac: port.machine for name in lab.plan.namespaces for port in name.ports}

    def own(self, node: str) -> None:
        """The node holds the VIP and says so."""
        here = self.lab.namespace(node)
        ip_batch((f"addr replace {vip} dev eth0 nodad" for vip in VIPS), namespace=here)
        run(inside(here, ["arping", "-q", "-c", "1", "-U", "-I", "eth0", "192.0.2.50"]), check=False)

    def disown(self, node: str) -> None:
        ip_batch((f"addr del {vip} dev eth0" for vip in VIPS), namespace=self.lab.namespace(node), force=True)

    def own_at_a_virtual_mac(self, node: str) -> None:
        """The node holds the VIP at a MAC that another may have as well, and answers there alone."""
        here = self.lab.namespace(node)
        run(inside(here, ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.rp_filter=0"]))
        ip_batch(
            (
                "link add virtual link eth0 address 00:00:5e:00:01:33 type macvlan mode vepa",
                "link set virtual up",
                *(f"addr add {vip.partition('/')[0]} dev virtual" + " nodad" * (":" in vip) for vip in VIPS),
            ),
            namespace=here,
        )

    def disown_virtually(self, node: str) -> None:
        ip_batch(("link del virtual",), namespace=self.lab.namespace(node), force=True)
        run(inside(self.lab.namespace(node), ["sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=0"]))

    def begin(self) -> int:
        """Probe until nothing fails; the result is when the measuring begins."""
        self.crew.go((*targets_of(self.lab.site), *control_targets(self.lab.site, CutLink("lb1", "eth0"))))
        until = time.monotonic() + SETTLE_S
        while (missing := unsettled(self.lab.site, self.crew.seen(), self.macs, Wanted.QUIET)) is not None:
            assert time.monotonic() < until, missing
            time.sleep(0.05)
        return self.crew.mark()

    def measured(self, what: Callable[[], None], *, first: Callable[[], None] = lambda: None) -> Records:
        """What the probes record while something happens, `first` being done before they begin, on a machine that does
        not stand still meanwhile."""
        late: list[dict[str, float]] = []
        for _ in range(ATTEMPTS):
            first()
            began = self.begin()
            what()
            records = self.crew.halt(began)
            if max(records.late_ms.values()) <= LATEST_MS:
                return records
            late.append(records.late_ms)
        raise AssertionError(f"the probes were late in each of {ATTEMPTS} attempts: {late}")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    directory = tmp_path_factory.mktemp("probes")
    file = changed(directory, bare, name="yke3")
    found = Lab(load_site(file).site, file, base=directory / "labs")
    found.up()
    yield found
    found.down()


@pytest.fixture
def stage(lab: Lab) -> Iterator[Stage]:
    found = Stage(lab)
    found.own("lb1")
    yield found
    found.crew.close()
    for node in ("lb1", "lb2"):
        found.disown(node)


def by_kind(records: Records, kind: ProbeKind) -> list[float]:
    return [outage(record).outage_ms for record in records.probes if record.target.kind is kind]


def test_a_network_that_works_loses_nothing(stage: Stage) -> None:
    records = stage.measured(lambda: time.sleep(1))
    assert [outage(record).lost for record in records.probes] == [0] * 6
    assert all(len(record.at_us) >= 50 for record in records.probes)
    assert sum(record.streams_cut for record in records.probes) == 0
    assert [two_owners_ms(record) for record in records.owners] == [0.0, 0.0]
    assert {last_owner(record) for record in records.owners} == {str(stage.lab.plan.port("lb1", "eth0").mac)}


def test_a_link_that_is_cut_for_a_while_is_an_outage_of_that_length(stage: Stage) -> None:
    lasted_ms = 0.0

    def cut_for_a_while() -> None:
        nonlocal lasted_ms
        cut = time.monotonic()
        stage.injector.inject(CutLink("lb1", "eth0"))
        time.sleep(0.4)
        stage.injector.mend(CutLink("lb1", "eth0"))
        lasted_ms = (time.monotonic() - cut) * 1000
        time.sleep(1.5)

    records = stage.measured(cut_for_a_while)
    for found in by_kind(records, ProbeKind.UDP):
        assert 350 <= found <= lasted_ms + 1200  # a neighbour that was asked for during the cut is asked for again
    assert by_kind(records, ProbeKind.CONTROL) == [0.0, 0.0]


@pytest.mark.req("B-07")
def test_two_nodes_that_hold_a_vip_are_two_owners_for_as_long(stage: Stage) -> None:
    held_ms = 0.0

    def both_for_a_while() -> None:
        nonlocal held_ms
        held = time.monotonic()
        stage.own("lb2")
        time.sleep(0.5)
        stage.disown("lb2")
        held_ms = (time.monotonic() - held) * 1000
        time.sleep(0.3)

    records = stage.measured(both_for_a_while)
    for record in records.owners:
        assert 400 <= two_owners_ms(record) <= held_ms + 50, record.family
    assert {last_owner(record) for record in records.owners} == {str(stage.lab.plan.port("lb1", "eth0").mac)}


@pytest.mark.req("B-06")
def test_owners_of_one_virtual_mac_are_told_apart_by_the_switch(stage: Stage) -> None:
    def both_for_a_while() -> None:
        stage.own_at_a_virtual_mac("lb2")
        time.sleep(0.5)
        stage.disown_virtually("lb2")
        time.sleep(0.3)

    stage.disown("lb1")
    stage.own_at_a_virtual_mac("lb1")
    try:
        records = stage.measured(both_for_a_while)
    finally:
        for node in ("lb1", "lb2"):
            stage.disown_virtually(node)
    for record in records.owners:
        assert two_owners_ms(record) >= 400, record.family
    assert {last_owner(record) for record in records.owners} == {str(stage.lab.plan.port("lb1", "eth0").mac)}


def test_the_observer_hears_announcements_with_their_sender(stage: Stage) -> None:
    began = stage.begin()
    stage.own("lb2")
    time.sleep(0.3)
    records = stage.crew.halt(began)
    mac = str(stage.lab.plan.port("lb2", "eth0").mac)
    heard = first_heard(records.heard, "gratuitous", after_us=began, macs=frozenset({mac}))
    assert heard is not None
    assert heard.detail == "192.0.2.50"


def test_a_vip_that_nobody_holds_is_owned_by_nobody_and_its_streams_are_cut(stage: Stage) -> None:
    def nobody_for_a_while() -> None:
        stage.disown("lb1")
        time.sleep(1)

    records = stage.measured(nobody_for_a_while, first=lambda: stage.own("lb1"))
    assert not any(outage(record).recovered for record in records.probes if record.target.kind is ProbeKind.UDP)
    assert [last_owner(record) for record in records.owners] == [None, None]
    assert sum(record.streams_cut for record in records.probes) == 4
    assert by_kind(records, ProbeKind.CONTROL) == [0.0, 0.0]


def test_a_partition_keeps_nodes_apart_and_nobody_else(stage: Stage) -> None:
    def answers(source: str, address: str) -> bool:
        command = ["ping", "-c", "1", "-W", "1", address]
        return "1 received" in run(inside(stage.lab.namespace(source), command), check=False)

    apart = Partition("front", ("lb1", "lb2"))
    stage.injector.inject(apart)
    try:
        assert not answers("lb1", "192.0.2.12")
        assert answers("router", "192.0.2.11")
        assert answers("router", "192.0.2.12")
    finally:
        stage.injector.mend(apart)
    # The neighbour that did not answer is asked for again before long.
    assert any(answers("lb1", "192.0.2.12") for _ in range(10))


def test_both_families_are_measured(stage: Stage) -> None:
    began = stage.begin()
    records = stage.crew.halt(began)
    assert {record.target.family for record in records.probes} == set(Family)
    assert {record.family for record in records.owners} == set(Family)
