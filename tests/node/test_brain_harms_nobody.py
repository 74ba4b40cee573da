"""First do no harm, over any history: verdicts, people, reloads, restarts, refusals, pauses.

Checked against the tables as the kernel has them, not against what the Brain believes.
"""

from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.node.scene import ROUTER, Scene, of, plan, server, service
from yaoki.lb.service import Desired
from yaoki.node.brain_messages import (
    ApplyBalancer,
    BrainEffect,
    NewPlan,
    Operate,
    PlanReason,
    SpeakerBack,
    SpeakerLost,
    WorkerBack,
    WorkerLost,
)
from yaoki.node.decisions import Decisions, Pause, Resume, SetServerAdmin, SetServerWeight
from yaoki.node.messages import SetPriority
from yaoki.pool.member import AdminState, Duty, Health
from yaoki.site.node_plan import NodePlan

NUMBERS = st.integers(1, 4)
ADMINS = st.sampled_from(AdminState)


class OneNode(RuleBasedStateMachine):
    """A Brain, the tables that it has put into the kernel, and what was ever said about each server."""

    def __init__(self) -> None:
        super().__init__()
        self.scene = Scene()
        self.plan: NodePlan = plan(service(servers=[server(1), server(2)]))
        self.decisions = Decisions()
        self.tables = Desired()
        self.verdicts: dict[str, Health] = {}
        self.priority: int | None = None

    # --- what happens -------------------------------------------------------------------------------------------------

    @initialize()
    def start(self) -> None:
        self.take(self.scene.start(self.plan))

    @rule(number=NUMBERS, health=st.sampled_from([Health.UP, Health.DOWN]))
    def a_check_speaks(self, number: int, health: Health) -> None:
        name = f"web{number}"
        checked = any(check.id.target == server(number).address for check in self.plan.checks)
        if checked and not self.is_in_maintenance(name):
            self.verdicts[name] = health
        before = self.duties()
        self.take(self.scene.verdict(number, health))
        for other, duty in self.duties().items():
            if before.get(other) is Duty.SERVE and duty is Duty.OUT:
                assert self.verdicts.get(other) is Health.DOWN or self.is_in_maintenance(other)

    @rule(number=NUMBERS, admin=ADMINS)
    def a_person_decides(self, number: int, admin: AdminState) -> None:
        before = self.duties()
        self.take(self.scene.give(Operate(1, SetServerAdmin(f"web{number}", admin))))
        self.decisions = self.scene.brain.decisions
        if admin is AdminState.MAINT:
            self.verdicts.pop(f"web{number}", None)
        for other, duty in self.duties().items():
            if other != f"web{number}" and before.get(other) is Duty.SERVE:
                assert duty is not Duty.OUT or self.verdicts.get(other) is Health.DOWN

    @rule(number=NUMBERS, weight=st.sampled_from([0, 1, 1000, None]))
    def a_person_weighs(self, number: int, weight: int | None) -> None:
        self.take(self.scene.give(Operate(1, SetServerWeight(f"web{number}", weight))))
        self.decisions = self.scene.brain.decisions

    @rule(numbers=st.sets(NUMBERS, min_size=1))
    def the_file_changes(self, numbers: set[int]) -> None:
        before = self.duties()
        self.plan = plan(service(servers=[server(number) for number in sorted(numbers)]), generation=str(numbers))
        self.verdicts = {name: health for name, health in self.verdicts.items() if int(name[3:]) in numbers}
        self.take(self.scene.give(NewPlan(self.plan, PlanReason.RELOAD)))
        if not self.scene.brain.decisions.paused and self.scene.refusal is None:
            for name, duty in before.items():
                if int(name[3:]) in numbers and duty is Duty.SERVE and not self.is_set_aside(name):
                    assert self.duties()[name] is Duty.SERVE or self.verdicts.get(name) is Health.DOWN

    @rule()
    def the_process_is_killed_and_comes_back(self) -> None:
        before = self.duties()
        refusal, now = self.scene.refusal, self.scene.now
        self.scene = Scene(decisions=self.decisions, found=self.tables)
        self.scene.refusal, self.scene.now = refusal, now
        self.verdicts = {}
        self.take(self.scene.start(self.plan))
        for name, duty in self.duties().items():
            if before.get(name) in (Duty.SERVE, Duty.DRAIN):
                assert duty is not Duty.OUT or self.is_in_maintenance(name), "flows are not cut by a restart"
            if before.get(name) is Duty.SERVE and not self.is_set_aside(name):
                assert duty is Duty.SERVE, "new flows are not turned away by a restart"
            if before.get(name) is Duty.OUT:
                assert duty is Duty.OUT, "a server found out is not believed before its check has passed"

    @rule(lost=st.booleans())
    def a_part_goes_and_comes_back(self, lost: bool) -> None:
        before = self.tables
        if lost:
            self.take(self.scene.give(WorkerLost("it died"), SpeakerLost("it died")))
        self.take(self.scene.give(WorkerBack(), SpeakerBack()))
        assert self.tables == before

    @rule(seconds=st.integers(0, 20))
    def time_passes(self, seconds: int) -> None:
        self.take(self.scene.pass_time(timedelta(seconds=seconds)))

    @rule(refuses=st.booleans())
    def the_kernel_refuses_or_not(self, refuses: bool) -> None:
        self.scene.refusal = "no" if refuses else None

    @rule(paused=st.booleans())
    def a_person_pauses_or_resumes(self, paused: bool) -> None:
        self.take(self.scene.give(Operate(1, Pause() if paused else Resume())))
        self.decisions = self.scene.brain.decisions

    # --- what must hold -----------------------------------------------------------------------------------------------

    @invariant()
    @precondition(lambda self: self.tables.services)
    def a_server_is_out_only_for_a_reason(self) -> None:
        for name, duty in self.duties().items():
            if duty is Duty.OUT and self.is_current():
                believed = self.verdicts.get(name)
                assert believed is not Health.UP or self.is_in_maintenance(name)

    @invariant()
    @precondition(lambda self: self.tables.services)
    def whoever_is_proven_serves(self) -> None:
        if self.is_current():
            for name, duty in self.duties().items():
                if self.verdicts.get(name) is Health.UP and not self.is_set_aside(name):
                    assert duty is Duty.SERVE

    @invariant()
    @precondition(lambda self: self.tables.services)
    def whoever_is_known_dead_does_not_serve(self) -> None:
        if self.is_current():
            for name, duty in self.duties().items():
                if self.verdicts.get(name) is Health.DOWN and not self.is_set_aside(name):
                    assert duty is Duty.OUT

    @invariant()
    @precondition(lambda self: self.tables.services)
    def the_tables_are_what_is_wanted_unless_the_kernel_or_a_person_says_no(self) -> None:
        if self.is_current():
            assert self.tables == self.scene.brain.desired()

    @invariant()
    def the_priority_is_low_only_while_nobody_is_known_to_work(self) -> None:
        if self.scene.brain.plan is None or not self.is_current() or self.priority is None:
            return
        proven = [n for n, h in self.verdicts.items() if h is Health.UP and not self.is_set_aside(n)]
        if proven:
            assert self.priority == 150

    # --- looking ------------------------------------------------------------------------------------------------------

    def take(self, effects: list[BrainEffect]) -> None:
        if self.scene.applied:
            self.tables = self.scene.applied[-1]
        assert all(order.router == ROUTER for order in of(SetPriority, effects))
        for order in of(SetPriority, effects):
            self.priority = order.priority
        assert len(of(ApplyBalancer, effects)) <= 10, "no storm"

    def duties(self) -> dict[str, Duty]:
        return {s.name: s.duty for found in self.tables.services for s in found.servers}

    def is_current(self) -> bool:
        """Whether nothing keeps the wish from the kernel."""
        return not self.decisions.paused and self.scene.refusal is None and self.scene.brain.balancer.refusal is None

    def is_in_maintenance(self, name: str) -> bool:
        return self.decisions.admin(name, "web") is AdminState.MAINT

    def is_set_aside(self, name: str) -> bool:
        """Whether a person keeps new flows from it."""
        return self.decisions.admin(name, "web") is not AdminState.READY or self.decisions.weight(name, "web", 1) == 0


TestOneNode = OneNode.TestCase
TestOneNode.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
