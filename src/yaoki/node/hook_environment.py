"""What a hook is told: its event as environment variables, all of them named YAOKI_ something."""

import re
from dataclasses import fields

from yaoki.core.event import Event, EventBody
from yaoki.site.model import Hook
from yaoki.site.node_plan import NodePlan

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def kind_of(body: EventBody | type[EventBody]) -> str:
    """The name of an event kind as people write it: BecameActive is "became-active"."""
    name = body.__name__ if isinstance(body, type) else type(body).__name__
    return _HUMP.sub("-", name).lower()


def hook_environment(plan: NodePlan, event: Event) -> tuple[tuple[str, str], ...]:
    """YAOKI_EVENT is the kind; each field of the event is YAOKI_ and its name in capitals."""
    body = event.body
    return (
        ("YAOKI_EVENT", kind_of(body)),
        ("YAOKI_EVENT_ID", str(event.id)),
        ("YAOKI_BECAUSE", "" if event.because is None else str(event.because)),
        ("YAOKI_SEVERITY", body.SEVERITY.value),
        ("YAOKI_SITE", plan.site),
        ("YAOKI_NODE", plan.node),
        *((f"YAOKI_{field.name.upper()}", _text(getattr(body, field.name))) for field in fields(body)),
    )


def runs_on(hook: Hook, body: EventBody) -> bool:
    """Whether a hook is for an event: of one of its kinds and, if it names VIPs, of one of these."""
    return kind_of(body) in hook.on and (not hook.vips or getattr(body, "vip", None) in hook.vips)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, tuple):
        return " ".join(map(_text, value))
    return str(getattr(value, "value", value))
