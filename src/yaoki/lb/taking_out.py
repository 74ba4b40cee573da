"""Servers that take less by a newer wish than by an older one: all of it that cannot wait.

What a newer wish gives to servers may come later; what it takes from them is sent to the dead until it is done.
"""

from collections.abc import Iterator
from dataclasses import replace

from yaoki.lb.service import Desired, Duty, RealServer, VirtualService


def pairs(before: VirtualService, after: VirtualService) -> Iterator[tuple[RealServer, RealServer]]:
    """Servers that are in both forms of a service, as they were and as they shall be."""
    places = {(server.address, server.port): server for server in after.servers}
    for server in before.servers:
        now = places.get((server.address, server.port))
        if now is not None:
            yield server, now


def refuses(before: RealServer, after: RealServer) -> bool:
    """Whether a server takes no new flows any more."""
    return before.eligible and not after.eligible


def is_out(before: RealServer, after: RealServer) -> bool:
    """Whether a server has no flows any more."""
    return after.duty is Duty.OUT and before.duty is not Duty.OUT


def taken_out(held: Desired, wished: Desired) -> Desired:
    """`held`, with those servers that take less by `wished` as they are there; `held` itself if there is none.

    Services that are the same object in both are not looked at: whoever wishes keeps what has not changed.
    """
    before, after = ({id(service) for service in desired.services} for desired in (held, wished))
    changed = {service.key: service for service in wished.services if id(service) not in before}
    less = {
        id(service): found
        for service in held.services
        if id(service) not in after
        and (wish := changed.get(service.key)) is not None
        and (found := _less(service, wish)) is not service
    }
    if not less:
        return held
    return Desired(tuple(less.get(id(service), service) for service in held.services))


def _less(held: VirtualService, wished: VirtualService) -> VirtualService:
    less = {id(was): now for was, now in pairs(held, wished) if refuses(was, now) or is_out(was, now)}
    if not less:
        return held
    return replace(held, servers=tuple(less.get(id(server), server) for server in held.servers))
