"""Why things are where they are: which server a flow has or would get, or why a VIP is (or is not) owned here.

CLIENT and VIP are addresses with ports, IPv6 ones in brackets; /udp names the protocol (default tcp). Without the
client's port the answer is for a new flow. Exit status 1: nobody serves it here.

examples:
  yaoki why 198.51.100.9:51000 192.0.2.50:80       a flow that may be there already
  yaoki why 198.51.100.9 192.0.2.50:80             a new one
  yaoki why [2001:db8:2::9]:4711 [2001:db8:1::50]:7/udp
  yaoki why web-vip                                with the events that led there
"""

import argparse
import os
import sys
from collections.abc import Iterable

from yaoki.cli.node_client import NodeClient, add_node_arguments, connect
from yaoki.cli.output import Paint, print_json
from yaoki.cli.prefix import expand
from yaoki.cli.status import age
from yaoki.cli.typed import whole_number
from yaoki.core.address import IPAddress, parse_address
from yaoki.core.codec import Codec
from yaoki.core.error import UsageError
from yaoki.core.event import EventId
from yaoki.lb.plane import Plane
from yaoki.lb.service import Forward, Protocol, RealServer, Scheduler, ServiceKey
from yaoki.lb.why import Ground, Placing
from yaoki.node.messages import RouterState
from yaoki.node.snapshot import NodeView, RouterView, ServerView, ServiceView
from yaoki.node.wording import ENGLISH, language_of, word
from yaoki.pool.policy import Outlook
from yaoki.pool.policy import Reason as StandingReason
from yaoki.runtime.event_log import KEPT, LoggedEvent, text_line
from yaoki.runtime.requests import WhyAnswer, WhyFlow
from yaoki.vrrp.events import BecameActive, BecameBackup, HandOverBegun, HeldOut, Quarantined, Reason, RouterInitialized

_LONGEST_CHAIN = 50


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("subject", help="the client, ADDRESS[:PORT], or the name of a VIP")
    parser.add_argument("object", nargs="?", help="the service, VIP:PORT[/udp]")
    add_node_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Explain a flow or a VIP."""
    with connect(args) as client:
        if args.object is None or args.subject == "vip":
            return _vip(client, args.object or args.subject, args)
        return _flow(client, args)


# --- flows ------------------------------------------------------------------------------------------------------------


def _flow(client: NodeClient, args: argparse.Namespace) -> int:
    question = flow_of(args.subject, args.object)
    answer: WhyAnswer = client.ask_for(WhyAnswer, "why", flow=_plain(question))
    carried = answer.service is None or answer.service.plane is None or answer.service.plane.plane is not Plane.NONE
    placed = answer.placing is not None and answer.placing.ground not in (Ground.REFUSED, Ground.FULL)
    served = placed and carried
    if args.json:
        print_json({"served": served, "owner": answer.owner, "service": answer.service, "placing": answer.placing})
    else:
        for line in explain(question, answer):
            print(line)
    return int(not served)


def explain(question: WhyFlow, answer: WhyAnswer) -> Iterable[str]:
    """The answer in sentences."""
    if answer.owner is None:
        yield f"{question.key.address} is no VIP of this node"
    else:
        yield _owner(answer.owner)
    if answer.service is None or answer.placing is None:
        yield f"no service here listens on {question.key}: the node itself answers, or refuses"
        return
    plane = answer.service.plane
    if plane is not None and plane.plane is Plane.NONE:
        yield f"{answer.service.name}: nobody carries it here, for only BPF has tunnels: {plane.why}; if somebody did:"
    yield from _placing(answer.service, answer.placing, question)


def _owner(router: RouterView) -> str:
    if router.state is RouterState.ACTIVE:
        return f"{router.vip} is owned here for {age(router.age)}: {router.reason}"
    if router.state is RouterState.LEAVING:
        return f"{router.vip} is being handed over for {age(router.age)}, and served here until then: {router.reason}"
    heard = router.peer is not None and not router.withdrawn
    peer = "" if not heard else f"; {router.peer} owns it (heard {age(router.peer_heard)} ago)"
    state = "unknown" if router.state is None else router.state.value
    return f"{router.vip} is not owned here ({state} for {age(router.age)}: {router.reason}){peer}; if it were:"


def _placing(service: ServiceView, placing: Placing, question: WhyFlow) -> Iterable[str]:
    name = service.name
    match placing.ground:
        case Ground.FLOW:
            yield f"{name}: the flow is there already, and goes to {_place(placing.server)}"
        case Ground.PERSISTENCE:
            yield f"{name}: {question.client} was there not long ago, and goes to {_place(placing.server)} again"
        case Ground.ONLY_SERVER:
            yield f"{name}: {_place(placing.server)} is the only server that takes new flows"
        case Ground.SOURCE_HASH | Ground.FLOW_HASH:
            what = "and its port " if placing.ground is Ground.FLOW_HASH else ""
            where = f"slot {placing.slot} of {placing.slots}"
            yield f"{name}: the hash of {question.client} {what}({where}) leads to {_place(placing.server)}"
        case Ground.IN_TURN:
            shares = ", ".join(f"{server.name} {share:.0%}" for server, share in placing.shares)
            yield f"{name}: a new flow goes to the next in turn ({service.scheduler.value}): {shares}"
        case Ground.FEWEST_FLOWS:
            words = "" if service.scheduler is Scheduler.LEAST_CONNECTION else " for its weight"
            yield f"{name}: a new flow goes to the server with the fewest open ones{words}: {_flows(placing)}"
        case Ground.LESS_OF_TWO:
            yield f"{name}: a new flow goes to the less loaded of two drawn by weight: {_flows(placing)}"
        case Ground.FULL:
            yield f"{name}: new flows are refused, every server is at its limit: {_flows(placing)}"
        case Ground.REFUSED:
            yield f"{name}: new flows are refused, no server takes any"
    if placing.flows and placing.ground not in (Ground.FEWEST_FLOWS, Ground.LESS_OF_TWO, Ground.FULL, Ground.FLOW):
        yield f"{name}: open flows: {_flows(placing)}"
    if service.outlook in (Outlook.BACKUP, Outlook.SORRY):
        yield f"{name}: {word(service.outlook, ENGLISH)}"
    for server in service.servers:
        evidence = f" ({server.evidence})" if server.evidence else ""
        since = f" for {age(server.age)}" if server.age is not None else ""
        duty = "stands by" if server.reason is StandingReason.STANDS_BY else word(server.duty, ENGLISH)
        yield f"  {server.name} {duty}: {word(server.reason, ENGLISH)}{since}{evidence}{_way(server)}"


def _way(server: ServerView) -> str:
    if server.forward is not Forward.TUNNEL:
        return ""
    if server.way is None:
        return f"; there is no way to {server.address}"
    return f"; by {server.way.next_hop} on {server.way.interface}, {server.way.mtu} octets with outer headers"


def _flows(placing: Placing) -> str:
    """What each server has open, and of how many it may have."""
    return ", ".join(
        f"{server.name} {flows}" + ("" if server.limit is None else f" of {server.limit}")
        for server, flows in placing.flows
    )


def _place(server: RealServer | None) -> str:
    if server is None:
        return "nobody"
    host = f"[{server.address}]" if server.address.version == 6 else str(server.address)
    return f"{server.name} ({host}:{server.port}, {server.forward.value})"


def flow_of(client: str, service: str) -> WhyFlow:
    """The question that two words ask. Raises UsageError."""
    address, port = _address_and_port(client)
    place, _, protocol = service.partition("/")
    vip, vip_port = _address_and_port(place)
    if vip_port is None:
        raise UsageError(f'"{service}" names no port; for example 192.0.2.50:80 or [2001:db8::50]:53/udp')
    try:
        wanted = Protocol(protocol or "tcp")
    except ValueError:
        raise UsageError(f'"{protocol}" is neither tcp nor udp') from None
    if address.version != vip.version:
        raise UsageError(f"{address} is of IPv{address.version}, so it sends nothing to {vip}")
    return WhyFlow(ServiceKey(vip, wanted, vip_port), address, port)


def _address_and_port(text: str) -> tuple[IPAddress, int | None]:
    host, port = text, ""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        host, port = host if closed else text, rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    try:
        address = parse_address(host)
    except ValueError:
        raise UsageError(f'"{text}" is no address; for example 198.51.100.9:51000 or [2001:db8::9]:51000') from None
    number = whole_number(port, 65535) if port else None
    if port and not number:
        raise UsageError(f'"{port}" is no port')
    return address, number


def _plain(question: WhyFlow) -> dict[str, object]:
    return Codec().plain(question)


# --- VIPs -------------------------------------------------------------------------------------------------------------


def _vip(client: NodeClient, wanted: str, args: argparse.Namespace) -> int:
    node: NodeView = client.ask_for(NodeView, "status", counted=False)
    name = expand(wanted, dict.fromkeys(router.vip for router in node.routers), what="VIP")
    routers = [router for router in node.routers if router.vip == name]
    events: list[LoggedEvent] = list(client.stream(LoggedEvent, "events", last=KEPT))
    chains = {router: chain(router, events) for router in routers}
    if args.json:
        print_json([{"router": router, "because": events} for router, events in chains.items()])
        return int(not any(router.state is not None and router.state.owns for router in routers))
    paint = Paint(sys.stdout)
    for router, because in chains.items():
        shown = " ".join(str(address) for address in router.addresses)
        print(paint.bold(shown) + f": {_owner(router).removesuffix('; if it were:')}")
        print(f"  priority {router.priority} here, configured {router.configured_priority}")
        if router.group is not None:
            others = dict.fromkeys(each.vip for each in node.routers if each.group == router.group and each.vip != name)
            print(f"  in the sync group {router.group}" + (f", with {', '.join(others)}" if others else ""))
        if router.withdrawn:
            print("  withdrawn: nobody is to own it while every service on it is disabled (when-disabled)")
        if router.moved:
            print(f"  moved away by an operator until `yaoki vip admit {name}`: owned here only if nobody else does")
        if router.reason == Reason.QUARANTINED.value:
            print(f"  a node that returns may not own it, even if nobody does, before `yaoki vip admit {name}`")
        for logged in because:
            print("  " + text_line(logged, language_of(os.environ)))
    return int(not any(router.state is not None and router.state.owns for router in routers))


def chain(router: RouterView, events: Iterable[LoggedEvent]) -> tuple[LoggedEvent, ...]:
    """The events that led to a router's present state, first cause first."""
    by_id: dict[EventId, LoggedEvent] = {}
    last: LoggedEvent | None = None
    for logged in events:
        by_id[logged.event.id] = logged
        body = logged.event.body
        if isinstance(body, BecameActive | BecameBackup | HandOverBegun | RouterInitialized | HeldOut | Quarantined):
            key = body.router
            if (key.interface, key.family, key.vrid) == (router.interface, router.family, router.vrid):
                last = logged
    found: list[LoggedEvent] = []
    while last is not None and len(found) < _LONGEST_CHAIN:
        found.append(last)
        because = last.event.because
        last = None if because is None else by_id.get(because)
    return tuple(reversed(found))
