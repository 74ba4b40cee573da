"""Services of a site for another product: what there is to write, and what it cannot say."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from yaoki.lb.service import Forward, Scheduler, WhenAllDown
from yaoki.site.compile import compile_site
from yaoki.site.model import Site
from yaoki.site.node_plan import ServerPlan, ServicePlan

_WORDS = {Scheduler.POWER_OF_TWO: "twos", Scheduler.MAGLEV: "mh"}
"""Where IPVS has another word for a scheduler."""
_SORRY = "when-all-down: sorry"


@dataclass(frozen=True, slots=True)
class Lost:
    """Something of a service that is not in the text, and why."""

    service: str
    what: str


@dataclass(frozen=True, slots=True)
class Export:
    """The text, and all that is not in it."""

    text: str
    lost: tuple[Lost, ...]


def services_of(site: Site, lost: list[Lost]) -> tuple[ServicePlan, ...]:
    """The enabled services on each address of their VIPs, with the servers that IPVS can forward to."""
    plans = compile_site(site)
    found = []
    for vip in site.vips:
        for service in plans[vip.members[0].node].services:
            if service.vip == vip.name and _is_written(service, lost):
                found.append(service)
    return tuple(found)


def servers_of(service: ServicePlan) -> tuple[ServerPlan, ...]:
    """The servers of a service that IPVS can forward to, with the weights that they have there; without backups, where
    it cannot tell them from others."""
    ranks = [server.priority for server in service.servers if not server.sorry]
    servers = [s for s in service.servers if s.forward is not Forward.FULLNAT and not s.sorry]
    if is_failover(ranks):
        return tuple(replace(s, weight=s.priority if s.weight else 0) for s in servers)
    return tuple(server for server in servers if server.priority == max(ranks))


def scheduler_of(service: ServicePlan) -> str:
    """The scheduler's word: `fo`, which sends all to the greatest weight, where every server has a priority of its
    own."""
    ranks = [server.priority for server in service.servers if not server.sorry]
    if is_failover(ranks):
        return "fo"
    return _WORDS.get(service.scheduler, service.scheduler.value)


def counts_ports(service: ServicePlan) -> bool:
    """Whether its scheduler is mh, and the source port is to count as well."""
    return scheduler_of(service) == _WORDS[Scheduler.MAGLEV]


def is_failover(priorities: Sequence[int]) -> bool:
    """Whether one server of several serves at a time."""
    return len(set(priorities)) == len(priorities) > 1


def say_lost(site: Site, lost: list[Lost], *, sorry: bool = False) -> None:
    """What IPVS has no word for, each once for a service; `sorry`: who says sorry is said otherwise."""
    for service in site.services:
        if not service.enabled:
            continue
        found = (what for what in _wordless(site, service.name) if not (sorry and what.startswith(_SORRY)))
        lost += (Lost(service.name, what) for what in found)


def _is_written(service: ServicePlan, lost: list[Lost]) -> bool:
    if service.enabled:
        return True
    if Lost(service.name, "it is not enabled") not in lost:
        lost.append(Lost(service.name, "it is not enabled"))
    return False


def _wordless(site: Site, name: str) -> Iterable[str]:
    service = site.service(name)
    for server in service.servers:
        method = server.forward or service.forward
        if method is Forward.FULLNAT:
            yield f"{server.host}: IPVS has no {method.value}"
    ranks = [server.priority for server in service.servers]
    if not is_failover(ranks):
        for server in service.servers:
            if server.priority < max(ranks):
                yield f"{server.host}, a backup: IPVS has them only where each server has a priority of its own (fo)"
    if service.idle_timeout is not None:
        yield "idle-timeout: IPVS has one for all services (ipvsadm --set)"
    if service.slow_start:
        yield "slow-start"
    if service.panic_threshold:
        yield "panic-threshold"
    if service.sorry is not None:
        yield f"{_SORRY} {service.sorry.host}"
    elif service.when_all_down is not WhenAllDown.REFUSE:
        yield f"when-all-down: {service.when_all_down.value}"
