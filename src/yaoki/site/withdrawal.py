"""VIPs that are withdrawn while every service on them is disabled: which those are, and what a new file changes."""

from collections.abc import Callable, Iterable

from yaoki.site.node_plan import NodePlan


def switched(old: NodePlan, new: NodePlan) -> Iterable[tuple[str, str]]:
    """The VIPs of both plans that are to be withdrawn then, or not any more, with that in words."""
    in_both = {router.vip for router in old.routers} & {router.vip for router in new.routers}
    for vip in sorted({*old.withdrawable} ^ {*new.withdrawable}):
        if vip in in_both:
            words = ("keep", "withdraw") if vip in new.withdrawable else ("withdraw", "keep")
            yield vip, f"when-disabled {words[0]} -> {words[1]}"


def given_up(old: NodePlan, new: NodePlan) -> tuple[str, ...]:
    """The VIPs that a node may own by the old file, and by the new one does not for their services. What people decided
    is not in the file."""
    owned = {router.vip for router in old.routers} - withdrawn(old, _as_in_the_file)
    return tuple(sorted(owned & withdrawn(new, _as_in_the_file)))


def withdrawn(plan: NodePlan, enabled: Callable[[str, bool], bool]) -> frozenset[str]:
    """The VIPs that nobody is to own. `enabled` tells of a service by its name and by what the file says."""
    used = {service.vip for service in plan.services}
    served = {service.vip for service in plan.services if enabled(service.name, service.enabled)}
    return frozenset(vip for vip in plan.withdrawable if vip in used and vip not in served)


def _as_in_the_file(_: str, configured: bool) -> bool:
    return configured
