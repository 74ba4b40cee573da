"""The dead-man deadlines of the balancer's program, for the speaker: written along with the gate of nftables.

The program sends nothing for an address whose deadline has passed. A deadline is a moment of CLOCK_MONOTONIC in
nanoseconds, 0 for never; the program reads it a kernel tick late at most. Which number an address
has is the plane's to say, and may change at any time, so it is looked up before each writing.

The plane begins a deadline with an odd number, for an address whose gate is armed; what is written here is even: the
plane sees by that whether the speaker has taken it up, and gives the address no service before (yaoki.linux.bpf.plane).

Invariants: writing takes two calls for each address, neither of which waits for anybody, and builds nothing; looking
for programs, which waits for whoever configures interfaces, is not part of it.
"""

import errno
import struct
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from yaoki.core.address import Family, IPAddress
from yaoki.linux.bpf import hooks, layout
from yaoki.linux.bpf.hooks import PROGRAM, Interface
from yaoki.linux.bpf.maps import PLACE, BpfMap
from yaoki.linux.bpf.program import Program
from yaoki.linux.bpf.syscall import Command, Prepared, address, buffer, is_known, refusal, room

MAX_PREPARED = 4096
"""Addresses whose calls are kept; more are built anew."""
NEVER = 0

_VALUES = {"deadlines": (4, 8), "gates4": (4, 4), "gates6": (16, 4)}
"""Octets of keys and values, of all that is asked of a program; its other maps may be of any layout."""
_DEADLINE = struct.Struct("=Q")


def monotonic_ns() -> int:
    """Now, by the clock of deadlines."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def nanoseconds(duration: timedelta) -> int:
    """In whole microseconds."""
    return duration // timedelta(microseconds=1) * 1000


class Deadlines:
    """Of all programs at the interfaces that are watched. `followed` is told how many there are when these are others.
    Methods raise ActuatorError unless they say otherwise."""

    def __init__(self, followed: Callable[[int], None] = lambda _: None) -> None:
        self._tell = followed
        self._watched: dict[int, Interface] = {}
        self._programs: dict[int, _Program] = {}
        self._unfit: set[int] = set()
        self._known: dict[IPAddress, int] = {}

    def watch(self, interface: Interface) -> None:
        """Look there, too, from now on."""
        self._watched[interface.index] = interface

    def follow(self, *, everywhere: bool = False) -> None:
        """Look which programs there are; those that are new are told all deadlines that are known."""
        found = _programs(hooks.interfaces() if everywhere else self._watched.values())
        new = found.keys() - self._programs.keys() - self._unfit
        # Those that stay keep their maps, for their calls are prepared.
        stay = {number: each for number, each in self._programs.items() if number in found}
        gone = [each for number, each in self._programs.items() if number not in found]
        try:
            opened = {number: _opened(found[number]) for number in sorted(new)}
        finally:
            _close(found.values())
        unfit = {number for number, each in opened.items() if each is None}
        self._unfit = (self._unfit | unfit) & found.keys()
        self._programs = stay | {number: each for number, each in opened.items() if each is not None}
        _close(gone)
        if gone or self._programs.keys() != stay.keys():
            self._tell(len(self._programs))
            self.repeat()

    def repeat(self) -> None:
        """Write every deadline that is known once more: an address may have got another number."""
        for known, at_ns in self._known.items():
            self._write(known, at_ns)

    def put_off(self, addresses: Iterable[IPAddress], at_ns: int) -> None:
        """Serve these until then."""
        for each in addresses:
            self._known[each] = at_ns
            self._write(each, at_ns)

    def end(self, addresses: Iterable[IPAddress]) -> None:
        """Serve these whatever happens."""
        for each in addresses:
            self._known.pop(each, None)
            self._write(each, NEVER)

    def align(self, armed: Mapping[IPAddress, timedelta]) -> None:
        """Make all programs agree with the gate as an earlier life has left it: armed, and open for so long."""
        now_ns = monotonic_ns()
        self._known = {each: now_ns + nanoseconds(left) for each, left in armed.items()}
        self.repeat()
        for program in self._programs.values():
            for each in program.addresses():
                if each not in armed:
                    program.write(each, NEVER)

    def close(self) -> None:
        """Let go of the maps; what is written stays. Raises nothing."""
        _close(self._programs.values())
        self._programs = {}

    def _write(self, each: IPAddress, at_ns: int) -> None:
        for program in self._programs.values():
            program.write(each, at_ns)


class _Program:
    """The maps of one program."""

    def __init__(self, maps: Mapping[str, BpfMap]) -> None:
        self._maps = maps
        self._prepared: dict[IPAddress, _Writing] = {}

    def write(self, each: IPAddress, at_ns: int) -> None:
        """No error if the address has no services there."""
        ready = self._prepared.get(each)
        if ready is None:
            if len(self._prepared) >= MAX_PREPARED:
                self._prepared.clear()
            gates = self._maps[f"gates{Family.of(each).value}"]
            ready = self._prepared[each] = _Writing(each, gates, self._maps["deadlines"])
        ready.write(at_ns)

    def addresses(self) -> Iterable[IPAddress]:
        """All that have a number."""
        for family in Family:
            for key, _ in self._maps[f"gates{family.value}"].items():
                yield layout.read_address(key)

    def close(self) -> None:
        for each in self._maps.values():
            each.close()


class _Writing:
    """Of one address's deadline: the number that is looked up is where the key of the other call lies."""

    def __init__(self, each: IPAddress, gates: BpfMap, deadlines: BpfMap) -> None:
        self._address = each
        key, number, self._at = buffer(each.packed), room(4), room(_DEADLINE.size)
        place = PLACE.pack(gates.descriptor, 0, address(key), address(number), 0)
        self._look_up = Prepared(Command.MAP_LOOKUP, place, key, number)
        place = PLACE.pack(deadlines.descriptor, 0, address(number), address(self._at), 0)
        self._update = Prepared(Command.MAP_UPDATE, place, number, self._at)

    def write(self, at_ns: int) -> None:
        refused = self._look_up()
        if refused == errno.ENOENT:
            return
        if not refused:
            _DEADLINE.pack_into(self._at, 0, at_ns & ~1)
            refused = self._update()
        if refused:
            raise refusal(f"BPF: put off the dead-man deadline of {self._address}", refused)


def _programs(interfaces: Iterable[Interface]) -> dict[int, Program]:
    """Those of ours, by the kernel's number; the caller closes them."""
    found: dict[int, Program] = {}
    for interface in interfaces if is_known() else ():
        for program in hooks.attached(interface):
            number = hooks.number_of(program) if program.name == PROGRAM else 0
            if number and number not in found:
                found[number] = program
            else:
                program.close()
    return found


def _opened(program: Program) -> _Program | None:
    """None if it has no deadlines of such a form."""
    maps = hooks.maps_of(program)
    for name in maps.keys() - _VALUES.keys():
        maps.pop(name).close()
    if {name: (each.shape.key_size, each.shape.value_size) for name, each in maps.items()} == _VALUES:
        return _Program(maps)
    _close(maps.values())
    return None


def _close(them: Iterable[Program | _Program | BpfMap]) -> None:
    for each in them:
        each.close()
