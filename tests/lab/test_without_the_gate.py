"""Each row of a speaker that dies or hangs fails for its two owners where nobody keeps a dead-man gate."""

from typing import Any

import pytest

from tests.lab.rehearsals import WithoutTheGate, named, rehearsed
from tests.lab.sites import changed
from yaoki.lab.row import Row

pytestmark = [pytest.mark.lab, pytest.mark.company, pytest.mark.netns, pytest.mark.timeout(600)]


def unchanged(_: dict[str, Any]) -> None: ...


SPEAKERLESS = ("lb1-kill-speaker", "lb1-kill-all", "lb1-hang-speaker", "lb1-hang-all")


@pytest.fixture(scope="module")
def gateless(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Row]:
    file = changed(tmp_path_factory.mktemp("gateless"), unchanged, name="yke8")
    return rehearsed(file, named(file, *SPEAKERLESS), WithoutTheGate)


@pytest.mark.req("B-19")
@pytest.mark.parametrize("name", SPEAKERLESS)
def test_a_row_fails_for_its_two_owners_without_the_dead_man_gate(gateless: dict[str, Row], name: str) -> None:
    row = gateless[name]
    assert row.void is None
    assert not row.ok
    assert not all(vip.kept for vip in row.vips)
