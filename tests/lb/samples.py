"""Virtual services to test with."""

from datetime import timedelta

from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.lb.service import (
    Duty,
    Forward,
    Protocol,
    RealServer,
    Scheduler,
    ServiceKey,
    SourcePersistence,
    Tunnel,
    VirtualService,
    Way,
)


def server(
    number: int,
    forward: Forward = Forward.NAT,
    *,
    weight: int = 1000,
    duty: Duty = Duty.SERVE,
    family: int = 4,
    port: int = 8080,
    resolved: bool = True,
) -> RealServer:
    """Server `number` (1..9) of the front network, as the node's Brain would want it: weight only where it serves."""
    base = "192.0.2.2" if family == 4 else "2001:db8:1::2"
    node = "192.0.2.11" if family == 4 else "2001:db8:1::11"
    direct = forward is Forward.DIRECT
    return RealServer(
        f"s{number}",
        parse_address(f"{base}{number}"),
        80 if direct else port,
        forward,
        weight if duty is Duty.SERVE else 0,
        duty,
        MacAddress.parse(f"02:00:00:00:00:2{number}") if direct and resolved else None,
        parse_address(node) if forward is Forward.FULLNAT else None,
    )


OWN, NEXT_HOP = MacAddress.parse("02:00:00:00:00:0b"), MacAddress.parse("02:00:00:00:00:0c")
"""Of the node's interface, and of the router that leads to servers behind tunnels."""
SOURCE: dict[int, IPAddress] = {4: parse_address("192.0.2.11"), 6: parse_address("2001:db8:1::11")}


def far(
    number: int,
    tunnel: Tunnel = Tunnel(),
    *,
    weight: int = 1000,
    duty: Duty = Duty.SERVE,
    family: int = 4,
    mtu: int = 1500,
    resolved: bool = True,
) -> RealServer:
    """Server `number` (1..9) across routers."""
    base, router = ("203.0.113.2", "192.0.2.1") if family == 4 else ("2001:db8:9::2", "2001:db8:1::1")
    way = Way("lo", OWN, parse_address(router), NEXT_HOP, SOURCE[family], mtu)
    return RealServer(
        f"f{number}",
        parse_address(f"{base}{number}"),
        80,
        Forward.TUNNEL,
        weight if duty is Duty.SERVE else 0,
        duty,
        tunnel=tunnel,
        way=way if resolved else None,
    )


def service(
    *servers: RealServer,
    family: int = 4,
    protocol: Protocol = Protocol.TCP,
    port: int = 80,
    scheduler: Scheduler = Scheduler.WEIGHTED_ROUND_ROBIN,
    mask: int | None = None,
    seconds: float = 300,
    name: str = "web",
) -> VirtualService:
    """A service on the VIP; `mask` turns on persistence."""
    vip = "192.0.2.50" if family == 4 else "2001:db8:1::50"
    return VirtualService(
        name,
        ServiceKey(parse_address(vip), protocol, port),
        interface="eth0",
        scheduler=scheduler,
        servers=servers,
        persistence=None if mask is None else SourcePersistence(mask, timedelta(seconds=seconds)),
    )


def trio(
    forward: Forward = Forward.NAT,
    *duties: Duty,
    weights: tuple[int, int, int] = (1000, 1000, 1000),
    family: int = 4,
    protocol: Protocol = Protocol.TCP,
    scheduler: Scheduler = Scheduler.WEIGHTED_ROUND_ROBIN,
    mask: int | None = None,
    seconds: float = 300,
    resolved: bool = True,
) -> VirtualService:
    """A service with three servers; duties not given are to serve."""
    all_duties = (*duties, *[Duty.SERVE] * (3 - len(duties)))
    servers = (
        server(number, forward, weight=weight, duty=duty, family=family, resolved=resolved)
        for number, (weight, duty) in enumerate(zip(weights, all_duties, strict=True), 1)
    )
    return service(*servers, family=family, protocol=protocol, scheduler=scheduler, mask=mask, seconds=seconds)
