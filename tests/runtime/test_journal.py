"""The journal: whole or not at all, and never a reason not to start."""

import asyncio
from pathlib import Path

import pytest

from tests.node.scene import plan
from yaoki.core.event import EventBody
from yaoki.node.brain_events import JournalUnwritten, JournalWritten
from yaoki.node.decisions import Decisions, ServerDecision, ServiceDecision
from yaoki.pool.member import AdminState
from yaoki.runtime.journal import Journal, JournalContent, Trial
from yaoki.runtime.journal_keeper import JournalKeeper

DECISIONS = Decisions(
    (ServerDecision("web1", None, AdminState.DRAIN), ServerDecision("web2", "api", weight=7)),
    (ServiceDecision("web", enabled=False),),
    paused=True,
)


def test_what_is_written_is_read_by_the_next_process(tmp_path: Path) -> None:
    first = Journal(tmp_path / "state")
    first.change(decisions=DECISIONS, sysctls=(("net/ipv4/ip_forward", "0"),), starts=3)
    first.keep_last_good(plan())
    first.try_out(Trial("g2", 1, "KeyError"))
    second = Journal(tmp_path / "state")
    assert second.content == JournalContent(DECISIONS, Trial("g2", 1, "KeyError"), (("net/ipv4/ip_forward", "0"),), 3)
    assert second.last_good == plan()
    assert second.unreadable is None
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("junk", [b"", b"{", b'{"is":"JournalContent","surprise":1}', b"\xff\xfe"])
def test_a_damaged_journal_is_put_aside_and_said(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "journal.json").write_bytes(junk)
    journal = Journal(tmp_path)
    assert journal.content == JournalContent()
    assert journal.unreadable is not None
    assert (tmp_path / "journal.damaged").read_bytes() == junk


def test_a_write_that_fails_leaves_the_file_before_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.change(starts=1)
    (tmp_path / "journal.new").mkdir()  # what cannot be opened for writing, even by root
    with pytest.raises(OSError, match="directory"):
        journal.change(starts=2)
    assert Journal(tmp_path).content.starts == 1
    (tmp_path / "journal.new").rmdir()
    journal.write()
    assert Journal(tmp_path).content.starts == 2


def test_removing_leaves_no_directory(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "state")
    journal.keep_last_good(plan())
    journal.change(starts=1)
    journal.remove()
    assert not (tmp_path / "state").exists()


def test_a_full_disk_is_told_once_and_the_journal_is_written_when_there_is_room(tmp_path: Path) -> None:
    async def scene() -> list[EventBody]:
        told: list[EventBody] = []
        keeper = JournalKeeper(tmp_path, told.append, retry_s=0.05)
        (tmp_path / "journal.new").mkdir()
        keeper.keep(DECISIONS)
        keeper.keep_sysctls((("a", "1"),))
        assert [type(body) for body in told] == [JournalUnwritten]
        assert keeper.content.decisions == DECISIONS, "what people decided holds, written or not"
        (tmp_path / "journal.new").rmdir()
        async with asyncio.timeout(10):
            while len(told) < 2:
                await asyncio.sleep(0.02)
        return told

    assert [type(body) for body in asyncio.run(scene())] == [JournalUnwritten, JournalWritten]
    content = Journal(tmp_path).content
    assert (content.decisions, content.sysctls) == (DECISIONS, (("a", "1"),))


def test_crashes_in_a_row_are_counted_until_the_plan_proves_itself(tmp_path: Path) -> None:
    def process() -> JournalKeeper:
        return JournalKeeper(tmp_path, lambda _: None)

    process().started(plan())  # killed
    process().started(plan())  # killed again
    assert process().crashes_of("g1") == 1
    crashing = process()
    crashing.started(plan())
    crashing.crashed("KeyError: 'x'")
    after = process()
    assert after.crashes_of("g1") == 3
    assert after.crash is not None
    assert after.crash.why == "KeyError: 'x'"
    after.started(plan())
    assert after.crashes_of("g1") == 3, "a crash that was noticed is not counted twice"
    after.prove(plan())
    assert process().crashes_of("g1") == 0


def test_the_first_plan_is_the_last_good_one_until_there_is_a_better(tmp_path: Path) -> None:
    keeper = JournalKeeper(tmp_path, lambda _: None)
    keeper.started(plan())
    assert JournalKeeper(tmp_path, lambda _: None).last_good == plan()
    keeper.on_trial("g2")
    assert JournalKeeper(tmp_path, lambda _: None).last_good == plan()
