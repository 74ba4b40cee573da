"""What an invariant is: a name, a sentence, and what it does with what it is told. It raises InvariantBroken."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar, NoReturn

from yaoki.checks.check import CheckId, CheckSpec, Finding
from yaoki.core.address import IPAddress
from yaoki.core.event import Event
from yaoki.lb.flow import CopiedService
from yaoki.node.messages import SendAdvertisement, VerdictChanged
from yaoki.sim.ledger import InvariantBroken, Ledger
from yaoki.sim.topology import Virtual


class Invariant:
    """Base of all. `holds` says what must never be otherwise. `probed`, of which there are very many, is told only to
    those that say that they want it."""

    name: ClassVar[str]
    holds: ClassVar[str]
    wants_probes: ClassVar[bool] = False

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._intentions: dict[Virtual, int] = {}

    def effects_wanted(self, process: str, count: int, /) -> None:
        """A machine wants more than process.MANY_EFFECTS things done at once."""

    def burst(self, took_us: int, /) -> None:
        """timeline.BURST things have happened within this time."""

    def owners_changed(self, virtual: Virtual, /) -> None:
        """Other nodes than before answer for a VIP."""

    def fitness_changed(self, virtual: Virtual, /) -> None:
        """A member of a virtual router became able or unable to own."""

    def looked_at(self, virtual: Virtual, /) -> None:
        """A state, an address or a process of a virtual router has changed somewhere."""

    def published(self, node: str, event: Event, /) -> None:
        """An assembly made an event."""

    def spoke(self, node: str, advertisement: SendAdvertisement, /) -> None:
        """A node advertises from a virtual MAC."""

    def table_changed(self, node: str, /) -> None:
        """The tables of a node changed."""

    def servers_changed(self, host: str, /) -> None:
        """The condition of a real server changed."""

    def leaks_changed(self, host: str, address: IPAddress, /) -> None:
        """A real server begins or ceases to answer for an address of a VIP."""

    def claimed(self, network: str, address: IPAddress, /) -> None:
        """A foreign machine has announced an address to everybody on a network."""

    def decided(self, node: str, /) -> None:
        """A node's journal holds other decisions of its operator."""

    def checks_configured(self, node: str, checks: tuple[CheckId, ...], /) -> None:
        """A worker is told which checks to run; of one that it did not run before it knows nothing."""

    def probed(self, node: str, check: CheckSpec, finding: Finding, /) -> None:
        """A probe has ended, and its worker is about to be told."""

    def copier_told(self, node: str, services: tuple[CopiedService, ...], /) -> None:
        """A flow copier is told of all services whose flows it is to copy."""

    def judged(self, node: str, verdict: VerdictChanged, /) -> None:
        """A worker reported a verdict, or repeated it."""

    def started(self, process: str, /) -> None:
        """A process begins with a new machine."""

    def stopping(self, node: str, /) -> None:
        """An operator is about to stop a node in good order."""

    def stopped(self, node: str, /) -> None:
        """All that it was given to stop has passed, and its processes are about to be killed."""

    def settled(self) -> None:
        """Faults have ended long enough ago for everything to be as it ought to be."""

    def look_again(self, virtual: Virtual, at: int, look: Callable[[], None]) -> None:
        """Look at a virtual router at this time; an earlier intention to look at it is dropped."""
        intention = self._intentions[virtual] = self._intentions.get(virtual, 0) + 1
        self.ledger.timeline.at(at, partial(self._intended, virtual, intention, look))

    def _intended(self, virtual: Virtual, intention: int, look: Callable[[], None]) -> None:
        if self._intentions[virtual] == intention:
            look()

    def broken(self, what: str) -> NoReturn:
        """Say how it was broken."""
        raise InvariantBroken(self.name, what)
