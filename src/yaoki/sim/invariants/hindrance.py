"""Invariants of nodes that may not own for a check that they track."""

from functools import partial

from yaoki.checks.check import CheckId
from yaoki.node.messages import VerdictChanged
from yaoki.pool.member import Health
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.timeline import MILLISECOND
from yaoki.sim.topology import Virtual
from yaoki.site.node_plan import TrackedProbe
from yaoki.vrrp.events import Reason

_BARRED = (Reason.BARRED.value, Reason.KEPT.value)
# Of verdicts that waited, the main process takes one after the other.
SLACK_US = 50 * MILLISECOND


class UnbarredByAnswer(Invariant):
    """See `holds`."""

    name = "unbarred by answer"
    holds = (
        "while its speaker lives, a node that may not own a VIP for a check may own it again only after a verdict on "
        "that, whatever else is restarted, and wherever a VIP is moved"
    )

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._words: dict[tuple[str, CheckId], Health] = {}
        """What each running worker last said."""
        self._barred: set[tuple[Virtual, str]] = set()
        self._unanswered: set[tuple[Virtual, str]] = set()
        """Which are barred by a check, on which no other verdict has come since."""

    def started(self, process: str, /) -> None:
        node, _, part = process.partition("/")
        if part == "checks":
            self._words = {key: word for key, word in self._words.items() if key[0] != node}

    def judged(self, node: str, verdict: VerdictChanged, /) -> None:
        self._words[node, verdict.check] = verdict.health
        for virtual, other in list(self._unanswered):
            if other == node and not self._bars(virtual, node):
                self._unanswered.discard((virtual, node))

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            key, status = (virtual, node), self.ledger.status(virtual, node)
            if status is None:
                self._barred.discard(key)
                self._unanswered.discard(key)
            elif status.reason in _BARRED:
                if key not in self._barred and self._bars(virtual, node):
                    self._unanswered.add(key)
                self._barred.add(key)
            elif key in self._barred and status.priority > 0:
                self._barred.discard(key)
                if key in self._unanswered:
                    self.ledger.timeline.after(SLACK_US, partial(self._look_again, virtual, node))

    def _look_again(self, virtual: Virtual, node: str) -> None:
        status = self.ledger.status(virtual, node)
        if status is not None and (virtual, node) in self._unanswered and status.priority > 0:
            self.broken(f"{node} may own {virtual} again, and its check has not spoken since it was barred")

    def _bars(self, virtual: Virtual, node: str) -> bool:
        """Whether a check bars, by the last that was said of it; one that was not judged since then still does."""
        unjudged, router = (virtual, node) in self._unanswered, virtual.params(node).key
        for track in self.ledger.plan(node).tracks:
            if track.router == router and track.weight is None and isinstance(track.tracked, TrackedProbe):
                word = self._words.get((node, track.tracked.check))
                if unjudged if word is None else (word is Health.UP) is track.reverse:
                    return True
        return False
