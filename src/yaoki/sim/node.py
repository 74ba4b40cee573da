"""A simulated node: a kernel, clocks, its processes with the links between them, and what can be done to it all.

Its rules are those of an operating system only: what dies with what, who starts whom, what waits and what is lost.

Invariants: the kernel outlives every process and dies with the power; the journal outlives the power; nothing of a
frozen machine moves.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from yaoki.checks.check import CheckSpec, Finding
from yaoki.core.address import IPAddress, MacAddress
from yaoki.node.brain_messages import StopRequested
from yaoki.node.messages import AnnounceAddress, SendAdvertisement, SendHeartbeat
from yaoki.node.wire_messages import WireInterface
from yaoki.packet.claim import Claim
from yaoki.sim.chance import Chance
from yaoki.sim.clock import NodeClock
from yaoki.sim.faults import Between, Part
from yaoki.sim.keeper import Keeper
from yaoki.sim.kernel import Kernel
from yaoki.sim.lease_store import LeaseStore
from yaoki.sim.main_process import MainProcess
from yaoki.sim.neighbours import NEIGHBOURS, Announcement, Neighbours
from yaoki.sim.network import Network, Port, Way
from yaoki.sim.process import LATENESS_US
from yaoki.sim.processes import BOOT_US, Handle, Processes
from yaoki.sim.resolution import Question, Resolution
from yaoki.sim.servers import Servers, mac_of, silence
from yaoki.sim.speaker import Speaker
from yaoki.sim.surroundings import Surroundings, Witness
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline
from yaoki.sim.topology import Topology
from yaoki.sim.wiring import wire
from yaoki.sim.worker import Worker

Frame = SendAdvertisement | SendHeartbeat | Announcement | Question | Claim

NODES = "nodes"

# Clocks of different machines: any zero, and drifting apart by up to 200 parts in a million.
LATEST_ZERO_US = 10**12
DRIFT_PPM = 200


@dataclass(frozen=True, slots=True)
class _Path:
    """From a node to a server."""

    host: str | None
    port: Port[Frame]
    out: Way
    back: Way

    @property
    def passes(self) -> bool:
        return self.port.live and not self.out.cuts and not self.back.cuts


class Node:
    """One node of the world by name."""

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        chance: Chance,
        *,
        topology: Topology,
        networks: dict[str, Network[Frame]],
        neighbours: dict[str, Neighbours],
        servers: Servers,
        lease_store: LeaseStore,
        witness: Witness,
        carry: Callable[[object], object],
    ) -> None:
        self.name = name
        self.attachments = topology.of_node(name)
        self.kernel = Kernel(self.attachments, timeline, self._kernel_changed)
        drift = chance.between(-DRIFT_PPM, DRIFT_PPM)
        self.clock = NodeClock(started_at=timeline.now, zero=chance.between(SECOND, LATEST_ZERO_US), drift_ppm=drift)
        self._timeline = timeline
        self._chance = chance
        self._networks = networks
        self._neighbours = neighbours
        self._servers = servers
        self._witness = witness
        self._topology = topology
        self.power_cycles = 0
        """How often the power has gone."""
        self.port_changed_at = 0
        self._power_faults = self._freezes = self._stops = 0
        self.thawed_at: int | None = None
        self._lease_store = lease_store
        # By identity of the spec, which lives as long as its entry: hashing an address costs more than a probe.
        self._paths: dict[int, tuple[CheckSpec, _Path]] = {}
        self.ports: dict[str, Port[Frame]] = {}
        self._plugs: dict[str, tuple[Port[Frame], Network[Frame]]] = {}
        for attachment in self.attachments:
            port = Port(name, NODES, cast("Callable[[Frame], None]", partial(self._hear, attachment.interface)))
            self.ports[attachment.interface] = port
            networks[attachment.network].plug(port)
            self._plugs[attachment.interface] = port, networks[attachment.network]
        around = Surroundings(name, timeline, chance, self.clock, self.kernel, witness)
        self.main = MainProcess(around, topology.plan(name), self)
        self.resolution = Resolution(
            name, self.attachments, self.kernel, send=self._resolve, see=self.main.process.give
        )
        self.worker = Worker(around, probe=self._probe, report=self._from_worker)
        self.speaker = Speaker(
            around,
            send=self._send,
            announce=self._announce,
            beat=self._beat,
            report=self._from_speaker,
            silent=partial(self._break_off, (Between.SPEAKER, Between.HOLDER)),
            ended=self._speaker_ended,
            hold=self._hold,
        )
        self.keeper = self._keeper_of(around, lease_store) if topology.plan(name).leases else None
        self.processes = Processes(self._handles(), timeline, chance, self._processes_changed)
        self.links = wire(
            self.main,
            self.speaker,
            self.worker,
            self.keeper,
            timeline=timeline,
            chance=chance,
            carry=carry,
            worker_alone=self._worker_alone,
            changed=self._processes_changed,
        )

    def _keeper_of(self, around: Surroundings, store: LeaseStore) -> Keeper:
        return Keeper(
            around,
            store,
            report=self._from_keeper,
            changed=self._processes_changed,
            tell=self._to_holder,
            ended=partial(self._end, Part.KEEPER),
        )

    # --- the world as invariants see it

    @property
    def powered(self) -> bool:
        """On, and not frozen."""
        return not self._power_faults and not self._freezes

    def speaking(self) -> bool:
        """Whether the speaker runs, on time."""
        return self.powered and self.processes.running(Part.SPEAKER)

    def minding(self) -> bool:
        """Whether checks, decisions and tables work: everything but the speaker. Who stops wants nothing any more."""
        return (
            self.powered
            and not self._stops
            and self.processes.running(Part.MAIN)
            and self.processes.running(Part.WORKER)
            and self.links[Between.WORKER].flowing
            and not self.main.plane_faults
        )

    def keeping(self) -> bool:
        """Whether its lease keeper works, with its speaker and the store: everything that a lease takes."""
        return (
            self.powered
            and self.keeper is not None
            and self.keeper.knows_leases
            and self.processes.running(Part.KEEPER)
            and self.keeper.process.lateness_us <= LATENESS_US
            and self.links[Between.HOLDER].flowing
            and self._lease_store.reached(self.name)
        )

    def store_changed(self) -> None:
        """The store of leases is reached again, or no longer."""
        self._processes_changed()

    def releases_on_stop(self) -> bool:
        """Whether an order to release would reach a running speaker."""
        main = self.powered and self.processes.running(Part.MAIN)
        return main and self.processes.running(Part.SPEAKER) and self.links[Between.SPEAKER].flowing

    # --- power

    def boot(self) -> None:
        """Power is there: the system starts the main process, which starts the others."""
        self.processes.start_soon(Part.MAIN)

    def lose_power(self) -> None:
        """Everything stops at once."""
        self._power_faults += 1
        self.power_cycles += 1
        self.processes.kill(Part.ALL)
        self.kernel.lose_power()
        self._set_ports()

    def regain_power(self) -> None:
        """Take one loss back; the last one boots the machine."""
        self._power_faults -= 1
        self.processes.revive(Part.ALL, self._chance.between(*BOOT_US))
        self._set_ports()

    def freeze(self) -> None:
        """The machine stands still, and does not know it afterwards."""
        if self._freezes == 0:
            self.clock.freeze(self._timeline.now)
            self.kernel.freeze()
        self._freezes += 1
        self.processes.pause(Part.ALL)
        self._set_ports()

    def thaw(self) -> None:
        """Take one freeze back."""
        self._freezes -= 1
        if self._freezes == 0:
            self.thawed_at = self._timeline.now
            self.clock.thaw(self._timeline.now)
            self.kernel.thaw()
            self._come_to()
        self._set_ports()
        self.processes.resume(Part.ALL)

    def _come_to(self) -> None:
        """By its own clock nothing has happened, so nobody can ask it to announce what it holds before its refresh."""
        for attachment in self.attachments:
            for address in self.kernel.found(attachment.interface).held or ():
                self._missed(attachment.network, Announcement(self.name, address.ip), NEIGHBOURS)

    def stop(self) -> None:
        """An operator stops the node in good order; what has not ended after a while is killed."""
        self._stops += 1
        self._witness.stopping(self.name)
        self._processes_changed()
        self.main.process.give(StopRequested("operator"))
        self._timeline.after(self._topology.stop_grace_us, self._stopped)

    def start(self) -> None:
        """After a stop, and not before its grace has passed."""
        self._timeline.after(self._topology.stop_grace_us, partial(self.processes.revive, Part.ALL))

    # --- smaller faults

    def remove_addresses(self) -> None:
        """Somebody deletes every VIP by hand."""
        for interface in self.kernel.interfaces:
            for address in self.kernel.found(interface).held or ():
                self.kernel.take_away(interface, address)

    def stall(self, between: Between) -> None:
        self.links[between].stall()

    def unstall(self, between: Between) -> None:
        self.links[between].resume()

    def bar(self, between: Between) -> None:
        """Break a link and keep it broken."""
        self.links[between].bar()

    def unbar(self, between: Between) -> None:
        self.links[between].unbar()

    def refuse_tables(self, faults: int) -> None:
        """The kernel refuses changes of the tables while the count is above zero."""
        self.main.plane_faults += faults
        self._processes_changed()

    # --- what the processes reach (main_process.Outside)

    def to_speaker(self, message: object, /) -> None:
        self.links[Between.SPEAKER].send_to_server(message)

    def to_worker(self, message: object, /) -> None:
        self.links[Between.WORKER].send_to_server(message)

    def to_keeper(self, message: object, /) -> None:
        self.processes.start_soon(Part.KEEPER)
        self.links[Between.KEEPER].send_to_server(message)

    def neighbour(self, address: IPAddress, /) -> MacAddress | None:
        host = self._servers.host(address)
        if host is None or not self._servers.answers(host) or not self.reaches(address):
            return None
        return mac_of(address)

    def ask(self, interface: str, address: IPAddress, /) -> None:
        self.resolution.ask(interface, address)

    def wire_interface(self, interface: str, /) -> WireInterface:
        return self.resolution.state(interface)

    def reaches(self, address: IPAddress) -> bool:
        """Whether frames pass between this node and the machines around it."""
        return self._path(address).passes

    # --- inside

    def _path(self, address: IPAddress) -> _Path:
        attachment = self._topology.towards(self.name, address)
        network = self._networks[attachment.network]
        return _Path(
            self._servers.host(address),
            self.ports[attachment.interface],
            network.way(self.name, NEIGHBOURS),
            network.way(NEIGHBOURS, self.name),
        )

    def _probe(self, check: CheckSpec) -> Finding:
        if check.id.target.is_loopback:
            return self._servers.finding_at_home()
        known = self._paths.get(id(check))
        if known is None:
            known = self._paths[id(check)] = check, self._path(check.id.target)
        path = known[1]
        loss = path.out.conditions.loss
        if not path.passes or (loss and self._chance.happens(loss)):
            return silence(check)
        return self._servers.finding(check, path.host)

    def _hear(self, interface: str, frame: SendAdvertisement | SendHeartbeat | Question | Claim) -> None:
        if isinstance(frame, SendAdvertisement | SendHeartbeat):
            self.speaker.hear(interface, frame)
        else:
            self.resolution.hear(interface, frame)

    def _resolve(self, interface: str, frame: Question | Claim, only: str | None) -> None:
        port, network = self._plugs[interface]
        network.send(port, frame, NODES, only=only)
        if isinstance(frame, Question) and self._servers.claimants(frame.address):
            network.send(port, frame, NEIGHBOURS)

    def _send(self, advertisement: SendAdvertisement) -> None:
        if advertisement.payload[2] == 0:
            self._witness.left(self.name, advertisement.interface, advertisement.payload[1], advertisement.family.value)
        if advertisement.mac is not None:
            self._witness.spoke(self.name, advertisement)
        port, network = self._plugs[advertisement.interface]
        if advertisement.destination.is_multicast:
            network.send(port, advertisement, NODES)
        elif (peer := self._topology.at(network.name, advertisement.destination)) is not None:
            network.send(port, advertisement, NODES, only=peer)

    def _beat(self, heartbeat: SendHeartbeat) -> None:
        port, network = self._plugs[heartbeat.interface]
        peer = self._topology.at(network.name, heartbeat.destination)
        if peer is not None:
            network.send(port, heartbeat, NODES, only=peer)

    def _announce(self, effect: AnnounceAddress) -> None:
        if self.kernel.silences(effect.address):
            return
        port, network = self._plugs[effect.interface]
        announcement = Announcement(self.name, effect.address)
        missed = partial(self._missed, network.name, announcement)
        network.send(port, announcement, NEIGHBOURS, lost=missed)
        self.resolution.announce(effect.interface, effect.address)

    def _missed(self, network: str, announcement: Announcement, _owner: str) -> None:
        self._neighbours[network].miss(announcement)

    def _from_speaker(self, message: object) -> None:
        self.links[Between.SPEAKER].send_to_client(message)

    def _from_worker(self, message: object) -> None:
        self.links[Between.WORKER].send_to_client(message)

    def _from_keeper(self, message: object) -> None:
        self.links[Between.KEEPER].send_to_client(message)

    def _hold(self, message: object) -> None:
        if self.keeper is not None:
            self.links[Between.HOLDER].send_to_server(message)

    def _to_holder(self, message: object) -> None:
        self.links[Between.HOLDER].send_to_client(message)

    def _set_ports(self) -> None:
        self.port_changed_at = self._timeline.now
        for interface, port in self.ports.items():
            port.live = self.powered and self.kernel.has_carrier(interface)
            self._witness.addresses_changed(self.name, interface)
        self._processes_changed()

    def _kernel_changed(self, interface: str, by_speaker: bool) -> None:
        live = self.powered and self.kernel.has_carrier(interface)
        if live != self.ports[interface].live:
            self.ports[interface].live, self.port_changed_at = live, self._timeline.now
        if not by_speaker:
            self.speaker.notify(interface)
            self.main.notify(interface)
        self._witness.addresses_changed(self.name, interface)

    def _processes_changed(self) -> None:
        self._witness.processes_changed(self.name)

    def _stopped(self) -> None:
        self._stops -= 1
        self._witness.stopped(self.name)
        self.processes.kill(Part.ALL)

    def _end(self, part: Part) -> None:
        self.processes.end(part)

    def _speaker_ended(self) -> None:
        """It has released everything: the main process ends the keeper next."""
        if self.keeper is None:
            self._end(Part.SPEAKER)
        else:
            # What a process has sent before it ends arrives all the same.
            self._timeline.after(MILLISECOND, self._end_with_keeper)

    def _end_with_keeper(self) -> None:
        if self.keeper is not None and self.speaker.released:
            self._end(Part.SPEAKER)
            self.keeper.end()

    def _handles(self) -> dict[Part, Handle]:
        main, speaker, worker = self.main.process, self.speaker.process, self.worker.process
        handles = {
            Part.MAIN: Handle(
                alive=lambda: main.machine is not None,
                start=self._start_main,
                kill=partial(self._kill, main.kill, (Between.SPEAKER, Between.WORKER, Between.KEEPER)),
                pause=main.pause,
                resume=main.resume,
                slow=main.slow,
                quicken=main.quicken,
            ),
            Part.SPEAKER: Handle(
                alive=lambda: speaker.machine is not None,
                start=self._start_speaker,
                kill=partial(self._kill, speaker.kill, (Between.SPEAKER, Between.HOLDER)),
                pause=self.speaker.pause,
                resume=self.speaker.resume,
                slow=speaker.slow,
                quicken=speaker.quicken,
            ),
            Part.WORKER: Handle(
                alive=lambda: worker.machine is not None,
                start=self.worker.start,
                kill=partial(self._kill, worker.kill, (Between.WORKER,)),
                pause=worker.pause,
                resume=worker.resume,
                slow=worker.slow,
                quicken=worker.quicken,
            ),
        }
        if self.keeper is not None:
            keeper = self.keeper.process
            handles[Part.KEEPER] = Handle(
                alive=lambda: keeper.machine is not None,
                start=self._start_keeper,
                kill=partial(self._kill, keeper.kill, (Between.KEEPER, Between.HOLDER)),
                pause=keeper.pause,
                resume=keeper.resume,
                slow=keeper.slow,
                quicken=keeper.quicken,
            )
        return handles

    def _start_main(self) -> None:
        self.main.start()
        for part in (Part.SPEAKER, Part.WORKER):
            self.processes.start_soon(part)
        for between, link in self.links.items():
            if between is not Between.HOLDER:
                link.connect()

    def _start_speaker(self) -> None:
        self.speaker.start()
        if self.keeper is not None:
            self.links[Between.HOLDER].connect()

    def _start_keeper(self) -> None:
        if self.keeper is not None:
            self.keeper.start(self.power_cycles)

    def _kill(self, kill: Callable[[], None], links: tuple[Between, ...]) -> None:
        kill()
        self._break_off(links)

    def _break_off(self, links: tuple[Between, ...]) -> None:
        for between in links:
            if between in self.links:
                self.links[between].break_off()

    def _worker_alone(self) -> None:
        self.processes.end(Part.WORKER)
        self.processes.start_soon(Part.WORKER)
