"""A newer speaker that takes the place of one that owns by lease: it goes on by that lease, and for no longer."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.node.speaker_scene import ETH0, KEY, KEY_6, VIP, VIP_6, Speaker, at, bodies
from tests.node.test_speaker_leases import BOTH, LIFE, TICK, D, kinds, orders, owner, speaker, valid
from yaoki.core.codec import Codec
from yaoki.node.handover_messages import ToNewer, YouSpeak
from yaoki.node.holder_messages import HoldLeases, KeeperBack, LeasesInherited, LeaseValid, LeaseWish
from yaoki.node.messages import (
    AbilitiesFound,
    ArmedAddress,
    ArmGate,
    ConfigureRouters,
    DisarmGate,
    GateFound,
    InterfaceFound,
    ReleaseAddress,
    RouterState,
)
from yaoki.vrrp.events import BecameActive, BecameBackup, Quarantined, Reason
from yaoki.vrrp.params import Quarantine, RouterParams

pytestmark = pytest.mark.req("B-19")

SILENCING = (ReleaseAddress, DisarmGate)
HELD = replace(ETH0, held=(VIP, VIP_6))
INHERITED = LeaseValid("web-vip", 1, 9, at(1500))
OPEN = tuple(ArmedAddress(address.ip, D - TICK) for address in (VIP, VIP_6))


def newer(
    *leases: LeaseValid,
    routers: tuple[RouterParams, ...] = BOTH,
    armed: tuple[ArmedAddress, ...] = OPEN,
    found: InterfaceFound | None = HELD,
    now_ms: float = 0,
    word: bool = True,
) -> Speaker:
    """It begins at the moment at which the older one fell silent; without a `word` if that was killed."""
    made = Speaker(interface=None)
    made.now = at(now_ms)
    if armed:
        made.tell(GateFound(armed))
    made.tell(AbilitiesFound(gate=True, tick=TICK))
    if word:
        made.tell(LeasesInherited(leases))
    made.tell(ConfigureRouters(routers))
    if found is not None:
        made.addresses |= {("eth0", str(address)) for address in found.held or ()}
        made.tell(found)
    return made


def states(made: Speaker) -> list[RouterState]:
    return [made.state(KEY), made.state(KEY_6)]


def test_the_older_one_says_what_it_holds_by_claim_epoch_and_end() -> None:
    older = owner()
    assert older.brain.leases.held(at(1499)) == (INHERITED,)
    assert older.brain.leases.held(at(1500)) == ()
    assert speaker().brain.leases.held(at(0)) == ()
    word = YouSpeak((INHERITED,))
    codec = Codec()
    assert codec.decode(codec.encode(word), ToNewer) == word
    assert codec.decode(b'{"is":"YouSpeak"}', ToNewer) == YouSpeak()


def test_the_newer_one_goes_on_in_both_families_and_silences_nothing_for_a_moment() -> None:
    made = newer(INHERITED)
    assert states(made) == [RouterState.ACTIVE] * 2
    assert kinds(made.said, *SILENCING) == []
    told = [body for body in bodies(made.said) if isinstance(body, BecameActive | BecameBackup)]
    assert told == [BecameActive(key, "web-vip", Reason.ADDRESSES_HELD, 100, epoch=9) for key in (KEY, KEY_6)]
    assert [(status.epoch, status.lease_until) for status in made.brain.statuses()] == [(9, at(1500))] * 2


@pytest.mark.req("B-21")
def test_it_opens_no_gate_for_longer_by_what_it_has_inherited() -> None:
    """What the older one opened is enough, and needs no answer of the kernel's."""
    assert kinds(newer(INHERITED).said, ArmGate) == []


@pytest.mark.req("B-21")
def test_it_owns_until_the_inherited_lease_ends_and_no_longer() -> None:
    made = newer(INHERITED)
    made.run_to(1499)
    assert states(made) == [RouterState.ACTIVE] * 2
    made.run_to(1500)
    assert states(made) == [RouterState.BACKUP] * 2
    assert made.addresses == set()


def test_it_goes_on_to_want_the_lease_under_the_claim_that_the_keeper_knows() -> None:
    third = replace(INHERITED, claim=3)
    made = newer(third)
    wish = LeaseWish("web-vip", 3, timedelta(0))
    assert orders(made.tell(KeeperBack())) == [HoldLeases((wish,), made.now + LIFE)]
    made.tell(valid(1750, claim=3))
    assert made.brain.leases.answers_until("web-vip") == at(1750)


@pytest.mark.req("B-21")
def test_it_never_says_that_it_is_silent_before_it_has_found_the_interface() -> None:
    """A lease that is left out of the wishes is free at once, and the kernel still answers."""
    made = newer(INHERITED, found=None)
    assert [[wish.claim for wish in order.wishes] for order in orders(made.said)] == [[1]]
    made.run_to(1400)
    assert all(order.wishes for order in orders(made.said))
    # Beyond its end nothing answers by it; who waits for an interface shall not keep others from owning.
    made.tell(valid(9000))
    made.run_to(1500 + LIFE.total_seconds() * 1000)
    assert orders(made.said)[-1].wishes == ()


@pytest.mark.req("B-21")
@pytest.mark.parametrize("found", [replace(HELD, up=False), replace(HELD, ipv4=None, ipv6_link_local=None)])
def test_without_its_interface_it_is_silent_and_gives_the_lease_up(found: InterfaceFound) -> None:
    made = newer(INHERITED, found=found)
    assert made.addresses == set()
    assert kinds(made.said, ReleaseAddress, HoldLeases)[-3:] == [ReleaseAddress, ReleaseAddress, HoldLeases]
    assert orders(made.said)[-1].wishes == ()


@pytest.mark.req("B-21")
@pytest.mark.parametrize("now_ms", [1500, 1600])
def test_a_lease_that_ended_meanwhile_is_no_reason_to_own(now_ms: float) -> None:
    made = newer(INHERITED, now_ms=now_ms)
    assert states(made) == [RouterState.BACKUP] * 2
    assert made.addresses == set()


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    "armed", [(), tuple(replace(each, open_for=timedelta(0)) for each in OPEN)], ids=["no gate", "shut"]
)
def test_what_has_no_open_gate_is_released_before_it_is_owned_behind_a_new_one(armed: tuple[ArmedAddress, ...]) -> None:
    made = newer(INHERITED, armed=armed)
    of_ipv4 = [effect for effect in made.said if isinstance(effect, ReleaseAddress | ArmGate)]
    assert ArmGate("eth0", (VIP.ip,), D - TICK, KEY) in of_ipv4
    assert ReleaseAddress("eth0", VIP) in of_ipv4
    assert states(made) == [RouterState.ACTIVE] * 2


@pytest.mark.req("B-21")
def test_where_the_kernel_has_no_gate_any_more_nothing_goes_on() -> None:
    made = Speaker(interface=None)
    made.tell(AbilitiesFound(gate=False))
    made.tell(LeasesInherited((INHERITED,)))
    made.tell(ConfigureRouters(BOTH))
    made.tell(HELD)
    assert states(made) == [RouterState.BACKUP] * 2


@pytest.mark.req("B-21")
def test_addresses_whose_lease_was_not_held_are_released_as_ever() -> None:
    made = newer()
    assert states(made) == [RouterState.BACKUP] * 2
    assert made.addresses == set()


@pytest.mark.req("B-21")
@pytest.mark.parametrize(
    "armed", [(), tuple(replace(each, open_for=timedelta(0)) for each in OPEN)], ids=["no gate", "shut"]
)
def test_what_a_dead_one_left_without_an_open_gate_is_released(armed: tuple[ArmedAddress, ...]) -> None:
    made = newer(word=False, armed=armed)
    assert states(made) == [RouterState.BACKUP] * 2
    assert made.addresses == set()


@pytest.mark.req("B-19", "B-21")
def test_after_a_death_without_a_word_the_kernel_answers_on_until_the_keeper_says_whose_the_lease_is() -> None:
    made = newer(word=False)
    assert states(made) == [RouterState.INITIALIZE] * 2
    assert kinds(made.said, *SILENCING, ArmGate) == []
    wishes = orders([*made.said, *made.tell(KeeperBack())])
    assert wishes[-1].wishes == (LeaseWish("web-vip", 1, timedelta(0)),)
    made.run_to(300)
    made.said.clear()
    made.tell(valid(1600, epoch=9))
    assert states(made) == [RouterState.ACTIVE] * 2
    assert kinds(made.said, *SILENCING) == []
    assert made.addresses == {("eth0", str(address)) for address in (VIP, VIP_6)}
    assert [effect.limit for effect in made.said if isinstance(effect, ArmGate)] == [at(1600) - at(300) - TICK] * 2
    told = [body for body in bodies(made.said) if isinstance(body, BecameActive | BecameBackup)]
    assert told == [BecameActive(key, "web-vip", Reason.ADDRESSES_HELD, 100, epoch=9) for key in (KEY, KEY_6)]


@pytest.mark.req("B-21")
def test_without_a_word_it_is_over_when_the_kernel_shuts_the_gate() -> None:
    made = newer(word=False)
    made.run_to((D - TICK).total_seconds() * 1000 - 1)
    assert len(made.addresses) == 2
    made.run_to((D - TICK).total_seconds() * 1000)
    assert states(made) == [RouterState.BACKUP] * 2
    assert made.addresses == set()
    assert kinds(made.said, ArmGate) == []


@pytest.mark.req("B-21")
def test_who_waits_for_a_word_and_loses_its_interface_or_its_order_is_silent() -> None:
    for input_ in (replace(HELD, up=False), ConfigureRouters(())):
        made = newer(word=False)
        made.tell(input_)
        assert made.addresses == set()
        assert orders([*made.said, *made.run_to(2000)])[-1].wishes == ()


@pytest.mark.req("N-13")
def test_a_stateful_one_waits_in_no_quarantine_for_its_data_have_not_gone() -> None:
    made = newer(INHERITED, routers=tuple(replace(params, quarantine=Quarantine.WAIT) for params in BOTH))
    assert states(made) == [RouterState.ACTIVE] * 2
    assert not [body for body in bodies(made.said) if isinstance(body, Quarantined)]


@pytest.mark.req("B-21")
@pytest.mark.parametrize("leases", [(INHERITED,), ()], ids=["inherited", "granted anew"])
def test_the_gate_of_an_owner_is_not_disarmed_as_one_that_was_left_over(leases: tuple[LeaseValid, ...]) -> None:
    made = newer(*leases)
    made.tell(valid(1600))
    assert states(made) == [RouterState.ACTIVE] * 2
    made.said.clear()
    made.tell(ConfigureRouters(BOTH))
    assert kinds(made.said, DisarmGate) == []
