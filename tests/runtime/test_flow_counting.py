"""When flows are counted: while a service asks for it, no two counts at once, not while paused."""

import asyncio
from collections.abc import Callable

import pytest

from yaoki.core.error import ActuatorError
from yaoki.runtime.flow_counting import FlowCounting


class Counter:
    """Stands in a balancer's place: answers from a list, then that nobody asks any more."""

    def __init__(self, *answers: bool | str) -> None:
        self.answers = list(answers)
        self.calls = 0

    async def recount(self) -> bool:
        self.calls += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, str):
            raise ActuatorError("count", answer)
        return answer


def counted(balancer: Counter, *, paused: Callable[[], bool] = lambda: False, begin: int = 1) -> list[str]:
    """Run it until it ends by itself; the failures that were told."""
    failures: list[str] = []

    async def run() -> None:
        tasks: list[asyncio.Task[None]] = []
        counting = FlowCounting(
            balancer,  # type: ignore[arg-type] # it asks for nothing else of an actuator
            spawn=lambda coroutine: tasks.append(asyncio.get_running_loop().create_task(coroutine)),
            paused=paused,
            failed=failures.append,
            interval_s=0.001,
        )
        for _ in range(begin):
            counting.begin()
        assert len(tasks) == 1
        await asyncio.wait_for(tasks[0], 20)
        counting.begin()
        assert len(tasks) == 2, "it can begin again"
        await asyncio.wait_for(tasks[1], 20)

    asyncio.run(run())
    return failures


def test_it_goes_on_until_no_service_asks() -> None:
    balancer = Counter(True, True, True, False)
    assert counted(balancer, begin=3) == []
    assert balancer.calls == 5


@pytest.mark.req("Z-06")
def test_what_fails_is_told_once_and_tried_again() -> None:
    balancer = Counter("no permission", "no permission", True, "no permission", "another")
    failures = counted(balancer)
    assert [failure.rpartition(": ")[2] for failure in failures] == ["no permission", "no permission", "another"]


def test_paused_it_waits() -> None:
    balancer = Counter(True, False)
    pauses = iter([True, True, True])
    counted(balancer, paused=lambda: next(pauses, False))
    assert balancer.calls == 3
