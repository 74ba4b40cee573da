"""Services of a site for another product: what there is to write, and what it cannot say."""

from collections.abc import Iterable
from dataclasses import dataclass

from yaoki.lb.service import Forward, WhenAllDown
from yaoki.site.compile import compile_site
from yaoki.site.model import Site
from yaoki.site.node_plan import ServerPlan, ServicePlan


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
    """The servers of a service that IPVS can forward to."""
    return tuple(server for server in service.servers if server.forward in (Forward.NAT, Forward.DIRECT))


def say_lost(site: Site, lost: list[Lost]) -> None:
    """What IPVS has no word for, each once for a service."""
    for service in site.services:
        if not service.enabled:
            continue
        lost += (Lost(service.name, what) for what in _wordless(site, service.name))


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
        if method not in (Forward.NAT, Forward.DIRECT):
            yield f"{server.host}: IPVS has no {method.value}"
    if service.slow_start:
        yield "slow-start"
    if service.panic_threshold:
        yield "panic-threshold"
    if service.when_all_down is not WhenAllDown.REFUSE:
        yield f"when-all-down: {service.when_all_down.value}"
