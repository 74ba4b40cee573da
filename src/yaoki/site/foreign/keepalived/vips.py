"""vrrp_instances of all nodes as VIPs: those of one VRID and family on one network are members of one VIP.

What members must agree on (interval, version, failback) is taken from the instance of the highest priority; an instance
that says otherwise is remarked on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from yaoki.core.address import Family, IPAddress
from yaoki.site.foreign.keepalived.configuration import Address, Configuration, Instance
from yaoki.site.foreign.keepalived.naming import Names
from yaoki.site.foreign.keepalived.networks import Lan, Networks, Plug
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import address
from yaoki.site.units import duration_text

_Claim = tuple[str, int, Family]
"""The network, VRID and family of a virtual router."""


@dataclass(slots=True)
class JoinedVip:
    """A VIP with the instance of each member, by node; the first in order of priority speaks for all."""

    name: str
    lan: Lan
    instances: dict[str, Instance]
    addresses: list[IPAddress] = field(default_factory=list)
    peers: list[IPAddress] = field(default_factory=list)
    """Whom unicast goes to besides the members."""

    @property
    def unicast(self) -> bool:
        """Whether any member advertises from address to address."""
        return any(instance.unicast is not None for instance in self.instances.values())

    @property
    def leading(self) -> Instance:
        """The instance of the highest priority."""
        return max(self.instances.values(), key=lambda instance: instance.priority)

    @property
    def leading_node(self) -> str:
        """The node of the highest priority."""
        return next(node for node, instance in self.instances.items() if instance is self.leading)

    @property
    def families(self) -> tuple[Family, ...]:
        found = {Family.of(address) for address in self.addresses}
        return tuple(family for family in Family if family in found)

    @property
    def sticky(self) -> bool:
        """Whether any member says nopreempt: one that does not would not be waited for."""
        return any(instance.nopreempt is not None for instance in self.instances.values())


class VipJoiner:
    """Makes VIPs; `names` are those of nodes, hosts and VIPs together."""

    def __init__(self, networks: Networks, names: Names, report: Report) -> None:
        self._networks = networks
        self._names = names
        self._report = report
        self._claims: set[_Claim] = set()
        self._held: dict[tuple[IPAddress, str], str] = {}

    def join(self, configurations: tuple[Configuration, ...]) -> tuple[JoinedVip, ...]:
        """The VIPs, in the order in which the files first name them."""
        groups: dict[_Claim, dict[str, Instance]] = {}
        for node in configurations:
            for instance in node.instances:
                claim = (self._lan(node.name, instance).name, instance.vrid, instance.family)
                group = groups.setdefault(claim, {})
                if node.name in group:
                    what = f"VRID {instance.vrid} is used on this network by {group[node.name].name} already"
                    self._report.whole_not_taken(instance.source, what)
                else:
                    group[node.name] = instance
        self._claims = set(groups)
        vips = [self._vip(claim, group) for claim, group in groups.items()]
        return tuple(vip for vip in vips if vip is not None)

    def _lan(self, node: str, instance: Instance) -> Lan:
        return self._networks.of(Plug(node, instance.interface))

    def _vip(self, claim: _Claim, group: dict[str, Instance]) -> JoinedVip | None:
        home = next(iter(group))
        vip = JoinedVip("", self._lan(home, group[home]), dict(group))
        lead = vip.leading
        for instance in (lead, *(one for one in group.values() if one is not lead)):
            for candidate in instance.addresses:
                self._address(vip, claim, lead, candidate)
        if not vip.addresses:
            for instance in group.values():
                self._report.whole_not_taken(instance.source, "none of its addresses can be a VIP's")
            return None
        vip.name = self._names.give(lead.name, "vip")
        for one in vip.addresses:
            self._held.setdefault(_holding(one, vip.lan), vip.name)
        for node, instance in group.items():
            self._report.taken(instance.source, f"the VIP {vip.name}")
            self._compare(instance, lead)
            plug = Plug(node, instance.interface)
            if (first := self._networks.first(plug)) != plug:
                what = f"{first.interface}, for both interfaces are in one prefix"
                self._report.changed(instance.statement("interface"), what)
        return vip

    def _address(self, vip: JoinedVip, claim: _Claim, lead: Instance, address: Address) -> None:
        found = address.value.ip
        if found in vip.addresses:
            return
        holder = self._held.get(_holding(found, vip.lan))
        family = Family.of(found)
        if not vip.lan.allows(found):
            self._report.not_taken(address.source, "no host on its network can have it")
        elif holder is not None:
            self._report.not_taken(address.source, f"the VIP {holder} has it")
        elif family is not claim[2] and (lead.version == 2 or (claim[0], claim[1], family) in self._claims):
            why = "version 2 knows no IPv6" if lead.version == 2 else f"VRID {lead.vrid} has an IPv{family.value} VIP"
            self._report.not_taken(address.source, f"{why}: give it a VIP of its own")
        else:
            if address.source not in {one.source for one in lead.addresses}:
                self._report.changed(address.source, "one of the VIP's addresses; another member's file is without it")
            vip.addresses.append(found)

    def _compare(self, instance: Instance, lead: Instance) -> None:
        if instance is lead:
            return
        differing: tuple[tuple[str, Callable[[Instance], object]], ...] = (
            ("advert_int", lambda one: one.advertise),
            ("version", lambda one: one.version),
            ("nopreempt", lambda one: one.nopreempt is not None),
            ("no_accept", lambda one: one.refuses is not None),
            ("use_vmac", lambda one: one.virtual_mac is not None),
        )
        for keyword, value in differing:
            mine, theirs = value(instance), value(lead)
            if mine != theirs:
                what = f"members of {lead.name} differ: {keyword} is {_shown(mine)} here and {_shown(theirs)} there"
                taken = "sticky, the more careful, is taken" if keyword == "nopreempt" else f"{_shown(theirs)} is taken"
                self._report.changed(instance.statement(keyword), f"{what}; {taken}")
        if instance.preempt_delay is not None:
            delay, statement = instance.preempt_delay
            if lead.preempt_delay is None or lead.preempt_delay[0] != delay:
                self._report.not_taken(
                    statement, f"the delay is that of the leading {lead.name}, which retakes the VIP"
                )


def name_peers(vip: JoinedVip, vips: Sequence[JoinedVip], own: Mapping[IPAddress, str], report: Report) -> None:
    """The peers of a VIP that are no member's own address, with a remark on every member's peers."""
    movable = {address for one in vips for address in one.addresses}
    for instance in vip.instances.values():
        if instance.unicast is None:
            if vip.unicast:
                report.changed(
                    instance.source, f"the VIP {vip.name}; it goes by unicast, as another member's file has it"
                )
            continue
        report.taken(instance.unicast, "transport: unicast")
        for item in instance.unicast.items:
            found = address(item.keyword)
            if found is None or Family.of(found) is not instance.family or found in movable:
                report.not_taken(item, "it is no router's own address of the VIP's family")
            elif own.get(found) in vip.instances:
                report.taken(item, f"the member {own[found]}")
            elif not (vip.lan.holds(found) or (found.version == 6 and found.is_link_local)):
                report.not_taken(item, "it is not on the VIP's network, and advertisements go no further")
            else:
                report.taken(item, "peers")
                if found not in vip.peers:
                    vip.peers.append(found)


def _holding(address: IPAddress, lan: Lan) -> tuple[IPAddress, str]:
    return address, lan.name if address.is_link_local else ""


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, bool):
        return "set" if value else "not set"
    return str(value)
