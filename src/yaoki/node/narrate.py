"""What a decision means, as event bodies: the difference between two selections of a pool, and a person's command."""

from typing import assert_never

from yaoki.core.event import EventBody
from yaoki.node.brain_events import (
    PanicBegan,
    PanicEnded,
    Paused,
    Resumed,
    ServerAdministered,
    ServerDutyChanged,
    ServerWeighed,
    ServiceEmpty,
    ServiceServing,
    ServiceSwitched,
    VipAdmitted,
    VipMoved,
)
from yaoki.node.decisions import (
    AdmitVip,
    MoveVip,
    OperatorCommand,
    Pause,
    Resume,
    SetServerAdmin,
    SetServerWeight,
    SetServiceEnabled,
)
from yaoki.pool.policy import Outlook, Reason, Selection
from yaoki.site.node_plan import ServicePlan

_BY_CHECKS = (Reason.UP, Reason.SLOW_START, Reason.DOWN, Reason.CHECKER_SUSPECTED, Reason.NOWHERE_BETTER)


def selected(plan: ServicePlan, before: Selection | None, after: Selection, evidence: str) -> list[EventBody]:
    """What changed for a service, each the cause of the next: servers first, then what it means for the whole.

    The first selection of all tells only of a service that has nobody; a thousand servers that begin to serve are not
    news.
    """
    name, address = plan.name, plan.key.address
    bodies: list[EventBody] = []
    held = {} if before is None else {member.name: member for member in before.members}
    for member in after.members:
        if member.name in held and held[member.name].duty is not member.duty:
            shown = evidence if member.reason in _BY_CHECKS else ""
            bodies.append(ServerDutyChanged(name, address, member.name, member.duty, member.reason, shown))
    was_suspected = before is not None and before.outlook is Outlook.CHECKER_SUSPECTED
    if after.outlook is Outlook.CHECKER_SUSPECTED and not was_suspected:
        failing = sum(member.reason is Reason.CHECKER_SUSPECTED for member in after.members)
        bodies.append(PanicBegan(name, address, failing, len(after.members)))
    elif was_suspected and after.outlook is not Outlook.CHECKER_SUSPECTED:
        bodies.append(PanicEnded(name, address))
    if after.failed and not (before is not None and before.failed):
        bodies.append(ServiceEmpty(name, address, after.outlook))
    elif before is not None and before.failed and not after.failed:
        bodies.append(ServiceServing(name, address))
    return bodies


def decided(command: OperatorCommand) -> EventBody:
    """What a person did."""
    match command:
        case SetServerAdmin():
            return ServerAdministered(command.server, command.service, command.admin)
        case SetServerWeight():
            return ServerWeighed(command.server, command.service, command.weight)
        case SetServiceEnabled():
            return ServiceSwitched(command.service, command.enabled)
        case Pause():
            return Paused()
        case Resume():
            return Resumed()
        case MoveVip():
            return VipMoved(command.vip, command.to)
        case AdmitVip():
            return VipAdmitted(command.vip)
        case _:
            assert_never(command)
