"""Replacing the node process by a new one, and waiting until that answers."""

import time
from pathlib import Path

from yaoki.cli.node_client import NodeClient
from yaoki.core.error import UsageError
from yaoki.node.brain_events import Part
from yaoki.runtime.requests import Life

WAIT_S = 30.0
_POLL_S = 0.05


def renew(run_dir: Path, *, parts: tuple[Part, ...]) -> float:
    """Restart the node process, replacing `parts` on the way; how many seconds until the new one answered."""
    begun = time.monotonic()
    with NodeClient(run_dir) as node:
        before = node.ask_for(Life, "life").start
        node.ask("restart", parts=[part.value for part in parts])
    while time.monotonic() - begun < WAIT_S:
        try:
            with NodeClient(run_dir) as node:
                if node.ask_for(Life, "life").start != before:
                    return time.monotonic() - begun
        except UsageError:
            pass  # between two lives nobody answers
        time.sleep(_POLL_S)
    raise UsageError(f"no new node process answers after {WAIT_S:g} s; its log says why")
