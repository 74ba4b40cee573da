"""The event stream at its edge: one log line per event, the latest kept for readers, and those who follow it.

Invariants: at most KEPT events are kept and MAX_FOLLOWERS follow; a follower that does not keep up is dropped at
MAX_BEHIND events, never waited for.
"""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TextIO

from yaoki.core.codec import Codec
from yaoki.core.event import Event, Severity
from yaoki.core.instant import Instant
from yaoki.node.wording import ENGLISH, sentence
from yaoki.runtime.driver import monotonic_now

KEPT = 10_000
MAX_FOLLOWERS = 64
MAX_BEHIND = 5_000


class LogForm(StrEnum):
    """How events are written to the log: a line for people, or one JSON object per line."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event with the wall-clock time of its happening, in microseconds since 1970 (UTC), for people."""

    event: Event
    wall_us: int


class Follower:
    """One reader of the stream. `dropped` once it has fallen MAX_BEHIND events behind."""

    def __init__(self) -> None:
        self._queue: deque[LoggedEvent] = deque()
        self._wake = asyncio.Event()
        self.dropped = False

    def put(self, logged: LoggedEvent) -> None:
        """Give it one more event."""
        if len(self._queue) >= MAX_BEHIND:
            self.dropped = True
        else:
            self._queue.append(logged)
        self._wake.set()

    async def next(self) -> LoggedEvent | None:
        """The next event, or None once it was dropped and has read what there was."""
        while not self._queue:
            if self.dropped:
                return None
            self._wake.clear()
            await self._wake.wait()
        return self._queue.popleft()


class EventLog:
    """Takes every event of the node."""

    def __init__(
        self,
        codec: Codec,
        out: TextIO,
        *,
        form: LogForm = LogForm.TEXT,
        quietest: Severity = Severity.NOTICE,
        now: Callable[[], Instant] = monotonic_now,
    ) -> None:
        self._codec = codec
        self._out = out
        self._form = form
        self._loud_enough = tuple(Severity)[tuple(Severity).index(quietest) :]
        self._now = now
        self._kept: deque[LoggedEvent] = deque(maxlen=KEPT)
        self._followers: list[Follower] = []

    def take(self, event: Event) -> None:
        """Log one event, keep it and give it to the followers."""
        wall_us = time.time_ns() // 1000 - (self._now().us - event.at.us)
        logged = LoggedEvent(event, wall_us)
        self._kept.append(logged)
        if event.body.SEVERITY in self._loud_enough:
            self._write(logged)
        for follower in self._followers:
            follower.put(logged)

    def latest(self, count: int) -> tuple[LoggedEvent, ...]:
        """The latest events, oldest first."""
        return tuple(self._kept)[-count:] if count > 0 else ()

    def follow(self) -> Follower | None:
        """A new follower, or None when there are MAX_FOLLOWERS."""
        if len(self._followers) >= MAX_FOLLOWERS:
            return None
        follower = Follower()
        self._followers.append(follower)
        return follower

    def unfollow(self, follower: Follower) -> None:
        """It reads no longer."""
        self._followers.remove(follower)

    def _write(self, logged: LoggedEvent) -> None:
        line = text_line(logged) if self._form is LogForm.TEXT else self._json_line(logged)
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except OSError:
            # The log's disk or pipe is gone; the node serves on, and `yaoki events` still tells.
            return

    def _json_line(self, logged: LoggedEvent) -> str:
        plain = self._codec.plain(logged.event)
        return json.dumps({"time": iso(logged.wall_us), "severity": logged.event.body.SEVERITY.value, **plain})


def text_line(logged: LoggedEvent, language: str = ENGLISH) -> str:
    """One event as a line for people: time, severity, sentence, its own id and that of its cause."""
    event = logged.event
    because = f" <- {event.because}" if event.because is not None else ""
    severity = event.body.SEVERITY.value
    return f"{iso(logged.wall_us)} {severity:7} {sentence(event.body, language)}  [{event.id}{because}]"


def iso(wall_us: int) -> str:
    """UTC in ISO 8601 with milliseconds."""
    return datetime.fromtimestamp(wall_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
