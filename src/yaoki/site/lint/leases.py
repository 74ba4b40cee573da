"""Leases and their store: whether it can say no to a second owner, and what it takes for it to say yes to a first.

A lease is renewed and taken only while a majority of the store's members live and reach each other and the node. So a
store adds ways to be without an owner in exchange for never having two; these rules name them.
"""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.election.lease_params import DEFAULT_DURATION, least_duration
from yaoki.site.compile import endpoint_address
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View
from yaoki.site.model import Election, StoreKind
from yaoki.site.source_map import Path
from yaoki.site.survival import loss_that_mutes
from yaoki.site.units import duration_text
from yaoki.vrrp.standing import OWNER_PRIORITY

FEWEST_VOTERS = 3


def _without_store(view: View) -> Iterable[Finding]:
    for vip in view.site.leased_vips:
        if view.site.store is None:
            what = f"{vip.name} is owned by lease, but the site has no store that could keep it"
            cure = "add store: {kind: etcd, endpoints: [...]} or {kind: witness, endpoint: ...}, or use election: vrrp"
            yield Finding(("vips", vip.name, "election"), what, cure)


def _in_process(view: View) -> Iterable[Finding]:
    if view.site.store is None or view.site.store.kind is not StoreKind.IN_PROCESS:
        return
    for vip in view.site.leased_vips:
        if len(vip.members) > 1:
            names = " and ".join(member.node for member in vip.members)
            what = f"{names} would each keep the lease of {vip.name} in a memory of its own: both would own it"
            yield Finding(("store", "kind"), what, "use kind: witness or kind: etcd", ("vips", vip.name, "members"))


def _store_gap(view: View) -> Iterable[Finding]:
    store = view.site.store
    if store is None or store.kind is not StoreKind.ETCD:
        return
    least = least_duration(store.election_timeout)
    for vip in view.site.leased_vips:
        if vip.lease_duration < least:
            what = (
                f"a lease of {duration_text(vip.lease_duration)} does not outlast an election of the store, up to"
                f" {duration_text(least)}: when the store's leader dies, {vip.name} is without an owner for a while"
            )
            cure = f"set lease-duration: {duration_text(least)} or longer, or write acknowledge: [store-gap]"
            yield Finding(("vips", vip.name, "lease-duration"), what, cure, ("store", "election-timeout"))


def _few_voters(view: View) -> Iterable[Finding]:
    store = view.site.store
    if store is None or store.kind is not StoreKind.ETCD or not view.site.leased_vips:
        return
    voters = len(store.members)
    if voters < FEWEST_VOTERS:
        names = ", ".join(vip.name for vip in view.site.leased_vips)
        whose = "its only member" if voters == 1 else "either of its two members"
        what = f"the store outlives no loss: when {whose} fails, nobody owns {names} any more"
        yield Finding(("store", "endpoints"), what, "let three machines vote", ("vips", view.site.leased_vips[0].name))


def _unreachable(view: View) -> Iterable[Finding]:
    site = view.site
    nodes = dict.fromkeys(member.node for vip in site.leased_vips for member in vip.members)
    for index, member in enumerate(() if site.store is None else site.store.members):
        for node in nodes:
            if endpoint_address(site, site.machine(node), member) is None:
                what = f"{member.machine} has no address under which {node} could reach it as a member of the store"
                witness = site.store is not None and site.store.kind is StoreKind.WITNESS
                place: Path = ("store", "endpoint") if witness else ("store", "endpoints", index)
                yield Finding(place, what, f"give {member.machine} one", ("nodes", node))
                break


def _votes_on_members(view: View) -> Iterable[Finding]:
    store = view.site.store
    if store is None or len(store.members) < FEWEST_VOTERS:
        return
    for vip in view.site.leased_vips:
        lost = loss_that_mutes(view.site, vip)
        members = {member.node for member in vip.members}
        if lost is None or not members & set(lost):
            continue
        left = next(node for node in (member.node for member in vip.members) if node not in lost)
        names = " and ".join(lost)
        what = f"when {names} fail together, {left} lives but may not own {vip.name}: the store has no majority left"
        cure = "let machines vote that are no members of the VIP, or keep this in mind"
        index = next(i for i, each in enumerate(store.members) if each.machine in members)
        yield Finding(("store", "endpoints", index), what, cure, ("vips", vip.name, "members"))


def _witness_on_member(view: View) -> Iterable[Finding]:
    store = view.site.store
    if store is None or store.kind is not StoreKind.WITNESS:
        return
    machine = store.members[0].machine
    for vip in view.site.leased_vips:
        others = [member.node for member in vip.members if member.node != machine]
        if others and len(others) < len(vip.members):
            what = (
                f"when {machine} fails, {' and '.join(others)} may not own {vip.name}: the witness is on {machine}"
                " itself, whose failure it is to judge"
            )
            place: Path = ("vips", vip.name, "members", str(machine))
            yield Finding(("store", "endpoint"), what, f"run it on a machine that is no member of {vip.name}", place)


def _owned_address(view: View) -> Iterable[Finding]:
    for vip in view.site.leased_vips:
        for member in vip.members:
            if member.priority == OWNER_PRIORITY:
                what = (
                    f"priority 255 says that the addresses of {vip.name} are {member.node}'s own, with or without lease"
                )
                place: Path = ("vips", vip.name, "members", member.node, "priority")
                yield Finding(place, what, "use 254 or less", ("vips", vip.name, "election"))


def _unused(view: View) -> Iterable[Finding]:
    if view.site.store is not None and not view.site.leased_vips and view.site.vips:
        what = "the site has a store, but no VIP is owned by lease"
        yield Finding(("store",), what, "set election: lease for the VIPs where two owners must be impossible")


def _useless_duration(view: View) -> Iterable[Finding]:
    for vip in view.site.vips:
        if vip.election is Election.VRRP and vip.lease_duration != DEFAULT_DURATION:
            what = f"{vip.name} has a lease-duration, but no lease: its owner is found by VRRP"
            yield Finding(("vips", vip.name, "lease-duration"), what, "set election: lease, or remove it")


RULES = (
    Rule(
        "lease-without-store",
        Severity.ERROR,
        "a VIP is owned by lease, and no store keeps leases",
        _without_store,
        True,
    ),
    Rule(
        "store-in-process",
        Severity.ERROR,
        "several nodes keep leases in a memory of their own",
        _in_process,
        True,
        True,
    ),
    Rule("store-unreachable", Severity.ERROR, "a member of the store has no address for a node", _unreachable, True),
    Rule(
        "lease-owner-priority",
        Severity.ERROR,
        "the owner of addresses of its own needs no lease",
        _owned_address,
        True,
        True,
    ),
    Rule(
        "witness-on-member",
        Severity.ERROR,
        "the witness runs on a machine whose failure it is to judge",
        _witness_on_member,
        partial=True,
    ),
    Rule("store-gap", Severity.ERROR, "a lease is shorter than an election of the store", _store_gap, partial=True),
    Rule("store-voters", Severity.WARNING, "a store has fewer than three members", _few_voters),
    Rule(
        "lease-duration-unused",
        Severity.WARNING,
        "a lease's duration where there is no lease",
        _useless_duration,
        partial=True,
    ),
    Rule("store-on-members", Severity.NOTICE, "nodes that fail take the store's majority with them", _votes_on_members),
    Rule("store-unused", Severity.NOTICE, "a store that no VIP needs", _unused),
)
