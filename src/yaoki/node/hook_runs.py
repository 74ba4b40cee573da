"""Which hooks run on what the Brain tells, and which never will."""

from collections.abc import Iterable

from yaoki.core.event import EventBody
from yaoki.node.brain_events import HookNeverRuns
from yaoki.node.brain_messages import BrainEffect, RunHook
from yaoki.node.events import KIND_NAMES
from yaoki.node.hook_environment import hook_environment, runs_on
from yaoki.node.messages import Published
from yaoki.site.node_plan import NodePlan


def with_hooks(plan: NodePlan, effects: Iterable[BrainEffect]) -> list[BrainEffect]:
    """The same effects, each event followed by the hooks that run on it."""
    result: list[BrainEffect] = []
    for effect in effects:
        result.append(effect)
        if isinstance(effect, Published):
            environment = hook_environment(plan, effect.event)
            wanted = (hook for hook in plan.hooks if runs_on(hook, effect.event.body))
            result += [RunHook(hook.name, environment) for hook in wanted]
    return result


def questioned(plan: NodePlan) -> list[EventBody]:
    """Hooks that wait for events that there are none of."""
    unknown = {hook.name: tuple(kind for kind in hook.on if kind not in KIND_NAMES) for hook in plan.hooks}
    return [HookNeverRuns(name, on) for name, on in unknown.items() if on]
