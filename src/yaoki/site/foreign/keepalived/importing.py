"""The import as a whole: files of several nodes in, the text of a site file and the report out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from yaoki.core.address import Family, IPAddress, IPInterface
from yaoki.core.error import Location, Problem, SiteError
from yaoki.site.foreign.keepalived.blocks import Statement, every
from yaoki.site.foreign.keepalived.configuration import Configuration, Instance
from yaoki.site.foreign.keepalived.draft import Draft, Joined, Product
from yaoki.site.foreign.keepalived.hooks import HookJoiner
from yaoki.site.foreign.keepalived.library import Library
from yaoki.site.foreign.keepalived.named_checks import NamedChecks
from yaoki.site.foreign.keepalived.naming import Names
from yaoki.site.foreign.keepalived.networks import Networks, Own, Plug
from yaoki.site.foreign.keepalived.reading import read_configuration
from yaoki.site.foreign.keepalived.report import Outcome, Remark, Report
from yaoki.site.foreign.keepalived.services import ServiceJoiner
from yaoki.site.foreign.keepalived.sync_groups import GroupJoiner
from yaoki.site.foreign.keepalived.tracks import TrackJoiner
from yaoki.site.foreign.keepalived.vips import JoinedVip, VipJoiner, name_peers

MAX_NODES = 64


@dataclass(frozen=True, slots=True)
class Original:
    """A node's keepalived.conf. `node`: its name, which is also the id that its @conditions are compared with; None:
    not given, so it is made of the router_id or the path."""

    file: str
    node: str | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """The text of the site file and a remark on every statement."""

    text: str
    remarks: tuple[Remark, ...]

    def count(self, outcome: Outcome) -> int:
        """How many remarks have one outcome."""
        return sum(remark.outcome is outcome for remark in self.remarks)


def import_keepalived(
    originals: Sequence[Original],
    library: Library,
    *,
    site: str = "imported",
    own: Sequence[tuple[str, str, IPInterface]] = (),
) -> Import:
    """One site of the files of its nodes. `own`: (node, interface, address) that the operator knows.

    Raises SiteError with every place where a file is no keepalived.conf at all, or says nothing that moves.
    """
    report = Report()
    problems: list[Problem] = []
    read = [
        read_configuration(library, one.file, name=one.node, report=report, problems=problems)
        for one in originals[:MAX_NODES]
    ]
    if problems:
        raise SiteError(problems)
    names = Names()
    configurations = tuple(_named(originals, read, names))
    if not any(node.instances for node in configurations):
        unfit = [each for node in configurations for each in node.statements if each.keyword == "vrrp_instance"]
        what, cure = "there is no vrrp_instance that could be a VIP", "name the main file, with its includes beside it"
        raise SiteError(nothing_found("keepalived-empty", originals[0].file, what, cure, unfit=unfit, report=report))
    return join(configurations, report, names, site=site, own=own)


def join(
    configurations: tuple[Configuration, ...],
    report: Report,
    names: Names,
    *,
    site: str,
    own: Sequence[tuple[str, str, IPInterface]],
    product: Product = Product.KEEPALIVED,
) -> Import:
    """One site of the configurations of its nodes. Raises SiteError where a prefix has no room for their addresses."""
    given = tuple(Own(Plug(node, interface), address) for node, interface, address in own)
    networks = Networks(configurations, given)
    _unused(given, networks, configurations, report)
    vips = VipJoiner(networks, names, report).join(configurations)
    own_addresses = _own_addresses(vips, networks, report)
    for vip in vips:
        name_peers(vip, vips, own_addresses, report)
    checks = NamedChecks()
    tracks = TrackJoiner(configurations, networks, checks, report).join(vips)
    joiner = ServiceJoiner(vips, networks, names, checks, report)
    services = joiner.join(configurations, own_addresses)
    hooks = HookJoiner(vips, report).join(configurations)
    _not_yet(configurations, report)
    groups = GroupJoiner(vips, report).join(configurations)
    joined = Joined(
        configurations, networks, vips, services, tuple(joiner.hosts.values()), checks.by_name, hooks, tracks, groups
    )
    text = Draft(joined, report, product).text(site)
    for node in configurations:
        for statement in every(node.statements):
            if not report.knows(statement):
                report.not_taken(statement, "another of its kind, further down, is in force")
    return Import(text, report.remarks())


def nothing_found(
    rule: str, file: str, what: str, cure: str, *, unfit: Sequence[Statement], report: Report
) -> Sequence[Problem]:
    """That nothing of a file can be taken: why each statement cannot that could have been, or that there is none."""
    found = [(each, report.why(each)) for each in unfit]
    refused = [Problem(rule, each.where, f"{each} is not taken: {why}") for each, why in found if why is not None]
    return refused or [Problem(rule, Location(file, 1, 1), what, cure)]


def _unused(given: Iterable[Own], networks: Networks, configurations: Sequence[Configuration], report: Report) -> None:
    """A remark on each address of --own that belongs to nothing here."""
    for own in given:
        if not networks.knows(own.plug):
            known = ", ".join(f"{plug.node}:{plug.interface}" for plug in networks.plugs)
            text = f"--own {own.plug.node}:{own.plug.interface}={own.address}"
            why = f"no VIP is on that interface; those that VIPs are on: {known}"
            report.line(Location(configurations[0].file, 1, 1), text, Outcome.NOT_TAKEN, why)


def _named(
    originals: Sequence[Original], read: Sequence[tuple[Configuration, str | None]], names: Names
) -> Iterable[Configuration]:
    """The configurations under the names of their nodes: as given, else the router_id, else of the path."""
    ids = [router_id for _, router_id in read]
    for original, (configuration, router_id) in zip(originals, read, strict=True):
        path = PurePath(original.file)
        from_path = path.stem if path.stem != "keepalived" else path.parent.name
        alone = router_id is not None and ids.count(router_id) == 1
        wanted = original.node or (router_id if alone and router_id is not None else from_path)
        yield replace(configuration, name=names.give(wanted, "node"))


def _own_addresses(vips: tuple[JoinedVip, ...], networks: Networks, report: Report) -> dict[IPAddress, str]:
    """Every member's own address on its VIPs' networks, told or assumed, with the node that has it. A member for which
    none can be found is none."""
    for vip in vips:
        _named_by_peer(vip, networks, report)
    found: dict[IPAddress, str] = {}
    for vip in vips:
        for node, instance in vip.instances.items():
            plug = Plug(node, instance.interface)
            for family in vip.families:
                address = networks.own(plug, family)
                if address is None:
                    address = networks.assume_own(plug, family)
                    if address is None:
                        raise SiteError([_no_room(plug, instance, family)])
                    what = f"its own IPv{family.value} address is not in the file; {address} stands for it"
                    for item in instance.source.items:
                        if item.keyword in ("mcast_src_ip", "unicast_src_ip"):
                            report.not_taken(
                                item, "it cannot be this node's own: a VIP, another node or no host has it"
                            )
                    report.gap(instance.source.where, f"{node} {instance.interface}", what)
                found[address] = node
    return found


def _no_room(plug: Plug, instance: Instance, family: Family) -> Problem:
    what = f"the prefix of {instance.name} has no free IPv{family.value} address to stand for {plug.node}'s own"
    cure = f"write --own {plug.node}:{plug.interface}=ADDRESS/LENGTH"
    return Problem("keepalived-room", instance.source.where, what, cure)


def _named_by_peer(vip: JoinedVip, networks: Networks, report: Report) -> None:
    """Of two members, the one is the only unicast peer of the other."""
    if len(vip.instances) != 2:
        return
    pair = tuple(vip.instances.items())
    for (node, mine), (_, other) in (pair, pair[::-1]):
        peers = [peer for peer in other.peers if Family.of(peer) is mine.family]
        if len(peers) == 1 and networks.name_own(Plug(node, mine.interface), peers[0]) and other.unicast is not None:
            report.taken(other.unicast, f"transport: unicast; {peers[0]} is the own address of {node}")


def _not_yet(configurations: tuple[Configuration, ...], report: Report) -> None:
    """A remark on what a site has no word for beside another."""
    for node in configurations:
        for instance in node.instances:
            if instance.preempt_delay is not None and instance.nopreempt is not None:
                report.not_needed(instance.preempt_delay[1], "nothing is retaken under nopreempt")
