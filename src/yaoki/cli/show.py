"""Show one kind of thing on a node, all of them or one: VIPs, virtual services, connections, checks, neighbours.

The columns of services are those of `ipvsadm -Ln`, with packets, bytes and the server's state.

examples:
  yaoki show service               all virtual services with their servers
  yaoki show service web
  yaoki show vip web-vip
  yaoki show neighbour             what this node believes of its neighbours, and how long a stale entry may last
  yaoki show connections web       who is connected to a service, as `ipvsadm -Lnc`; and sources that it remembers
  yaoki show connections --limit 1000
  yaoki show check                 every check: verdict, newest result, how long the answer took
  yaoki -j show check
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from yaoki.cli.connections import USUAL_LIMIT, show_connections
from yaoki.cli.node_client import NodeClient, add_node_arguments, connect
from yaoki.cli.output import Paint, print_json
from yaoki.cli.prefix import expand
from yaoki.cli.status import age, plane_words
from yaoki.cli.table import table
from yaoki.cli.unsent import unsent_lines
from yaoki.core.address import IPAddress
from yaoki.core.error import UsageError
from yaoki.core.instant import Instant
from yaoki.lb.connection import MOST_LISTED
from yaoki.lb.service import Duty, SourcePersistence
from yaoki.node.messages import CheckStatus
from yaoki.node.neighbour_view import NeighboursView, NeighbourView
from yaoki.node.snapshot import NodeView, RouterView, ServerView, ServiceTotal, ServiceView
from yaoki.node.wire_view import Evidence, SeenView
from yaoki.node.wording import ENGLISH, duration, word
from yaoki.pool.member import Health
from yaoki.pool.policy import Reason
from yaoki.runtime.requests import Checks


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("kind", metavar="|".join(_KINDS), help="what is shown")
    parser.add_argument("name", nargs="?", help="only this one, by its name in the site file")
    parser.add_argument(
        "--limit",
        type=int,
        default=USUAL_LIMIT,
        metavar="N",
        help=f"so many connections at most (default {USUAL_LIMIT}, most {MOST_LISTED})",
    )
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    kind = expand(args.kind, _KINDS, what="kind")
    with connect(args) as client:
        return _KINDS[kind](client, args)


def _vips(client: NodeClient, args: argparse.Namespace) -> int:
    node: NodeView = client.ask_for(NodeView, "status", counted=False)
    routers = _chosen(node.routers, args.name, lambda router: router.vip, "VIP")
    if args.json:
        print_json(routers)
        return 0
    paint = Paint(sys.stdout)
    _print(*vip_table(routers, paint))
    seen = [_seen(router, each, paint) for router in routers for each in router.seen]
    if seen:
        print()
        _print(("VIP", "Address", "Seen at", "MAC", "Evidence", "Ago", "Claimed by"), seen)
    return 0


def vip_table(routers: Sequence[RouterView], paint: Paint) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows; the sync group and the epoch of a lease have a column where there is one."""
    header: tuple[str, ...] = (
        "VIP",
        "Addresses",
        "Interface",
        "VRID",
        "State",
        "Age",
        "Priority",
        "Wanted",
        "Peer",
        "Reason",
    )
    rows: list[tuple[str, ...]] = [_router(router, paint) for router in routers]
    if any(router.group is not None for router in routers):
        header = (*header, "Sync group")
        rows = [(*row, router.group or "-") for row, router in zip(rows, routers, strict=True)]
    if any(router.epoch is not None for router in routers):
        header = (*header, "Epoch")
        rows = [(*row, str(router.epoch or "-")) for row, router in zip(rows, routers, strict=True)]
    return header, rows


def _services(client: NodeClient, args: argparse.Namespace) -> int:
    node: NodeView = client.ask_for(NodeView, "status", counted=True, flows=True)
    services = _chosen(node.services, args.name, lambda service: service.name, "service")
    if args.json:
        print_json(services)
        return 0
    print_services(services, Paint(sys.stdout))
    for line in unsent_lines(node.unsent):
        print(line)
    return 0


def print_services(services: Iterable[ServiceView], paint: Paint) -> None:
    """Services and servers in the columns of `ipvsadm -Ln`."""
    rows: list[tuple[str, ...]] = [("Prot LocalAddress:Port Scheduler Flags", "", "", "", "", "", "")]
    rows.append(("  -> RemoteAddress:Port", "Forward", "Weight", "ActiveConn", "Packets", "Bytes", "State"))
    short: list[str] = []
    for service in services:
        key = service.key
        short += headroom_lines(service, paint)
        flags = "" if service.persistence is None else f" {_persistence(service.persistence)}"
        flags += "" if service.idle_timeout is None else f" idle {service.idle_timeout.total_seconds():g}"
        flags += "" if service.enabled else " disabled"
        plane = "" if service.plane is None else f"  on {plane_words(service.plane)}"
        place = f"{key.protocol.value.upper():4} {_host(key.address)}:{key.port} {service.scheduler.value}{flags}"
        rows.append((f"{place}  ({service.name}){plane}", "", "", "", "", "", ""))
        if service.total is not None:
            rows.append((f"  {_total(service.total)}", "", "", "", "", "", ""))
        rows += [_server(server, paint) for server in service.servers]
    # The lines of services span the columns of their servers.
    widths = table([row for row in rows if row[1]])
    servers = iter(widths)
    for row in rows:
        print(next(servers) if row[1] else row[0])
    for line in short:
        print(line)


def headroom_lines(service: ServiceView, paint: Paint) -> Iterable[str]:
    """What a service could not bear to lose (N+1)."""
    spare = service.headroom
    if spare is not None and spare.is_short:
        name = f"{service.name} {service.key}"
        what = f"{spare.opened} flows are open, and without {spare.without} its other servers may have {spare.left}"
        yield f"{paint.yellow('no spare')}: {name}: {what}"


def _checks(client: NodeClient, args: argparse.Namespace) -> int:
    found: Checks = client.ask_for(Checks, "checks")
    if not found.fresh:
        raise UsageError("the check worker does not answer; `yaoki status` says since when")
    checks = _chosen(found.checks, args.name, lambda check: check.name, "check")
    if args.json:
        print_json(checks)
        return 0
    header = ("Check", "Target", "Kind", "Verdict", "For", "Latest", "Took", "Ago", "Against")
    _print(header, [_check(check, Instant(found.at_us), Paint(sys.stdout)) for check in checks])
    return 0


def _neighbours(client: NodeClient, args: argparse.Namespace) -> int:
    found: NeighboursView = client.ask_for(NeighboursView, "neighbours")
    chosen = _chosen(found.neighbours, args.name, lambda neighbour: neighbour.name or "-", "neighbour")
    if args.json:
        print_json({"neighbours": chosen, "stale": found.stale})
        return 0
    _print(("Name", "Address", "Interface", "MAC", "State", "Confirmed"), [_neighbour(each) for each in chosen])
    for stale in found.stale:
        where = f"IPv{stale.family.value} on {stale.interface}"
        print(f"{where}: without an announcement a stale entry lasts {duration(stale.longest)} at most")
    return 0


_KINDS: Mapping[str, Callable[[NodeClient, argparse.Namespace], int]] = {
    "vip": _vips,
    "service": _services,
    "connections": show_connections,
    "check": _checks,
    "neighbour": _neighbours,
}


def _chosen(items: Iterable[Any], name: str | None, name_of: Callable[[Any], str], what: str) -> tuple[Any, ...]:
    all_ = tuple(items)
    if name is None:
        return all_
    wanted = expand(name, dict.fromkeys(map(name_of, all_)), what=what)
    return tuple(item for item in all_ if name_of(item) == wanted)


def _print(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    for line in table([header, *rows]):
        print(line)


def _router(router: RouterView, paint: Paint) -> tuple[str, ...]:
    state = "unknown" if router.state is None else router.state.value
    peer = "" if router.peer is None else f"{router.peer} ({router.peer_priority}, {age(router.peer_heard)} ago)"
    return (
        router.vip,
        ",".join(str(address) for address in router.addresses),
        router.interface,
        str(router.vrid),
        paint.faint(f"{state} (stale)") if router.stale else state,
        age(router.age),
        str(router.priority or "-"),
        str(router.wanted_priority),
        peer,
        router.reason,
    )


def _neighbour(neighbour: NeighbourView) -> tuple[str, ...]:
    entry = neighbour.entry
    return (
        neighbour.name or "-",
        str(entry.address),
        entry.interface,
        "-" if entry.mac is None else str(entry.mac),
        entry.state.value,
        "-" if entry.confirmed is None else f"{age(entry.confirmed)} ago",
    )


def _seen(router: RouterView, seen: SeenView, paint: Paint) -> tuple[str, ...]:
    good = (Evidence.ALONE, Evidence.ANSWERED)
    colour = paint.green if seen.evidence in good else paint.yellow
    where = seen.member or ("a foreign MAC" if seen.mac is not None else "-")
    return (
        router.vip,
        str(seen.address),
        where,
        "-" if seen.mac is None else str(seen.mac),
        paint.faint(f"{seen.evidence.value} (stale)") if seen.stale else colour(seen.evidence.value),
        age(seen.age),
        paint.red(", ".join(map(str, seen.foreign))) if seen.foreign else "",
    )


def _server(server: ServerView, paint: Paint) -> tuple[str, ...]:
    count = server.count
    state = server.duty.value if server.duty is not Duty.SERVE else "up" if server.health is Health.UP else "unproven"
    if server.reason is Reason.STANDS_BY:
        state = "standby"
    colour = {"up": paint.green, "out": paint.red}.get(state, paint.yellow)
    return (
        f"  -> {_host(server.address)}:{server.port}",
        server.forward.value,
        str(server.weight),
        "-" if count is None or count.flows is None else f"{count.flows}{_limit(server)}",
        "-" if count is None else str(count.packets),
        "-" if count is None else str(count.octets),
        paint.faint(f"{state} (stale)") if server.stale else f"{colour(state)} {_why(server)}",
    )


def _total(total: ServiceTotal) -> str:
    opened = "" if total.opened is None else f", {total.opened} flows were given a server"
    return f"in all {total.packets} packets, {total.octets} bytes{opened}"


def _limit(server: ServerView) -> str:
    return "" if server.limit is None else f"/{server.limit}"


def _why(server: ServerView) -> str:
    said = word(server.reason, ENGLISH)
    return f"{server.name}: {said}" + (f" ({server.evidence})" if server.evidence else "")


def _check(check: CheckStatus, now: Instant, paint: Paint) -> tuple[str, ...]:
    params = check.check.params
    kind = type(params).__name__.removesuffix("Params").lower()
    port = getattr(params, "port", None)
    colour = {Health.UP: paint.green, Health.DOWN: paint.red}.get(check.health, paint.yellow)
    return (
        check.name,
        f"{_host(check.check.target)}:{port}" if port else str(check.check.target),
        kind,
        colour(check.health.value),
        age(None if check.since is None else now - check.since),
        "-" if check.last is None else check.last.evidence,
        "-" if check.last is None else duration(check.last.took),
        age(None if check.last_at is None else max(now - check.last_at, timedelta(0))),
        str(check.streak or ""),
    )


def _persistence(persistence: SourcePersistence) -> str:
    return f"persistent {persistence.timeout.total_seconds():g} mask /{persistence.prefix_length}"


def _host(address: IPAddress) -> str:
    return f"[{address}]" if address.version == 6 else str(address)
