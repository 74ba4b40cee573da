"""track_interface and track_script of instances and groups as tracks of VIPs, vrrp_scripts as checks.

keepalived adds a positive weight while a thing works and a negative one while it fails, the other way round with
`reverse`; a track here adds its weight while the thing fails, with `reverse` while it works. Without a weight (or 0)
the failure keeps the node from owning, on both sides. A VIP's tracks are for every member, so what only one member's
file tracks is not taken.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import Schedule, ScriptParams
from yaoki.site.foreign.keepalived.configuration import Check, Configuration, Instance, Script, Tracked
from yaoki.site.foreign.keepalived.named_checks import NamedChecks
from yaoki.site.foreign.keepalived.networks import Networks, Plug
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.vips import JoinedVip

_SHORTEST = timedelta(milliseconds=10)
_LONGEST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class JoinedTrack:
    """A track of a VIP: an interface of each member, or a check."""

    interface: str | None
    check: str | None
    weight: int | None
    reverse: bool


class TrackJoiner:
    """Makes the tracks of all VIPs."""

    def __init__(
        self, configurations: Iterable[Configuration], networks: Networks, checks: NamedChecks, report: Report
    ) -> None:
        self._nodes = {node.name: node for node in configurations}
        self._networks = networks
        self._checks = checks
        self._report = report
        self._used: set[int] = set()

    def join(self, vips: Iterable[JoinedVip]) -> dict[str, tuple[JoinedTrack, ...]]:
        """The tracks of each VIP, by its name; and a remark on every track and script."""
        found = {vip.name: (*self._interfaces(vip), *self._scripts(vip)) for vip in vips}
        for node in self._nodes.values():
            for script in node.scripts:
                if id(script.source) in self._used:
                    self._report.taken(script.source, "a script check")
                else:
                    self._report.whole_not_taken(script.source, "nothing that is taken tracks it")
            for group in node.groups:
                for tracked in (*group.interfaces, *group.scripts):
                    self._report.not_taken(tracked.source, "none of its group is a VIP here")
        return found

    def _interfaces(self, vip: JoinedVip) -> Iterable[JoinedTrack]:
        by_node = {node: self._tracked(node, one, scripts=False) for node, one in vip.instances.items()}
        for name, tracked in self._agreed(vip, by_node):
            if any(one.interface == name for one in vip.instances.values()):
                self._remark(by_node, name, needed=False)
                continue
            plugs = [Plug(node, name) for node in vip.instances]
            for plug in plugs:
                self._networks.plug_in(plug)
            if any(self._networks.first(plug) != plug for plug in plugs):
                self._remark(by_node, name, lost="another interface stands for the node on its network")
                continue
            weight, reverse = _weight(tracked.weight, reverse=tracked.reverse)
            self._remark(by_node, name, text="track: interface")
            yield JoinedTrack(name, None, weight, reverse)

    def _scripts(self, vip: JoinedVip) -> Iterable[JoinedTrack]:
        by_node = {node: self._tracked(node, one, scripts=True) for node, one in vip.instances.items()}
        for name, tracked in self._agreed(vip, by_node):
            scripts = {node: script for node in vip.instances if (script := self._script(node, name)) is not None}
            if len(scripts) < len(vip.instances):
                self._remark(by_node, name, lost=f"a member's file has no vrrp_script {name} that can be run")
                continue
            leading = scripts[vip.leading_node]
            for script in scripts.values():
                self._used.add(id(script.source))
                if _saying(script) != _saying(leading):
                    self._report.changed(script.source, f"the check {name}, as {leading.source.where.file} has it")
            said = leading.weight if tracked.weight is None else tracked.weight
            weight, reverse = _weight(said, reverse=tracked.reverse)
            self._remark(by_node, name, text="track: check")
            yield JoinedTrack(None, self._check(leading), weight, reverse)

    def _agreed(self, vip: JoinedVip, by_node: Mapping[str, Mapping[str, Tracked]]) -> Iterable[tuple[str, Tracked]]:
        """What every member's file tracks, as the leading one says it; the rest is remarked on."""
        leading = by_node[vip.leading_node]
        for node, tracks in by_node.items():
            for name, tracked in tracks.items():
                missing = next((other for other in by_node if name not in by_node[other]), None)
                if missing is not None:
                    why = f"the file of {missing} does not track it, and a VIP's tracks are for every member"
                    self._report.not_taken(tracked.source, why)
                elif node == vip.leading_node:
                    yield name, tracked
                elif (tracked.weight, tracked.reverse) != (leading[name].weight, leading[name].reverse):
                    self._report.changed(tracked.source, f"track: with the weight that {vip.leading_node} gives it")

    def _tracked(self, node: str, instance: Instance, *, scripts: bool) -> dict[str, Tracked]:
        """What an instance tracks by itself and by its groups; its own word comes first."""
        groups = [group for group in self._nodes[node].groups if instance.name in group.members]
        own = instance.scripts if scripts else instance.interfaces
        theirs = [one for group in groups for one in (group.scripts if scripts else group.interfaces)]
        found: dict[str, Tracked] = {}
        for tracked in (*own, *theirs):
            found.setdefault(tracked.name, tracked)
        return found

    def _script(self, node: str, name: str) -> Script | None:
        return next((script for script in self._nodes[node].scripts if script.name == name), None)

    def _check(self, script: Script) -> str:
        params = ScriptParams(script.command) if script.user is None else ScriptParams(script.command, script.user)
        if script.user is None:
            self._report.changed(script.source, "a script check; it runs as nobody, for no user is named")
        interval = max(script.interval, _SHORTEST)
        timeout = min(max(script.timeout, _SHORTEST), _LONGEST)
        schedule = Schedule(interval=interval, timeout=timeout, fall=script.fall, rise=script.rise)
        return self._checks.name(Check(params, schedule, script.source), script.name)

    def _remark(
        self,
        by_node: Mapping[str, Mapping[str, Tracked]],
        name: str,
        *,
        text: str = "",
        lost: str = "",
        needed: bool = True,
    ) -> None:
        for tracks in by_node.values():
            if lost:
                self._report.not_taken(tracks[name].source, lost)
            elif needed:
                self._report.taken(tracks[name].source, text)
            else:
                self._report.not_needed(tracks[name].source, "a node without its interface does not own")


def _weight(weight: int | None, *, reverse: bool) -> tuple[int | None, bool]:
    """The weight here, and whether it counts while the thing works."""
    if not weight:
        return None, reverse
    if reverse:
        return -weight, weight > 0
    return weight, weight > 0


def _saying(script: Script) -> tuple[object, ...]:
    return script.command, script.interval, script.timeout, script.weight, script.rise, script.fall, script.user
