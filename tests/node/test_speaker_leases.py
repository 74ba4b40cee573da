"""The speaker as the holder of leases: what it wants, when it owns, and that it is silent before it says so."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import ETH0, KEY, KEY_6, ORDER, PARAMS, PARAMS_6, VIP, VIP_6, Speaker, at
from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import LossReason
from yaoki.election.lease_params import LeaseParams, patience
from yaoki.node.holder_messages import HoldLeases, KeeperBack, LeaseOver, LeaseSeen, LeaseValid, LeaseWish
from yaoki.node.messages import (
    AbilitiesFound,
    AnnounceAddress,
    ArmGate,
    ClaimAddress,
    ConfigureRouters,
    DisarmGate,
    GateOpened,
    InterfaceFound,
    Published,
    ReleaseAddress,
    ReleaseRouters,
    RouterState,
    SendAdvertisement,
    SpeakerEffect,
)
from yaoki.node.speaker_events import LeaseWithoutGate
from yaoki.node.speaker_leases import LIVES_PER_DURATION, WISHES_PER_LIFE
from yaoki.vrrp.events import Reason
from yaoki.vrrp.params import RouterParams

D = timedelta(milliseconds=1500)
LEASE = LeaseParams.usual("web-vip", D)
BOTH = (replace(PARAMS, lease=LEASE), replace(PARAMS_6, lease=LEASE))
LIFE = D / LIVES_PER_DURATION
TAKEN = EventId("lb1/lease", 3)
SILENT = [ArmGate, ReleaseAddress, DisarmGate]
"""Shut the gate, take the address off, and let the node reach the next owner."""


TICK = timedelta(milliseconds=4)


def speaker(*routers: RouterParams, gate: bool = True, interface: InterfaceFound = ETH0) -> Speaker:
    made = Speaker(interface=None)
    made.tell(AbilitiesFound(gate=gate, tick=TICK))
    made.tell(ConfigureRouters(routers or BOTH))
    made.addresses |= {(interface.interface, str(address)) for address in interface.held or ()}
    made.tell(interface)
    return made


def valid(until_ms: float, *, claim: int = 1, epoch: int = 9) -> LeaseValid:
    return LeaseValid("web-vip", claim, epoch, at(until_ms), TAKEN)


def owner(until_ms: float = 1500) -> Speaker:
    made = speaker()
    made.tell(valid(until_ms))
    return made


def orders(effects: list[SpeakerEffect]) -> list[HoldLeases]:
    return [effect for effect in effects if isinstance(effect, HoldLeases)]


def kinds(effects: list[SpeakerEffect], *of: type[object]) -> list[type[object]]:
    return [type(effect) for effect in effects if isinstance(effect, of)]


@pytest.mark.req("B-06")
def test_both_families_want_one_lease_with_the_patience_of_their_priority() -> None:
    wish = LeaseWish("web-vip", 1, patience(D, 100))
    assert orders(speaker().said) == [HoldLeases((wish,), at(0) + LIFE)]


@pytest.mark.req("B-21")
def test_nothing_is_owned_without_the_lease_however_long_nobody_is_heard() -> None:
    made = speaker()
    made.run_to(60_000)
    assert made.addresses == set()
    assert [made.state(KEY), made.state(KEY_6)] == [RouterState.BACKUP] * 2


@pytest.mark.req("B-21")
def test_the_gate_is_open_until_the_lease_ends_before_what_it_guards_is_claimed() -> None:
    made = owner()
    mine = [e for e in made.said if isinstance(e, ArmGate | ClaimAddress | AnnounceAddress) and e.interface == "eth0"]
    assert [type(effect) for effect in mine] == [ArmGate] * 2 + [ClaimAddress, AnnounceAddress] * 2
    assert mine[0] == ArmGate("eth0", (VIP.ip,), D - TICK, KEY)
    assert made.addresses == {("eth0", str(VIP)), ("eth0", str(VIP_6))}


@pytest.mark.req("B-21")
def test_without_a_gate_in_the_kernel_no_lease_is_wanted() -> None:
    made = speaker(gate=False)
    made.run_to(5_000)
    made.tell(valid(9_000))
    assert orders(made.said) == []
    assert made.addresses == set()


def test_a_status_names_the_epoch_and_how_long_the_lease_lasts() -> None:
    [status, _] = owner().brain.statuses()
    assert (status.state, status.epoch, status.lease_until) == (RouterState.ACTIVE, 9, at(1500))
    assert status.because is not None
    [status, _] = speaker().brain.statuses()
    assert (status.epoch, status.lease_until) == (None, None)


@pytest.mark.req("B-21")
def test_a_renewal_opens_the_gate_for_longer_and_disturbs_nothing() -> None:
    made = owner()
    effects = made.tell(valid(1750))
    assert kinds(effects, ClaimAddress, AnnounceAddress, ReleaseAddress) == []
    assert ArmGate("eth0", (VIP.ip,), 1750 * TICK / 4 - TICK, KEY) in effects


def refusing() -> Speaker:
    """Its kernel arms no gate, though it has one; the lease has just been granted."""
    made = speaker()
    made.arms = False
    made.said.clear()
    made.tell(valid(1500))
    return made


@pytest.mark.req("B-21")
def test_nothing_is_owned_by_lease_whose_gate_the_kernel_refuses() -> None:
    made = refusing()
    assert kinds(made.said, ClaimAddress, AnnounceAddress, SendAdvertisement) == []
    assert [made.state(KEY), made.state(KEY_6)] == [RouterState.BACKUP] * 2
    told = [effect.event.body for effect in made.said if isinstance(effect, Published)]
    assert LeaseWithoutGate(KEY, "web-vip") in told


@pytest.mark.req("B-21")
def test_a_lease_without_gate_is_left_to_others_and_wanted_again_after_its_duration() -> None:
    made = refusing()
    assert orders(made.said)[-1].wishes == ()
    made.arms = True
    made.said.clear()
    made.run_to(1499)
    assert [order.wishes for order in orders(made.said) if order.wishes] == []
    made.run_to(1500)
    assert [wish.claim for wish in orders(made.said)[-1].wishes] == [2]
    made.tell(valid(3000, claim=2))
    assert made.state(KEY) is made.state(KEY_6) is RouterState.ACTIVE


@pytest.mark.req("B-21")
def test_an_owner_whose_renewal_the_gate_does_not_take_gives_both_families_up() -> None:
    made = owner()
    made.arms = False
    effects = made.tell(valid(1750))
    assert made.addresses == set()
    assert kinds(effects, ReleaseAddress) == [ReleaseAddress] * 2
    assert [status.reason for status in made.brain.statuses()] == [Reason.NO_GATE.value] * 2
    assert orders(made.said)[-1].wishes == ()


def test_an_answer_of_the_gate_that_comes_too_late_grants_nothing() -> None:
    made = speaker()
    made.brain.handle(made.now, valid(1500))
    made.now = at(1500)
    made.tell(GateOpened(KEY))
    assert made.state(KEY) is RouterState.BACKUP
    assert made.addresses == set()


@pytest.mark.req("B-21")
def test_what_a_sleep_has_cost_is_done_before_anything_else() -> None:
    made = owner()
    made.now = at(1500)
    effects = made.tell(LeaseSeen("web-vip", "lb2"))
    assert kinds(effects, ArmGate, ReleaseAddress, DisarmGate) == SILENT * 2
    assert effects[0] == ArmGate("eth0", (VIP.ip,), TICK)
    assert made.addresses == set()
    assert made.state() is RouterState.BACKUP


def test_a_renewal_that_waited_while_we_slept_costs_nothing() -> None:
    made = owner()
    made.now = at(1600)
    effects = made.tell(valid(3000))
    assert kinds(effects, ReleaseAddress) == []
    assert made.state() is RouterState.ACTIVE


@pytest.mark.req("B-21")
@pytest.mark.parametrize("reason", [LossReason.EXPIRED, LossReason.TAKEN, LossReason.HOLDER_SILENT])
def test_what_the_keeper_calls_lost_is_silent_at_once(reason: LossReason) -> None:
    made = owner()
    effects = made.tell(LeaseOver("web-vip", 9, reason, TAKEN))
    assert kinds(effects, ArmGate, ReleaseAddress, DisarmGate) == SILENT * 2
    assert made.addresses == set()


@pytest.mark.req("B-21")
@pytest.mark.parametrize("stale", [valid(1500, claim=2), valid(-1)])
def test_a_grant_to_another_claim_or_of_yesterday_is_none(stale: LeaseValid) -> None:
    made = speaker()
    made.tell(stale)
    assert made.addresses == set()


@pytest.mark.req("B-21")
def test_a_lease_is_given_up_last_and_by_both_families() -> None:
    made = owner()
    effects = made.hear(150)
    assert kinds(effects, ArmGate, ReleaseAddress, DisarmGate, HoldLeases) == [*SILENT, *SILENT, HoldLeases]
    assert orders(effects) == [HoldLeases((), at(0))]
    made.run_to(1500)
    [again] = orders(made.said)[-1:]
    assert again.wishes == (LeaseWish("web-vip", 2, patience(D, 100)),)
    # What was on its way to the claim that was given up opens nothing.
    made.tell(valid(3000, claim=1))
    assert made.addresses == set()


@pytest.mark.req("B-21")
def test_an_order_to_release_is_silent_first_and_leaves_no_gate() -> None:
    made = owner()
    effects = made.tell(ReleaseRouters(ORDER))
    assert kinds(effects, ArmGate, ReleaseAddress, DisarmGate, HoldLeases) == [*SILENT, *SILENT, HoldLeases]
    assert made.brain.released


def test_a_wish_is_repeated_well_within_its_life_and_told_anew_to_a_new_keeper() -> None:
    made = speaker()
    made.said.clear()
    made.run_to(1000)
    told = orders(made.said)
    assert len(told) == timedelta(seconds=1) // (LIFE / WISHES_PER_LIFE)
    assert all(order.wishes == told[0].wishes for order in told)
    assert orders(made.tell(KeeperBack())) == [HoldLeases(told[0].wishes, made.now + LIFE)]


@pytest.mark.req("B-21")
def test_who_was_not_told_its_routers_yet_gives_no_lease_up() -> None:
    """A speaker that begins anew is reached by its keeper before its orders come, while its kernel still answers."""
    unaware = Speaker(interface=None)
    unaware.tell(AbilitiesFound(gate=True))
    assert orders(unaware.tell(KeeperBack())) == []
    unaware.tell(replace(ETH0, held=(VIP, VIP_6)))
    assert orders(unaware.said) == []
    [told] = orders(unaware.tell(ConfigureRouters(BOTH)))
    assert [wish.key for wish in told.wishes] == ["web-vip"]


def test_who_wants_no_lease_says_so_to_a_keeper_once_it_was_told_its_routers() -> None:
    unaware = Speaker(interface=None)
    unaware.tell(AbilitiesFound(gate=True))
    unaware.tell(KeeperBack())
    unaware.tell(ETH0)
    assert orders(unaware.tell(ConfigureRouters(()))) == [HoldLeases((), at(0))]


def test_the_loss_of_the_interface_gives_the_lease_up() -> None:
    made = owner()
    effects = made.tell(replace(ETH0, up=False))
    assert orders(effects) == [HoldLeases((), at(0))]
    effects = made.tell(ETH0)
    assert [len(order.wishes) for order in orders(effects)] == [1]


def test_a_family_that_finds_its_source_address_later_joins_the_other() -> None:
    made = speaker(interface=replace(ETH0, ipv6_link_local=None))
    made.tell(valid(1500))
    assert made.addresses == {("eth0", str(VIP))}
    made.tell(replace(ETH0, held=(VIP,)))
    assert made.addresses == {("eth0", str(VIP)), ("eth0", str(VIP_6))}


@pytest.mark.req("B-21")
def test_addresses_that_an_earlier_life_left_are_not_kept_without_the_lease() -> None:
    made = speaker(interface=replace(ETH0, held=(VIP, VIP_6)))
    assert made.addresses == set()
    made.tell(valid(1500))
    assert len(made.addresses) == 2


def test_another_election_begins_as_a_router_anew() -> None:
    made = owner()
    effects = made.tell(ConfigureRouters((PARAMS, PARAMS_6)))
    assert kinds(effects, ArmGate, ReleaseAddress, DisarmGate, HoldLeases) == [*SILENT, *SILENT, HoldLeases]
    made.run_to(1000)
    assert made.state() is RouterState.ACTIVE
    effects = made.tell(ConfigureRouters(BOTH))
    assert made.addresses == set()


def test_a_lease_that_runs_out_by_the_clock_is_a_deadline() -> None:
    made = owner(200)
    made.tell(TimerFired())
    made.run_to(199)
    assert made.state() is RouterState.ACTIVE
    made.run_to(200)
    assert made.state() is RouterState.BACKUP
    assert made.brain.leases.answers_until("web-vip") is None
    assert isinstance(made.now, Instant)
