"""Numbers for services, servers and addresses: each its own while it is there, and stamps that are never used again.

Pure. A number that becomes free is given again as late as can be.
"""

from collections.abc import Iterable, Mapping

from yaoki.core.error import ActuatorError
from yaoki.lb.service import VirtualService
from yaoki.linux.bpf.layout import NOBODY, UNGATED
from yaoki.linux.bpf.services import Seat, ServerPlace


class Seating:
    """Of one installation, whose maps have the sizes `most_...`."""

    def __init__(self, most_services: int, most_servers: int, most_addresses: int, *, last_stamp: int = 0) -> None:
        self._ids = Numbers("services", 0, most_services)
        self._numbers = Numbers("real servers of virtual services", NOBODY + 1, most_servers)
        self.gates = Numbers("addresses of virtual services", UNGATED + 1, most_addresses)
        self._last_stamp = last_stamp

    def take(self, id_: int, seats: Iterable[Seat]) -> None:
        """What was given in an earlier life."""
        self._ids.take(id_)
        for seat in seats:
            self._numbers.take(seat.number)
            self._last_stamp = max(self._last_stamp, seat.stamp)

    def new_id(self) -> int:
        """Raises ActuatorError when there is none left."""
        return self._ids.new()

    def seats(self, service: VirtualService, before: Mapping[ServerPlace, Seat]) -> dict[ServerPlace, Seat]:
        """A seat for each server of a service, its own where it has one. Raises ActuatorError."""
        return {
            place: before.get(place) or self._seat()
            for place in ((server.address, server.port) for server in service.servers)
        }

    def leave(self, seats: Iterable[Seat]) -> None:
        """These are free."""
        for seat in seats:
            self._numbers.free(seat.number)

    def leave_id(self, id_: int) -> None:
        """This one is free."""
        self._ids.free(id_)

    def _seat(self) -> Seat:
        number = self._numbers.new()
        self._last_stamp += 1
        return Seat(number, self._last_stamp)


class Numbers:
    """From `first` up to `end`, which is not one of them; `what` they are is for the error."""

    def __init__(self, what: str, first: int, end: int) -> None:
        self._what, self._first, self._end = what, first, end
        self._last = first - 1
        self._used: set[int] = set()

    def take(self, number: int) -> None:
        """It was given in an earlier life."""
        self._used.add(number)

    def free(self, number: int) -> None:
        """It may be given again."""
        self._used.discard(number)

    def new(self) -> int:
        """Raises ActuatorError when there is none left."""
        if len(self._used) >= self._end - self._first:
            raise ActuatorError("BPF plane", f"it holds {self._end - self._first} {self._what} at most")
        number = self._last
        while True:
            number = number + 1 if number + 1 < self._end else self._first
            if number not in self._used:
                self._last = number
                self._used.add(number)
                return number
