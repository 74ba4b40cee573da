"""Whether a lab has settled, from what the probes saw lately. Pure; the answer names what is still missing."""

from collections.abc import Sequence

from yaoki.core.address import MacAddress
from yaoki.lab.crew import Glimpse, Question, Seen
from yaoki.lab.survival import owner_of
from yaoki.site.model import Site
from yaoki.vrrp.params import Failback

_FEWEST_ASKED = 8
_UNDER_WAY = 2
"""The newest requests of the observer may still be on their way."""


def unsettled(site: Site, seen: Seen, macs: dict[MacAddress, str], *, whole: bool = True) -> str | None:
    """What is still missing, or None when there is nothing.

    `whole`: the site is to be as its file has it, each VIP with its preferred owner and every server seen. Otherwise it
    is enough that nothing fails and no VIP has two owners.
    """
    for glimpse in seen.glimpses:
        if (missing := _of_probe(glimpse, whole=whole)) is not None:
            return f"{glimpse.target.label} over ipv{glimpse.target.family.value}: {missing}"
    for question, lately in seen.owners:
        if (missing := _of_owner(site, question, lately, macs, whole=whole)) is not None:
            return f"{question.address}: {missing}"
    return None


def quiet(seen: Seen) -> bool:
    """Whether nothing has failed lately and no stream waits."""
    return all(glimpse.sent and not glimpse.failed and not glimpse.silent for glimpse in seen.glimpses)


def _of_probe(glimpse: Glimpse, *, whole: bool) -> str | None:
    if not glimpse.sent:
        return "nothing has been sent yet"
    if glimpse.failed:
        return f"{glimpse.failed} of {glimpse.sent} failed"
    if glimpse.silent:
        return f"{glimpse.silent} streams wait"
    if whole and glimpse.target.spreads and (unseen := set(glimpse.target.servers) - glimpse.servers):
        return f"nothing from {', '.join(sorted(unseen))}"
    return None


def _of_owner(
    site: Site,
    question: Question,
    lately: Sequence[Sequence[MacAddress]],
    macs: dict[MacAddress, str],
    *,
    whole: bool,
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
    if whole and vip.failback is Failback.PREFER and owner != owner_of(vip).node:
        return f"owned by {owner}"
    return None
