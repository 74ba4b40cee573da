"""No service before its address's dead-man deadline is written by the speaker: what the plane does about it.

The gate of nftables is armed and opened by the speaker alone; a program or an address that is new here has a deadline
of which the speaker does not know yet. It begins as the gate is, so that it is shut when the gate would have been, and
the speaker is called. Until it has written the deadline itself, which shows by an even number
(yaoki.linux.bpf.deadlines), the address gets no service.

Invariants: an address whose gate is armed is never served without a deadline; one whose gate is open is never silenced
for want of a speaker that knows the program; a deadline that the speaker wrote is not written over.
"""

import errno
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.deadlines import NEVER, monotonic_ns, nanoseconds
from yaoki.linux.bpf.tables import Tables
from yaoki.linux.dead_man_gate import GateReader

PATIENCE = timedelta(seconds=2)
"""For a speaker that is called; one that is alive answers in milliseconds."""
CALL_EVERY = timedelta(milliseconds=200)
"""It may have been out of reach."""
_LOOK_EVERY_S = 0.001


class NotGuarded(ActuatorError):
    """The speaker does not come, or is of a version that knows of no programs."""


class Guarding:
    """`call` has the speaker look at the balancer's programs. Methods may raise ActuatorError."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._gate: GateReader | None = None
        self._beginnings: dict[IPAddress, int] = {}

    def look(self) -> None:
        """At the gate, before addresses get numbers."""
        self._beginnings = {address: _ours(left) for address, left in self._armed().items()}

    def beginning(self, address: IPAddress) -> int:
        """The deadline that an address begins with; `wait` sees what has become of its gate since."""
        return self._beginnings.get(address, NEVER)

    def wait(self, tables: Tables, numbers: Mapping[IPAddress, int]) -> None:
        """Until the deadlines with these numbers are the speaker's, as far as their gates are armed and open. Raises
        NotGuarded after PATIENCE."""
        begun = monotonic_ns()
        call_at = begun
        while waiting := self._not_taken_up(tables, numbers):
            now = monotonic_ns()
            if now >= call_at:
                self._call()
                call_at = now + nanoseconds(CALL_EVERY)
            if now - begun > nanoseconds(PATIENCE):
                which = ", ".join(map(str, waiting))
                raise NotGuarded(f"BPF: guard {which}", "the speaker does not write its dead-man deadline")
            time.sleep(_LOOK_EVERY_S)

    def _not_taken_up(self, tables: Tables, numbers: Mapping[IPAddress, int]) -> list[IPAddress]:
        armed = self._armed()
        waiting = []
        for address, number in numbers.items():
            left, at_ns = armed.get(address), tables.deadline(number)
            is_ours = at_ns & 1 == 1
            if left is not None and at_ns == NEVER:
                tables.set_deadline(number, _ours(left))
                is_ours = True
            elif left is None and is_ours:
                # It was disarmed by somebody who did not know of the program.
                tables.set_deadline(number, NEVER)
            if left and is_ours:
                waiting.append(address)
        return waiting

    def _armed(self) -> dict[IPAddress, timedelta]:
        """For how long the gate of each armed address is still open; 0: it is shut."""
        if self._gate is None:
            self._gate = GateReader()
        try:
            return {each.address: each.open_for for each in self._gate.armed()}
        except ActuatorError as error:
            if error.errno != errno.ENOENT:
                raise
            return {}


def _ours(left: timedelta | None) -> int:
    """Odd: the plane's."""
    return NEVER if left is None else (monotonic_ns() + nanoseconds(left)) | 1
