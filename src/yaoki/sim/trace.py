"""What happened in a run: the last records in full, and a digest of all of them.

Invariant: two runs with equal digests saw the same records in the same order. Records are formatted only when somebody
reads them, because nearly all of them are forgotten unread.
"""

from collections import deque
from collections.abc import Callable
from hashlib import blake2b

from yaoki.core.machine import TimerFired
from yaoki.node.messages import (
    AnnounceAddress,
    PacketArrived,
    ProbeFinished,
    RouterStatus,
    SendAdvertisement,
    StartProbe,
)

RECORDS_KEPT = 20_000

ROUTINE_SHOWN = 10

Record = tuple[int, str, object, object]

_ROUTINE_INPUTS = (TimerFired, PacketArrived, ProbeFinished, RouterStatus)
_ROUTINE_EFFECTS = (SendAdvertisement, StartProbe, RouterStatus, AnnounceAddress)


class Trace:
    """Records of (time, who, what, value). `digested` also folds every record into `digest()`, at a cost in time."""

    def __init__(self, *, digested: bool = False) -> None:
        self._records: deque[Record] = deque(maxlen=RECORDS_KEPT)
        self._digest = blake2b(digest_size=16) if digested else None
        self.keep: Callable[[Record], None] = self._keep_and_digest if digested else self._records.append
        """Writes one record: for whoever has many to write."""

    def record(self, us: int, who: str, what: object, value: object = "") -> None:
        """Write one record: an input and its effects, or words and a value. Neither must change afterwards."""
        self.keep((us, who, what, value))

    def _keep_and_digest(self, record: Record) -> None:
        us, who, what, value = record
        self._records.append(record)
        assert self._digest is not None, "only a digested trace comes here"
        self._digest.update(f"{us} {who} {what!r} {value!r}\n".encode())

    def digest(self) -> str:
        """Names everything recorded so far."""
        if self._digest is None:
            return ""
        return self._digest.hexdigest()

    def last(self, count: int) -> list[str]:
        """The newest records that tell something, oldest first; effects on lines of their own. Routine is left out but
        for the very last."""
        lines: list[str] = []
        for record in reversed(self._records):
            if len(lines) < ROUTINE_SHOWN or not _is_routine(record):
                lines = _lines(record) + lines
            if len(lines) >= count:
                break
        return lines


def _lines(record: Record) -> list[str]:
    us, who, what, value = record
    effects = value if isinstance(value, list) else []
    words = f"{us / 1_000_000:14.6f}  {who:12}  {what} {'' if effects or value == [] else value}".rstrip()
    return [words, *(f"{'':14}  {'':12}    -> {effect}" for effect in effects)]


def _is_routine(record: Record) -> bool:
    """A timer, a packet, a probe or a repeated status that led to nothing but the next of its kind."""
    _, _, what, value = record
    return isinstance(what, _ROUTINE_INPUTS) and (
        not isinstance(value, list) or all(isinstance(effect, _ROUTINE_EFFECTS) for effect in value)
    )
