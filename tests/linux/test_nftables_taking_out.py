"""What is done for a server that fails before all else: which elements, and that the rest follows from there."""

from dataclasses import replace

import pytest

from tests.lb.samples import server, service, trio
from yaoki.lb.load import Load
from yaoki.lb.service import Duty, Forward, Scheduler, VirtualService
from yaoki.linux import nftables_direct, nftables_nat
from yaoki.linux.nftables_batch import DELETE_ELEMENTS, NEW_ELEMENTS
from yaoki.linux.nftables_inventory import ServiceObjects
from yaoki.linux.nftables_names import DIRECT, TRANSLATION, slots_name
from yaoki.linux.nftables_objects import commands
from yaoki.linux.nftables_taking_out import TakingOut, take_out

NAT, OUT, DRAIN, SERVE = Forward.NAT, Duty.OUT, Duty.DRAIN, Duty.SERVE
CHANGE = [DELETE_ELEMENTS, NEW_ELEMENTS]


def objects(wanted: VirtualService, load: Load | None = None) -> ServiceObjects:
    if wanted.servers[0].forward is Forward.DIRECT:
        return {DIRECT: nftables_direct.render(wanted, "digest", load or Load())}
    return {TRANSLATION: nftables_nat.render(wanted, "digest", load or Load())}


def taken(before: VirtualService, after: VirtualService, load: Load | None = None) -> TakingOut:
    found = take_out(before, after, objects(before, load))
    assert found is not None
    return found


def kinds(found: TakingOut) -> list[int]:
    return [kind for kind, _ in found.parts]


def slots(found: TakingOut, table: str) -> list[str]:
    contents = found.objects[table].sets[slots_name(found.key)].contents
    assert contents is not None
    return list(contents)


@pytest.mark.parametrize("duty", [OUT, DRAIN])
@pytest.mark.parametrize("family", [4, 6])
def test_slots_are_given_to_those_that_go_on_in_turn(duty: Duty, family: int) -> None:
    base = "192.0.2.2" if family == 4 else "2001:db8:1::2"
    found = taken(trio(family=family, weights=(2000, 1000, 1000)), trio(NAT, duty, family=family))
    assert kinds(found) == CHANGE
    assert slots(found, TRANSLATION) == [f"{slot} : {base}{n} . 8080" for slot, n in enumerate((2, 2, 3, 3))]


def test_what_follows_makes_shares_exact() -> None:
    found = taken(trio(), trio(NAT, OUT))
    name = slots_name(found.key)
    assert slots(found, TRANSLATION) == [f"{slot} : 192.0.2.2{n} . 8080" for slot, n in enumerate((2, 2, 3))]
    lines = list(commands(TRANSLATION, [(found.objects[TRANSLATION], objects(trio(NAT, OUT))[TRANSLATION])]))
    assert f"flush map {TRANSLATION} {name}" in lines
    assert f"add element {TRANSLATION} {name} {{ 0 : 192.0.2.22 . 8080, 1 : 192.0.2.23 . 8080 }}" in lines
    assert any("numgen inc mod 2" in line for line in lines)


def test_under_direct_return_flows_of_one_that_is_out_are_passed_no_more_and_those_of_a_drained_one_are() -> None:
    direct = Forward.DIRECT
    found = taken(trio(direct), trio(direct, OUT))
    assert kinds(found) == [*CHANGE, DELETE_ELEMENTS]
    live = [key for map_, key in found.objects[DIRECT].elements if map_ == "live_tcp4"]
    assert live == [f"192.0.2.50 . 80 . 02:00:00:00:00:2{number}" for number in (2, 3)]
    drained = taken(trio(direct), trio(direct, DRAIN))
    assert kinds(drained) == CHANGE
    assert drained.objects[DIRECT].elements.keys() == objects(trio(direct))[DIRECT].elements.keys()
    gone = taken(trio(direct, DRAIN), trio(direct, OUT))
    assert kinds(gone) == [DELETE_ELEMENTS], "it had no slots"


def test_a_mac_that_another_server_has_too_is_left_alone() -> None:
    first, second, third = trio(Forward.DIRECT).servers
    before = service(first, replace(second, mac=first.mac), third)
    after = replace(before, servers=(replace(first, duty=OUT, weight=0), *before.servers[1:]))
    assert take_out(before, after, objects(before)) is None


def test_sources_that_persistence_keeps_are_forgotten() -> None:
    found = taken(trio(mask=32), trio(NAT, OUT, mask=32))
    assert kinds(found) == [*CHANGE, DELETE_ELEMENTS]
    assert b"pin/tcp/192.0.2.50/80/192.0.2.21/8080\0" in found.parts[2][1]


def test_who_is_full_is_given_nothing() -> None:
    wanted = trio(scheduler=Scheduler.LEAST_CONNECTION)
    limited = replace(wanted, servers=tuple(replace(each, limit=5) for each in wanted.servers))
    after = replace(limited, servers=(replace(limited.servers[0], duty=OUT, weight=0), *limited.servers[1:]))
    full = Load({(limited.servers[1].address, 8080): 5})
    assert {content.split(" : ")[1] for content in slots(taken(limited, after, full), TRANSLATION)} == {
        "192.0.2.23 . 8080"
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (trio(), trio()),
        (trio(NAT, OUT), trio()),
        (trio(), trio(NAT, OUT, OUT, OUT)),
        (trio(NAT, SERVE, OUT, OUT), trio(NAT, OUT, OUT, OUT)),
        (trio(), service(server(2), server(3))),
        (trio(), trio(Forward.DIRECT, OUT)),
        (service(), service()),
    ],
    ids=["nothing", "returns", "nobody-left", "the-only-one", "taken-from-the-file", "other-plane-part", "empty"],
)
def test_the_rest_is_left_to_the_transaction(before: VirtualService, after: VirtualService) -> None:
    assert take_out(before, after, objects(before) if before.servers else {}) is None


def test_slots_that_are_not_known_are_left() -> None:
    there = objects(trio())[TRANSLATION]
    name = slots_name(trio().key)
    unknown = replace(there, sets={**there.sets, name: replace(there.sets[name], contents=None)})
    assert take_out(trio(), trio(NAT, OUT), {TRANSLATION: unknown}) is None
