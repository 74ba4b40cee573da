"""examples/stateful-pair in the lab, with the real daemon, a real witness, and the service itself."""

from pathlib import Path

import pytest

from rehearse import HERE, Outcome, rehearse

pytestmark = [
    pytest.mark.lab,
    pytest.mark.company,
    pytest.mark.netns,
    pytest.mark.timeout(300),
    pytest.mark.req("N-13"),
]

LONGEST_PAUSE_S = 15.0
"""Generous: on a quiet machine it is that of a takeover, 1.5 s."""


def run(folder: Path, name: str, *, copy_rate: int) -> Outcome:
    file = folder / "site.yaml"
    file.write_text((HERE / name).read_text().replace("site: stateful-", "site: yks-"))
    said: list[str] = []
    found = rehearse(file, said.append, copy_rate=copy_rate)
    assert len(said) == 5, said
    assert found.accepted > 50
    return found


def test_a_failure_and_a_return_lose_no_accepted_write(tmp_path: Path) -> None:
    found = run(tmp_path, "site.yaml", copy_rate=60)
    assert found.lost == 0
    assert found.pause_s < LONGEST_PAUSE_S


def test_who_takes_the_address_back_at_once_loses_what_was_written_meanwhile(tmp_path: Path) -> None:
    """However slow the machine: the copy never ends before the address is back."""
    assert run(tmp_path, "unsafe.yaml", copy_rate=5).lost > 0
