"""vrrp_instance, vrrp_sync_group and vrrp_script of one file, each statement with its remark."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from yaoki.core.address import Family
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.configuration import Address, Group, Instance, Notify, Script, Tracked
from yaoki.site.foreign.keepalived.global_part import Defaults
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import (
    account,
    address,
    command,
    interface,
    interface_address,
    is_unicast,
    number,
    seconds,
    weight,
)
from yaoki.site.units import duration_text

_T = TypeVar("_T")

_SECOND = timedelta(seconds=1)
_CENTISECOND = timedelta(milliseconds=10)
_PRIORITY = 100
_LONGEST_DELAY = timedelta(seconds=1000)
_MAIL = "Yaoki sends no mail: run a hook on the events that matter"
_ANNOUNCING = "Yaoki announces at takeover, again afterwards and on every sign of doubt, by its own schedule"
_MAC = "the addresses are at the MAC of the interface, or with use_vmac at that of RFC 9568"
_AUTHENTICATION = (
    "VRRP has had no authentication since RFC 3768; a keepalived that still asks for it does not hear Yaoki: "
    "remove it there as well while both run"
)

_NOT_NEEDED = {
    "state": "the priorities decide who begins",
    "vmac_xmit_base": "advertisements leave by the interface itself, from the virtual MAC if they are multicast",
    "native_ipv6": "the family is that of the addresses",
    "preempt": "it is the default",
    "garp_master_delay": _ANNOUNCING,
    "garp_master_repeat": _ANNOUNCING,
    "garp_lower_prio_delay": _ANNOUNCING,
    "garp_lower_prio_repeat": _ANNOUNCING,
    "garp_master_refresh": _ANNOUNCING,
    "garp_master_refresh_repeat": _ANNOUNCING,
    "garp_extra_if": _ANNOUNCING,
    "lower_prio_no_advert": "an owner always answers a lower advertisement",
    "higher_prio_send_advert": "an owner that gives way lets the winner announce again by itself",
    "skip_check_adv_addr": "another address list is an event, and never makes a second owner",
    "strict_mode": "the rules of RFC 9568 hold always",
    "promote_secondaries": "addresses are set with marks of their own, none as the secondary of another",
    "check_unicast_src": "advertisements are taken from the members' own addresses only",
    "notify_priority_changes": "every change of priority is an event",
    "debug": "yaoki events shows everything",
}
_NOT_TAKEN = {
    "authentication": _AUTHENTICATION,
    "auth_hmac": "the keys are secrets: put each into a file of its own and name it under authentication",
    "use_vmac_addr": _MAC,
    "use_ipvlan": _MAC,
    "dont_track_primary": "without its interface a node cannot own the addresses",
    "track_src_ip": "the source address is the interface's own",
    "mcast_dst_ip": "Yaoki advertises to the group of RFC 9568",
    "vrf": "start the node process in the VRF",
    "virtual_routes": "routes do not move with a VIP; run a hook on became-active and became-backup",
    "virtual_rules": "rules do not move with a VIP; run a hook on became-active and became-backup",
    "lvs_sync_daemon_interface": "flows are copied to the members of a VIP without being asked for (copy-flows)",
    "linkbeat_use_polling": "the kernel tells of its links",
    "track_file": "files are not tracked; write a script check",
    "track_process": "processes are not tracked; write a script check",
    "track_bfd": "BFD is not spoken; write a neighbour check",
    "smtp_alert": _MAIL,
    "notify_master_rx_lower_pri": "there is no such change of state; run a hook on second-owner-suspected",
    "notify_deleted": "a VIP that is taken out of the site is released as at a stop",
}
_STATES = {
    "notify_master": ("became-active", "MASTER"),
    "notify_backup": ("became-backup", "BACKUP"),
    "notify_fault": ("router-initialized", "FAULT"),
}
_ONCE = {"interface", "virtual_router_id", "priority", "advert_int", "version"}
_ONCE |= {"virtual_ipaddress", "virtual_ipaddress_excluded"}
"""What `_instance` reads; of several, the last."""
_TRACK_WORDS = {"weight", "reverse", "noreverse", "no_reverse"}
_NOTIFY = ("notify", "notify_stop", *_STATES)
_GROUP_NOT_NEEDED = {
    "global_tracking": "what a group tracks, all its VIPs track",
    "sync_group_tracking_weight": "what a group tracks, all its VIPs track",
}


class InstanceReader:
    """Reads the VRRP part of one file."""

    def __init__(self, report: Report, defaults: Defaults) -> None:
        self._report = report
        self._defaults = defaults
        self._keywords: dict[str, Callable[[Instance, Statement], Instance]] = {
            "mcast_src_ip": self._own,
            "unicast_src_ip": self._own,
            "unicast_peer": self._peers,
            "nopreempt": self._nopreempt,
            "preempt_delay": self._preempt_delay,
            "no_accept": self._no_accept,
            "accept": self._accept,
            "use_vmac": self._use_vmac,
            "track_interface": self._interfaces,
            "track_script": self._scripts,
            "down_timer_adverts": self._down_timer,
            **dict.fromkeys(_NOTIFY, self._notified),
        }

    # --- scripts ---

    def scripts(self, statements: Iterable[Statement]) -> tuple[Script, ...]:
        """The vrrp_scripts that have a script."""
        blocks = [block for block in statements if block.keyword == "vrrp_script" and block.block is not None]
        return tuple(script for block in blocks if (script := self._script(block)) is not None)

    def _script(self, block: Statement) -> Script | None:
        name, said = block.first(), _last(block)
        program = command(" ".join(said["script"].values)) if "script" in said else None
        if name is None or program is None:
            self._report.whole_not_taken(block, "it needs a name and a script")
            return None
        interval = self._value(said.get("interval"), seconds, _SECOND, "interval")
        made = Script(
            name,
            program,
            interval,
            # Without a timeout keepalived waits for one interval.
            self._value(said.get("timeout"), seconds, interval, "timeout"),
            self._value(said.get("weight"), weight, 0, "the weight of its tracks"),
            self._value(said.get("rise"), lambda text: number(text, 1, 100), 1, "rise"),
            self._value(said.get("fall"), lambda text: number(text, 1, 100), 1, "fall"),
            account(said["user"].first()) if "user" in said else self._defaults.script_user,
            block,
        )
        self._report.taken(said["script"], "command")
        if "user" in said:
            self._report.taken(said["user"], "user")
        if "init_fail" in said:
            self._report.not_taken(said["init_fail"], "a check counts as passed until it has failed")
        return made

    # --- groups ---

    def groups(self, statements: Iterable[Statement]) -> tuple[Group, ...]:
        """The vrrp_sync_groups."""
        found = []
        for block in statements:
            if block.keyword != "vrrp_sync_group" or block.block is None:
                continue
            members: list[str] = []
            interfaces: tuple[Tracked, ...] = ()
            scripts: tuple[Tracked, ...] = ()
            notifies: list[Notify] = []
            name = block.first() or "group"
            for item in block.items:
                match item.keyword:
                    case "group":
                        members += [word for inner in item.items for word in (inner.keyword, *inner.values)]
                    case "track_interface":
                        interfaces += self._tracked(item)
                    case "track_script":
                        scripts += self._tracked(item)
                    case keyword if keyword in _NOTIFY:
                        notifies += self._notifies(item, ("GROUP", name), _PRIORITY)
                    case keyword if keyword in _GROUP_NOT_NEEDED:
                        self._report.not_needed(item, _GROUP_NOT_NEEDED[keyword])
                    case keyword:
                        self._report.whole_not_taken(item, _NOT_TAKEN.get(keyword, "it is not known here"))
            found.append(Group(name, block, tuple(members), interfaces, scripts, tuple(notifies)))
        return tuple(found)

    # --- instances ---

    def instances(self, statements: Iterable[Statement]) -> tuple[Instance, ...]:
        """The vrrp_instances that are complete enough to be a VIP."""
        blocks = [block for block in statements if block.keyword == "vrrp_instance" and block.block is not None]
        return tuple(instance for block in blocks if (instance := self._instance(block)) is not None)

    def _instance(self, block: Statement) -> Instance | None:
        said = _last(block)
        name = block.first()
        vrid = number(said["virtual_router_id"].first(), 1, 255) if "virtual_router_id" in said else None
        device = interface(said["interface"].first()) if "interface" in said else None
        addresses = self._addresses(block, device)
        lacking = _lacking(name=name, vrid=vrid, device=device, addresses=addresses)
        if lacking is not None or name is None or vrid is None or device is None:
            self._report.whole_not_taken(block, f"it has no {lacking}")
            return None
        family = Family.of(addresses[0].value)
        version = self._version(said.get("version"), family)
        priority = self._value(said.get("priority"), lambda text: number(text, 1, 255), _PRIORITY, "priority")
        made = Instance(
            name,
            block,
            device,
            vrid,
            priority,
            self._advertise(said.get("advert_int"), version),
            version,
            addresses,
        )
        self._report.taken(said["virtual_router_id"], "vrid")
        self._report.taken(said["interface"], "the interface on the VIP's network")
        for item in block.items:
            made = self._item(made, item)
        return made

    def _item(self, made: Instance, item: Statement) -> Instance:
        read = self._keywords.get(item.keyword)
        if read is not None:
            return read(made, item)
        if item.keyword in _NOT_NEEDED:
            self._report.not_needed(item, _NOT_NEEDED[item.keyword])
        elif item.keyword not in _ONCE:
            self._report.whole_not_taken(item, _NOT_TAKEN.get(item.keyword, "it is not known here"))
        return made

    @staticmethod
    def _peers(made: Instance, item: Statement) -> Instance:
        peers = tuple(found for inner in item.items if (found := address(inner.keyword)) is not None)
        return replace(made, unicast=item, peers=peers)

    def _nopreempt(self, made: Instance, item: Statement) -> Instance:
        self._report.taken(item, "failback: sticky")
        return replace(made, nopreempt=item)

    def _preempt_delay(self, made: Instance, item: Statement) -> Instance:
        delay = seconds(item.first())
        if delay is None or delay > _LONGEST_DELAY:
            self._report.not_taken(item, "its value is no time of 0 to 1000 seconds")
            return made
        self._report.taken(item, "failback-delay")
        return replace(made, preempt_delay=(delay, item))

    def _no_accept(self, made: Instance, item: Statement) -> Instance:
        self._report.taken(item, "accept: false")
        return replace(made, refuses=item)

    def _accept(self, made: Instance, item: Statement) -> Instance:
        self._report.not_needed(item, "a VIP accepts by itself")
        if made.refuses is not None:
            self._report.not_taken(made.refuses, "accept, further down, is in force")
        return replace(made, refuses=None)

    def _use_vmac(self, made: Instance, item: Statement) -> Instance:
        self._report.taken(item, "mac: virtual")
        return replace(made, virtual_mac=item)

    def _interfaces(self, made: Instance, item: Statement) -> Instance:
        return replace(made, interfaces=(*made.interfaces, *self._tracked(item)))

    def _scripts(self, made: Instance, item: Statement) -> Instance:
        return replace(made, scripts=(*made.scripts, *self._tracked(item)))

    def _notified(self, made: Instance, item: Statement) -> Instance:
        notifies = self._notifies(item, ("INSTANCE", made.name), made.priority)
        return replace(made, notifies=(*made.notifies, *notifies))

    def _down_timer(self, made: Instance, item: Statement) -> Instance:
        if item.first() == "3":
            self._report.not_needed(item, "it is what RFC 9568 has")
        else:
            self._report.not_taken(item, "Active_Down_Interval is 3 intervals and the skew, as in RFC 9568")
        return made

    def _own(self, made: Instance, item: Statement) -> Instance:
        own = address(item.first())
        if own is None or Family.of(own) is not made.family or own.is_link_local:
            self._report.not_taken(item, "it is no address of the VIP's family that could be the node's own")
            return made
        self._report.taken(item, "the node's own address on the VIP's network")
        return replace(made, own=own)

    def _addresses(self, block: Statement, device: str | None) -> tuple[Address, ...]:
        found: list[Address] = []
        for item in block.items:
            if item.keyword not in ("virtual_ipaddress", "virtual_ipaddress_excluded"):
                continue
            self._report.taken(item, "addresses")
            for inner in item.items:
                made = self._address(inner, device, excluded=item.keyword != "virtual_ipaddress")
                if made is not None:
                    found.append(made)
        # The excluded ones come last, whatever the order of the blocks: the first advertised decides on the family.
        return tuple(sorted(found, key=lambda one: one.excluded))

    def _address(self, item: Statement, device: str | None, *, excluded: bool) -> Address | None:
        value = interface_address(item.keyword)
        if value is None or not is_unicast(value.ip):
            self._report.not_taken(item, f"{item.keyword} is no address that a host could have")
            return None
        options = dict(zip(item.values, item.values[1:], strict=False))
        elsewhere = options.get("dev", device)
        if elsewhere != device:
            why = f"it is for {elsewhere}: the addresses of a VIP are on one network, so write a VIP there"
            self._report.not_taken(item, why)
            return None
        extra = [word for word in item.values if word not in ("dev", device)]
        if excluded:
            self._report.changed(item, "one of the VIP's addresses; it is advertised like the others")
        elif extra:
            self._report.changed(item, f"one of the VIP's addresses, without {' '.join(extra)}")
        else:
            self._report.taken(item, "one of the VIP's addresses")
        return Address(value, item, excluded)

    def _version(self, item: Statement | None, family: Family) -> int:
        if family is Family.IPV6:
            if item is not None:
                self._report.not_needed(item, "IPv6 is of version 3")
            return 3
        default = self._defaults.version or 2
        return self._value(item, lambda text: number(text, 2, 3), default, "version")

    def _advertise(self, item: Statement | None, version: int) -> timedelta:
        interval = _SECOND if item is None else seconds(item.first())
        if interval is None:
            assert item is not None, "the default is a time"
            self._report.not_taken(item, "its value is no time in seconds; 1s stands in its place")
            return _SECOND
        unit, most = (_SECOND, 255) if version == 2 else (_CENTISECOND, 4095)
        fitting = min(max(round(interval / unit), 1), most) * unit
        if item is not None and fitting != interval:
            rule = "whole seconds" if version == 2 else "hundredths of a second"
            self._report.changed(item, f"advertise: version {version} has {rule}, up to {duration_text(most * unit)}")
        elif item is not None:
            self._report.taken(item, "advertise")
        return fitting

    # --- what instances and groups share ---

    def _tracked(self, block: Statement) -> tuple[Tracked, ...]:
        self._report.taken(block, "what is tracked")
        found = []
        for item in block.items:
            name, values = item.keyword, item.values
            words = list(values)
            value = weight(words[words.index("weight") + 1]) if "weight" in words[:-1] else None
            if "weight" in words and value is None:
                self._report.not_taken(item, "its weight is no whole number -253..253")
                continue
            if (extra := [word for word in words if word not in _TRACK_WORDS and weight(word) is None]) != []:
                self._report.changed(item, f"{name} alone; keepalived reads one on a line, and no {extra[0]} here")
            found.append(Tracked(name, value, "reverse" in words, item))
        return tuple(found)

    def _notifies(self, item: Statement, about: tuple[str, str], priority: int) -> tuple[Notify, ...]:
        program = command(item.first())
        if program is None:
            self._report.not_taken(item, "it names no script that could be run")
            return ()
        user = account(item.values[1]) if len(item.values) > 1 else self._defaults.script_user
        if item.keyword == "notify":
            return tuple(
                Notify(event, (*program, *about, state, str(priority)), user, item) for event, state in _STATES.values()
            )
        event = "node-stopping" if item.keyword == "notify_stop" else _STATES[item.keyword][0]
        return (Notify(event, program, user, item),)

    def _value(self, item: Statement | None, read: Callable[[str | None], _T | None], default: _T, key: str) -> _T:
        """The value of a statement, or the default where it is not there or wrong."""
        if item is None:
            return default
        value = read(item.first())
        if value is None:
            self._report.not_taken(item, f"its value is not what {item.keyword} takes; {default} stands in its place")
            return default
        self._report.taken(item, key)
        return value


def _last(block: Statement) -> dict[str, Statement]:
    """The statements of a block by keyword; of several, the last is in force."""
    return {item.keyword: item for item in block.items}


def _lacking(*, name: str | None, vrid: int | None, device: str | None, addresses: tuple[Address, ...]) -> str | None:
    """What an instance needs and has not."""
    if name is None:
        return "name"
    if vrid is None:
        return "virtual_router_id of 1..255"
    if device is None:
        return "interface"
    if not any(not one.excluded for one in addresses):
        return "address that it could advertise"
    return None
