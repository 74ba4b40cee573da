"""Asks what yaoki.lb.proof judges: who answers for a VIP, and each server through the direct-return path itself.

A run takes about ASK_TIME_S + PATH_TIME_S, and what the checks of the servers' own addresses take. Everything is sent
from this node's own addresses, but one echo request to each IPv4 server from an address of the network that nobody has:
to answer that, the server has to ask for it by ARP, and so shows in whose name it asks.

What goes through tunnels leaves by the kernel's way to each server, and its answers are looked for at every interface.
"""

import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address

from yaoki.checks.check import Finding as CheckFinding
from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.core.error import UsageError
from yaoki.core.instant import Instant
from yaoki.lb.proof import Answer, Kind, Neighbourhood, PathProbe, Route, Tried
from yaoki.lb.service import Protocol
from yaoki.linux.capture_filter import MOST_VALUES, program
from yaoki.linux.capture_socket import ANY, CaptureSocket
from yaoki.linux.claim_socket import ClaimSocket
from yaoki.linux.own_interfaces import OwnInterface, own_interfaces
from yaoki.linux.quiet_port import QuietPort
from yaoki.linux.ways import KnownWays
from yaoki.packet.claim import Claim
from yaoki.packet.recording import Direction
from yaoki.runtime.probes.loop import Job, ProbeLoop
from yaoki.runtime.probes.registry import probe_for
from yaoki.site.proof_task import ProofTarget, ProofTask

ASK_TIME_S = 1.0
PATH_TIME_S = 1.2
TRIES = 3
_BETWEEN_S = 0.3
MOST_CLAIMS = 1000
"""Kept of what is said of an address; more would say the same."""
_SNAP = 256
_AT_ONCE = 64
_CANDIDATES = 3


@dataclass(frozen=True, slots=True)
class _Asked:
    """A target, its probe if it can be asked and the interface that this leaves by, and one from an address that nobody
    has."""

    target: ProofTarget
    probe: PathProbe | None = None
    interface: str = ""
    stranger: PathProbe | None = None


class Prover:
    """One run on this node. Raises ActuatorError, UsageError."""

    def __init__(self, task: ProofTask) -> None:
        self._task = task
        interfaces = {interface.name: interface for interface in own_interfaces()}
        found = interfaces.get(task.interface)
        if found is None or found.mac is None or not found.up:
            raise UsageError(f"{task.interface}, the interface of the VIP here, is not there or not up")
        self._interface: OwnInterface = found
        self._mac: MacAddress = found.mac
        held = [address.ip for one in interfaces.values() for address in (*one.addresses, *one.vips)]
        self._held = frozenset(held)
        self._claims: list[Claim] = []
        self._ways = KnownWays()

    def run(self) -> tuple[tuple[Neighbourhood, ...], tuple[Tried, ...]]:
        """All that there is to see, in the order of the site file."""
        own = _own_checks(self._task.targets)
        candidates = self._candidates()
        far = {target.address for target in self._task.targets if not self._is_near(target)}
        wanted = (*self._task.vips, *(name for name in self._task.names if name not in far), *candidates)
        for address in far:
            self._ways.to(address)  # so that the next hop is asked for meanwhile
        with ExitStack() as stack:
            claims = ClaimSocket(self._interface.name, socket.if_nametoindex(self._interface.name), wanted)
            stack.callback(claims.close)
            self._ask(claims, wanted)
            stranger = next((one for one in candidates if all(claim.address != one for claim in self._claims)), None)
            asked = self._probes(stranger, stack)
            straight = [one for one in asked if one.probe is not None and one.target.tunnel is None]
            through = [one for one in asked if one.probe is not None and one.target.tunnel is not None]
            answers = self._try(claims, straight, self._interface.name) | self._try(claims, through, ANY)
        tried = tuple(self._tried(one, answers, own) for one in asked)
        return tuple(self._neighbourhood(vip) for vip in self._task.vips), tried

    # --- asking the neighbours

    def _candidates(self) -> tuple[IPv4Address, ...]:
        """The last addresses of the VIP's network that the site gives to nobody."""
        networks = [a.network for a in self._interface.addresses if any(vip in a.network for vip in self._task.vips)]
        found: list[IPv4Address] = []
        for network in networks:
            if network.version == 4 and network.prefixlen <= 29:
                last = int(network.broadcast_address) - 1
                addresses = (IPv4Address(number) for number in range(last, int(network.network_address), -1))
                free = (one for one in addresses if one not in self._task.taken and one not in self._held)
                found += [one for one, _ in zip(free, range(_CANDIDATES), strict=False)]
        return tuple(found[:_CANDIDATES])

    def _is_near(self, target: ProofTarget) -> bool:
        """Whether a server is beside the VIP, where it could claim it; one of direct return must be."""
        return target.tunnel is None or any(target.address in own.network for own in self._interface.addresses)

    def _source(self, target: IPAddress) -> IPAddress | None:
        """An own address to ask from, beside the VIP or the target."""
        family = Family.of(target)
        known = (one.source for one in self._task.targets if one.source is not None)
        return next((one for one in known if Family.of(one) is family and one in self._held), None)

    def _ask(self, sock: ClaimSocket, wanted: tuple[IPAddress, ...]) -> None:
        begun = time.monotonic()
        for number in range(TRIES):
            for target in wanted:
                source = self._source(target)
                # An own VIP is asked for as well: nobody else may answer.
                if source is not None and (target not in self._held or target in self._task.vips):
                    sock.ask(self._mac, source, target)
            self._listen(sock, begun + _BETWEEN_S * (number + 1))
        self._listen(sock, begun + ASK_TIME_S)

    def _listen(self, sock: ClaimSocket, until: float) -> None:
        poll = select.poll()
        poll.register(sock.fileno(), select.POLLIN)
        while (left := until - time.monotonic()) > 0:
            if poll.poll(left * 1000):
                self._take(sock)

    def _take(self, sock: ClaimSocket) -> None:
        _, claims = sock.read(_AT_ONCE)
        self._claims += claims[: max(0, MOST_CLAIMS - len(self._claims))]

    def _mac_of(self, address: IPAddress) -> MacAddress | None:
        """The last that said to have an address; a machine's latest word counts."""
        return next((claim.mac for claim in reversed(self._claims) if claim.address == address), None)

    def _neighbourhood(self, vip: IPAddress) -> Neighbourhood:
        names = [
            (mac, name) for address, name in self._task.names.items() if (mac := self._mac_of(address)) is not None
        ]
        beside = (target for target in self._task.targets if target.key.address == vip and self._is_near(target))
        servers = dict.fromkeys(target.server for target in beside)
        return Neighbourhood(
            address=vip,
            owned=vip in self._held,
            claims=tuple(claim for claim in self._claims if claim.address == vip and claim.mac != self._mac),
            names=tuple(dict.fromkeys((*names, *self._task.virtual))),
            members=tuple(dict.fromkeys([*(n for n, _ in self._task.members), *(n for _, n in self._task.virtual)])),
            servers=tuple(servers),
        )

    # --- asking the servers

    def _probes(self, stranger: IPv4Address | None, stack: ExitStack) -> list[_Asked]:
        """A probe of each target, from a port of its own that is kept until the stack is left."""
        asked = []
        for target in self._task.targets:
            source = target.source
            if source is None or source not in self._held:
                asked.append(_Asked(target))
                continue
            port = QuietPort(source, target.key.protocol)
            stack.callback(port.close)
            route = self._route(target, port.number)
            if route is None:
                asked.append(_Asked(target))
                continue
            made = partial(PathProbe, target.key, source_mac=route.own, server_mac=route.mac, source_port=port.number)
            probe = made(source=source, payload=target.payload, wrapping=route.wrapping)
            by_arp = target.tunnel is None and target.key.family is Family.IPV4
            odd = made(source=stranger) if by_arp and stranger else None
            asked.append(_Asked(target, probe, route.interface, odd))
        return asked

    def _route(self, target: ProofTarget, port: int) -> Route | None:
        """How to ask a target; None if nobody knows."""
        if target.tunnel is None:
            mac = self._mac_of(target.address)
            return None if mac is None else Route(self._interface.name, self._mac, mac)
        way = self._ways.to(target.address)
        return None if way is None else Route.through(target.tunnel, way, target.address, port)

    def _try(self, claims: ClaimSocket, asked: list[_Asked], interface: str) -> dict[ProofTarget, list[Answer]]:
        """Answers through the path, at one interface or ANY; those of one kind and MAC once."""
        answers: dict[ProofTarget, list[Answer]] = {one.target: [] for one in asked}
        for batch in (asked[begin : begin + MOST_VALUES] for begin in range(0, len(asked), MOST_VALUES)):
            probes = [(one, probe) for one in batch if (probe := one.probe) is not None]
            protocol = batch[0].target.key.protocol.number
            sources, ports = {probe.source for _, probe in probes}, [probe.source_port for _, probe in probes]
            sock = CaptureSocket(interface, program(sorted(sources, key=str), ports, protocol, snap=_SNAP), snap=_SNAP)
            try:
                for one in batch:
                    if one.stranger is not None:
                        sock.send(one.stranger.echo())
                self._exchange(sock, claims, probes, answers)
                for one, probe in probes:
                    # Whose answer got lost has a connection half open.
                    if not answers[one.target] and probe.key.protocol is Protocol.TCP:
                        sock.send(probe.reset(), one.interface)
            finally:
                sock.close()
        return answers

    def _exchange(
        self,
        sock: CaptureSocket,
        claims: ClaimSocket,
        probes: list[tuple[_Asked, PathProbe]],
        answers: dict[ProofTarget, list[Answer]],
    ) -> None:
        poll = select.poll()
        for descriptor in (sock.fileno(), claims.fileno()):
            poll.register(descriptor, select.POLLIN)
        begun = time.monotonic()
        for number in range(TRIES):
            # That the VIP is there is less than what was asked.
            left_over = [one for one in probes if all(a.kind is Kind.ECHOED for a in answers[one[0].target])]
            if not left_over:
                return
            for asked, probe in left_over:
                sock.send(probe.opening(), asked.interface)
                sock.send(probe.echo(), asked.interface)
            until = begun + (_BETWEEN_S * (number + 1) if number + 1 < TRIES else PATH_TIME_S)
            over = False
            while not over:
                left = until - time.monotonic()
                over = left <= 0  # what has come while we stood still is taken, too
                for descriptor, _ in poll.poll(max(left, 0) * 1000):
                    if descriptor == claims.fileno():
                        self._take(claims)
                        continue
                    for asked, probe, answer in _answers(sock, probes):
                        if answer not in answers[asked.target]:
                            answers[asked.target].append(answer)
                        if answer.kind is Kind.ACCEPTED:
                            sock.send(probe.reset(), asked.interface)

    def _tried(
        self, asked: _Asked, answers: dict[ProofTarget, list[Answer]], own: dict[ProofTarget, tuple[bool, str]]
    ) -> Tried:
        target = asked.target
        passed, words = own[target]
        sourced = target.source is not None and target.source in self._held
        through = "" if target.tunnel is None else f"{target.tunnel} to {target.address}"
        mac = None if asked.probe is None else asked.probe.server_mac
        seen = tuple(answers.get(target, ()))
        return Tried(target.server, target.key, mac, seen, passed, words, probed=sourced, through=through)


def _answers(sock: CaptureSocket, probes: list[tuple[_Asked, PathProbe]]) -> Iterator[tuple[_Asked, PathProbe, Answer]]:
    for _ in range(_AT_ONCE):
        seen = sock.read()
        if seen is None:
            return
        if seen.direction is Direction.IN:
            for asked, probe in probes:
                answer = probe.answer(seen.octets)
                if answer is not None:
                    yield asked, probe, answer


def _own_checks(targets: tuple[ProofTarget, ...]) -> dict[ProofTarget, tuple[bool, str]]:
    """What the service's checks of the servers' own addresses find, each run once."""
    found: dict[int, CheckFinding] = {}

    def finished(number: int, finding: CheckFinding) -> None:
        found[number] = finding

    specs = list(dict.fromkeys(spec for target in targets for spec in target.checks))
    loop = ProbeLoop(finished)
    try:
        for number, spec in enumerate(specs):
            job = Job(number, spec, time.monotonic_ns())
            loop.start(job, probe_for(job))
        until = time.monotonic() + max((spec.schedule.timeout.total_seconds() for spec in specs), default=0.0) + 1.0
        while len(loop) and time.monotonic() < until:
            loop.turn(Instant.of_seconds(until))
    finally:
        loop.close()
    by_spec = {spec: found.get(number) for number, spec in enumerate(specs)}
    return {target: _words(target, by_spec.get) for target in targets}


def _words(target: ProofTarget, finding_of: Callable[..., CheckFinding | None]) -> tuple[bool, str]:
    findings = [(spec, finding_of(spec)) for spec in target.checks]
    passed = all(finding is not None and finding.passed for _, finding in findings)
    said = [f"{spec.name}: {finding.evidence if finding else 'not run'}" for spec, finding in findings]
    return passed, "; ".join(said) or "it has no check"
