"""A cold standby in the place of a node: what `replaces` in the site file means for the rest of the site.

A node with `standby-for: [lb1]` stands ready with no role; `replaces: lb1` gives it lb1's. It is then the member of
lb1's VIPs, with lb1's priorities, and the node where lb1's hooks run. Nothing else that names lb1 changes its meaning:
a gateway, a tracked target and a voter of the store are that machine and its addresses, which no other machine has.
lb1 stays in the file, so that the other nodes can tell it, should it return, that it has been replaced.

Invariant: a site without `replaces` is not changed; a node that was replaced is a member of nothing.
"""

from dataclasses import replace

from yaoki.site.model import Machine, Site, Vip, VipMember


def with_replacements(site: Site) -> Site:
    """The site with every node that was replaced out of its roles, and its successor in them."""
    successors = {machine.name: found.name for machine in site.nodes if (found := site.successor_of(machine.name))}
    return site if not successors else _renamed(site, successors)


def replaced_by(site: Site, old: str, new: str) -> Site:
    """The site as it would be with `new` in the place of `old`."""
    machines = tuple(replace(each, replaces=old) if each.name == new else each for each in site.machines)
    return with_replacements(replace(site, machines=machines))


def as_before(site: Site, node: str) -> Site:
    """The site of the former file of a node that was replaced: nobody is in its place yet."""
    successor = site.successor_of(node)
    machines = tuple(replace(each, replaces=None) if each.replaces == node else each for each in site.machines)
    vips = tuple(replace(vip, members=tuple(_as_before(m, node) for m in vip.members)) for vip in site.vips)
    hooks = site.hooks
    if successor is not None:
        back = {successor.name: node}
        hooks = tuple(replace(h, nodes=tuple(back.get(name, name) for name in h.nodes)) for h in site.hooks)
    return replace(site, machines=machines, vips=vips, hooks=hooks)


def shared_vips(site: Site, old: str, new: str) -> tuple[Vip, ...]:
    """The VIPs that both are members of: there neither can take the other's place."""
    return tuple(vip for vip in site.vips if {old, new} <= {member.node for member in vip.members})


def replaced_nodes(site: Site) -> tuple[Machine, ...]:
    """The nodes that another one has taken the place of."""
    return tuple(machine for machine in site.nodes if site.successor_of(machine.name) is not None)


def _renamed(site: Site, successors: dict[str, str]) -> Site:
    def member(each: VipMember) -> VipMember:
        successor = successors.get(each.node)
        return each if successor is None else VipMember(successor, each.priority, instead_of=each.node)

    return replace(
        site,
        vips=tuple(replace(vip, members=tuple(member(each) for each in vip.members)) for vip in site.vips),
        hooks=tuple(
            replace(hook, nodes=tuple(dict.fromkeys(successors.get(name, name) for name in hook.nodes)))
            for hook in site.hooks
        ),
    )


def _as_before(member: VipMember, node: str) -> VipMember:
    return VipMember(node, member.priority) if member.instead_of == node else member
