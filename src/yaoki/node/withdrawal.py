"""VIPs that nobody is to own, because every service on them is disabled and the site file has them withdrawn then.

Invariants: of a VIP without services, or one that the file keeps, nothing follows; a VIP is withdrawn exactly while all
its services are disabled here, so each node withdraws its own share, and the last to do so leaves nobody.
"""

from yaoki.core.event import EventBody
from yaoki.node.brain_events import VipWithdrawn
from yaoki.node.decisions import AdmitVip, Decisions, MoveVip, OperatorCommand, Refused
from yaoki.site.node_plan import NodePlan
from yaoki.site.withdrawal import withdrawn


class Withdrawal:
    """`vips` are those that are withdrawn now."""

    def __init__(self) -> None:
        self.vips: frozenset[str] = frozenset()

    def follow(self, plan: NodePlan, decisions: Decisions) -> list[EventBody]:
        """Look again, after another plan or decision; what to tell of what has changed."""
        before, self.vips = self.vips, withdrawn(plan, decisions.enabled)
        known = {router.vip for router in plan.routers}
        changed = sorted((before ^ self.vips) & known)
        return [VipWithdrawn(vip, vip in self.vips) for vip in changed]

    def refuses(self, command: OperatorCommand) -> Refused | None:
        """Why a VIP cannot be moved or admitted: nobody has it."""
        if isinstance(command, AdmitVip | MoveVip) and command.vip in self.vips:
            return Refused(f"{command.vip} is withdrawn: its services are disabled", "yaoki service enable NAME")
        return None
