"""Who may run on a node, and who starts whom.

What holds a process is counted, because faults overlap: it runs again when the last of them has ended. The main process
starts the others and starts them again when they have died; the main process itself is started by the system.

Invariants: a process runs only while nothing holds it; only a running main process starts another; none starts before
the machine has booted, whoever had begun to start it before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from yaoki.sim.chance import Chance
from yaoki.sim.faults import Part
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline

START_US = (150 * MILLISECOND, 400 * MILLISECOND)
BOOT_US = (1 * SECOND, 4 * SECOND)
# How often a main process looks after those it has to start.
LOOK_US = 250 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Handle:
    """What can be done with one process of a node, whatever it runs."""

    alive: Callable[[], bool]
    start: Callable[[], None]
    kill: Callable[[], None]
    pause: Callable[[], None]
    resume: Callable[[], None]
    slow: Callable[[int], None]
    quicken: Callable[[int], None]


class Processes:
    """The processes of one node by part. `changed` is called whenever one begins or ceases to run."""

    def __init__(
        self, handles: dict[Part, Handle], timeline: Timeline, chance: Chance, changed: Callable[[], None]
    ) -> None:
        self._handles = handles
        self._timeline = timeline
        self._chance = chance
        self._changed = changed
        self._pauses = dict.fromkeys(handles, 0)
        self._kills = dict.fromkeys(handles, 0)
        self._starting = dict.fromkeys(handles, False)
        self._booted_at = 0

    def running(self, part: Part) -> bool:
        """Alive and given the processor."""
        return self._handles[part].alive() and self._pauses[part] == 0

    def killed(self, part: Part) -> bool:
        """Whether a fault keeps it dead."""
        return self._kills[part] > 0

    def pause(self, part: Part) -> None:
        """Hold with SIGSTOP; a process started meanwhile is held, too."""
        for each in self._parts_of(part):
            self._pauses[each] += 1
            self._handles[each].pause()
        self._changed()

    def resume(self, part: Part) -> None:
        """Take one hold back."""
        for each in self._parts_of(part):
            self._pauses[each] -= 1
            if self._pauses[each] == 0:
                self._handles[each].resume()
        self._changed()

    def kill(self, part: Part) -> None:
        """Kill and keep dead until as many revivals."""
        for each in self._parts_of(part):
            self._kills[each] += 1
            self._handles[each].kill()
        self._changed()

    def revive(self, part: Part, after_us: int = 0) -> None:
        """Take one kill back; whoever starts the process does so a while after `after_us` of booting."""
        self._booted_at = max(self._booted_at, self._timeline.now + after_us)
        for each in self._parts_of(part):
            self._kills[each] -= 1
            self.start_soon(each, after_us)

    def slow(self, part: Part, lateness_us: int) -> None:
        """Timers of a process fire up to so late from now on."""
        for each in self._parts_of(part):
            self._handles[each].slow(lateness_us)
        self._changed()

    def quicken(self, part: Part, lateness_us: int) -> None:
        """Take one slowness back."""
        for each in self._parts_of(part):
            self._handles[each].quicken(lateness_us)
        self._changed()

    def end(self, part: Part) -> None:
        """A process ends by itself; it is started again only if somebody asks."""
        self._handles[part].kill()
        self._changed()

    def start_soon(self, part: Part, after_us: int = 0) -> None:
        """Have a process started unless it is being started already."""
        if self._starting[part]:
            return
        self._starting[part] = True
        self._timeline.after(after_us + self._chance.between(*START_US), partial(self._start, part))

    def _parts_of(self, part: Part) -> tuple[Part, ...]:
        """The processes that a fault's part names, the starter first."""
        return tuple(self._handles) if part is Part.ALL else (part,)

    def _start(self, part: Part) -> None:
        if self._kills[part] or self._handles[part].alive():
            self._starting[part] = False
            return
        if self._timeline.now < self._booted_at:
            self._timeline.at(self._booted_at + self._chance.between(*START_US), partial(self._start, part))
            return
        if part is not Part.MAIN and not self.running(Part.MAIN):
            self._timeline.after(LOOK_US, partial(self._start, part))
            return
        self._starting[part] = False
        self._handles[part].start()
        if self._pauses[part]:
            self._handles[part].pause()
        self._changed()
