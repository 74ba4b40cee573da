"""vrrp_sync_groups as sync groups of the site: those whose VIPs are owned alike.

keepalived's groups may hold instances of any priorities, and it then moves what it can; here all VIPs of a group have
the same members with the same priorities, and move at the same times.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.configuration import Configuration, Group
from yaoki.site.foreign.keepalived.naming import Names
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.vips import JoinedVip

_ALIKE: tuple[tuple[str, Callable[[JoinedVip], object]], ...] = (
    ("members or priorities", lambda vip: {node: one.priority for node, one in vip.instances.items()}),
    ("advert_int", lambda vip: vip.leading.advertise),
    ("nopreempt", lambda vip: vip.sticky),
    ("preempt_delay", lambda vip: None if vip.sticky or (d := vip.leading.preempt_delay) is None else d[0]),
)


@dataclass(frozen=True, slots=True)
class JoinedGroup:
    """A sync group: its name, and those of its VIPs."""

    name: str
    vips: tuple[str, ...]


class GroupJoiner:
    """Makes the sync groups of all files."""

    def __init__(self, vips: Sequence[JoinedVip], report: Report) -> None:
        self._vips = vips
        self._report = report
        self._names = Names()
        self._made: dict[str, JoinedGroup] = {}

    def join(self, configurations: Iterable[Configuration]) -> tuple[JoinedGroup, ...]:
        """The groups, in the order in which the files first name them; and a remark on every group's members."""
        for node in configurations:
            for group in node.groups:
                self._group(node.name, group)
        return tuple({id(group): group for group in self._made.values()}.values())

    def _group(self, node: str, group: Group) -> None:
        wanted = {instance for statement in _members(group) for instance in (statement.keyword, *statement.values)}
        vips = [vip for vip in self._vips if node in vip.instances and vip.instances[node].name in wanted]
        why = self._why_not(vips)
        if why is not None:
            self._report.not_taken(group.source, f"VIPs that move together: {why}")
            for block in group.source.items:
                if block.keyword == "group":
                    self._report.whole_not_taken(block, f"VIPs that move together: {why}")
            return
        names = tuple(vip.name for vip in vips)
        made = self._made.get(names[0])
        if made is None:
            made = JoinedGroup(self._names.give(group.name, "group"), names)
            self._made |= dict.fromkeys(names, made)
        self._report.taken(group.source, f"the sync group {made.name}")
        for block in group.source.items:
            if block.keyword == "group":
                self._report.taken(block, "its VIPs")
        for statement in _members(group):
            self._member(node, statement, made)

    def _member(self, node: str, statement: Statement, made: JoinedGroup) -> None:
        found = {vip.instances[node].name: vip.name for vip in self._vips if node in vip.instances}
        words = (statement.keyword, *statement.values)
        missing = [word for word in words if found.get(word) not in made.vips]
        if missing:
            self._report.not_taken(statement, f"{missing[0]} is no VIP here")
        else:
            self._report.taken(statement, " and ".join(f"the VIP {found[word]}" for word in words))

    def _why_not(self, vips: Sequence[JoinedVip]) -> str | None:
        """Why these VIPs make no group; None if they do."""
        if not vips:
            return "none of them is a VIP here"
        names = tuple(vip.name for vip in vips)
        for vip in vips:
            made = self._made.get(vip.name)
            if made is not None and made.vips != names:
                return f"{vip.name} is in the sync group {made.name}, which has other VIPs"
        for what, value in _ALIKE:
            other = next((vip for vip in vips if value(vip) != value(vips[0])), None)
            if other is not None:
                return f"{what} of {other.name} and {vips[0].name} differ, and those of one group must not"
        return None


def _members(group: Group) -> Iterable[Statement]:
    return [inner for block in group.source.items if block.keyword == "group" for inner in block.items]
