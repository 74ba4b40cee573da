"""Runs in a namespace and does as it is told, one JSON request a line: serves, asks, streams, balances."""

import asyncio
import fcntl
import json
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from ipaddress import ip_interface
from pathlib import Path
from typing import Any

from yaoki.checks.check import CheckId, CheckSpec, DirectParams, Finding, Schedule, TcpParams
from yaoki.core.address import IPAddress, MacAddress, parse_address
from yaoki.core.codec import Codec
from yaoki.lab.plays.tunnel_end import open_end
from yaoki.lb.connection import Gathering
from yaoki.lb.flow import Flow as CopiedFlow
from yaoki.lb.service import Desired, Encapsulation, Protocol, ServiceKey, Tunnel, Way
from yaoki.lb.why import Flow
from yaoki.linux import hardware
from yaoki.linux.announce import Announcer
from yaoki.linux.balancer import NftablesBalancer
from yaoki.linux.bpf import hooks, installation, xdp
from yaoki.linux.bpf.layout import LAYOUT, Server, ServerFlag, index
from yaoki.linux.bpf.plane import BpfBalancer
from yaoki.linux.bpf.records import Origin
from yaoki.linux.capture_socket import hidden as hidden_from_sockets
from yaoki.linux.carriers import Carriers, carriers
from yaoki.linux.dead_man_gate import DeadManGate
from yaoki.linux.flow_stores import FlowStores
from yaoki.linux.flow_table import FlowWriter
from yaoki.linux.neighbours import NeighbourWatch
from yaoki.linux.nftables_direct import FLOWS
from yaoki.linux.nftables_session import NftSession, ProgramSession, open_session
from yaoki.linux.planes import SplitBalancer
from yaoki.linux.strangers import StrangerRules, remove_stranger_rules
from yaoki.linux.vip_addresses import VipAddresses
from yaoki.linux.ways import WayWatch
from yaoki.node.flow_messages import ConfigureFlows, FlowsSeen, RememberSources
from yaoki.runtime.probes.loop import Job, ProbeLoop
from yaoki.runtime.probes.registry import probe_for

_state: dict[str, Any] = {"sockets": {}, "streams": {}, "serving": {}}


SO_RCVBUFFORCE, ROOM = 33, 8 << 20
"""Octets that may wait for a process that does not come to run: more than all that a test sends."""
STILL_CLOSING = {"04", "05", "09", "0B"}
"""States of include/net/tcp_states.h in which something is still said: FIN-WAIT-1 and 2, LAST-ACK, CLOSING."""


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def serve(name: str, port: int) -> None:
    """TCP and UDP in both families: each line and datagram is answered with our name and the client's address."""
    for family in (socket.AF_INET, socket.AF_INET6):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            listener = socket.socket(family, kind)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listener.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
            listener.bind(("", port))
            if kind == socket.SOCK_STREAM:
                listener.listen(128)
                threading.Thread(target=_accept, args=(listener, name), daemon=True).start()
            else:
                threading.Thread(target=_answer, args=(listener, name, family), daemon=True).start()


def _accept(listener: socket.socket, name: str) -> None:
    while True:
        connection, peer = listener.accept()
        threading.Thread(target=_converse, args=(connection, name, peer[0]), daemon=True).start()


def _converse(connection: socket.socket, name: str, peer: str) -> None:
    """A line that begins with a number is answered with that many octets more."""
    with suppress(OSError), connection:
        while line := connection.recv(65536):
            number = line.strip()
            more = b"." * int(number) if number.isdigit() else b""
            connection.sendall(f"{name} {peer}\n".encode() + more)


def _answer(listener: socket.socket, name: str, family: int) -> None:
    """Replies come from the address that was asked, as those of a real UDP server on a VIP must."""
    if family == socket.AF_INET:
        listener.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO
    else:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    while True:
        data, ancillary, _, peer = listener.recvmsg(65536, 256)
        reply = f"{name} {peer[0]} {len(data)}\n".encode() + data[:200]
        control = []
        for level, kind, value in ancillary:
            if (level, kind) == (socket.IPPROTO_IP, 8):
                control = [(level, kind, b"\0" * 4 + value[8:12] + b"\0" * 4)]
            elif (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
                control = [(level, kind, value[:16] + b"\0" * 4)]
        listener.sendmsg([reply], control, 0, peer)


def ask_tcp(
    address: str,
    port: int,
    *,
    times: int = 1,
    timeout: float = 10.0,
    source: str | None = None,
    source_port: int = 0,
) -> list[str]:
    """New connections, one after the other; what each was answered, or how it failed."""
    answers = []
    for _ in range(times):
        try:
            from_ = (source or "", source_port) if source or source_port else None
            with socket.create_connection((address, port), timeout, from_) as connection:
                connection.sendall(b"?\n")
                answers.append(connection.recv(100).decode().strip() or "closed")
        except ConnectionRefusedError:
            answers.append("refused")
        except ConnectionResetError:
            answers.append("reset")
        except TimeoutError:
            answers.append("timeout")
        except OSError as error:
            answers.append(str(error))
    return answers


def fetch(address: str, port: int, octets: int, *, timeout: float = 10.0) -> str:
    """Ask for a long answer; whose it was, or how that failed."""
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(f"{octets}\n".encode())
        answer = b""
        with suppress(TimeoutError):
            while b"\n" not in answer or len(answer.split(b"\n", 1)[1]) < octets:
                answer += connection.recv(65536)
            return answer.split(b" ")[0].decode()
        return f"timeout after {len(answer)}"


def ask_udp(
    address: str,
    port: int,
    *,
    times: int = 1,
    timeout: float = 5.0,
    source: str | None = None,
    source_port: int = 0,
    octets: int = 1,
) -> list[str]:
    """One datagram each, from a new port if none is given."""
    answers = []
    for _ in range(times):
        with socket.socket(_family(address), socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            if source or source_port:
                sock.bind((source or "", source_port))
            sock.connect((address, port))
            answers.append(_datagram(sock, octets))
    return answers


def _datagram(sock: socket.socket, octets: int = 1) -> str:
    try:
        sock.send(b"?" * octets)
        return sock.recv(65536).split(b"\n")[0].decode()
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "timeout"


def open_flow(name: str, protocol: str, address: str, port: int, *, source: str | None = None) -> str:
    """A connection or UDP socket that is kept; its first answer."""
    if protocol == "tcp":
        sock = socket.create_connection((address, port), 10, (source, 0) if source else None)
    else:
        sock = socket.socket(_family(address), socket.SOCK_DGRAM)
        if source:
            sock.bind((source, 0))
        sock.connect((address, port))
    _state["sockets"][name] = sock
    return talk(name)


def talk(name: str, *, timeout: float = 10.0) -> str:
    """One more exchange on a kept flow."""
    sock = _state["sockets"][name]
    sock.settimeout(timeout)
    if sock.type == socket.SOCK_DGRAM:
        return _datagram(sock)
    try:
        say(name)
        return hear(name)
    except (ConnectionResetError, BrokenPipeError):
        return "reset"
    except TimeoutError:
        return "timeout"


def say(name: str) -> None:
    """The first half of an exchange over TCP."""
    _state["sockets"][name].sendall(b"?\n")


def hear(name: str) -> str:
    """The second one."""
    with suppress(ConnectionResetError):
        return _state["sockets"][name].recv(100).decode().strip() or "closed"
    return "reset"


def heard(*, seconds: float) -> list[str]:
    """The kept flows on which something has come within so long."""
    ready = select.select(list(_state["sockets"].values()), [], [], seconds)[0]
    return [name for name, sock in _state["sockets"].items() if sock in ready]


def close_flow(name: str) -> None:
    _state["sockets"].pop(name).close()


def let_close(*, seconds: float) -> None:
    """Wait, for so long at most, until connections that were closed here have said their last words."""
    end = time.monotonic() + seconds
    while _closing() and time.monotonic() < end:
        time.sleep(0.005)


def _closing() -> bool:
    lines = [line for name in ("tcp", "tcp6") for line in Path(f"/proc/self/net/{name}").read_text().splitlines()[1:]]
    return any(line.split()[3] in STILL_CLOSING for line in lines)


def start_stream(name: str, address: str, port: int, *, gap_ms: int = 2) -> None:
    """One UDP datagram every `gap_ms`; `stop_stream` tells what came back."""
    sock = socket.socket(_family(address), socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
    sock.connect((address, port))
    stream = {"sent": 0, "answers": [], "stop": False}
    thread = threading.Thread(target=_stream, args=(sock, stream, gap_ms / 1000), daemon=True)
    _state["streams"][name] = (stream, thread)
    thread.start()


def _stream(sock: socket.socket, stream: dict[str, Any], gap: float) -> None:
    """When it is stopped, more than is due is waited for half a second, and what is lacking longer."""
    end, last = None, 0.0
    due = time.monotonic()
    while end is None or time.monotonic() < (end if len(stream["answers"]) >= stream["sent"] else last):
        if end is None and time.monotonic() >= due:
            with suppress(OSError):
                sock.send(b"?")
            stream["sent"] += 1
            due += gap
        readable, _, _ = select.select([sock], [], [], max(0.0, min(gap, due - time.monotonic())))
        if readable:
            with suppress(OSError):
                stream["answers"].append(sock.recv(100).split(b" ")[0].decode())
        if stream["stop"] and end is None:
            end, last = time.monotonic() + 0.5, time.monotonic() + 10
    sock.close()


def stop_stream(name: str) -> dict[str, Any]:
    stream, thread = _state["streams"].pop(name)
    stream["stop"] = True
    thread.join(30)
    return {"sent": stream["sent"], "answers": stream["answers"]}


# --- in the balancer's namespace --------------------------------------------------------------------------------------


class _AnyDriver(Carriers):
    """Lets XDP be tried on a veth, which the product does not."""

    def lacks_xdp(self, interface: str) -> str | None:
        del interface
        return None


def balance(desired: str, *, flows: int | None = None, remove: bool = True) -> dict[str, Any]:
    """Bring the plane to a Desired in wire form, and remove flows as it then wants it; what the plan was and how long
    it took."""
    if "balancer" not in _state:
        new_balancer(flows=flows)
    begun = time.monotonic()
    plane, wanted = _state["balancer"], Codec().decode(desired.encode(), Desired)
    done = plane.converge(wanted, native=_state["native"]) if isinstance(plane, BpfBalancer) else plane.converge(wanted)
    if remove:
        remove_flows()
    return {
        "changes": [f"{change.action.value} {change.subject}" for change in done.changes],
        "costs": list(done.costs),
        "seconds": time.monotonic() - begun,
    }


def take_out(desired: str) -> None:
    """No more of a change than what is done before all else."""
    _state["balancer"].take_out(Codec().decode(desired.encode(), Desired))


def overtaken(desired: str, later: str, *, when: str = "", after_us: int = 0) -> None:
    """Converge, and let another thread take servers out by a later wish: `before` or `after` a transaction of nft's, or
    so long after the beginning."""
    wanted = Codec().decode(desired.encode(), Desired)

    def overtake() -> None:
        time.sleep(after_us / 1e6)
        take_out(later)

    _state["balancer"].begin(wanted)
    with ThreadPoolExecutor(1) as other:
        if when:
            _state["passage"].calls[when] = lambda: other.submit(overtake).result(20)
        else:
            other.submit(overtake)
        _state["balancer"].converge(wanted, begun=True)
    assert not _state["passage"].calls


class _Passage:
    """Calls what is to be called `before` or `after` the next transaction."""

    def __init__(self, session: NftSession) -> None:
        self._session = session
        self.calls: dict[str, Callable[[], object]] = {}

    def run(self, text: str, /, *, purpose: str) -> None:
        self.calls.pop("before", lambda: None)()
        self._session.run(text, purpose=purpose)
        self.calls.pop("after", lambda: None)()


def remove_flows() -> int:
    """How many flows were to be removed; BPF removes its own at once."""
    plane = _state["balancer"]
    return 0 if isinstance(plane, BpfBalancer) else plane.remove_flows()


def hold_strangers(address: str, server: str, port: int, *, ms: int) -> None:
    """Hold up segments of unknown connections to port 80 of an address, and from a server."""
    _state["strangers"] = StrangerRules(hold=timedelta(milliseconds=ms))
    service = ServiceKey(parse_address(address), Protocol.TCP, 80)
    _state["strangers"].apply([service], [(parse_address(server), port)])


def let_strangers_through() -> None:
    remove_stranger_rules()


def copy_flows(wish: str) -> None:
    """Copy flows, as a flow copier does, of the services of a ConfigureFlows and of no others."""
    services = Codec().decode(wish.encode(), ConfigureFlows).services
    if "copying" in _state:
        _state["copying"][0].watch((), frozenset(), services)
        return
    listening: dict[int, Callable[[], None]] = {}
    told: list[CopiedFlow] = []
    stores = FlowStores(listening.__setitem__, listening.__delitem__, lambda flows, _: told.extend(flows))
    stores.watch((), frozenset(), services)
    _state["copying"] = stores, listening, told


def flows_told(*, seconds: float = 0.3) -> str:
    """The flows that the kernel told of since the last time, as FlowsSeen; it is waited for them."""
    _, listening, told = _state["copying"]
    end = time.monotonic() + seconds
    while ready := select.select(list(listening), [], [], max(0.0, end - time.monotonic()))[0]:
        for descriptor in ready:
            listening[descriptor]()
    found = Codec().encode(FlowsSeen(tuple(told))).decode()
    told.clear()
    return found


def flows_read() -> str:
    """The flows that other nodes have to be told of, as FlowsSeen."""
    stores: FlowStores = _state["copying"][0]
    stores.begin()
    found, last = list[CopiedFlow](), False
    while not last:
        part, last = stores.read()
        found += part
    return Codec().encode(FlowsSeen(tuple(found))).decode()


def flows_put(flows: str, *, owned: bool = False) -> int:
    """Put copies there; how many were refused."""
    stores: FlowStores = _state["copying"][0]
    return stores.put(Codec().decode(flows.encode(), FlowsSeen).flows, owned=owned)


def remember_source(what: str) -> None:
    """Keep a source with a server."""
    stores: FlowStores = _state["copying"][0]
    wish = Codec().decode(what.encode(), RememberSources)
    stores.remember(wish.service, wish.server, wish.port, wish.sources, wish.seconds)


def flows_opening(address: str, most: int) -> str:
    """Up to so many flows to a VIP of which the first packet has just come, as FlowsSeen."""
    stores: FlowStores = _state["copying"][0]
    return Codec().encode(FlowsSeen(tuple(stores.openings({parse_address(address)}, most)))).decode()


def end_copying() -> None:
    _state.pop("copying")[0].close()


def put_flow(flow: str) -> int:
    """Put a copied flow into the kernel; how many were refused."""
    with closing(FlowWriter()) as writer:
        return writer.put((Codec().decode(flow.encode(), CopiedFlow),), owned=True)


def new_balancer(*, flows: int | None = None, program: bool = False, plane: str = "nftables") -> None:
    """A plane that knows nothing, as after a restart of the process; `program`: by nft, without its library; "xdp" is
    the plane on BPF with eth0's driver."""
    session = _state["passage"] = _Passage(ProgramSession() if program else open_session())
    if plane in ("bpf", "xdp"):
        _state["balancer"] = BpfBalancer(session=session, guard=_guard)
        _state["native"] = {"eth0"} if plane == "xdp" else set()
        return
    if plane in ("both", "both on any driver"):
        carriers_ = Carriers() if plane == "both" else _AnyDriver()
        _state["balancer"] = SplitBalancer(guard=_guard, carriers=carriers_)
        return
    _state["balancer"] = NftablesBalancer(session=session, flows=FLOWS if flows is None else flows)


def _guard() -> None:
    """As a speaker does when it is called, unless it is deaf."""
    kept: DeadManGate | None = _state.get("gate")
    _state["calls"] = _state.get("calls", 0) + 1
    if kept is not None and not _state.get("deaf"):
        kept.deadlines.follow()
        kept.deadlines.repeat()


def deaf(yes: bool) -> int:
    """Whether the speaker hears no call from now on; how often it was called until now."""
    _state["deaf"] = yes
    return int(_state.pop("calls", 0))


def deadlines() -> dict[str, int]:
    """By address, its deadline; an odd one is the plane's."""
    installed = installation.find()
    assert installed is not None
    tables = installed.tables
    found = {str(address): tables.deadline(number) for address, number in tables.gates()}
    installed.close()
    return found


def now_ns() -> int:
    return time.monotonic_ns()


def lacks() -> dict[str, str | None]:
    """What hinders BPF at each interface that may have addresses, as `yaoki doctor` says it."""
    known = Carriers()
    return {name: known.lacks(name) for name in (*carriers(), "nowhere")}


def hidden() -> list[str]:
    """Interfaces whose packets a recorder may not see."""
    return hidden_from_sockets(list(carriers()))


def lacks_xdp() -> dict[str, str | None]:
    """What hinders XDP there."""
    known = Carriers()
    return {name: known.lacks_xdp(name) for name in (*carriers(), "nowhere")}


def takes_tags_off() -> bool:
    return hardware.takes_tags_off("eth0")


def make_tap(name: str) -> str:
    """An interface whose other end is this process; its MAC."""
    kept = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(kept, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1002))  # TUNSETIFF; IFF_TAP, IFF_NO_PI
    subprocess.run(["ip", "link", "set", name, "up"], check=True)
    _state["tap"] = kept
    return str(hardware.hardware(name).mac)


def through_tap(frame: str) -> str | None:
    """What comes back of the TCP over IPv4 that is sent through it, which is nothing after a while."""
    sent = bytes.fromhex(frame)
    os.write(_state["tap"], sent)
    end = time.monotonic() + 0.3
    while select.select([_state["tap"]], [], [], max(0.0, end - time.monotonic()))[0]:
        back = os.read(_state["tap"], 2048)
        if back[26:] == sent[26:]:
            return back.hex()
    return None


def close_tap() -> None:
    os.close(_state.pop("tap"))


def choices() -> dict[str, str]:
    """Which plane carries each service, and why."""
    return {
        str(key): " ".join(filter(None, (each.plane.value, each.reason.value, each.why)))
        for key, each in _state["balancer"].choices.items()
    }


def observed() -> str:
    result: str = Codec().encode(_state["balancer"].observe().desired).decode()
    return result


def counters() -> dict[str, list[int]]:
    return {
        f"{count.service} {count.server}:{count.port}": [count.packets, count.octets]
        for count in _state["balancer"].counts().servers
    }


def totals() -> dict[str, list[int | None]]:
    """Of each service: packets and flows that were given a server."""
    return {str(each.service): [each.packets, each.opened] for each in _state["balancer"].counts().services}


def unsent() -> dict[str, int]:
    """How many packets the program sent to no server, by reason."""
    return {str(reason): packets for reason, packets in _state["balancer"].counts().unsent.items()}


def connections(limit: int = 100) -> str:
    """Those of all services, as ConnectionList."""
    balancer = _state["balancer"]
    keys = [each.key for each in balancer.observe().desired.services]
    gathering = Gathering(limit)
    balancer.connections(keys, gathering)
    return Codec().encode(gathering.list()).decode()


def find(service: str, source: str, port: int) -> str | None:
    """The name of the server that a flow of a service ("tcp 192.0.2.50 80") has."""
    protocol, address, service_port = service.split()
    key = ServiceKey(parse_address(address), Protocol(protocol), int(service_port))
    found = _state["balancer"].find(key, Flow(parse_address(source), port))
    return None if found is None else str(found.name)


def remembered(service: str, source: str) -> str | None:
    """The name of the server that a source is remembered with."""
    protocol, address, port = service.split()
    key = ServiceKey(parse_address(address), Protocol(protocol), int(port))
    found = _state["balancer"].remembered(key, parse_address(source))
    return None if found is None else str(found.name)


def flows() -> dict[str, int]:
    return {
        f"{service} {server}:{port}": count for (service, server, port), count in _state["balancer"].flows().items()
    }


def local_port(name: str) -> int:
    """The source port of a kept flow."""
    return int(_state["sockets"][name].getsockname()[1])


async def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until it is so, and no longer than this."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not holds():
        await asyncio.sleep(0.02)


def watch(
    places: list[list[str]],
    seconds: float,
    *,
    then: list[list[str]] | None = None,
    last: list[str | None] | None = None,
) -> list[list[str | None]]:
    """What a watch of neighbours tells within a time, in order; `then` replaces the list of them half-way. It ends when
    `last` is told, if that is given."""
    heard: list[list[str | None]] = []

    def parsed(wanted: list[list[str]]) -> tuple[tuple[str, IPAddress], ...]:
        return tuple((interface, parse_address(address)) for interface, address in wanted)

    async def listen() -> None:
        watching = NeighbourWatch(
            lambda _, address, mac: heard.append([str(address), None if mac is None else str(mac)])
        )
        watching.watch(parsed(places))
        if then is not None:
            await asyncio.sleep(seconds / 2)
            watching.watch(parsed(then))
            await asyncio.sleep(seconds / 2)
        else:
            await until(lambda: last in heard, seconds)
        watching.close()

    asyncio.run(listen())
    return heard


def ways(
    addresses: list[str], seconds: float, *, then: list[str] | None = None, last: list[str | None] | None = None
) -> list[list[str | None]]:
    """What a watch of ways tells within a time, in order. When it has told a way, the words of `then` are given to ip;
    it is waited for either half of the time at most, and not longer than until `last` is told."""
    heard: list[list[str | None]] = []

    def told(address: IPAddress, way: Way | None) -> None:
        text = None if way is None else f"{way.interface} {way.own} {way.next_hop} {way.mac} {way.source} {way.mtu}"
        heard.append([str(address), text])

    async def listen() -> None:
        watching = WayWatch(told)
        watching.watch(tuple(map(parse_address, addresses)))
        await until(lambda: then is not None and any(way is not None for _, way in heard), seconds / 2)
        if then is not None:
            subprocess.run(["ip", *then], check=True, timeout=5)
        await until(lambda: heard[-1:] == [last], seconds / 2)
        watching.close()

    asyncio.run(listen())
    return heard


def own_as_speaker(address: str) -> None:
    """Have a VIP on eth0 as a speaker puts it there, with our mark."""
    with closing(VipAddresses()) as addresses:
        addresses.claim(socket.if_nametoindex("eth0"), ip_interface(address))


def end_tunnels(ports: list[int]) -> None:
    """Take packets out of others, as the hosts of a lab do."""
    open_end(ports)


def send(address: str, port: int, octets: int, *, timeout: float = 10.0) -> str:
    """Send a long request, and then a short one on the same connection; who answered the last of it."""
    with socket.create_connection((address, port), timeout) as connection:
        connection.sendall(b"x" * octets + b"\n")
        answer = b""
        with suppress(TimeoutError):
            while b"\n" not in answer:
                answer += connection.recv(65536)
            return answer.split(b" ")[0].decode()
        return "timeout"


def recount() -> bool:
    """As a node does now and then; whether a service asks for it."""
    recount = _state["balancer"].recount()
    if recount is None:
        return False
    recount.count()
    _state["filled"] = recount.filled
    while recount.heed():
        pass
    return True


def filled() -> list[list[object]]:
    """How full the tables were at the latest recount: table, whose, entries, size."""
    return [[each.table.value, each.whose, each.entries, each.size] for each in _state["filled"]]


def probe(target: str, params: dict[str, Any], source: str, *, timeout_ms: int = 500) -> list[str]:
    """A check made once: how it ended, and its evidence."""
    found: list[Finding] = []
    loop = ProbeLoop(lambda _, finding: found.append(finding))
    schedule = Schedule(timedelta(seconds=1), timedelta(milliseconds=timeout_ms))
    kinds = {"direct": DirectParams, "tcp": TcpParams}
    kind = kinds[params.pop("kind")]
    made: dict[str, Any] = {"vip": parse_address(params.pop("vip"))} if "vip" in params else {}
    if (tunnel := params.pop("tunnel", None)) is not None:
        made["tunnel"] = Tunnel(Encapsulation(tunnel[0]), tunnel[1])
    identity = CheckId(parse_address(target), kind(**params, **made), parse_address(source))
    job = Job(1, CheckSpec(identity, schedule, "check"), time.monotonic_ns())
    loop.start(job, probe_for(job))
    while not found:
        loop.turn(None)
    loop.close()
    return [found[0].outcome.value, found[0].evidence]


def cleanup() -> None:
    _state["balancer"].cleanup()


def programs() -> list[list[object]]:
    """Names and numbers of the programs at eth0's ingress."""
    found: list[list[object]] = []
    for program in hooks.attached(_eth0()):
        found.append([program.name, hooks.number_of(program)])
        program.close()
    return found


def in_driver() -> list[object] | None:
    """Name and number of the XDP program in eth0's driver."""
    program = xdp.program_at(xdp.look(_eth0()))
    if program is None:
        return None
    found: list[object] = [program.name, hooks.number_of(program)]
    program.close()
    return found


def refused_by_driver() -> str | None:
    """Why eth0's driver has no program, if it was to have one."""
    found: str | None = _state["balancer"].drivers.refusals.get("eth0")
    return found


def make_program_old(layout: str = LAYOUT) -> None:
    """As if the program were from the object of another version."""
    installed = installation.find()
    assert installed is not None
    installed.records.put_origin(Origin(layout, "balancer-of-last-year.bpf.o"))
    installed.close()


def put_stray(number: int, stamp: int, service: int) -> None:
    """A server that is in no record, and keeps flows."""
    installed = installation.find()
    assert installed is not None
    mac = MacAddress.parse("02:00:00:00:00:99")
    installed.tables.put_servers({number: Server(mac, ServerFlag.KEEPS, stamp, service)})
    installed.close()


def server_flags(number: int) -> int:
    """Of a server in the program's table, by its number."""
    installed = installation.find()
    assert installed is not None
    found = installed.tables.server(number).flags
    installed.close()
    return int(found)


def spoil_under_way() -> None:
    """What flows that are under way go by is gone."""
    installed = installation.find()
    assert installed is not None
    services = installed.maps["services"]
    services.update_all((index(id_), bytes(services.shape.value_size)) for id_ in range(services.shape.max_entries))
    installed.close()


def gate_numbers() -> dict[str, int]:
    """By address, the number of its deadline."""
    installed = installation.find()
    assert installed is not None
    found = {str(address): number for address, number in installed.tables.gates()}
    installed.close()
    return found


def detach_programs() -> None:
    for program in hooks.attached(_eth0()):
        hooks.detach(program, _eth0())
        program.close()


def _eth0() -> hooks.Interface:
    return hooks.Interface("eth0", socket.if_nametoindex("eth0"))


def gate(what: str, addresses: list[str] | None = None, limit_ms: float = 0) -> Any:  # noqa: ANN401 - as the method does
    """A method of a DeadManGate, which is made first; "hook" means eth0."""
    kept: DeadManGate = _state.setdefault("gate", None) or DeadManGate()
    _state["gate"] = kept
    parsed = tuple(parse_address(address) for address in addresses or ())
    limit = timedelta(milliseconds=limit_ms)
    match what:
        case "hook":
            return kept.hook("eth0", socket.if_nametoindex("eth0"))
        case "arm":
            return kept.arm(parsed, limit)
        case "refresh":
            return kept.refresh(parsed, limit)
        case "disarm":
            return kept.disarm(parsed)
        case "hush":
            return kept.hush(parsed)
        case "answer again":
            return kept.answer_again(parsed)
        case "remove":
            _state["gate"] = None
            kept.remove()
            return kept.close()
        case "abandon":
            _state["gate"] = None
            return kept.close()
        case "take up":
            return len(kept.take_up())
        case "armed":
            return {str(each.address): each.open_for / timedelta(milliseconds=1) for each in kept.armed()}
        case _:
            raise ValueError(what)


def announce(address: str) -> None:
    """Tell the neighbours on eth0 that an address is here."""
    announcer = Announcer()
    announcer.announce("eth0", MacAddress.parse(read("/sys/class/net/eth0/address")), parse_address(address))
    announcer.close()


def read(path: str) -> str:
    return Path(path).read_text().strip()


_COMMANDS: dict[str, Callable[..., object]] = {
    function.__name__: function
    for function in (
        serve,
        ask_tcp,
        ask_udp,
        fetch,
        find,
        recount,
        filled,
        ways,
        own_as_speaker,
        end_tunnels,
        send,
        remembered,
        flows,
        local_port,
        open_flow,
        talk,
        say,
        hear,
        heard,
        close_flow,
        let_close,
        start_stream,
        stop_stream,
        balance,
        take_out,
        overtaken,
        new_balancer,
        watch,
        observed,
        counters,
        totals,
        connections,
        unsent,
        cleanup,
        probe,
        gate,
        announce,
        read,
        programs,
        in_driver,
        refused_by_driver,
        make_program_old,
        put_stray,
        server_flags,
        spoil_under_way,
        detach_programs,
        gate_numbers,
        choices,
        lacks,
        lacks_xdp,
        hidden,
        takes_tags_off,
        make_tap,
        through_tap,
        close_tap,
        deaf,
        deadlines,
        now_ns,
        hold_strangers,
        let_strangers_through,
        put_flow,
        copy_flows,
        flows_told,
        flows_read,
        flows_put,
        remember_source,
        flows_opening,
        end_copying,
    )
}


def main() -> None:
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: dict[str, object] = {"result": _COMMANDS[request.pop("do")](**request)}
        except Exception as error:  # the test that asked is told
            answer = {"error": repr(error)}
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is how the agent answers


if __name__ == "__main__":
    main()
