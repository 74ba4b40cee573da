"""The driver: order of effects, no re-entrance, timers."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.runtime.driver import Driver


@dataclass(frozen=True, slots=True)
class Say:
    word: str


class Echo:
    """Answers a word with the word and its echo; a TimerFired at the time it asked for with "time"."""

    def __init__(self) -> None:
        self.depth = 0
        self.wake: Instant | None = None

    def handle(self, now: Instant, input_: str | TimerFired) -> list[Say]:
        assert self.depth == 0
        self.depth += 1
        try:
            if isinstance(input_, TimerFired):
                if self.wake is None or now < self.wake:
                    return []
                self.wake = None
                return [Say("time")]
            if input_ == "later":
                self.wake = now + timedelta(milliseconds=20)
                return []
            return [Say(input_), Say(input_ + "!")]
        finally:
            self.depth -= 1

    def deadline(self) -> Deadline | None:
        return None if self.wake is None else Deadline(self.wake, "wake")


def test_effects_are_done_before_inputs_that_they_cause() -> None:
    async def scene() -> list[str]:
        said: list[str] = []

        def perform(effect: Say) -> None:
            said.append(effect.word)
            if effect.word == "a":
                driver.give("b")

        driver: Driver[str, Say] = Driver(Echo(), perform)
        driver.give("a")
        return said

    assert asyncio.run(scene()) == ["a", "a!", "b", "b!"]


def test_the_deadline_is_met() -> None:
    async def scene() -> list[str]:
        said: list[str] = []
        driver: Driver[str, Say] = Driver(Echo(), lambda effect: said.append(effect.word))
        driver.give("later")
        await asyncio.sleep(0.2)
        return said

    assert asyncio.run(scene()) == ["time"]


def test_a_closed_driver_is_silent() -> None:
    async def scene() -> list[str]:
        said: list[str] = []
        driver: Driver[str, Say] = Driver(Echo(), lambda effect: said.append(effect.word))
        driver.give("later")
        driver.close()
        driver.give("a")
        await asyncio.sleep(0.1)
        return said

    assert asyncio.run(scene()) == []
