"""The event stream at its edge."""

import asyncio
import io
import json

from yaoki.core.codec import Codec
from yaoki.core.event import Event, EventBody, EventId, Severity
from yaoki.core.instant import Instant
from yaoki.node.brain_events import HookFailed, Paused, Resumed
from yaoki.node.events import EVENT_KINDS
from yaoki.runtime import event_log
from yaoki.runtime.event_log import EventLog, LogForm, iso, text_line

NOW = Instant.of_seconds(5000)
CODEC = Codec(EVENT_KINDS)


def event(number: int, body: EventBody, because: int | None = None) -> Event:
    cause = None if because is None else EventId("lb1/brain.1", because)
    return Event(EventId("lb1/brain.1", number), NOW, body, cause)


def test_a_line_for_people_names_the_event_and_its_cause() -> None:
    out = io.StringIO()
    log = EventLog(CODEC, out, now=lambda: NOW)
    log.take(event(2, HookFailed("mail", "exit status 1"), because=1))
    line = out.getvalue().strip()
    time, _, rest = line.partition(" ")
    assert time.endswith("Z")
    assert rest == "warning hook mail failed: exit status 1  [lb1/brain.1:2 <- lb1/brain.1:1]"


def test_a_line_for_programs_is_one_json_object() -> None:
    out = io.StringIO()
    EventLog(CODEC, out, form=LogForm.JSON, now=lambda: NOW).take(event(2, HookFailed("mail", "x\ny"), because=1))
    (line,) = out.getvalue().splitlines()
    found = json.loads(line)
    assert found["severity"] == "warning"
    assert found["id"] == {"source": "lb1/brain.1", "number": 2}
    assert found["because"] == {"source": "lb1/brain.1", "number": 1}
    assert found["body"] == {"is": "HookFailed", "hook": "mail", "why": "x\ny"}


def test_quiet_events_are_kept_but_not_logged() -> None:
    out = io.StringIO()
    log = EventLog(CODEC, out, quietest=Severity.WARNING, now=lambda: NOW)
    log.take(event(1, Resumed()))
    log.take(event(2, Paused()))
    assert len(out.getvalue().splitlines()) == 1
    assert [logged.event.id.number for logged in log.latest(10)] == [1, 2]
    assert [logged.event.id.number for logged in log.latest(1)] == [2]
    assert log.latest(0) == ()


def test_a_log_that_cannot_be_written_stops_nothing() -> None:
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(28, "No space left on device")

    log = EventLog(CODEC, Full(), now=lambda: NOW)
    log.take(event(1, Paused()))
    assert len(log.latest(10)) == 1


def test_a_follower_gets_events_as_they_come_and_is_dropped_when_it_sleeps() -> None:
    async def scene() -> None:
        log = EventLog(CODEC, io.StringIO(), now=lambda: NOW)
        follower = log.follow()
        assert follower is not None
        waiting = asyncio.create_task(follower.next())
        await asyncio.sleep(0)
        log.take(event(1, Paused()))
        first = await waiting
        assert first is not None
        assert first.event.id.number == 1
        for number in range(event_log.MAX_BEHIND + 5):
            log.take(event(number + 2, Paused()))
        read = 0
        while await follower.next() is not None:
            read += 1
        assert read == event_log.MAX_BEHIND
        log.unfollow(follower)

    asyncio.run(scene())


def test_the_number_of_followers_is_limited() -> None:
    async def scene() -> None:
        log = EventLog(CODEC, io.StringIO(), now=lambda: NOW)
        followers = [log.follow() for _ in range(event_log.MAX_FOLLOWERS)]
        assert None not in followers
        assert log.follow() is None

    asyncio.run(scene())


def test_times_are_utc_with_milliseconds() -> None:
    assert iso(1_700_000_000_123_456) == "2023-11-14T22:13:20.123Z"


def test_japanese_lines() -> None:
    log = EventLog(CODEC, io.StringIO(), now=lambda: NOW)
    log.take(event(1, Paused()))
    assert "一時停止" in text_line(log.latest(1)[0], "ja")
