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


class Stuck:
    """Never moves its deadline."""

    def handle(self, now: Instant, input_: str | TimerFired) -> list[Say]:
        del now, input_
        return []

    def deadline(self) -> Deadline | None:
        return Deadline(Instant(0), "stuck")


def test_a_machine_that_asks_for_the_past_again_and_again_is_stopped() -> None:
    async def scene() -> str:
        loop = asyncio.get_running_loop()
        told: asyncio.Future[str] = loop.create_future()
        loop.set_exception_handler(lambda _, context: told.set_result(str(context["exception"])))
        driver: Driver[str, Say] = Driver(Stuck(), lambda _: None)
        driver.give("go")
        async with asyncio.timeout(20):
            return await told

    assert asyncio.run(scene()) == "a machine asks for the past again and again: stuck"
