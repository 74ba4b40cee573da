"""The link between two processes of a node: a connection made by one side, with whole messages in order both ways.

It can stall (nothing moves, messages wait) and break (both sides learn it, the connecting side tries again), as the
Unix sockets of the runtime do.

Invariants: messages of one connection arrive in order or not at all; none outlives its connection.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from yaoki.core.error import LocalError
from yaoki.sim.chance import Chance
from yaoki.sim.timeline import MILLISECOND, SECOND, Timeline

MAX_QUEUED_MESSAGES = 10_000
DELAY_US = (30, 200)
FIRST_RETRY_US = 20 * MILLISECOND
LONGEST_RETRY_US = SECOND


@dataclass(frozen=True, slots=True)
class End:
    """One side of a link: what its process is told, and whether that is alive and given the processor. A stopped
    process keeps its connections and takes new ones (the kernel does that), but makes none."""

    alive: Callable[[], bool]
    running: Callable[[], bool]
    take: Callable[[object], None]
    up: Callable[[], None]
    down: Callable[[], None]


class Link:
    """A link from the `client`, which connects, to the `server`, which listens. `carry` is what the codec makes of a
    message on its way; `changed` is called when the link begins or ceases to flow. `flowing_since` is when it began
    to, None while it does not."""

    def __init__(
        self,
        timeline: Timeline,
        chance: Chance,
        *,
        client: End,
        server: End,
        carry: Callable[[object], object],
        changed: Callable[[], None],
    ) -> None:
        self.is_up = False
        self.flowing_since: int | None = None
        self._stalls = 0
        self._resumed_at = 0
        self._bars = 0
        self._timeline = timeline
        self._chance = chance
        self._client = client
        self._server = server
        self._carry = carry
        self._changed = changed
        self._connection = 0
        self._held: deque[tuple[End, object]] = deque()
        self._last_arrival = 0
        self._trying = False
        self._retry_us = FIRST_RETRY_US

    def connect(self) -> None:
        """The client begins to try, and goes on trying until it is connected or dead."""
        if not self._trying and not self.is_up:
            self._trying = True
            self._retry_us = FIRST_RETRY_US
            self._timeline.after(self._delay(), self._try)

    def send_to_server(self, message: object) -> None:
        """From the client; nothing that is sent while the link is down is kept."""
        self._send(self._server, message)

    def send_to_client(self, message: object) -> None:
        """From the server."""
        self._send(self._client, message)

    def break_off(self) -> None:
        """The connection ends, whatever the cause; the side that is still alive learns it."""
        self._held.clear()
        if not self.is_up:
            return
        self.is_up = False
        self._connection += 1
        for end in (self._client, self._server):
            self._timeline.after(self._delay(), partial(self._tell_down, end, self._connection))
        self._trying = False
        self._timeline.after(FIRST_RETRY_US, self.connect)
        self._flow_changed()

    @property
    def flowing(self) -> bool:
        """Whether a message sent now would arrive soon."""
        return self.is_up and not self._stalls

    def held_up_since(self, us: int) -> bool:
        """Whether a message sent after that time may have been held up, or be so still."""
        return self.is_up and (self._stalls > 0 or self._resumed_at > us)

    def stall(self) -> None:
        """Nothing moves until as many resumptions."""
        self._stalls += 1
        self._flow_changed()

    def resume(self) -> None:
        """Take one stall back; after the last, what was held goes on."""
        self._stalls -= 1
        if self._stalls:
            return
        self._resumed_at = self._timeline.now
        held, self._held = self._held, deque()
        for end, message in held:
            self._timeline.at(self._timeline.now, partial(self._arrive, end, message, self._connection))
        self._flow_changed()

    def bar(self) -> None:
        """Break it, and let no new connection be made."""
        self._bars += 1
        self.break_off()

    def unbar(self) -> None:
        """Take one bar back."""
        self._bars -= 1

    def _flow_changed(self) -> None:
        if not self.flowing:
            self.flowing_since = None
        elif self.flowing_since is None:
            self.flowing_since = self._timeline.now
        self._changed()

    def _try(self) -> None:
        self._trying = False
        if self.is_up or not self._client.alive():
            return
        if self._bars or not self._client.running() or not self._server.alive():
            self._trying = True
            self._timeline.after(self._retry_us, self._try)
            self._retry_us = min(2 * self._retry_us, LONGEST_RETRY_US)
            return
        self.is_up = True
        self._connection += 1
        self._server.up()
        self._client.up()
        self._flow_changed()

    def _tell_down(self, end: End, connection: int) -> None:
        if self._connection == connection and end.alive():
            end.down()

    def _send(self, end: End, message: object) -> None:
        if not self.is_up:
            return
        self._last_arrival = max(self._last_arrival, self._timeline.now + self._delay())
        arrive = partial(self._arrive, end, self._carry(message), self._connection)
        self._timeline.at(self._last_arrival, arrive)

    def _arrive(self, end: End, message: object, connection: int) -> None:
        if connection != self._connection:
            return
        if not self._stalls:
            end.take(message)
        elif len(self._held) >= MAX_QUEUED_MESSAGES:
            raise LocalError(f"more than {MAX_QUEUED_MESSAGES} messages wait on a link")
        else:
            self._held.append((end, message))

    def _delay(self) -> int:
        return self._chance.between(*DELAY_US)
