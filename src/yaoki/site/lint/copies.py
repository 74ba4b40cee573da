"""Copies of flows between members, in a site that has keys."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.site.copying import unsigned_copies
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View


def _unsigned(view: View) -> Iterable[Finding]:
    # A site without any key has chosen: `yaoki plan` tells it what that means.
    if all(vip.authentication is None for vip in view.site.vips):
        return
    for found in unsigned_copies(view.site):
        what = (
            f"{' and '.join(found.members)} copy flows of {found.vip} to each other unsigned: whoever can send with an"
            " address of theirs on a network that both are on can tell them flows, to servers of its services"
        )
        cure = f"give {found.vip} keys (authentication), or acknowledge it where nobody else sends"
        yield Finding(("vips", found.vip), what, cure, ("services", found.service))


RULES = (
    Rule(
        "copies-unsigned",
        Severity.WARNING,
        "flows are copied between members that share no keys, in a site that has some",
        _unsigned,
        partial=True,
    ),
)
