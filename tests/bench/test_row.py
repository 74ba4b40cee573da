import pytest

from bench.row import Row, table


@pytest.mark.parametrize(
    ("row", "ratio", "ok"),
    [
        (Row("a", 50.0, "ms", peer=100.0, peer_name="keepalived", goal="<= 0.6"), 0.5, True),
        (Row("a", 50.0, "ms", peer=100.0, peer_name="keepalived", goal=">= 0.6"), 0.5, False),
        (Row("a", 50.0, "ms", goal="<= 60"), None, True),
        (Row("a", 50.0, "ms"), None, None),
        (Row("a", 50.0, "ms", peer=25.0, peer_name="keepalived", goal="ours <= 60"), 2.0, True),
        (Row("a", 50.0, "ms", peer=100.0, peer_name="keepalived", goal="ours <= 40"), 0.5, False),
        (Row("a", 5.0, "ms", peer=0.0, peer_name="keepalived", goal="<= 1"), None, False),
        (Row("a", 0.0, "ms", peer=0.0, peer_name="keepalived", goal="<= 1"), None, True),
        (Row("a", 0.0, "ms", peer_name="keepalived", goal="<= 1"), None, False),
        (Row("a", 5.0, "ms", peer_name="keepalived", goal="ours <= 6"), None, True),
        (Row("a", None, "ms", peer=5.0, peer_name="keepalived", goal="ours <= 6"), None, False),
        (Row("a", None, "ms"), None, False),
    ],
)
def test_a_goal_bounds_the_ratio_to_the_peer_or_our_own_figure(row: Row, ratio: float | None, ok: bool | None) -> None:
    assert row.ratio == ratio
    assert row.ok is ok


def test_the_table_marks_a_missed_goal() -> None:
    text = table([Row("link down", 300.0, "ms", peer=280.0, peer_name="keepalived", goal="<= 1.05")])
    assert text.splitlines()[1].split() == [
        "link",
        "down",
        "300",
        "280",
        "(keepalived)",
        "ms",
        "1.07",
        "<=",
        "1.05",
        "NO",
    ]
