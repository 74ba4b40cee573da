"""What `standby-for` and `replaces` may say of nodes that exist: who can take a place, once, and not in a circle.

Whether a standby could do in another's place what is done there is for lint (yaoki.site.lint.standbys).
"""

from collections.abc import Iterator

from yaoki.site.model import Machine, Site
from yaoki.site.replacement import shared_vips
from yaoki.site.source_map import Path

Wrong = tuple[Path, str, str, Path | None]
"""Where, what, the cure, and the other end if there is one."""


def wrong_standbys(site: Site) -> list[Wrong]:
    """What cannot be meant."""
    return [
        wrong for node in site.nodes for wrong in (*_wrong_standing_by(site, node), *_wrong_replacement(site, node))
    ]


def _wrong_standing_by(site: Site, node: Machine) -> Iterator[Wrong]:
    for index, old in enumerate(node.standby_for):
        place: Path = ("nodes", node.name, "standby-for", index)
        if old == node.name:
            yield place, f"{old} cannot stand by for itself", "name another node", None
        for vip in shared_vips(site, old, node.name):
            what = f"{node.name} and {old} are both members of {vip.name}: neither can take the other's place there"
            cure = f"remove {node.name} from the members, or {old} from standby-for"
            yield place, what, cure, ("vips", vip.name, "members", node.name)


def _wrong_replacement(site: Site, node: Machine) -> Iterator[Wrong]:
    old, place = node.replaces, ("nodes", node.name, "replaces")
    if old is None:
        return
    if old not in node.standby_for:
        yield place, f"{node.name} does not stand by for {old}", f"write standby-for: [{old}] at {node.name}", None
    rival = next((each.name for each in site.nodes if each.replaces == old and each.name != node.name), None)
    if rival is not None and rival < node.name:
        what = f"{node.name} and {rival} both have the place of {old}"
        yield place, what, "remove one of the two", ("nodes", rival, "replaces")
    if _is_in_circle(site, node):
        what = f"{node.name} has the place of {old}, which has that of {node.name}"
        yield place, what, "remove one of the two: whoever runs replaces the other", ("nodes", old, "replaces")


def _is_in_circle(site: Site, node: Machine) -> bool:
    replaces = {each.name: each.replaces for each in site.nodes}
    at = node.replaces
    for _ in replaces:
        if at is None or at == node.name:
            break
        at = replaces.get(at)
    return at == node.name
