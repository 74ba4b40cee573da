"""Two virtual routers on a link that can be cut, under everything hypothesis thinks of.

Invariants: a router holds the addresses if and only if its state is an owning one; once settled there is one owner, and
the neighbours believe that it is the owner; while a router runs, the time without an owner is bounded; so is what is in
flight; a planned move has no moment without an owner, and two for at most 50 ms.
"""

import heapq
from datetime import timedelta
from ipaddress import IPv4Address, IPv4Interface
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from yaoki.core.address import Family
from yaoki.core.event import Emit
from yaoki.core.instant import Instant
from yaoki.core.machine import TimerFired
from yaoki.vrrp.advertisement import Advertisement
from yaoki.vrrp.params import Failback, RouterKey, RouterParams
from yaoki.vrrp.router_state import (
    Active,
    Advertise,
    AnnounceAddresses,
    Backup,
    ClaimAddresses,
    Heard,
    HushAddresses,
    Initialize,
    Input,
    InterfaceLost,
    Leaving,
    LinkRenewed,
    Owning,
    Reconfigure,
    ReleaseAddresses,
    Shutdown,
    Startup,
    State,
    StepAside,
    Yielding,
)
from yaoki.vrrp.timing import active_down_interval, leaving_limit
from yaoki.vrrp.virtual_router import VirtualRouter

VIP = IPv4Interface("192.0.2.50/24")
KEY = RouterKey("eth0", Family.IPV4, 51)
DELAY = timedelta(milliseconds=1)
MAX_IN_FLIGHT = 80  # two for each step, should no time pass between them
LONGEST_OVERLAP = 2 * DELAY
"""Two answer only until the first has heard the second; or, where that one is the worse, until it has heard back."""
NAMES = ("a", "b")
SOURCES = {"a": IPv4Address("192.0.2.11"), "b": IPv4Address("192.0.2.12")}


class World:
    """Two routers, what they hold, what is on the wire, and whom the neighbours believe."""

    def __init__(self, params: dict[str, RouterParams]) -> None:
        self.now = Instant(0)
        self.routers = {name: VirtualRouter(params[name]) for name in NAMES}
        self.held: dict[str, set[IPv4Interface]] = {name: set() for name in NAMES}
        self.hushed = dict.fromkeys(NAMES, False)
        self.cut = dict.fromkeys(NAMES, False)  # what this one sends is lost
        self.partitioned = False
        self.flight: list[tuple[int, int, str, Advertisement]] = []
        self.believed: str | None = None
        self.count = count()
        self.went_dark = False
        self.shared_since: Instant | None = None
        self.longest_shared = timedelta(0)

    def tell(self, name: str, input_: Input) -> None:
        router = self.routers[name]
        for effect in router.handle(self.now, input_):
            match effect:
                case Advertise(priority):
                    params = router.params
                    advertisement = Advertisement(params.version, 51, priority, params.interval, (VIP.ip,))
                    if not self.cut[name] and not self.partitioned:
                        arrival = (self.now + DELAY).us
                        heapq.heappush(self.flight, (arrival, next(self.count), name, advertisement))
                case ClaimAddresses(addresses):
                    self.held[name] |= set(addresses)  # type: ignore[arg-type] # only IPv4 here
                    self.hushed[name] = False
                case HushAddresses():
                    assert self.held[name]
                    self.hushed[name] = True
                case ReleaseAddresses(addresses):
                    assert self.held[name] == set(addresses)
                    self.held[name], self.hushed[name] = set(), False
                case AnnounceAddresses():
                    assert self.held[name]
                    assert not self.hushed[name]
                    # An announcement lost on a cut link is made up for by the refresh, a minute later.
                    self.believed = None if self.cut[name] else name
                case Emit():
                    pass
            self.look()

    def look(self) -> None:
        """After each effect: does nobody answer for the addresses, or two?"""
        holders = sum(bool(held) and not self.hushed[name] for name, held in self.held.items())
        self.went_dark = self.went_dark or holders == 0
        if self.shared_since is not None:
            self.longest_shared = max(self.longest_shared, self.now - self.shared_since)
        if holders <= 1:
            self.shared_since = None
        elif self.shared_since is None:
            self.shared_since = self.now

    def run(self, duration: timedelta) -> None:
        end = self.now + duration
        while True:
            moments = [(deadline.at.us, name) for name in NAMES if (deadline := self.routers[name].deadline())]
            timer = min(moments, default=None)
            packet = self.flight[0] if self.flight else None
            # As the speaker does: what has arrived is heard before a timer is acted on.
            if packet is not None and packet[0] <= end.us and (timer is None or packet[0] <= timer[0]):
                arrival, _, name, advertisement = heapq.heappop(self.flight)
                self.now = Instant(arrival)
                other = NAMES[1 - NAMES.index(name)]
                self.tell(other, Heard(advertisement, SOURCES[name], self.now))
            elif timer is not None and timer[0] <= end.us:
                self.now = Instant(timer[0])
                self.tell(timer[1], TimerFired())
            else:
                self.now = end
                return

    def owners(self) -> list[str]:
        return [name for name in NAMES if isinstance(self.routers[name].state, Owning)]

    def running(self) -> list[str]:
        """Those that take part, and go on to."""
        return [name for name in NAMES if not self.ends(self.routers[name].state)]

    def ends(self, state: State) -> bool:
        match state:
            case Initialize() | Leaving(stays=False) | Yielding(then=Initialize()):
                return True
            case Backup() | Active() | Leaving() | Yielding():
                return False


class TwoRouters(RuleBasedStateMachine):
    """Rules disturb; `settle` and `wait` let time pass and look."""

    @initialize(
        version=st.sampled_from([2, 3]),
        priorities=st.tuples(st.sampled_from([1, 100, 150, 255]), st.sampled_from([1, 100, 150, 254])),
        intervals=st.tuples(*[st.sampled_from([10, 100, 250])] * 2),
        failbacks=st.tuples(*[st.sampled_from([Failback.PREFER, Failback.STICKY])] * 2),
        known=st.booleans(),
    )
    def begin(
        self,
        version: int,
        priorities: tuple[int, int],
        intervals: tuple[int, int],
        failbacks: tuple[Failback, Failback],
        known: bool,
    ) -> None:
        self.params = {
            name: RouterParams(
                "web-vip",
                KEY,
                priorities[i],
                timedelta(seconds=1) if version == 2 else timedelta(milliseconds=intervals[i]),
                (VIP,),
                version=version,
                failback=failbacks[i],
                source=SOURCES[name],
                others=(priorities[1 - i],) if known else None,
            )
            for i, name in enumerate(NAMES)
        }
        slowest = max(params.interval for params in self.params.values())
        # The longest silence that any of them may wait through, and a little for what is under way.
        self.patience = active_down_interval(version=version, priority=1, interval=slowest) + slowest + 4 * DELAY
        self.leaving = leaving_limit(version=version, interval=slowest)
        self.world = World(self.params)

    @rule(name=st.sampled_from(NAMES))
    def start(self, name: str) -> None:
        self.world.tell(name, Startup())

    @rule(name=st.sampled_from(NAMES))
    def stop(self, name: str) -> None:
        self.world.tell(name, Shutdown())

    @rule(name=st.sampled_from(NAMES))
    def step_aside(self, name: str) -> None:
        self.world.tell(name, StepAside())

    @rule(name=st.sampled_from(NAMES))
    def lose_interface(self, name: str) -> None:
        self.world.tell(name, InterfaceLost())

    @rule(name=st.sampled_from(NAMES))
    def renew_link(self, name: str) -> None:
        self.world.tell(name, LinkRenewed())

    @rule(name=st.sampled_from(NAMES), priority=st.sampled_from([1, 100, 101, 150, 254]))
    def track(self, name: str, priority: int) -> None:
        params = self.world.routers[name].params
        if params.priority != 255:
            changed = RouterParams(**{f: getattr(params, f) for f in params.__slots__} | {"priority": priority})
            self.world.tell(name, Reconfigure(changed))

    @rule(name=st.sampled_from(NAMES))
    def kill_and_restart(self, name: str) -> None:
        """The process dies; the kernel keeps the addresses; a new process finds them."""
        held = self.world.held[name]
        self.world.routers[name] = VirtualRouter(self.params[name])
        self.world.held[name], self.world.hushed[name] = set(), False
        self.world.tell(name, Startup(held=bool(held)))

    @rule(a=st.booleans(), b=st.booleans())
    def cut(self, a: bool, b: bool) -> None:
        self.world.cut = {"a": a, "b": b}

    @rule(ms=st.integers(1, 500))
    def wait(self, ms: int) -> None:
        self.world.run(timedelta(milliseconds=ms))

    @rule()
    def someone_owns_before_patience_ends(self) -> None:
        """Bounded time without an owner, whatever the link does: a cut makes owners, never none."""
        running = self.world.running()
        self.world.run(self.patience)
        if running:
            assert self.world.owners()

    @precondition(lambda self: not any(self.world.cut.values()))
    @rule(how=st.sampled_from([Shutdown(), StepAside()]))
    def planned_move(self, how: Shutdown | StepAside) -> None:
        """The owner of a settled pair is told to go; with `StepAside` a better one comes back afterwards, too."""
        self.settle()
        if len(self.world.running()) < len(NAMES):
            return
        (owner,) = self.world.owners()
        self.world.went_dark, self.world.longest_shared = False, timedelta(0)
        self.world.tell(owner, how)
        self.settle()
        assert not self.world.went_dark
        assert self.world.longest_shared <= LONGEST_OVERLAP
        if isinstance(how, Shutdown):
            assert self.world.owners() == [name for name in NAMES if name != owner]
            self.world.tell(owner, Startup())
            self.settle()
            assert not self.world.went_dark
            assert self.world.longest_shared <= LONGEST_OVERLAP

    @precondition(lambda self: not any(self.world.cut.values()))
    @rule()
    def settle(self) -> None:
        """The election needs one silence, and the preempting one another."""
        self.world.run(self.leaving + 2 * self.patience + timedelta(milliseconds=100))
        running = self.world.running()
        if not running:
            assert self.world.owners() == []
            return
        (owner,) = self.world.owners()
        assert self.world.believed in (owner, None)
        best = max(running, key=lambda name: self.world.routers[name].params.priority)
        params, owning = self.world.routers[best].params, self.world.routers[owner].params
        if params.failback is Failback.PREFER:
            assert owning.priority == params.priority

    @rule()
    def partition_and_heal(self) -> None:
        """Neighbours hear both, the routers do not hear each other; then they do."""
        self.world.partitioned = True
        self.world.run(2 * self.patience)
        self.world.partitioned = False
        self.world.cut = dict.fromkeys(NAMES, False)
        self.settle()

    @invariant()
    def addresses_are_held_if_and_only_if_owning(self) -> None:
        if hasattr(self, "world"):
            for name, router in self.world.routers.items():
                assert bool(self.world.held[name]) == isinstance(router.state, Owning)

    @invariant()
    def what_is_in_flight_is_bounded(self) -> None:
        if hasattr(self, "world"):
            assert len(self.world.flight) <= MAX_IN_FLIGHT


TestTwoRouters = TwoRouters.TestCase
TestTwoRouters.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
