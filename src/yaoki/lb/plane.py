"""Which balancer plane carries a virtual service on a node, and why. Pure.

A service stays on the plane that has it, for a move schedules its flows anew: a node that is started again, or was
given a newer version, moves nothing of its own accord. Only a file that names the other plane does. Tunnels are known
to BPF only: a service that has one is carried by BPF or by nobody.

The program in BPF is at the tcx hook, and in front of that in the interface's driver (XDP) if the file says so and the
driver lets it. It is one program for all services of the interface, with one set of tables: to go from hook to hook
moves no flow.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from yaoki.lb.service import Forward, PlaneWish, VirtualService


class Plane(StrEnum):
    """What carries virtual services: the program in BPF, for `direct` and `tunnel`, at tcx alone or by XDP as well, or
    tables of nftables, for all but `tunnel`; or nothing does."""

    BPF = "bpf"
    XDP = "xdp"
    NFTABLES = "nftables"
    NONE = "none"


class PlaneReason(StrEnum):
    """Why a service is on its plane."""

    NOT_DIRECT = "not-direct"
    FILE = "file"
    CARRIES = "carries"
    STAYS = "stays"
    UNABLE = "unable"
    NO_XDP = "no-xdp"
    SHARES = "shares"
    TUNNEL = "tunnel"


@dataclass(frozen=True, slots=True)
class PlaneChoice:
    """`why` says what BPF or XDP lacks here, where the reason is that."""

    plane: Plane
    reason: PlaneReason
    why: str = ""


def choose(service: VirtualService, *, held: Plane | None, lacks: str | None) -> PlaneChoice:
    """`held` is the plane that has the service now; `lacks` what hinders BPF at its interface, None if nothing does."""
    if not is_direct(service):
        return PlaneChoice(Plane.NFTABLES, PlaneReason.NOT_DIRECT)
    if needs_bpf(service):
        return PlaneChoice(Plane.BPF, PlaneReason.TUNNEL) if lacks is None else _nobody(lacks)
    if service.plane is PlaneWish.NFTABLES:
        return PlaneChoice(Plane.NFTABLES, PlaneReason.FILE)
    if lacks is not None:
        return PlaneChoice(Plane.NFTABLES, PlaneReason.UNABLE, lacks)
    if service.plane.is_bpf:
        return PlaneChoice(Plane.BPF, PlaneReason.FILE)
    if held is Plane.NFTABLES:
        return PlaneChoice(Plane.NFTABLES, PlaneReason.STAYS)
    return PlaneChoice(Plane.BPF, PlaneReason.CARRIES)


def at_its_hook(choice: PlaneChoice, wish: PlaneWish, *, in_driver: bool, lacks: str | None) -> PlaneChoice:
    """A choice with the hook that the program has at the service's interface: `in_driver` if XDP is one of them, else
    `lacks` says what hinders it, where it was asked for."""
    if choice.plane is not Plane.BPF:
        return choice
    if in_driver:
        return PlaneChoice(Plane.XDP, PlaneReason.FILE if wish is PlaneWish.XDP else PlaneReason.SHARES)
    if wish is PlaneWish.XDP:
        return PlaneChoice(Plane.BPF, PlaneReason.NO_XDP, lacks or "")
    return choice


def leaving_elsewhere(services: Iterable[VirtualService]) -> dict[str, str]:
    """What hinders XDP for the services' sake, by interface: frames that come in there and leave by another one. Of
    those that a program in a driver hands to another card, that card may lose every one and tell nobody."""
    return {
        service.interface: f"{server.name}, behind a tunnel, is reached by {server.way.interface}"
        for service in services
        for server in service.servers
        if server.way is not None and server.way.interface != service.interface
    }


def is_direct(service: VirtualService) -> bool:
    """Whether its servers are for direct return: all of them are, or none (yaoki.lb.validity)."""
    return any(server.forward.returns_directly for server in service.servers)


def needs_bpf(service: VirtualService) -> bool:
    """Whether nftables cannot carry it."""
    return any(server.forward is Forward.TUNNEL for server in service.servers)


def _nobody(lacks: str) -> PlaneChoice:
    return PlaneChoice(Plane.NONE, PlaneReason.UNABLE, lacks)
