from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

import pytest

from tests.lb.samples import far, service, trio
from yaoki.core.address import MacAddress, parse_address
from yaoki.lb.digest import digest
from yaoki.lb.service import (
    Duty,
    Forward,
    PlaneWish,
    Protocol,
    RealServer,
    Scheduler,
    ServiceKey,
    SourcePersistence,
    Tunnel,
    VirtualService,
    WhenAllDown,
)

OTHER_SERVICE: dict[str, Any] = {
    "name": "other",
    "key": ServiceKey(parse_address("192.0.2.51"), Protocol.TCP, 80),
    "interface": "eth1",
    "scheduler": Scheduler.SOURCE_HASH,
    "servers": (),
    "persistence": SourcePersistence(24, timedelta(minutes=1)),
    "when_all_down": WhenAllDown.LAST_KNOWN,
    "idle_timeout": timedelta(minutes=1),
}
OTHER_SERVER: dict[str, Any] = {
    "name": "other",
    "address": parse_address("192.0.2.99"),
    "port": 81,
    "forward": Forward.FULLNAT,
    "weight": 1,
    "duty": Duty.DRAIN,
    "mac": MacAddress.parse("02:00:00:00:00:99"),
    "source": parse_address("192.0.2.12"),
    "limit": 500,
    "tunnel": Tunnel(),
    "way": far(1).way,
}


def test_equal_services_have_equal_digests() -> None:
    assert digest(trio(), "r1") == digest(trio(), "r1")


def test_the_digest_of_a_known_service_never_changes() -> None:
    """Or every service of every node would be written anew at an upgrade."""
    assert digest(trio(), "r1") == "f28cce3c49ad2f37"


def test_every_field_of_a_service_but_the_plane_is_in_its_digest() -> None:
    """A plane does not ask which plane was wanted."""
    assert {*OTHER_SERVICE, "plane"} == {field.name for field in fields(VirtualService)}
    assert digest(replace(trio(), plane=PlaneWish.BPF), "r1") == digest(trio(), "r1")


def test_every_field_of_a_server_is_in_its_digest() -> None:
    assert set(OTHER_SERVER) == {field.name for field in fields(RealServer)}


@pytest.mark.parametrize("field", OTHER_SERVICE)
def test_a_change_of_a_service_changes_its_digest(field: str) -> None:
    assert digest(replace(trio(), **{field: OTHER_SERVICE[field]}), "r1") != digest(trio(), "r1")


@pytest.mark.parametrize("field", OTHER_SERVER)
def test_a_change_of_a_server_changes_the_digest(field: str) -> None:
    first, *rest = trio().servers
    changed = replace(trio(), servers=(replace(first, **{field: OTHER_SERVER[field]}), *rest))
    assert digest(changed, "r1") != digest(trio(), "r1")


@pytest.mark.parametrize("way", [{"mtu": 1400}, {"mac": MacAddress(bytes(6))}, {"interface": "eth9"}])
def test_a_change_of_the_way_changes_the_digest(way: dict[str, Any]) -> None:
    before = far(1)
    assert before.way is not None
    after = replace(before, way=replace(before.way, **way))
    assert digest(service(after), "r1") != digest(service(before), "r1")


def test_another_way_of_writing_rules_changes_every_digest() -> None:
    assert digest(trio(), "r2") != digest(trio(), "r1")
