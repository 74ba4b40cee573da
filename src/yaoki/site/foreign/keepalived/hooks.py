"""notify scripts as hooks: each runs for the VIPs and on the nodes whose files name it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from yaoki.site.foreign.keepalived.configuration import Configuration, Notify
from yaoki.site.foreign.keepalived.naming import Names
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.vips import JoinedVip

_NODE_EVENTS = {"node-stopping"}
"""Events that are of no VIP."""


@dataclass(slots=True)
class JoinedHook:
    """A hook; `vips` is empty where its event is of no VIP."""

    name: str
    event: str
    command: tuple[str, ...]
    user: str | None
    vips: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)


class HookJoiner:
    """Makes hooks."""

    def __init__(self, vips: Iterable[JoinedVip], report: Report) -> None:
        self._vip_of: Mapping[int, str] = {
            id(instance): vip.name for vip in vips for instance in vip.instances.values()
        }
        self._report = report
        self._names = Names()
        self._hooks: dict[tuple[object, ...], JoinedHook] = {}

    def join(self, configurations: Iterable[Configuration]) -> tuple[JoinedHook, ...]:
        """The hooks of all nodes; equal ones are one."""
        for node in configurations:
            vip_names = {one.name: self._vip_of[id(one)] for one in node.instances if id(one) in self._vip_of}
            for instance in node.instances:
                if instance.name in vip_names:
                    for notify in instance.notifies:
                        self._add(notify, node.name, [vip_names[instance.name]])
            for group in node.groups:
                members = [vip_names[name] for name in group.members if name in vip_names]
                for notify in group.notifies:
                    if members:
                        self._add(notify, node.name, members, group=True)
                    else:
                        self._report.not_taken(notify.source, "none of its group is a VIP here")
        return tuple(self._hooks.values())

    def _add(self, notify: Notify, node: str, vips: list[str], *, group: bool = False) -> None:
        if notify.event in _NODE_EVENTS:
            vips = []
        key = (notify.event, notify.command, notify.user, tuple(vips))
        if key not in self._hooks:
            stem = f"{vips[0] if vips else 'node'}-{notify.event}"
            self._hooks[key] = JoinedHook(
                self._names.give(stem, "hook"), notify.event, notify.command, notify.user, list(vips)
            )
        hook = self._hooks[key]
        if node not in hook.nodes:
            hook.nodes.append(node)
        self._remark(notify, hook, group=group)

    def _remark(self, notify: Notify, hook: JoinedHook, *, group: bool) -> None:
        text = f"the hook {hook.name}"
        changes = []
        if notify.user is None:
            changes.append("it runs as nobody, for no user is named")
        if group:
            changes.append("it runs for each VIP of the group")
        if notify.event == "router-initialized":
            changes.append("it runs at a stop as well, and for no failed check")
        if changes:
            self._report.changed(notify.source, f"{text}; {'; '.join(changes)}")
        else:
            self._report.taken(notify.source, text)
