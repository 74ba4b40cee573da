"""What each address of a site can and cannot survive, in plain words."""

from collections.abc import Collection, Iterable
from datetime import timedelta

from yaoki.election.lease_params import longest_takeover
from yaoki.site.model import Election, Site, Store, StoreKind, Vip
from yaoki.site.survival import Survival, survival
from yaoki.site.units import duration_text


def print_stand(site: Site) -> None:
    """One paragraph for each VIP."""
    for vip in site.vips:
        print(f"VIP {vip.name} ({', '.join(str(address.ip) for address in vip.addresses)}), {_election(vip)}:")
        for sentence in stand(site, vip):
            print(f"  {sentence}")


def stand(site: Site, vip: Vip) -> tuple[str, ...]:
    """The sentences of one VIP, what it survives first."""
    found = survival(site, vip)
    return (*_losses(site, vip, found), *_cut(site, vip, found))


def why_nobody(vip: Vip, failed: Collection[str]) -> str:
    """Why no living member may own a VIP; empty if none lives."""
    living = [member.node for member in vip.members if member.node not in failed]
    return f" ({_joined(living)} may not: the store has no majority)" if living else ""


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
        left = f": {_joined(living)} may not own it without a majority of the store" if living else ""
        yield f"it does not survive the failure of {_joined(loss)}{together}{left}."


def _machines(site: Site, vip: Vip) -> list[str]:
    voters = site.store.members if site.store is not None and vip.election is Election.LEASE else ()
    machines = (member.machine for member in voters if member.machine is not None)
    return list(dict.fromkeys((*(member.node for member in vip.members), *machines)))


def _cut(site: Site, vip: Vip, found: Survival) -> Iterable[str]:
    """What a network that is cut in two does."""
    if found.two_owners:
        yield "when the network between its members is cut, it has an owner on either side until that is healed."
    if vip.election is not Election.LEASE or site.store is None:
        return
    if site.store.kind is StoreKind.IN_PROCESS:
        yield "it never has two owners, for one node alone may own it."
        return
    silent, taken = duration_text(vip.lease_duration), _milliseconds(longest_takeover(vip.lease_duration))
    yield f"it never has two owners: who cannot reach {_majority(site.store)} falls silent within {silent}."
    yield f"where a majority is reached, another member owns it within {taken}; where none is, nobody does."


def _majority(store: Store) -> str:
    return f"{store.majority} of the store's {len(store.members)} members"


def _milliseconds(duration: timedelta) -> str:
    """Rounded up, as the file writes durations."""
    millisecond = timedelta(milliseconds=1)
    return duration_text(-(-duration // millisecond) * millisecond)


def _joined(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
