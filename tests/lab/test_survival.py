"""Whether a service survives, and why: a table over the example, and sites with less redundancy."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.lab.sites import pair, site_with
from yaoki.checks.check import (
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
from yaoki.lab.fault import (
    BlackholeLink,
    CutLink,
    DrainServer,
    Fault,
    FlapLink,
    HangNode,
    KillNode,
    NetworkDown,
    Partition,
    PowerOff,
    Reconfigure,
    RemoveServer,
    RestartNode,
    ServerTrouble,
    StopNode,
    Trouble,
)
from yaoki.lab.probes.targets import targets_of
from yaoki.lab.software import Part
from yaoki.lab.survival import SURVIVED, Reason, Survival, notices, survival
from yaoki.site.load import load_site
from yaoki.site.model import Site


def judged(site: Site, fault: Fault, service: str, *, mended: bool = False) -> Survival:
    target = next(target for target in targets_of(site) if target.service == service)
    return survival(site, fault, target, mended=mended)


def test_a_vip_is_taken_over_with_its_sync_group() -> None:
    edge = load_site(Path(__file__).parents[1] / "simulation/sites/edge.yaml").site
    target = replace(targets_of(pair())[0], service="", vip="outer", client="provider")
    assert survival(edge, CutLink("r1", "eth0"), target) == Survival(Reason.TAKEOVER, ("r2",))
    assert survival(edge, BlackholeLink("r1", "eth0"), target) == Survival(Reason.UNTOUCHED)
    alone = replace(target, vip="guests-out")
    assert survival(edge, CutLink("r1", "eth0"), alone) == Survival(Reason.UNTOUCHED), "r2 owns it"


@pytest.mark.parametrize(
    ("fault", "service", "reason", "names"),
    [
        (StopNode("lb1"), "web", Reason.TAKEOVER, ("lb2",)),
        (StopNode("lb2"), "web", Reason.UNTOUCHED, ()),
        (KillNode("lb1", Part.MAIN), "web", Reason.KERNEL_GOES_ON, ("lb1",)),
        (KillNode("lb1", Part.SPEAKER), "web", Reason.TAKEOVER, ("lb2",)),
        (HangNode("lb1", Part.ALL), "web", Reason.TAKEOVER, ("lb2",)),
        (KillNode("lb2", Part.ALL), "web", Reason.UNTOUCHED, ()),
        (PowerOff("lb1"), "api", Reason.TAKEOVER, ("lb2",)),
        (CutLink("lb1", "eth0"), "web", Reason.TAKEOVER, ("lb2",)),
        (BlackholeLink("lb1", "eth0"), "web", Reason.TAKEOVER, ("lb2",)),
        (FlapLink("lb1", "eth0"), "web", Reason.HEALS_ITSELF, ()),
        (Partition("front", ("lb1", "lb2")), "web", Reason.NEEDS_LEASE, ()),
        (NetworkDown("front"), "web", Reason.NO_OTHER_WAY, ("network front",)),
        (CutLink("alice", "eth0"), "web", Reason.NO_OTHER_WAY, ("link alice/eth0",)),
        (CutLink("router", "eth1"), "web", Reason.NO_OTHER_WAY, ("link router/eth1",)),
        (PowerOff("web1"), "web", Reason.OTHER_SERVERS, ("web2",)),
        (PowerOff("web1"), "api", Reason.UNTOUCHED, ()),
        (CutLink("app2", "eth0"), "api", Reason.OTHER_SERVERS, ("app1",)),
        (ServerTrouble("web1", Trouble.KILLED), "web", Reason.OTHER_SERVERS, ("web2",)),
        (ServerTrouble("web1", Trouble.ERRORS), "web", Reason.OTHER_SERVERS, ("web2",)),
        (ServerTrouble("web1", Trouble.ERRORS), "echo", Reason.UNTOUCHED, ()),
        (ServerTrouble("app1", Trouble.KILLED), "api", Reason.OTHER_SERVERS, ("app2",)),
        (ServerTrouble("app1", Trouble.HUNG), "api", Reason.NO_CHECK_NOTICES, ("tcp",)),
        (ServerTrouble("web1", Trouble.KILLED), "echo", Reason.NO_CHECK_NOTICES, ("icmp",)),
        (DrainServer("web1"), "web", Reason.PLANNED, ()),
        (RemoveServer("web1"), "web", Reason.PLANNED, ()),
        (RestartNode("lb1"), "web", Reason.PLANNED, ()),
        (Reconfigure(), "api", Reason.PLANNED, ()),
    ],
)
def test_the_example_survives_what_it_has_spares_for(
    fault: Fault, service: str, reason: Reason, names: tuple[str, ...]
) -> None:
    assert judged(pair(), fault, service) == Survival(reason, names)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [(Partition("front", ("lb1", "lb2")), Reason.RECONCILES), (PowerOff("lb1"), Reason.PLANNED)],
)
def test_the_end_of_a_fault_is_survived(fault: Fault, reason: Reason) -> None:
    assert judged(pair(), fault, "web", mended=True) == Survival(reason)


def one_member(plain: dict[str, Any]) -> None:
    plain["vips"]["web-vip"]["members"] = {"lb1": {"priority": 150}}


def one_server(plain: dict[str, Any]) -> None:
    plain["services"]["web"]["servers"] = {"web1": {}}


@pytest.mark.parametrize(
    ("change", "fault", "reason"),
    [
        (one_member, StopNode("lb1"), Reason.NO_OTHER_MEMBER),
        (one_member, PowerOff("lb1"), Reason.NO_OTHER_MEMBER),
        (one_member, CutLink("lb1", "eth0"), Reason.NO_OTHER_MEMBER),
        (one_member, KillNode("lb1", Part.ALL), Reason.KERNEL_GOES_ON),
        (one_member, Partition("front", ("lb1", "lb2")), Reason.UNTOUCHED),
        (one_server, ServerTrouble("web1", Trouble.KILLED), Reason.NO_OTHER_SERVER),
        (one_server, PowerOff("web1"), Reason.NO_OTHER_SERVER),
    ],
)
def test_without_a_spare_it_does_not(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], fault: Fault, reason: Reason
) -> None:
    assert judged(site_with(tmp_path, change), fault, "web").reason is reason


@pytest.mark.parametrize(
    ("params", "noticed"),
    [
        (IcmpParams(), set()),
        (NeighbourParams(), set()),
        (TcpParams(80), {Trouble.KILLED}),
        (UdpParams(7), {Trouble.KILLED, Trouble.HUNG}),
        (UdpParams(7, require_answer=False), {Trouble.KILLED}),
        (TlsParams(443), {Trouble.KILLED, Trouble.HUNG}),
        (HttpParams(80), set(Trouble)),
        (HttpParams(80, status=(200, 500)), {Trouble.KILLED, Trouble.HUNG}),
        (ScriptParams(("/bin/true",)), set(Trouble)),
    ],
)
def test_a_check_notices_what_its_kind_can_see(params: KindParams, noticed: set[Trouble]) -> None:
    assert {trouble for trouble in Trouble if notices(params, trouble)} == noticed


def test_every_reason_is_either_for_or_against() -> None:
    assert {reason for reason in Reason if not Survival(reason).survives} == set(Reason) - SURVIVED
    assert {Reason.NO_OTHER_MEMBER, Reason.NEEDS_LEASE}.isdisjoint(SURVIVED)
