"""A simulated process, with a machine small enough to be looked through."""

from collections.abc import Callable
from datetime import timedelta

from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.sim.chance import Chance
from yaoki.sim.clock import NodeClock
from yaoki.sim.faults import Part
from yaoki.sim.process import LATENESS_US, Process
from yaoki.sim.processes import LOOK_US, START_US, Handle, Processes
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline
from yaoki.sim.trace import Record

PERIOD = timedelta(milliseconds=100)


class Ticker:
    """Wants a TimerFired every PERIOD after the latest word, and says what it was given."""

    def __init__(self, now: Instant) -> None:
        self.next = now + PERIOD

    def handle(self, now: Instant, input_: str | TimerFired, /) -> list[str]:
        if isinstance(input_, str):
            self.next = now + PERIOD
            return [f"heard {input_}", "and said so"]
        if now < self.next:
            return []
        self.next = self.next + PERIOD
        return ["tick"]

    def deadline(self) -> Deadline | None:
        return Deadline(self.next, "tick")


class Bench:
    """A process on a timeline; `said` are its effects with their time."""

    def __init__(self, *, drift_ppm: int = 0) -> None:
        self.timeline = Timeline()
        self.clock = NodeClock(started_at=0, zero=7 * SECOND, drift_ppm=drift_ppm)
        self.said: list[tuple[int, str]] = []
        self.starts = 0
        self.records: list[Record] = []
        self.process: Process[str, str] = Process(
            "node/ticker",
            self.timeline,
            clock=self.clock,
            chance=Chance(1, "process"),
            sink=lambda effect: self.said.append((self.timeline.now, effect)),
            observer=self,
        )
        self.start()

    @property
    def keep(self) -> Callable[[Record], None]:
        return self.records.append

    def many_effects(self, process: str, count: int, /) -> None:
        raise AssertionError("none has many")

    def started(self, process: str, /) -> None:
        self.starts += 1

    def start(self) -> None:
        self.process.start(Ticker(self.clock.instant(self.timeline.now)))

    def run(self, seconds: float) -> list[str]:
        self.said.clear()
        self.timeline.run(self.timeline.now + int(seconds * SECOND))
        return [effect for _, effect in self.said]


def test_timers_fire_at_the_deadline_and_a_little_late() -> None:
    bench = Bench()
    assert bench.run(1.05) == ["tick"] * 10
    assert all(1 <= now % (100 * MILLISECOND) <= LATENESS_US for now, _ in bench.said)


def test_a_deadline_that_is_put_off_again_and_again_fires_only_when_it_comes() -> None:
    bench = Bench()
    for _ in range(20):
        bench.run(0.05)
        bench.process.give("x")
    assert "tick" not in [effect for _, effect in bench.said]
    assert bench.run(0.11) == ["tick"]


def test_effects_of_one_input_come_in_their_order() -> None:
    bench = Bench()
    bench.said.clear()
    bench.process.give("x")
    assert [effect for _, effect in bench.said] == ["heard x", "and said so"]


def test_a_stopped_process_keeps_what_it_is_given_and_reads_it_before_its_timer() -> None:
    bench = Bench()
    bench.process.pause()
    bench.process.give("a")
    bench.process.give("b")
    assert bench.run(1) == []
    assert not bench.process.running
    bench.process.resume(["first"])
    assert [effect for _, effect in bench.said] == [
        "heard first",
        "and said so",
        "heard a",
        "and said so",
        "heard b",
        "and said so",
    ]
    assert bench.run(0.101) == ["tick"]


def test_a_dead_process_takes_nothing_and_fires_nothing() -> None:
    bench = Bench()
    bench.process.kill()
    bench.process.give("x")
    assert bench.run(1) == []
    bench.start()
    assert bench.run(0.101) == ["tick"]
    assert bench.starts == 2


def test_a_slow_process_is_late_until_the_slowness_is_taken_back() -> None:
    bench = Bench()
    bench.process.slow(50 * MILLISECOND)
    bench.process.slow(20 * MILLISECOND)
    bench.run(1)
    assert max(now % (100 * MILLISECOND) for now, _ in bench.said) > 10 * MILLISECOND
    bench.process.quicken(50 * MILLISECOND)
    assert bench.process.lateness_us == 20 * MILLISECOND
    bench.process.quicken(20 * MILLISECOND)
    bench.run(1)
    assert max(now % (100 * MILLISECOND) for now, _ in bench.said) <= LATENESS_US


def test_timers_go_by_the_clock_of_the_node() -> None:
    bench = Bench(drift_ppm=200_000)
    assert len(bench.run(1.01)) == 12


class House:
    """Three parts that are only noted."""

    def __init__(self) -> None:
        self.timeline = Timeline()
        self.alive = dict.fromkeys((Part.MAIN, Part.SPEAKER, Part.WORKER), False)
        self.processes = Processes(
            {part: self.handle(part) for part in self.alive}, self.timeline, Chance(1, "house"), lambda: None
        )

    def handle(self, part: Part) -> Handle:
        return Handle(
            alive=lambda: self.alive[part],
            start=lambda: self.alive.__setitem__(part, True),
            kill=lambda: self.alive.__setitem__(part, False),
            pause=lambda: None,
            resume=lambda: None,
            slow=lambda _: None,
            quicken=lambda _: None,
        )

    def run(self, us: int = 5 * START_US[1]) -> list[Part]:
        self.timeline.run(self.timeline.now + us)
        return [part for part, alive in self.alive.items() if alive]


def test_only_a_running_main_process_starts_the_others() -> None:
    house = House()
    house.processes.start_soon(Part.SPEAKER)
    assert house.run() == []
    house.processes.start_soon(Part.MAIN)
    assert house.run() == [Part.MAIN, Part.SPEAKER]
    house.processes.pause(Part.MAIN)
    house.processes.kill(Part.SPEAKER)
    house.processes.revive(Part.SPEAKER)
    assert house.run() == [Part.MAIN]
    house.processes.resume(Part.MAIN)
    assert house.run(2 * LOOK_US + START_US[1]) == [Part.MAIN, Part.SPEAKER]


def test_what_is_killed_twice_lives_after_two_revivals() -> None:
    house = House()
    for part in house.alive:
        house.processes.start_soon(part)
    house.run()
    house.processes.kill(Part.ALL)
    house.processes.kill(Part.WORKER)
    house.processes.revive(Part.ALL)
    assert house.run() == [Part.MAIN, Part.SPEAKER]
    house.processes.revive(Part.WORKER)
    assert house.run() == [Part.MAIN, Part.SPEAKER, Part.WORKER]
