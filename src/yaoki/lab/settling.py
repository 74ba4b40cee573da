"""Whether a lab has settled, from what the probes saw lately. Pure; the answer names what is still missing."""

from collections.abc import Sequence, Set
from enum import Enum

from yaoki.core.address import MacAddress
from yaoki.lab.crew import Glimpse, Question, Seen
from yaoki.lab.probes.targets import ProbeKind, Target
from yaoki.lab.survival import owner_of
from yaoki.site.model import Site
from yaoki.vrrp.params import Failback

_FEWEST_ASKED = 8
_UNDER_WAY = 2
"""The newest requests of the observer may still be on their way."""


class Wanted(Enum):
    """What a lab is to settle to."""

    WHOLE = "whole"
    """The site is as its file has it: nothing fails, every server is seen, each VIP is with its preferred owner."""
    OWNED = "owned"
    """Nothing fails, and each VIP is with its preferred owner."""
    QUIET = "quiet"
    """Nothing fails, and each VIP has one owner."""


def unsettled(site: Site, seen: Seen, macs: dict[MacAddress, str], wanted: Wanted = Wanted.WHOLE) -> str | None:
    """What is still missing, or None when there is nothing."""
    for question, lately in seen.owners:
        if (missing := _of_owner(site, question, lately, macs, wanted)) is not None:
            return f"{question.address}: {missing}"
    for glimpse in seen.glimpses:
        if (missing := _of_probe(glimpse, wanted)) is not None:
            return f"{glimpse.target}: {missing}"
    return None


def astray(site: Site, seen: Seen, macs: dict[MacAddress, str]) -> str | None:
    """The first address that is steadily with another than its preferred owner, though nothing was to delay that."""
    for question, lately in seen.owners:
        vip = site.vip(question.vip)
        answering = {tuple(macs.get(mac, str(mac)) for mac in by) for by in lately[:-_UNDER_WAY]}
        prompt = vip.failback is Failback.PREFER and not vip.failback_delay and not vip.startup_delay
        if prompt and len(answering) == 1 and (owners := answering.pop()) and owner_of(vip).node not in owners:
            return f"{question.address}: owned by {owners[0]}"
    return None


def quiet(seen: Seen, targets: Set[Target], *, streams: bool = True) -> bool:
    """Whether nothing of these has failed lately, and with `streams` no stream of theirs waits."""
    watched = [glimpse for glimpse in seen.glimpses if glimpse.target in targets]
    return all(not glimpse.failed and not (streams and glimpse.silent) for glimpse in watched)


def _of_probe(glimpse: Glimpse, wanted: Wanted) -> str | None:
    pinned = glimpse.target.kind is ProbeKind.PINNED
    if not glimpse.sent and not (pinned and wanted is not Wanted.WHOLE):
        return "no flow to its server yet" if pinned else "nothing has been sent yet"
    if glimpse.failed:
        return f"{glimpse.failed} of {glimpse.sent} failed"
    if glimpse.silent:
        return f"{glimpse.silent} streams wait"
    if wanted is Wanted.WHOLE and glimpse.target.spreads and (unseen := set(glimpse.target.servers) - glimpse.servers):
        return f"nothing from {', '.join(sorted(unseen))}"
    return None


def _of_owner(
    site: Site,
    question: Question,
    lately: Sequence[Sequence[MacAddress]],
    macs: dict[MacAddress, str],
    wanted: Wanted,
) -> str | None:
    settled = lately[:-_UNDER_WAY]
    if len(settled) < _FEWEST_ASKED:
        return "not asked for long enough"
    answering = {tuple(macs.get(mac, str(mac)) for mac in by) for by in settled}
    if any(len(by) > 1 for by in answering):
        return "two owners"
    if () in answering or len(answering) != 1:
        return "no steady owner"
    vip = site.vip(question.vip)
    (owner,) = answering.pop()
    if wanted is not Wanted.QUIET and vip.failback is Failback.PREFER and owner != owner_of(vip).node:
        return f"owned by {owner}"
    return None
