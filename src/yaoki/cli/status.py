"""Show how a node is: VIPs, services, servers, processes; every value with its age and its evidence.

Exit status 0: all is well; 1: something is not (a service without a server, a process out of reach, tables refused).

examples:
  yaoki status
  yaoki -j status | jq .services
  watch -n1 yaoki status
"""

import argparse
import sys
from collections.abc import Iterable
from datetime import timedelta

from yaoki.cli.node_client import add_node_arguments, connect
from yaoki.cli.output import Paint, print_json
from yaoki.cli.table import table
from yaoki.cli.unsent import unsent_lines
from yaoki.lb.plane import Plane, PlaneChoice, PlaneReason
from yaoki.lb.service import Forward
from yaoki.node.flow_messages import CopyState
from yaoki.node.lease_messages import LeaseState
from yaoki.node.messages import RouterState
from yaoki.node.snapshot import (
    FlowsView,
    LeaseView,
    NodeView,
    PartView,
    PeerCopyView,
    PeerView,
    RouterView,
    ServerView,
    ServiceView,
)
from yaoki.node.wire_view import Evidence
from yaoki.node.wording import ENGLISH, duration, word
from yaoki.pool.member import Duty, Health
from yaoki.pool.policy import Outlook, Reason

_BAD = (Outlook.NOBODY, Outlook.SORRY, Outlook.NOWHERE_BETTER, Outlook.CHECKER_SUSPECTED)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print the picture."""
    with connect(args) as client:
        node: NodeView = client.ask_for(NodeView, "status")
    wrong = tuple(_wrong(node))
    if args.json:
        print_json({"well": not wrong, "wrong": wrong, **_fields(node)})
    else:
        print_node(node, wrong, Paint(sys.stdout))
    return int(bool(wrong))


def print_node(node: NodeView, wrong: Iterable[str], paint: Paint) -> None:
    """The picture as text."""
    if node.paused:
        print(paint.bold(paint.red("PAUSED: nothing is applied; `yaoki resume` ends it")))
    for what in wrong:
        print(paint.red("! ") + what)
    plan = f"plan {node.generation}, in force for {age(node.plan_age)}"
    print(f"{paint.bold(node.node)} of {node.site}: {plan}")
    for line in table([_part_row(part) for part in node.parts]):
        print(f"  {line}")
    print(paint.bold("VIPs"))
    for line in table([_router_row(router, paint) for router in node.routers]):
        print(f"  {line}")
    if node.peers:
        print(paint.bold("peers"))
    for line in table([_peer_row(peer, node.generation, paint) for peer in node.peers]):
        print(f"  {line}")
    if node.leases:
        print(paint.bold("leases"))
    for line in table([_lease_row(lease, paint) for lease in node.leases]):
        print(f"  {line}")
    if node.flows is not None:
        print(paint.bold("copied flows") + f"  {_flows_state(node.flows, paint)}")
        for line in table([_copy_row(peer, paint) for peer in node.flows.peers]):
            print(f"  {line}")
    _print_services(node, paint)


def age(value: timedelta | None) -> str:
    """An age as people read it."""
    return "-" if value is None else duration(value)


def plane_words(choice: PlaneChoice) -> str:
    """The plane that carries a service, and why."""
    why = f" ({choice.why})" if choice.why else ""
    return f"{choice.plane.value}: {word(choice.reason, ENGLISH)}{why}"


def _print_services(node: NodeView, paint: Paint) -> None:
    for service in node.services:
        plane = "" if service.plane is None else f"  on {plane_words(service.plane)}"
        print(paint.bold(f"{service.name}") + f" {service.key}  {_service_state(service, paint)}{plane}")
        for line in table([_server_row(server, paint) for server in service.servers]):
            print(f"  {line}")
    for line in unsent_lines(node.unsent):
        print(line)


def _wrong(node: NodeView) -> Iterable[str]:
    if node.paused:
        yield "paused: nothing is applied"
    if node.balancer.refusal is not None:
        yield f"the kernel refuses the balancer tables: {node.balancer.refusal}"
    for part in node.parts:
        if not part.reached:
            yield f"the {word(part.part, ENGLISH)} is out of reach for {age(part.age)}: {part.why}"
    for router in node.routers:
        yield from _wrong_on_the_wire(router)
    for lease in node.leases:
        if lease.state in (None, LeaseState.UNKNOWN):
            yield f"the store has not been read: nothing is known of the lease of {lease.vip}"
    for service in node.services:
        yield from _wrong_with_service(service)


def _wrong_with_service(service: ServiceView) -> Iterable[str]:
    if service.enabled and service.outlook in _BAD:
        yield f"{service.name} on {service.key}: {word(service.outlook, ENGLISH)}"
    for server in service.servers:
        if service.enabled and server.forward is Forward.TUNNEL and server.way is None:
            yield f"{server.name} gets nothing for {service.name}: no route to {server.address}, or no next hop"
    plane = service.plane
    if plane is None:
        return
    if plane.plane is Plane.NONE:
        yield f"{service.name} on {service.key} is carried by nobody: only BPF has tunnels, and {plane.why}"
    elif plane.reason is PlaneReason.UNABLE and service.wished_plane.is_bpf:
        yield f"{service.name} on {service.key} is not on BPF, as the file wants: {plane.why}"
    elif plane.reason is PlaneReason.NO_XDP:
        yield f"{service.name} on {service.key} is not at XDP, as the file wants: {plane.why}"


def _wrong_on_the_wire(router: RouterView) -> Iterable[str]:
    for seen in router.seen:
        for mac in seen.foreign:
            yield f"{mac}, which is no member's, claims {seen.address} of {router.vip} on {router.interface}"
        if not seen.stale and seen.evidence in (Evidence.NOT_ALONE, Evidence.CONTESTED):
            yield f"{seen.address} of {router.vip} on {router.interface}: {seen.evidence.value}"


def _part_row(part: PartView) -> tuple[str, ...]:
    state = "reached" if part.reached else f"out of reach: {part.why}"
    return (word(part.part, ENGLISH), state, f"for {age(part.age)}")


def _router_row(router: RouterView, paint: Paint) -> tuple[str, ...]:
    state = "unknown" if router.state is None else router.state.value
    colours = {RouterState.ACTIVE: paint.green, RouterState.INITIALIZE: paint.yellow, RouterState.LEAVING: paint.yellow}
    colour = colours.get(router.state or RouterState.BACKUP, str)
    peer = ""
    if router.peer is not None:
        peer = f"{router.peer} priority {router.peer_priority} heard {age(router.peer_heard)} ago"
    return (
        router.vip,
        " ".join(str(address) for address in router.addresses),
        f"{router.interface} VRID {router.vrid}",
        paint.faint(f"{state} (stale)") if router.stale else colour(state),
        f"for {age(router.age)}",
        f"priority {router.priority or '-'}/{router.configured_priority}",
        _reason_of(router),
        peer,
    )


def _reason_of(router: RouterView) -> str:
    if router.withdrawn:
        return "withdrawn while its services are disabled"
    return f"{router.reason} (moved away until admitted)" if router.moved else router.reason


def _peer_row(peer: PeerView, generation: str, paint: Paint) -> tuple[str, ...]:
    if peer.alive is None or peer.stale:
        state = paint.faint("unknown" if peer.alive is None else f"{_heard_or_not(peer)} (stale)")
    else:
        silent = paint.red if peer.vips else str
        state = paint.green("heard") if peer.alive else silent("silent")
    paths = ", ".join(
        f"{path.interface} {path.address} {'heard' if path.alive else 'silent'} {age(path.heard)} ago"
        if path.heard is not None
        else f"{path.interface} {path.address} never heard"
        for path in peer.paths
    )
    plan = "" if peer.generation is None else f"plan {peer.generation}"
    if peer.generation not in (None, generation):
        plan = paint.red(f"{plan}, which differs")
    role = "replaced" if peer.replaced else "" if peer.vips else "cold standby"
    return (peer.node, state, f"for {age(peer.age)}", plan, paths, role)


def _heard_or_not(peer: PeerView) -> str:
    return "heard" if peer.alive else "silent"


def _lease_row(lease: LeaseView, paint: Paint) -> tuple[str, ...]:
    state = "unknown" if lease.state is None else lease.state.value
    colour = {LeaseState.HELD: paint.green, None: paint.yellow, LeaseState.UNKNOWN: paint.yellow}.get(lease.state, str)
    return (
        lease.vip,
        paint.faint(f"{state} (stale)") if lease.stale else colour(state),
        f"for {age(lease.age)}",
        f"owner {lease.owner or '-'}",
        f"epoch {lease.epoch or '-'}",
        f"lasts {duration(lease.duration)}" + ("" if lease.left is None else f", {duration(lease.left)} of it left"),
    )


def _flows_state(flows: FlowsView, paint: Paint) -> str:
    if flows.stale or flows.catching_up is None:
        return paint.faint("unknown")
    state = paint.yellow("catching up: no VIP is taken from another") if flows.catching_up else paint.green("following")
    return f"{state}, {flows.told} told" + (paint.red(f", {flows.refused} refused") if flows.refused else "")


def _copy_row(peer: PeerCopyView, paint: Paint) -> tuple[str, ...]:
    heard = "never heard" if peer.heard is None else f"heard {age(peer.heard)} ago"
    copied = "" if peer.copied is None else f"told all its {peer.copied} flows {age(peer.copied_ago)} ago"
    state = paint.red(peer.state.value) if peer.state is CopyState.SILENT else peer.state.value
    return (peer.node, state, heard, f"{peer.taken} taken", f"{peer.lost} datagrams lost", copied)


def _service_state(service: ServiceView, paint: Paint) -> str:
    if not service.enabled:
        return paint.yellow("disabled, its flows go on" if service.drains else "disabled")
    if service.outlook is None:
        return "unknown"
    text = word(service.outlook, ENGLISH)
    colour = {Outlook.PROVEN: paint.green, Outlook.BACKUP: paint.yellow}.get(service.outlook, paint.red)
    return colour(text)


def _server_row(server: ServerView, paint: Paint) -> tuple[str, ...]:
    host = f"[{server.address}]" if server.address.version == 6 else str(server.address)
    health = f"{word(server.health, ENGLISH)} for {age(server.age)}"
    colour = {Health.UP: paint.green, Health.DOWN: paint.red}.get(server.health, paint.yellow)
    duty = server.duty.value if server.duty is not Duty.SERVE else f"serve weight {server.weight}"
    if server.reason is Reason.STANDS_BY:
        duty = "standby"
    return (
        server.name,
        f"{host}:{server.port}",
        server.forward.value,
        duty,
        paint.faint(f"{health} (stale)") if server.stale else colour(health),
        word(server.reason, ENGLISH),
        server.evidence,
    )


def _fields(node: NodeView) -> dict[str, object]:
    return {name: getattr(node, name) for name in NodeView.__dataclass_fields__}
