"""A world of a test's own: no faults but those that it asks for, and time that passes when it says so."""

from typing import Generic, TypeVar

from tests.simulation.shapes import shape
from yaoki.core.instant import Deadline, Instant
from yaoki.sim.faults import Fault, Injection
from yaoki.sim.ledger import InvariantBroken
from yaoki.sim.settling import settling_us
from yaoki.sim.timeline import SECOND
from yaoki.sim.world import World

EffectT = TypeVar("EffectT")


class Deaf(Generic[EffectT]):
    """A machine that does nothing, ever."""

    def handle(self, now: Instant, input_: object, /) -> list[EffectT]:
        return []

    def deadline(self) -> Deadline | None:
        return None


class Scene:
    """A world that has settled; `at` and `lasts` are in seconds."""

    def __init__(self, site: str = "fast", *, seed: int = 1, forwarding_untouched: bool = False) -> None:
        self.world = World(shape(site), seed, forwarding_untouched=forwarding_untouched)
        self.settle_us = settling_us(self.world.topology)
        self._faults = 0
        self.run(self.settle_us / SECOND)
        self.world.ledger.settled()

    def run(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.timeline.now + int(seconds * SECOND))

    def fault(self, fault: Fault, *, at: float = 0.0, lasts: float = 1.0) -> None:
        """Let something go wrong, `at` seconds from now."""
        self._faults += 1
        begins = self.world.timeline.now + int(at * SECOND)
        self.world.injector.put_down(Injection(self._faults, begins, int(lasts * SECOND), fault))

    def settle(self) -> None:
        """Let everything calm down, and ask whether it has."""
        self.run(self.settle_us / SECOND)
        self.world.ledger.settled()

    def owners(self) -> dict[str, tuple[str, ...]]:
        """Who answers for each VIP."""
        return {str(virtual): holders for virtual, holders in self.world.ledger.holders.items()}

    def broken_by(self, seconds: float) -> str:
        """The name of the invariant that breaks while time passes, "" if none does."""
        try:
            self.run(seconds)
        except InvariantBroken as error:
            return error.name
        return ""
