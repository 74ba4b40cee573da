"""How long the place of a dead node was empty: what the cold standby that takes it knows of that.

Most of the time to restore is people's: until somebody noticed, decided, and switched the machine on. It is told apart
from what this machine needs.
"""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from yaoki.cli.node_client import NodeClient
from yaoki.core.error import UsageError
from yaoki.node.messages import RouterState
from yaoki.node.snapshot import NodeView, RouterView

SETTLES_WITHIN_S = 15.0
_PAUSE_S = 0.05


def last_heard(run_dir: Path, node: str) -> timedelta | None:
    """How long ago the node that runs here heard another; None if none runs here, or it never did."""
    view = _status(run_dir)
    ages = [path.heard for peer in view.peers if peer.node == node for path in peer.paths] if view is not None else []
    return min((age for age in ages if age is not None), default=None)


def in_service(run_dir: Path, begun: float) -> Iterator[str]:
    """What became of each VIP, and how long after `begun` that was; at most after SETTLES_WITHIN_S."""
    told: set[tuple[str, str]] = set()
    while (view := _status(run_dir)) is not None and time.monotonic() - begun < SETTLES_WITHIN_S:
        after = f"{time.monotonic() - begun:.1f} s after the file was taken"
        for router in view.routers:
            place = router.vip, str(router.family.value)
            if router.state is RouterState.ACTIVE and place not in told:
                told.add(place)
                yield f"{router.vip} (IPv{router.family.value}) is served here {after}"
        if view.routers and all(_is_final(router) for router in view.routers):
            return
        time.sleep(_PAUSE_S)


def _is_final(router: RouterView) -> bool:
    """A Backup that hears a better owner goes on hearing it; any other takes over soon."""
    better = (router.peer_priority or 0) > (router.priority or 0)
    return router.state is RouterState.ACTIVE or (router.state is RouterState.BACKUP and better)


def _status(run_dir: Path) -> NodeView | None:
    if not (run_dir / "control.sock").exists():
        return None
    try:
        with NodeClient(run_dir) as client:
            view: NodeView = client.ask_for(NodeView, "status")
    except UsageError:
        return None
    return view
