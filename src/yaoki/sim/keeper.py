"""The simulated lease keeper: a LeaseKeeper before the world's store.

Invariant: every AskStore is answered once within its limit, unless a later one of the same key takes its place or the
keeper dies first.
"""

from collections.abc import Callable
from functools import partial
from typing import assert_never

from yaoki.election.lease_record import Claimant
from yaoki.election.store import KeyState, StoreFailed, StoreRequest, StoreResult
from yaoki.node.holder_messages import HolderOrder, HolderReport, LeaseOver, LeaseSeen, LeaseValid
from yaoki.node.lease_keeper import LeaseKeeper
from yaoki.node.lease_messages import (
    AskStore,
    ConfigureLeases,
    EndLeases,
    HolderBack,
    HolderGone,
    KeeperEffect,
    KeeperInput,
    KeeperOrder,
    KeySeen,
    LeaseStatus,
    OpenStore,
    RepeatLeaseStatus,
    StoreSaid,
    WatchKeys,
)
from yaoki.node.messages import Published
from yaoki.sim.lease_store import LeaseStore
from yaoki.sim.process import Process
from yaoki.sim.surroundings import Surroundings


class Keeper:
    """The lease keeper of one node. `report` goes to the main process, `tell` to the speaker; `ended` is called when it
    was told to end and holds nothing, `changed` when it was told its leases."""

    def __init__(
        self,
        around: Surroundings,
        store: LeaseStore,
        *,
        report: Callable[[object], None],
        tell: Callable[[HolderReport], None],
        ended: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        self._around = around
        self._store = store
        self._report = report
        self._tell = tell
        self._ended = ended
        self._changed = changed
        self._machine: LeaseKeeper | None = None
        self._incarnation = 0
        self._asked: dict[str, StoreRequest] = {}
        self.process: Process[KeeperInput, KeeperEffect] = Process(
            f"{around.node}/lease",
            around.timeline,
            clock=around.clock,
            chance=around.chance,
            sink=self._perform,
            observer=around.witness,
        )

    @property
    def knows_leases(self) -> bool:
        """Whether the main process has told it what leases there are."""
        return self._machine is not None and bool(self._machine.statuses())

    def start(self, boot: int) -> None:
        """Begin with a new machine; `boot` counts the times that the node had its power back."""
        self._incarnation += 1
        self._asked.clear()
        self._store.forget(self._around.node)
        claimant = Claimant(self._around.node, f"boot {boot}")
        self._machine = LeaseKeeper(f"{self.process.name}.{self._incarnation}", claimant)
        self.process.start(self._machine)

    def order(self, message: KeeperOrder | HolderOrder | HolderBack | HolderGone) -> None:
        """A message of the main process or of the speaker, or news of the link to the latter."""
        self._give(message)
        if isinstance(message, ConfigureLeases):
            self._changed()

    def reached(self) -> None:
        """The main process has connected."""
        self._give(RepeatLeaseStatus())

    def end(self) -> None:
        """SIGTERM: the speaker has fallen silent."""
        self._give(EndLeases())

    def _give(self, input_: KeeperInput) -> None:
        self.process.give(input_)
        if self._machine is not None and self.process.running and self._machine.ended:
            self._ended()

    def _perform(self, effect: KeeperEffect) -> None:
        match effect:
            case AskStore():
                self._ask(effect)
            case WatchKeys():
                self._store.watch(self._around.node, effect.keys, self._still(self._seen))
            case OpenStore():
                pass  # there is one
            case LeaseValid() | LeaseOver() | LeaseSeen():
                self._tell(effect)
            case LeaseStatus():
                self._report(effect)
            case Published():
                self._around.witness.published(self._around.node, effect.event)
                self._report(effect)
            case _:
                assert_never(effect)

    def _ask(self, ask: AskStore) -> None:
        request = ask.request
        self._asked[request.key] = request
        self._store.ask(self._around.node, request, self._still(partial(self._answered, request)))
        limit = int(ask.limit.total_seconds() * 1_000_000)
        late = partial(self._still(partial(self._answered, request)), StoreFailed("no answer in time"))
        self._around.timeline.after(limit, late)

    def _answered(self, request: StoreRequest, result: StoreResult) -> None:
        if self._asked.get(request.key) is request:
            del self._asked[request.key]
            self._give(StoreSaid(request, result))

    def _seen(self, key: str, state: KeyState) -> None:
        self._give(KeySeen(key, state))

    def _still(self, action: Callable[..., None]) -> Callable[..., None]:
        """What one incarnation has begun is nothing to the next."""
        incarnation = self._incarnation

        def act(*arguments: object) -> None:
            if incarnation == self._incarnation and self.process.machine is not None:
                action(*arguments)

        return act
