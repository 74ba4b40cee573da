"""What each address of a site can and cannot survive, in plain words."""

from collections.abc import Collection, Iterable
from dataclasses import fields
from datetime import timedelta

from yaoki.cli.flow_fate import fates, strangers
from yaoki.election.lease_params import longest_takeover
from yaoki.site.model import Election, Site, Store, StoreKind, StoreMember, Vip
from yaoki.site.survival import Gateway, Survival, gateways, survival
from yaoki.site.units import duration_text
from yaoki.vrrp.params import Failback, Quarantine


def print_stand(site: Site) -> None:
    """One paragraph for each VIP, and a line on each service's flows, and on who can tell of them."""
    for vip in site.vips:
        print(f"VIP {vip.name} ({', '.join(str(address.ip) for address in vip.addresses)}), {_election(vip)}:")
        for sentence in stand(site, vip):
            print(f"  {sentence}")
    for sentence in (*fates(site), *strangers(site)):
        print(sentence)


def stand_as_json(site: Site) -> list[dict[str, object]]:
    """The same of each VIP for programs, with the sentences."""
    return [
        {**{f.name: getattr(found, f.name) for f in fields(found)}, "says": stand(site, vip)}
        for vip in site.vips
        for found in (survival(site, vip),)
    ]


def stand(site: Site, vip: Vip) -> tuple[str, ...]:
    """The sentences of one VIP, what it survives first."""
    found = survival(site, vip)
    cut, together = (*_cut(site, vip, found), *_beside_peers(vip)), _together(site, vip)
    return (*_losses(site, vip, found), *_standbys(site, vip), *cut, *together, *_quarantine(vip))


def _standbys(site: Site, vip: Vip) -> Iterable[str]:
    members = [member.node for member in vip.members]
    for node in site.nodes:
        places = [old for old in node.standby_for if old in members]
        if places and node.replaces is None:
            yield f"{node.name} can be put into the place of {_joined(places, 'or')}, on command (yaoki node replace)."


def _quarantine(vip: Vip) -> Iterable[str]:
    if not vip.stateful or len(vip.members) < 2:
        return
    if vip.failback is Failback.PREFER:
        yield "it is stateful, yet a node that returns takes it back: what was written since is lost."
        return
    by = f"`yaoki vip admit {vip.name}`" + (" or its data check" if vip.data_check is not None else "")
    yield f"it is stateful: a node that starts or returns waits in quarantine until {by} releases it."
    if vip.quarantine is Quarantine.LAST:
        yield "a node in quarantine owns it when no other does, with the data that it has."
    else:
        yield "while only nodes in quarantine are left nobody owns it; so it is at the very first start."


def _together(site: Site, vip: Vip) -> Iterable[str]:
    group = site.sync_group_of(vip.name)
    if group is not None and (others := [name for name in group.vips if name != vip.name]):
        yield f"it is owned by the same node as {_joined(others)} (sync group {group.name}), and moves with them."


def why_nobody(site: Site, vip: Vip, failed: Collection[str]) -> str:
    """Why no living member may own a VIP; empty if none lives."""
    living = [member.node for member in vip.members if member.node not in failed]
    store = "the witness is lost" if _has_witness(site) else "the store has no majority"
    return f" ({_joined(living)} may not: {store})" if living else ""


def _election(vip: Vip) -> str:
    if vip.election is Election.LEASE:
        return f"owned by a lease of {duration_text(vip.lease_duration)}"
    return "owned by VRRP priority"


def _losses(site: Site, vip: Vip, found: Survival) -> Iterable[str]:
    if found.losses == 1:
        yield "it survives the failure of any one machine."
    elif found.losses > 1:
        yield f"it survives the failure of any {found.losses} of {_joined(_machines(site, vip))}."
    members = [member.node for member in vip.members]
    for loss in found.fatal:
        together = " together" if len(loss) > 1 else ""
        living = [node for node in members if node not in loss]
        need = "the witness" if _has_witness(site) else "a majority of the store"
        left = f": {_joined(living)} may not own it without {need}" if living else ""
        yield f"it does not survive the failure of {_joined(loss)}{together}{left}."


def _machines(site: Site, vip: Vip) -> list[str]:
    voters = site.store.members if site.store is not None and vip.election is Election.LEASE else ()
    machines = (member.machine for member in voters if member.machine is not None)
    return list(dict.fromkeys((*(member.node for member in vip.members), *machines)))


def _cut(site: Site, vip: Vip, found: Survival) -> Iterable[str]:
    """What a network that is cut in two does."""
    if found.two_owners:
        yield from _cut_without_lease(gateways(site, vip))
    if vip.election is not Election.LEASE or site.store is None:
        return
    if site.store.kind is StoreKind.IN_PROCESS:
        yield "it never has two owners, for one node alone may own it."
        return
    silent, taken = duration_text(vip.lease_duration), _milliseconds(longest_takeover(vip.lease_duration))
    if _has_witness(site):
        where = _of_member(site.store.members[0])
        yield f"while {where} lives it survives the failure of {_all_but_one(vip)}."
        yield f"it never has two owners: who cannot reach the witness on {where} falls silent within {silent}."
        yield _FROZEN
        yield f"another member that reaches the witness owns it within {taken}."
        yield f"while the witness is lost nobody owns it, not even its last owner: it is dark until {where} is back."
        return
    yield f"it never has two owners: who cannot reach {_majority(site.store)} falls silent within {silent}."
    yield _FROZEN
    yield (
        f"where a majority is reached, another member owns it within {taken} (longer where the store elects a leader"
        " just then); where none is, nobody does."
    )


_FROZEN = "one exception: an owner that its hypervisor froze answers, when it is thawed, until its first renewal fails."


def _beside_peers(vip: Vip) -> Iterable[str]:
    """What routers that do not run Yaoki take away from what its members alone would hold."""
    if not vip.peers:
        return
    names = _joined(map(str, vip.peers))
    if vip.election is Election.LEASE:
        yield f"of leases {names} know nothing: what runs there may own it beside the holder."
        return
    yield (
        f"no dead-man gate is armed for {names}: while an owner hears no other member, its speaker's death leaves it a"
        " second owner beside them."
    )


def _majority(store: Store) -> str:
    return f"{store.majority} of the store's {len(store.members)} members"


def _all_but_one(vip: Vip) -> str:
    names = [member.node for member in vip.members]
    return f"{names[0]} or {names[1]}" if len(names) == 2 else f"all but one of {_joined(names)}"


def _cut_without_lease(barring: tuple[Gateway, ...]) -> Iterable[str]:
    """A VIP that is elected by VRRP: what keeps a member that is cut off from taking over, and what that is worth."""
    names = _joined(each.target for each in barring if each.in_time) if any(each.in_time for each in barring) else ""
    if names:
        yield f"when the network between its members is cut, a member that does not reach {names} may not take it over."
        yield f"an owner that does not reach {names} keeps it until it hears another."
        yield f"where two sides reach {names} and not each other, it has an owner on either until that is healed."
    else:
        yield "when the network between its members is cut, it has an owner on either side until that is healed."
    for late in (each for each in barring if not each.in_time):
        detection, takeover = _milliseconds(late.detection), _milliseconds(late.takeover)
        yield (
            f"the check {late.check} of {late.target} hinders no second owner: it needs up to {detection}, and a member"
            f" takes over after {takeover}."
        )


def _has_witness(site: Site) -> bool:
    return site.store is not None and site.store.kind is StoreKind.WITNESS


def _of_member(member: StoreMember) -> str:
    return str(member.address) if member.machine is None else member.machine


def _milliseconds(duration: timedelta) -> str:
    """Rounded up, as the file writes durations."""
    millisecond = timedelta(milliseconds=1)
    return duration_text(-(-duration // millisecond) * millisecond)


def _joined(names: Iterable[str], by: str = "and") -> str:
    *most, last = names
    return f"{', '.join(most)} {by} {last}" if most else last
