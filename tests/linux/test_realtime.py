"""What a speaker does to be punctual, seen from inside a process of its own."""

import subprocess
import sys

PROGRAM = """
import gc
from yaoki.linux.realtime import stop_collecting

class Knot:
    fallen = 0
    def __del__(self):
        Knot.fallen += 1

stop_collecting()
for _ in range(100_000):
    knot = Knot()
    knot.itself = knot
print(gc.isenabled(), gc.get_freeze_count() > 1000, Knot.fallen)
"""


def test_nothing_is_collected_any_more() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60)
    assert told.stdout.split() == ["False", "True", "0"]
