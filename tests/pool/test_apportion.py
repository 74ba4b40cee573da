import pytest
from hypothesis import given
from hypothesis import strategies as st

from yaoki.pool.apportion import apportion

weights = st.lists(st.integers(min_value=1, max_value=65535), min_size=1, max_size=20)
slots = st.integers(min_value=20, max_value=2000)


@pytest.mark.parametrize(
    ("given_weights", "slots_", "expected"),
    [
        ((1, 1, 1), 3, (1, 1, 1)),
        ((1, 1, 1), 10, (4, 3, 3)),
        ((1000, 500), 256, (171, 85)),
        ((1000, 1000, 137), 256, (120, 120, 16)),
        ((1, 65535), 256, (1, 255)),
        ((1, 1, 1, 65535), 4, (1, 1, 1, 1)),
        ((7,), 5, (5,)),
    ],
)
def test_known_divisions(given_weights: tuple[int, ...], slots_: int, expected: tuple[int, ...]) -> None:
    assert apportion(given_weights, slots_) == expected


def test_more_weights_than_slots_are_refused() -> None:
    with pytest.raises(ValueError, match="2 slots for 3 weights"):
        apportion((1, 1, 1), 2)


@given(weights, slots)
def test_all_slots_are_given_out_and_everybody_gets_one(found: list[int], count: int) -> None:
    parts = apportion(found, count)
    assert sum(parts) == count
    assert min(parts) >= 1


@given(weights, slots)
def test_nobody_is_a_slot_off_except_in_favour_of_the_lightest(found: list[int], count: int) -> None:
    parts = apportion(found, count)
    exact = [weight * count / sum(found) for weight in found]
    given_away = sum(1 - share for share in exact if share < 1)
    for part, share in zip(parts, exact, strict=True):
        assert part - share < 1
        assert share - part < 1 + given_away
