"""Data checks of stateful VIPs: when they run, what releases a VIP, and what does not."""

from dataclasses import replace
from datetime import timedelta
from ipaddress import IPv4Interface

import pytest

from tests.node.scene import ROUTER, SECOND, Scene, bodies, of, plan
from yaoki.core.address import Family
from yaoki.core.instant import Instant
from yaoki.election.lease_params import LeaseParams
from yaoki.node.brain_events import DataFoundCurrent, DataNotCurrent
from yaoki.node.brain_messages import Answer, CheckData, DataChecked, Operate, RunHook
from yaoki.node.decisions import AdmitVip, Pause, Resume
from yaoki.node.lease_messages import LeaseState, LeaseStatus
from yaoki.node.messages import AdmitRouter, Published, RouterState, RouterStatus
from yaoki.site.model import DataCheck, Hook
from yaoki.site.node_plan import NodePlan
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import Failback, Quarantine, RouterKey, RouterParams

pytestmark = pytest.mark.req("N-13")

OTHER = RouterKey("eth0", Family.IPV4, 52)
CHECK = DataCheck("web-vip", ("/usr/local/bin/is-current",), interval=timedelta(seconds=5))


def stateful(*checks: DataCheck, group: str | None = None) -> NodePlan:
    """The usual plan with its VIP stateful, and `other`, which belongs to it if there is a group."""
    usual = plan(tracked="")
    first = replace(usual.routers[0], failback=Failback.MANUAL, quarantine=Quarantine.WAIT, group=group)
    second = RouterParams(
        "other", OTHER, 150, SECOND, (IPv4Interface("192.0.2.51/24"),), quarantine=Quarantine.WAIT, group=group
    )
    return replace(usual, routers=(first, second), data_checks=checks)


def status(
    reason: Reason, *, router: RouterKey = ROUTER, vip: str = "web-vip", state: RouterState = RouterState.BACKUP
) -> RouterStatus:
    return RouterStatus(router, vip, state, Instant.of_seconds(1000), 150, reason.value)


WAITING = status(Reason.QUARANTINED)


def begun(plan_: NodePlan) -> tuple[Scene, CheckData]:
    """A scene in quarantine whose check has just been started."""
    scene = Scene()
    scene.start(plan_)
    (order,) = of(CheckData, scene.give(WAITING))
    return scene, order


def test_it_runs_at_once_and_knows_whose_data_it_is_about() -> None:
    _, order = begun(stateful(CHECK))
    assert order.check == CHECK
    assert order.environment == (
        ("YAOKI_SITE", "tokyo"),
        ("YAOKI_NODE", "lb1"),
        ("YAOKI_VIP", "web-vip"),
        ("YAOKI_EPOCH", ""),
    )


def test_it_is_told_the_epoch_by_the_stores_latest_word() -> None:
    leased = stateful(CHECK)
    lease = LeaseParams.usual("web-vip", timedelta(seconds=3))
    leased = replace(leased, routers=(replace(leased.routers[0], lease=lease),))
    scene = Scene()
    scene.start(leased)
    scene.give(LeaseStatus("web-vip", LeaseState.WAITING, scene.now, "lb2", epoch=41))
    (order,) = of(CheckData, scene.give(WAITING))
    assert ("YAOKI_EPOCH", "41") in order.environment


def test_its_yes_releases_the_vip_and_is_the_cause() -> None:
    scene, order = begun(stateful(CHECK))
    effects = scene.give(DataChecked("web-vip", order.run))
    (told,) = of(Published, effects)
    assert told.event.body == DataFoundCurrent("web-vip")
    assert of(AdmitRouter, effects) == [AdmitRouter(ROUTER, told.event.id)]


def test_its_no_is_told_once_and_it_is_asked_again_after_the_interval() -> None:
    scene, order = begun(stateful(CHECK))
    effects = scene.give(DataChecked("web-vip", order.run, "exit status 1: 17 writes behind"))
    assert bodies(effects) == [DataNotCurrent("web-vip", "exit status 1: 17 writes behind")]
    assert of(AdmitRouter, effects) == []
    assert of(CheckData, scene.pass_time(timedelta(seconds=4.9))) == []
    (again,) = of(CheckData, scene.pass_time(timedelta(seconds=0.1)))
    assert scene.give(DataChecked("web-vip", again.run, "exit status 1: 17 writes behind")) == []
    (third,) = of(CheckData, scene.pass_time(timedelta(seconds=5)))
    assert bodies(scene.give(DataChecked("web-vip", third.run, "killed after 10 s"))) == [
        DataNotCurrent("web-vip", "killed after 10 s")
    ]


def test_a_release_that_was_lost_is_repeated_without_another_event() -> None:
    scene, order = begun(stateful(CHECK))
    scene.give(DataChecked("web-vip", order.run))
    (again,) = of(CheckData, scene.pass_time(timedelta(seconds=5)))
    effects = scene.give(DataChecked("web-vip", again.run))
    assert (bodies(effects), len(of(AdmitRouter, effects))) == ([], 1)


def test_there_is_one_run_at_a_time() -> None:
    scene, _ = begun(stateful(CHECK))
    assert of(CheckData, scene.give(WAITING)) == []
    assert of(CheckData, scene.pass_time(timedelta(hours=1))) == []


@pytest.mark.parametrize("reason", [Reason.ADMITTED, Reason.NOBODY_HEARD, Reason.HELD_OUT, Reason.BARRED])
def test_nothing_runs_for_a_vip_that_is_not_in_quarantine(reason: Reason) -> None:
    scene = Scene()
    scene.start(stateful(CHECK))
    assert of(CheckData, scene.give(status(reason))) == []


def test_an_answer_counts_only_for_the_quarantine_that_it_was_asked_in() -> None:
    scene, order = begun(stateful(CHECK))
    scene.give(Operate(1, AdmitVip("web-vip")), status(Reason.NOBODY_HEARD, state=RouterState.ACTIVE))
    (second,) = of(CheckData, scene.give(WAITING))
    assert second.run != order.run
    assert scene.give(DataChecked("web-vip", order.run)) == [], "the data was current, before the other one owned"
    assert of(AdmitRouter, scene.give(DataChecked("web-vip", second.run))) != []


@pytest.mark.parametrize("answer", [DataChecked("web-vip", 99), DataChecked("mail-vip", 1)])
def test_an_answer_that_nobody_waits_for_is_nothing(answer: DataChecked) -> None:
    scene, _ = begun(stateful(CHECK))
    assert scene.give(answer) == []
    assert Scene().give(answer) == [], "there is no plan yet"


def test_of_a_sync_group_every_vip_in_quarantine_needs_its_yes() -> None:
    both = stateful(CHECK, replace(CHECK, vip="other"), group="pair")
    scene, first = begun(both)
    (second,) = of(CheckData, scene.give(status(Reason.QUARANTINED, router=OTHER, vip="other")))
    assert of(AdmitRouter, scene.give(DataChecked("web-vip", first.run))) == []
    released = of(AdmitRouter, scene.give(DataChecked("other", second.run)))
    assert [order.router for order in released] == [ROUTER, OTHER]


def test_a_yes_that_has_become_a_no_releases_no_group() -> None:
    both = stateful(CHECK, replace(CHECK, vip="other"), group="pair")
    scene, first = begun(both)
    (second,) = of(CheckData, scene.give(status(Reason.QUARANTINED, router=OTHER, vip="other")))
    scene.give(DataChecked("web-vip", first.run))
    (again,) = of(CheckData, scene.pass_time(timedelta(seconds=5)))
    scene.give(DataChecked("web-vip", again.run, "exit status 1: "))
    assert of(AdmitRouter, scene.give(DataChecked("other", second.run))) == []


def test_a_vip_of_the_group_without_a_check_waits_for_a_person() -> None:
    scene, first = begun(stateful(CHECK, group="pair"))
    scene.give(status(Reason.QUARANTINED, router=OTHER, vip="other"))
    assert of(AdmitRouter, scene.give(DataChecked("web-vip", first.run))) == []


def test_nothing_runs_while_hands_are_off() -> None:
    scene = Scene()
    scene.start(stateful(CHECK))
    scene.give(Operate(1, Pause()))
    assert of(CheckData, scene.give(WAITING)) == []
    assert of(CheckData, scene.give(Operate(2, Resume()))) != []


def test_another_plan_ends_it() -> None:
    scene, order = begun(stateful(CHECK))
    scene.start(stateful())
    assert scene.give(DataChecked("web-vip", order.run)) == []
    assert of(CheckData, scene.pass_time(timedelta(hours=1))) == []


def test_a_hook_on_the_answer_runs() -> None:
    hooked = replace(stateful(CHECK), hooks=(Hook("mail", ("data-not-current",), ("/bin/true",)),))
    scene, order = begun(hooked)
    (ran,) = of(RunHook, scene.give(DataChecked("web-vip", order.run, "exit status 1: ")))
    assert ("YAOKI_VIP", "web-vip") in ran.environment
    assert of(Answer, scene.log) == []
