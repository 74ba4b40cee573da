"""Every state of the lease machine with every input, in one table; and what holds for any history of inputs."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.election.scene import FOREVER, KEY, LIMIT, ME, MS, OTHER, PARAMS, START, D, R, held, released
from yaoki.core.error import LocalError
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.election.events import LossReason
from yaoki.election.lease import Lease, step
from yaoki.election.lease_params import LeaseParams
from yaoki.election.lease_record import read_record
from yaoki.election.lease_state import (
    Confirming,
    Granted,
    Holding,
    LeaseInput,
    Lost,
    Memory,
    NotWant,
    Phase,
    Releasing,
    Request,
    RevisionSeen,
    Seen,
    StoreAnswered,
    Taking,
    Unread,
    Want,
    Watching,
    Wish,
)
from yaoki.election.lease_timing import deadline
from yaoki.election.store import KeyRead, KeyState, NotSwapped, ReadKey, StoreFailed, SwapKey, Swapped

NOW = START + 10 * D
REQUEST = Request(4, NOW - 5 * MS, NOW - 5 * MS + LIMIT, D)
SNAPSHOT = Seen(5, read_record(held(OTHER)), NOW - 2 * D)
YOUNG = Seen(5, read_record(held(OTHER)), NOW - 100 * MS)
WISH = Wish(FOREVER, timedelta(0), 1)

STATES: dict[str, Phase] = {
    "unread": Unread(NOW + MS),
    "unread, asked": Unread(NOW - MS, REQUEST),
    "watching": Watching(YOUNG, NOW - 100 * MS),
    "confirming": Confirming(SNAPSHOT, REQUEST, 0),
    "taking": Taking(SNAPSHOT, REQUEST, 0, 0),
    "holding": Holding(3, 5, NOW + D - 100 * MS, NOW + R - 100 * MS),
    "holding, asked": Holding(3, 5, NOW + D - R, NOW - 5 * MS, REQUEST),
    "releasing": Releasing(3, 5, NOW + MS, None, 1),
    "releasing, asked": Releasing(3, 5, NOW - 5 * MS, REQUEST, 1),
}

INPUTS: dict[str, LeaseInput] = {
    "want": Want(FOREVER),
    "not want": NotWant(),
    "timer": TimerFired(),
    "seen, older": RevisionSeen(KeyState(4, held(OTHER))),
    "seen, newer": RevisionSeen(KeyState(9, held(OTHER))),
    "seen, ours": RevisionSeen(KeyState(9, held(ME, epoch=3))),
    "stale answer": StoreAnswered(3, Swapped(9)),
    "failed": StoreAnswered(4, StoreFailed("refused")),
    "read, same": StoreAnswered(4, KeyRead(KeyState(5, held(OTHER)))),
    "read, newer": StoreAnswered(4, KeyRead(KeyState(9, held(OTHER)))),
    "read, released": StoreAnswered(4, KeyRead(KeyState(9, released(OTHER)))),
    "swapped": StoreAnswered(4, Swapped(9)),
    "not swapped, other": StoreAnswered(4, NotSwapped(KeyState(9, held(OTHER)))),
    "not swapped, ours": StoreAnswered(4, NotSwapped(KeyState(9, held(ME, epoch=3)))),
}

# The state afterwards and the effects. "=" is the same state with the same fields, a name alone one with other fields,
# a dash no effect. Answers that do not fit the question have no row: see test_lease.
OUTCOMES: dict[str, dict[str, tuple[str, str]]] = {
    "unread": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "seen, older": ("Watching", "-"),
        "seen, newer": ("Watching", "-"),
        "seen, ours": ("Confirming", "ReadKey"),
    },
    "unread, asked": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "seen, older": ("Watching", "-"),
        "seen, newer": ("Watching", "-"),
        "seen, ours": ("Confirming", "ReadKey"),
        "failed": ("Unread", "-"),
        "read, same": ("Watching", "-"),
        "read, newer": ("Watching", "-"),
        "read, released": ("Confirming", "ReadKey"),
    },
    "watching": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "seen, newer": ("Watching", "-"),
        "seen, ours": ("Confirming", "ReadKey"),
    },
    "confirming": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "seen, newer": ("Watching", "-"),
        "seen, ours": ("Confirming", "ReadKey"),
        "failed": ("Watching", "-"),
        "read, same": ("Taking", "SwapKey"),
        "read, newer": ("Watching", "-"),
        "read, released": ("Confirming", "ReadKey"),
    },
    "taking": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "failed": ("Watching", "-"),
        "swapped": ("Holding", "Granted Emit"),
        "not swapped, other": ("Watching", "-"),
        "not swapped, ours": ("Watching", "-"),
    },
    "holding": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "not want": ("Releasing", "Lost SwapKey"),
        "seen, newer": ("Watching", "Lost Emit"),
    },
    "holding, asked": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "not want": ("Releasing", "Lost SwapKey"),
        "seen, newer": ("Watching", "Lost Emit"),
        "failed": ("Holding", "-"),
        "swapped": ("Holding", "Granted"),
        "not swapped, other": ("Watching", "Lost Emit"),
        "not swapped, ours": ("Holding", "-"),
    },
    "releasing": dict.fromkeys(INPUTS, ("=", "-")),
    "releasing, asked": {
        **dict.fromkeys(INPUTS, ("=", "-")),
        "failed": ("Releasing", "-"),
        "swapped": ("Confirming", "Emit ReadKey"),
        "not swapped, other": ("Watching", "-"),
        "not swapped, ours": ("Releasing", "-"),
    },
}
READERS = {"unread, asked", "confirming"}
READS = {"read, same", "read, newer", "read, released"}
SWAPS = {"swapped", "not swapped, other", "not swapped, ours"}


def fits(state: str, input_: str) -> bool:
    """Whether a driver that makes no mistake can give this input in this state."""
    phase = STATES[state]
    asked = not isinstance(phase, Watching) and phase.request is not None
    return not asked or input_ not in (SWAPS if state in READERS else READS)


@pytest.mark.parametrize(
    ("state", "input_"), [(state, input_) for state in STATES for input_ in INPUTS if fits(state, input_)]
)
def test_every_state_with_every_input(state: str, input_: str) -> None:
    memory = Memory(STATES[state], WISH, 4)
    after, effects = step(PARAMS, ME, memory, NOW, INPUTS[input_])
    name = "=" if after.phase == memory.phase else type(after.phase).__name__
    assert (name, " ".join(type(effect).__name__ for effect in effects) or "-") == OUTCOMES[state][input_]


@pytest.mark.parametrize(
    ("state", "input_"), [(state, input_) for state in STATES for input_ in INPUTS if not fits(state, input_)]
)
def test_an_answer_that_does_not_fit_the_question_is_a_mistake_of_ours(state: str, input_: str) -> None:
    with pytest.raises(LocalError):
        step(PARAMS, ME, Memory(STATES[state], WISH, 4), NOW, INPUTS[input_])


@pytest.mark.parametrize("late", [timedelta(0), D, 2 * D])
@pytest.mark.parametrize("wished_for", [timedelta(days=1), D, R])
@pytest.mark.parametrize("state", STATES)
def test_no_state_asks_for_the_past_after_its_deadline_was_served(
    state: str, wished_for: timedelta, late: timedelta
) -> None:
    """A machine that did would keep its process busy for ever."""
    memory, now = Memory(STATES[state], Wish(NOW + wished_for, timedelta(0), 1), 4), NOW
    for _ in range(50):
        wanted = deadline(PARAMS, ME, memory)
        if wanted is None:
            return
        now = max(now, wanted.at, key=lambda at: at.us) + late
        memory, _ = step(PARAMS, ME, memory, now, TimerFired())
        again = deadline(PARAMS, ME, memory)
        assert again is None or again.at > now


values = st.sampled_from([held(ME, epoch=2), held(OTHER), held(ME), released(OTHER), released(ME), b"?", None])
states = st.builds(KeyState, st.integers(0, 12), values)
results = st.builds(KeyRead, states) | st.builds(Swapped, st.integers(1, 12)) | st.builds(NotSwapped, states)
durations = st.sampled_from([timedelta(0), MS, 24 * MS, R, LIMIT, D, 2 * D])
Choice = Callable[[Lease, Instant, "ReadKey | SwapKey | None"], LeaseInput]


def answering(result: KeyRead | Swapped | NotSwapped) -> Choice:
    """An answer to the question that was asked last, made to fit it; without one, a stale answer."""

    def choose(_: Lease, __: Instant, asked: ReadKey | SwapKey | None) -> LeaseInput:
        if asked is None or isinstance(asked, ReadKey) != isinstance(result, KeyRead):
            return StoreAnswered(asked.request if asked is not None else 1, StoreFailed("refused"))
        return StoreAnswered(asked.request, result)

    return choose


def plain(input_: LeaseInput) -> Choice:
    return lambda _lease, _now, _asked: input_


def want(for_: timedelta) -> Choice:
    return lambda _lease, now, _asked: Want(now + for_)


choices = (
    results.map(answering)
    | durations.map(want)
    | st.just(plain(NotWant()))
    | st.just(plain(TimerFired()))
    | st.builds(RevisionSeen, states).map(plain)
)


@settings(max_examples=300)
@given(st.lists(st.tuples(durations, choices), max_size=60), st.sampled_from([D, D / 5, 3 * D]))
def test_any_history_keeps_the_machine_s_promises(
    history: list[tuple[timedelta, Choice]], other_duration: timedelta
) -> None:
    """However the store lies: grants and losses alternate, expiry comes first, one request is awaited."""
    lease, now = Lease(PARAMS, ME, START), START
    granted: Granted | None = None
    asked: ReadKey | SwapKey | None = None
    for number, (pause, choose) in enumerate(history):
        now += pause
        if number == len(history) // 2:
            lease.params = LeaseParams.usual(KEY, other_duration)
        expired = granted is not None and now >= granted.valid_until
        effects = lease.handle(now, choose(lease, now, asked))
        if expired:
            assert isinstance(effects[0], Lost)
            assert effects[0].reason in (LossReason.EXPIRED, LossReason.HOLDER_SILENT)
        requests = [effect for effect in effects if isinstance(effect, ReadKey | SwapKey)]
        assert len(requests) <= 1
        asked = requests[0] if requests else asked
        for effect in effects:
            if isinstance(effect, Granted):
                assert effect.valid_until > now
                assert granted is None or (effect.epoch == granted.epoch and effect.valid_until >= granted.valid_until)
                granted = effect
            elif isinstance(effect, Lost):
                assert granted is not None
                assert effect.epoch == granted.epoch
                granted = None
        assert isinstance(lease.memory.phase, Holding) == (granted is not None)
        again = lease.deadline()
        assert again is None or again.at > now
