"""Who serves a virtual service: weights, priorities, the server that says sorry."""

from collections.abc import Iterable

from yaoki.core.event import Severity
from yaoki.lb.service import Scheduler
from yaoki.site.lint.rule import Finding, Rule
from yaoki.site.lint.view import View, server_path


def _no_weight(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        if service.enabled and all(server.weight == 0 for server in service.servers):
            what = f"every server of {service.name} has weight 0, so none takes new flows"
            yield Finding(("services", service.name, "servers"), what, "give one a weight, or write enabled: false")


def _priority_without_weight(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        highest = max(server.priority for server in service.servers)
        first = [server for server in service.servers if server.priority == highest]
        if all(server.weight == 0 for server in first) and any(server.weight for server in service.servers):
            what = f"servers of priority {highest} come first in {service.name}, but they have weight 0 and never serve"
            cure = "give one of them a weight, or a lower priority"
            yield Finding(server_path(service, first[0], "weight"), what, cure)


def _sorry_is_server(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        sorry = service.sorry
        if sorry is None:
            continue
        for server in service.servers:
            if server.host == sorry.host and view.port_of(service, server) == view.port_of(service, sorry):
                what = f"{sorry.host} is to say sorry when all servers of {service.name} are down, and is one of them"
                cure = f"let another host or port say sorry, or give {sorry.host} a lower priority instead"
                yield Finding(server_path(service, sorry), what, cure, server_path(service, server))


_BY_WEIGHT = {
    Scheduler.ROUND_ROBIN: Scheduler.WEIGHTED_ROUND_ROBIN,
    Scheduler.LEAST_CONNECTION: Scheduler.WEIGHTED_LEAST_CONNECTION,
}


def _weights_unheeded(view: View) -> Iterable[Finding]:
    for service in view.site.services:
        heeded = _BY_WEIGHT.get(service.scheduler)
        weights = {server.weight for server in service.servers if server.weight}
        if heeded is None or (len(weights) < 2 and not service.slow_start):
            continue
        cure = f"write scheduler: {heeded}"
        other = ("services", service.name, "scheduler")
        if service.slow_start:
            what = f"slow-start raises the weight of a server, and {service.scheduler} heeds no weights"
            yield Finding(("services", service.name, "slow-start"), what, cure, other)
        else:
            odd = next(server for server in service.servers if server.weight not in (0, service.servers[0].weight))
            what = f"the servers of {service.name} differ in weight, and {service.scheduler} heeds no weights"
            yield Finding(server_path(service, odd, "weight"), what, cure, other)


RULES = (
    Rule(
        "weights-unheeded",
        Severity.WARNING,
        "a service has weights or a slow start, and a scheduler that heeds none",
        _weights_unheeded,
        partial=True,
    ),
    Rule("no-weight", Severity.WARNING, "every server of a service has weight 0", _no_weight, partial=True),
    Rule(
        "priority-without-weight",
        Severity.WARNING,
        "the servers that come first by priority never serve, for they have weight 0",
        _priority_without_weight,
        partial=True,
    ),
    Rule(
        "sorry-is-server",
        Severity.ERROR,
        "the server that says sorry is one of the servers that it stands in for",
        _sorry_is_server,
        firm=True,
        partial=True,
    ),
)
