"""Invariants of nodes that may not own for a check that they track."""

from yaoki.checks.check import CheckSpec, Finding
from yaoki.sim.invariants.invariant import Invariant
from yaoki.sim.ledger import Ledger
from yaoki.sim.topology import Virtual
from yaoki.site.node_plan import TrackedProbe
from yaoki.vrrp.events import Reason
from yaoki.vrrp.standing import LEAST_PRIORITY

_BARRED = (Reason.BARRED.value, Reason.KEPT.value)


class UnbarredByAnswer(Invariant):
    """See `holds`."""

    name = "unbarred by answer"
    holds = (
        "while its speaker lives, a node that may not own a VIP for a check may own it again only after a probe of "
        "that has ended otherwise, whatever else is restarted; but for a VIP that it is to own only if nobody else does"
    )
    wants_probes = True

    def __init__(self, ledger: Ledger) -> None:
        super().__init__(ledger)
        self._barred: set[tuple[Virtual, str]] = set()
        self._unanswered: set[tuple[Virtual, str]] = set()
        """Which have been barred, and no probe has ended otherwise since."""
        self._barring: dict[tuple[str, int], tuple[CheckSpec, tuple[tuple[Virtual, bool], ...]]] = {}
        """By node, and by identity of the spec as long as it is held here: whom a probe of it may bar, and whether by
        passing."""

    def looked_at(self, virtual: Virtual, /) -> None:
        for node, _ in virtual.members:
            key, status = (virtual, node), self.ledger.status(virtual, node)
            if status is None:
                self._barred.discard(key)
                self._unanswered.discard(key)
            elif status.reason in _BARRED:
                if key not in self._barred and self._only_checks_bar(virtual, node):
                    self._unanswered.add(key)
                self._barred.add(key)
            elif key in self._barred and status.priority > LEAST_PRIORITY:
                self._barred.discard(key)
                if key in self._unanswered:
                    self.broken(f"{node} may own {virtual} again, and no probe has said so since it was barred")

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None:
        for virtual, by_passing in self._barred_by(node, check):
            if finding.passed is not by_passing:
                self._unanswered.discard((virtual, node))

    def _only_checks_bar(self, virtual: Virtual, node: str) -> bool:
        """Whether neither services nor interfaces do."""
        params = virtual.params(node)
        tracks = [track for track in self.ledger.plan(node).tracks if track.router == params.key]
        weights = [track.weight for track in tracks if not isinstance(track.tracked, TrackedProbe)]
        return None not in [*weights, *(track.weight for track in params.tracks)]

    def _barred_by(self, node: str, check: CheckSpec) -> tuple[tuple[Virtual, bool], ...]:
        known = self._barring.get((node, id(check)))
        if known is None:
            found = tuple(
                (self.ledger.virtual(node, track.router), track.reverse)
                for track in self.ledger.plan(node).tracks
                if isinstance(track.tracked, TrackedProbe) and track.tracked.check == check.id
            )
            known = self._barring[node, id(check)] = check, found
        return known[1]
