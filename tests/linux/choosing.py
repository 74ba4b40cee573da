"""What the tests of who gets a new flow do on each plane: flows that are kept, servers that come, go, and are full."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from tests.linux.world import World
from yaoki.checks.check import CheckId, TcpParams
from yaoki.core.address import parse_address
from yaoki.core.instant import Instant
from yaoki.lb.kernel_hash import source_slot
from yaoki.lb.schedulers import slots_of
from yaoki.lb.service import Desired, Duty, Protocol, RealServer, VirtualService, WhenAllDown
from yaoki.node.decisions import Decisions
from yaoki.node.reach import Reach
from yaoki.node.service_pool import ServicePool, rule_of
from yaoki.pool.health import Verdict
from yaoki.pool.member import Health
from yaoki.site.node_plan import ServerPlan, ServicePlan

NOW = Instant.of_seconds(1000)
SECOND = timedelta(seconds=1)


class Checked:
    """The service of three servers as a node has it: s1 comes first, s2 is its backup, s3 says sorry."""

    def __init__(self, like: VirtualService) -> None:
        self._reach = Reach()
        self._reach.adopt(Desired((like,)))
        self._health = {server.address: Health.UP for server in like.servers}
        self._places = [server.address for server in like.servers]
        first, backup, sorry = (
            ServerPlan(s.name, s.address, s.port, s.forward, 1000, (CheckId(s.address, TcpParams(80)),), s.source)
            for s in like.servers
        )
        plan = ServicePlan(
            like.name,
            "web-vip",
            like.key,
            like.interface,
            like.scheduler,
            (replace(first, priority=150), backup, replace(sorry, sorry=True)),
            when_all_down=WhenAllDown.SORRY,
            plane=like.plane,
        )
        self._pool = ServicePool(plan, rule_of(plan, lambda _: SECOND))

    def now(self, *healths: Health) -> VirtualService:
        """What the plane is to have with the servers in this health."""
        self._health = dict(zip(self._places, healths, strict=True))
        self._pool.decide(NOW, lambda check: Verdict(self._health[check.target], NOW), Decisions())
        self._pool.render(self._reach)
        assert self._pool.service is not None
        return self._pool.service


UP, DOWN = Health.UP, Health.DOWN


def stand_in(world: World, service: VirtualService, family: int) -> None:
    """Through all that can be up and down, with a flow that begins on the backup."""
    checked, client = Checked(service), world.agents["client"]
    world.balance(checked.now(UP, UP, UP))
    assert world.names(family, "tcp", times=3) == ["s1", "s1", "s1"]
    world.balance(checked.now(DOWN, UP, UP))
    assert world.names(family, "tcp", times=2) == ["s2", "s2"]
    assert client.ask("open_flow", name="f", protocol="tcp", address=str(service.key.address), port=80).startswith("s2")
    world.balance(checked.now(UP, UP, UP))
    assert world.names(family, "tcp", times=2) == ["s1", "s1"]
    assert client.ask("talk", name="f").startswith("s2"), "flows that a backup has stay with it"
    client.ask("close_flow", name="f")
    world.balance(checked.now(DOWN, DOWN, UP))
    assert world.names(family, "tcp", times=2) == ["s3", "s3"]
    world.balance(checked.now(DOWN, DOWN, DOWN))
    assert world.names(family, "tcp", times=1) == ["refused"]
    world.balance(checked.now(DOWN, UP, DOWN))
    assert world.names(family, "tcp", times=2) == ["s2", "s2"]


class Flows:
    """Flows of the client that are kept."""

    def __init__(self, world: World, family: int, protocol: Protocol = Protocol.TCP) -> None:
        self._client = world.agents["client"]
        self._vip = "192.0.2.50" if family == 4 else "2001:db8:1::50"
        self._protocol = protocol
        self.owners: dict[str, str] = {}

    def open(self, count: int, *, source: str | None = None) -> list[str]:
        """The servers that some more get."""
        found = []
        for _ in range(count):
            name = f"f{len(self.owners)}"
            arguments = {
                "name": name,
                "protocol": self._protocol.value,
                "address": self._vip,
                "port": 80,
                "source": source,
            }
            self.owners[name] = str(self._client.ask("open_flow", **arguments)).split()[0]
            found.append(self.owners[name])
        return found

    def stay(self) -> bool:
        """Whether each still has its server."""
        return all(str(self._client.ask("talk", name=f)).split()[0] == owner for f, owner in self.owners.items())

    def close_one_of(self, server: str) -> None:
        name = next(name for name, owner in self.owners.items() if owner == server)
        self._client.ask("close_flow", name=name)
        self.owners[name] = "nobody"

    def close(self) -> None:
        for name, owner in self.owners.items():
            if owner != "nobody":
                self._client.ask("close_flow", name=name)


def even_out(world: World, wanted: VirtualService, family: int) -> None:
    """A server that comes to others which have flows gets the next ones until it has as many."""
    balancer = world.agents["lb"]
    flows = Flows(world, family, wanted.key.protocol)
    some = replace(
        wanted, servers=tuple(_drained(server) if server.name == "s2" else server for server in wanted.servers)
    )
    world.balance(some)
    assert Counter(flows.open(8)) == {"s1": 4, "s3": 4}
    world.balance(wanted)
    for _ in range(2):
        # At the second count nothing has come since the first.
        assert balancer.ask("recount")
    assert flows.open(3) == ["s2", "s2", "s2"]
    assert flows.stay()
    flows.close()


def _drained(server: RealServer) -> RealServer:
    return replace(server, duty=Duty.DRAIN, weight=0)


def fill_up(world: World, wanted: VirtualService, family: int, *, at_once: bool) -> None:
    """Until every server has two flows, which is its limit; `at_once`: without a count in between."""
    balancer = world.agents["lb"]
    flows = Flows(world, family)
    limited = replace(wanted, servers=tuple(replace(server, limit=2) for server in wanted.servers))
    world.balance(limited)
    assert Counter(flows.open(6)) == {"s1": 2, "s2": 2, "s3": 2}
    assert at_once or balancer.ask("recount")
    assert world.names(family, "tcp", times=2) == ["refused", "refused"]
    assert flows.stay()
    flows.close_one_of("s2")
    assert at_once or balancer.ask("recount")
    assert world.names(family, "tcp", times=1) == ["s2"]
    flows.close()


def change_little(world: World, wanted: VirtualService, family: int) -> None:
    """A server joins and weights change, under a hash of the source: flows stay, and a new one of each source goes
    where the table says, which moves few (tests/pool/test_maglev.py says how few)."""
    balancing = Flows(world, family, wanted.key.protocol)
    prefix, length, flag = ("198.51.100.", 24, "") if family == 4 else ("2001:db8:2::", 64, " nodad")
    sources = [f"{prefix}{number}" for number in range(50, 58)]
    for source in sources:
        world.ip("client", f"addr replace {source}/{length} dev eth0{flag}")
    heavier = tuple(replace(each, weight=each.weight * (1 + n)) for n, each in enumerate(wanted.servers))
    for servers in (wanted.servers[:2], wanted.servers, heavier):
        table = replace(wanted, servers=servers)
        world.balance(table)
        slots = slots_of(table)
        assert slots is not None
        for source in sources:
            foretold = slots.servers[source_slot(parse_address(source), len(slots))].name
            assert balancing.open(1, source=source) == [foretold]
        assert balancing.stay()
    balancing.close()
