"""Setting up this machine as a real server, or taking that back: all of it or nothing, with a record on disk.

The record is written before the first change, so that a set-up that is cut off can be undone or finished.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import ActuatorError
from yaoki.lb.realserver.places import Place, Plan, Record, Setup, Write, places_of, plan

NAME = "realserver.json"


class Machine(Protocol):
    """Where places are read and written."""

    def read(self, place: Place, /) -> str | None: ...

    def write(self, place: Place, value: str | None, /) -> None: ...


class RecordFile:
    """The record of this machine, in its state directory; without set-ups there is no file."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / NAME
        self._codec = Codec()

    def read(self) -> Record:
        """What is recorded. Raises ActuatorError for a damaged file: what was there before would be lost with it."""
        try:
            found = self._codec.decode(self.path.read_bytes(), Record)
        except FileNotFoundError:
            return Record()
        except (OSError, Undecodable) as error:
            raise ActuatorError(f"read {self.path}", f"{error}; mend it, or put it aside and look yourself") from error
        assert isinstance(found, Record)
        return found

    def write(self, record: Record) -> None:
        """Replace it, at once and as a whole. Raises ActuatorError."""
        try:
            if record == Record():
                self.path.unlink(missing_ok=True)
                return
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = self.path.with_suffix(".new")
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._codec.encode(record))
                file.flush()
                os.fsync(file.fileno())
            beside.rename(self.path)
        except OSError as error:
            raise ActuatorError(f"write {self.path}", error.strerror or str(error), errno=error.errno) from error


def bring_to(record: Record, setups: tuple[Setup, ...], machine: Machine, keep: Callable[[Record], None]) -> Plan:
    """Bring the machine to these set-ups; what was done. `keep` puts a record on disk. Raises ActuatorError, after
    which everything is as it was before."""
    actual = {place: machine.read(place) for place in places_of(record, setups)}
    made = plan(record, setups, actual)
    keep(made.during)
    done: list[Write] = []
    try:
        for write in made.writes:
            machine.write(write.place, write.value)
            done.append(write)
    except ActuatorError:
        for write in reversed(done):
            machine.write(write.place, write.was)
        keep(record)
        raise
    keep(made.after)
    return made
