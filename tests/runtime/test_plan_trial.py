"""A plan on trial: taken back by itself, or kept."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from yaoki.core.event import EventBody
from yaoki.node.brain_events import PlanKept, PlanOnTrial, PlanTakenBack
from yaoki.runtime.plan_trial import InForce, PlanTrial
from yaoki.site.node_plan import NodePlan

pytestmark = pytest.mark.req("Z-05")

SOON, NEVER = timedelta(milliseconds=20), timedelta(minutes=2)
FIRST, SECOND = (InForce(NodePlan("tokyo", "lb1", generation), Path(generation)) for generation in ("g1", "g2"))


def told(act: Callable[[PlanTrial, asyncio.Event], Awaitable[None]]) -> tuple[list[InForce], list[EventBody]]:
    """What came back, and what was said, while `act` did something; its event is set when a plan has come back."""
    back: list[InForce] = []
    said: list[EventBody] = []

    async def scene() -> None:
        over = asyncio.Event()

        def take_back(former: InForce) -> None:
            back.append(former)
            over.set()

        await act(PlanTrial(take_back, said.append), over)

    asyncio.run(scene())
    return back, said


def test_what_nobody_keeps_is_taken_back() -> None:
    async def act(trial: PlanTrial, over: asyncio.Event) -> None:
        trial.begin(FIRST, "g2", SOON)
        await asyncio.wait_for(over.wait(), 10)
        assert not trial.keep(), "it is too late"

    assert told(act) == ([FIRST], [PlanOnTrial("g2", SOON), PlanTakenBack("g2")])


def test_what_is_kept_stays() -> None:
    async def act(trial: PlanTrial, over: asyncio.Event) -> None:
        trial.begin(FIRST, "g2", SOON)
        assert trial.keep()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.2)

    assert told(act) == ([], [PlanOnTrial("g2", SOON), PlanKept("g2")])


def test_a_trial_within_a_trial_goes_back_to_what_was_before_both() -> None:
    async def act(trial: PlanTrial, over: asyncio.Event) -> None:
        trial.begin(FIRST, "g2", NEVER)
        trial.begin(SECOND, "g3", SOON)
        await asyncio.wait_for(over.wait(), 10)

    assert told(act) == ([FIRST], [PlanOnTrial("g2", NEVER), PlanOnTrial("g3", SOON), PlanTakenBack("g3")])


def test_what_is_put_in_force_for_good_ends_a_trial_without_a_word() -> None:
    async def act(trial: PlanTrial, over: asyncio.Event) -> None:
        trial.begin(FIRST, "g2", SOON)
        trial.end()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(over.wait(), 0.2)
        assert not trial.keep()

    assert told(act) == ([], [PlanOnTrial("g2", SOON)])
