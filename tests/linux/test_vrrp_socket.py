"""When a packet was received, whatever the wall clock does meanwhile."""

import pytest

from yaoki.linux.vrrp_socket import received_at

MS = 1_000_000
WALL = 1_700_000_000_000 * MS
NOW = 5_000 * MS


@pytest.mark.parametrize(
    ("stamped_before_ms", "wall_step_ms", "age_ms"),
    [
        (0, 0, 0),
        (3, 0, 3),
        (49, 0, 49),
        (3, 3_600_000, 50),  # stepped forward: as old as it can be, that is since the socket was empty
        (3, -3_600_000, 0),  # stepped back: just now
        (3, 10, 13),
        (3, -2, 1),
    ],
)
def test_age_is_between_nothing_and_the_time_since_the_socket_was_empty(
    stamped_before_ms: int, wall_step_ms: int, age_ms: int
) -> None:
    received = received_at(
        WALL - stamped_before_ms * MS,
        now_ns=NOW,
        wall_ns=WALL + wall_step_ms * MS,
        emptied_ns=NOW - 50 * MS,
    )
    assert received == NOW - age_ms * MS
