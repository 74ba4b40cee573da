"""Every kind of event that a node may tell, in one table: what codecs, hooks, lint and wording go by.

To add an event: a frozen dataclass in the events module of its domain, which is found here by its module, and a
sentence in yaoki.node.sentences.
"""

from collections.abc import Iterable
from types import ModuleType

from yaoki.checks import events as check_events
from yaoki.core.event import EventBody
from yaoki.election import events as election_events
from yaoki.lb import flow_events
from yaoki.node import brain_events, diagnosis_events, speaker_events
from yaoki.node.hook_environment import kind_of
from yaoki.vrrp import events as vrrp_events
from yaoki.vrrp import wire_events

_MODULES = (
    vrrp_events,
    speaker_events,
    check_events,
    election_events,
    brain_events,
    wire_events,
    flow_events,
    diagnosis_events,
)


def _bodies(modules: Iterable[ModuleType]) -> dict[str, type[EventBody]]:
    found: dict[str, type[EventBody]] = {}
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, EventBody) and value.__module__ == module.__name__:
                assert value.__name__ not in found, f"two events are called {value.__name__}"
                found[value.__name__] = value
    return found


EVENT_KINDS: dict[str, type[EventBody]] = _bodies(_MODULES)
"""Event bodies by class name."""

KIND_NAMES: tuple[str, ...] = tuple(sorted(kind_of(body) for body in EVENT_KINDS.values()))
"""Event kinds as the site file and hooks name them ("became-active")."""
