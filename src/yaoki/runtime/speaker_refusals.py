"""What the kernel refused a speaker: told as events, and a reason to look at everything anew after a pause.

Invariants: of each place and change at most one event is told in REFUSAL_QUIET, with how many there were; the pauses
double from FIRST_PAUSE to LONGEST_PAUSE, and begin anew when nothing was refused for that long.
"""

from collections.abc import Callable
from datetime import timedelta

from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.node.speaker_events import KernelRefused
from yaoki.runtime.select_loop import monotonic_now

FIRST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=30)
REFUSAL_QUIET = timedelta(seconds=10)
"""At most one event for each interface and change in this time."""


class SpeakerRefusals:
    """`tell` takes the events; `again_at` is when to look again, if anything was refused since it was last cleared."""

    def __init__(self, tell: Callable[[EventBody], None]) -> None:
        self._tell = tell
        self._told: dict[tuple[str, str], tuple[int, Instant]] = {}
        self._pause = FIRST_PAUSE
        self._refused_at = Instant(0)
        self.again_at: Instant | None = None

    def note(self, place: str, error: ActuatorError) -> None:
        """A change was refused there."""
        now = monotonic_now()
        seen = (place, error.change)
        count, told_at = self._told.get(seen, (0, None))
        count += 1
        if told_at is None or now - told_at >= REFUSAL_QUIET:
            told_at = now
            self._tell(KernelRefused(place, error.change, error.why, count))
        self._told[seen] = (count, told_at)
        if now - self._refused_at > LONGEST_PAUSE:
            self._pause = FIRST_PAUSE
        self._refused_at = now
        if self.again_at is None:
            self.again_at = now + self._pause
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
