"""The packets of a recording sorted by what they are to the service: requests, replies, and on which way."""

from collections.abc import Iterable

from yaoki.core.address import IPAddress, MacAddress
from yaoki.lb.capture.flow import Flow, Sent
from yaoki.lb.capture.scene import Frame, Role, Scene
from yaoki.lb.service import ServiceKey
from yaoki.packet.recording import Direction


class Traffic:
    """`sent_on`: requests as they left the balancer, each with the machine that it went to. `past`: requests to the VIP
    that reached a server from another machine than the balancer, to one behind a tunnel outside of it. `last_ns` is the
    time of the last packet."""

    def __init__(self, scene: Scene) -> None:
        self.sent_on: list[Sent] = []
        self.past: list[Sent] = []
        self.last_ns = 0
        self._scene = scene
        self._keys = {(key.address, key.protocol.number, key.port): key for key in scene.keys}
        self._places = {place for server in scene.servers for place in server.places}
        self._roles = {party.name: party.role for party in scene.parties}
        self._flows: dict[tuple[ServiceKey, IPAddress, int], Flow] = {}

    @property
    def flows(self) -> Iterable[Flow]:
        """In the order in which they were first seen."""
        return self._flows.values()

    def take(self, frame: Frame) -> None:
        """One packet."""
        self.last_ns = max(self.last_ns, frame.at_ns)
        seen, own = frame.headers, self._scene.own
        if (key := self._keys.get((seen.destination, seen.protocol, seen.destination_port))) is not None:
            if seen.source not in own:
                self._asked(frame, self._flow(key, seen.source, seen.source_port))
        elif (key := self._keys.get((seen.source, seen.protocol, seen.source_port))) is not None:
            if seen.destination not in own:
                self._replied(frame, self._flow(key, seen.destination, seen.destination_port))
        elif self._leaves_balancer(frame) and (seen.destination, seen.destination_port) in self._places:
            # Under its own address and not the VIP's: it is translated.
            self.sent_on.append((self._name(seen.destination_mac), frame))

    def _flow(self, key: ServiceKey, address: IPAddress, port: int) -> Flow:
        return self._flows.setdefault((key, address, port), Flow(key))

    def _asked(self, frame: Frame, flow: Flow) -> None:
        if self._leaves_balancer(frame):
            flow.sent_to = self._receiver(frame)
            self.sent_on.append((flow.sent_to, frame))
        elif frame.direction is Direction.IN and frame.node in self._roles:
            flow.asked.setdefault(frame.node, []).append(frame)
            if self._roles[frame.node] is Role.SERVER:
                self._arrived(frame, flow)

    def _arrived(self, frame: Frame, flow: Flow) -> None:
        """A request reached a server; where the balancer's MAC is known, somebody else's is seen. A tunnel's is a
        router's."""
        flow.sent_to = flow.sent_to or frame.node
        if frame.outer is not None:
            if frame.outer.source not in self._scene.own:
                self.past.append((frame.node, frame))
            return
        sender = self._scene.of_mac(frame.headers.source_mac)
        known = any(party.macs for party in self._scene.balancers)
        if known and (sender is None or sender.role is not Role.BALANCER):
            self.past.append((frame.node, frame))

    def _replied(self, frame: Frame, flow: Flow) -> None:
        place = f"{frame.place} {frame.direction.name}"
        if self._leaves_balancer(frame):
            flow.through.setdefault(place, []).append((frame.node, frame))
        elif self._roles.get(frame.node) is not Role.BALANCER:
            party = self._scene.of_mac(frame.headers.source_mac)
            if party is not None and party.role is Role.SERVER:
                flow.straight.setdefault(place, []).append((party.name, frame))
            elif party is not None and party.role is Role.BALANCER:
                flow.through.setdefault(place, []).append((party.name, frame))
            # Behind a router nobody can say any more who sent it.

    def _leaves_balancer(self, frame: Frame) -> bool:
        return frame.direction is Direction.OUT and self._roles.get(frame.node) is Role.BALANCER

    def _receiver(self, frame: Frame) -> str:
        end = None if frame.outer is None else self._scene.of_end(frame.outer.destination)
        return self._name(frame.headers.destination_mac) if end is None else end.name

    def _name(self, mac: MacAddress) -> str:
        party = self._scene.of_mac(mac)
        return str(mac) if party is None else party.name
