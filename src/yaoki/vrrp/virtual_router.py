"""One virtual router (RFC 9568, section 6.4; version 2 after RFC 3768, section 6.4). Pure: no clock, no socket.

What it does in each state is in backup.py, active.py and leaving.py, with where it goes beyond the RFCs. A router whose
addresses are in the kernel from before (restart) starts Active, and the election settles the rest.

Invariants: the addresses are held if and only if the state is an Owning one; of two routers that hear each other one
stays Active; `deadline` is None only in Initialize.
"""

from typing import assert_never

from yaoki.core.instant import Deadline, Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.active import become_active, in_active
from yaoki.vrrp.backup import become_backup, in_backup
from yaoki.vrrp.events import Reason
from yaoki.vrrp.leaving import in_leaving, in_yielding
from yaoki.vrrp.params import RouterParams
from yaoki.vrrp.router_state import (
    Active,
    ActiveGone,
    Admit,
    Backup,
    Effect,
    Heard,
    Initialize,
    Input,
    InterfaceLost,
    Leaving,
    LinkRenewed,
    Outcome,
    Reconfigure,
    Shutdown,
    Startup,
    State,
    StepAside,
    Yielding,
)
from yaoki.vrrp.standing import OWNER_PRIORITY


class VirtualRouter:
    """The Machine around `step`: holds the state, and derives the deadline from it.

    `params.source` must be known by the Startup.
    """

    def __init__(self, params: RouterParams) -> None:
        self.params = params
        self.state: State = Initialize()

    def handle(self, now: Instant, input_: Input, /) -> list[Effect]:
        self.state, effects = step(self.params, self.state, now, input_)
        if isinstance(input_, Reconfigure):
            self.params = input_.params
        return effects

    def deadline(self) -> Deadline | None:
        match self.state:
            case Active(advertise_at=advertise_at, announce_at=announce_at):
                if advertise_at <= announce_at:
                    return Deadline(advertise_at, "Adver_Timer")
                return Deadline(announce_at, "announcement")
            case Backup(active_down_at=at):
                return Deadline(at, "Active_Down_Timer")
            case Leaving(advertise_at=advertise_at, give_up_at=give_up_at):
                if advertise_at < give_up_at:
                    return Deadline(advertise_at, "Adver_Timer")
                return Deadline(give_up_at, "end of leaving")
            case Yielding(release_at=at):
                return Deadline(at, "end of the hold")
            case Initialize():
                return None
            case _:
                assert_never(self.state)


def step(params: RouterParams, state: State, now: Instant, input_: Input) -> Outcome:
    """The state after `input_` at `now`, and what is to be done, in order."""
    match state:
        case Active():
            return in_active(params, state, now, input_)
        case Backup():
            return in_backup(params, state, now, input_)
        case Leaving():
            return in_leaving(params, state, now, input_)
        case Yielding():
            return in_yielding(params, state, now, input_)
        case Initialize():
            return _in_initialize(params, state, now, input_)
        case _:
            assert_never(state)


def _in_initialize(params: RouterParams, state: Initialize, now: Instant, input_: Input) -> Outcome:
    """Section 6.4.1."""
    match input_:
        case Startup(held):
            if params.priority == OWNER_PRIORITY:
                return become_active(params, now, Reason.OWNS_ADDRESSES)
            if held:
                return become_active(params, now, Reason.ADDRESSES_HELD)
            first = state.reason is Reason.CONFIGURED
            return become_backup(params, now, Reason.STARTED, first=first, returns=not state.current)
        case Shutdown(reason) | InterfaceLost(reason):
            return Initialize(reason, state.current), []
        case TimerFired() | Heard() | ActiveGone() | LinkRenewed() | StepAside() | Admit() | Reconfigure():
            return state, []
        case _:
            assert_never(input_)
