"""The program in this network namespace: found at the interfaces where an earlier life has attached it, or loaded.

Finding it changes nothing. A program that is not from the object of today is renewed: the new one takes its place with
the same maps, at one instant for each interface. One whose maps have other structures is removed, and begins with
empty ones.

At tcx it is wherever it has services; in a driver, by XDP, it may be as well (yaoki.linux.bpf.drivers). Both are one
installation, with the same maps.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf import hooks, xdp
from yaoki.linux.bpf.build import CannotBuild, object_file
from yaoki.linux.bpf.hooks import PROGRAM, Interface
from yaoki.linux.bpf.layout import LAYOUT
from yaoki.linux.bpf.maps import BpfMap
from yaoki.linux.bpf.object import load
from yaoki.linux.bpf.program import Program
from yaoki.linux.bpf.records import Origin, Records
from yaoki.linux.bpf.tables import Tables

OBJECT = "balancer"
RECORDS = "records"
UNREAD = (RECORDS, "gates4", "gates6")
"""Maps that the program does not read, and that shall live as long."""


@dataclass(slots=True)
class Installation:
    """The program, its maps, and where it is attached by tcx. `native` is the one for drivers, None while it has not
    been loaded or found."""

    program: Program
    maps: Mapping[str, BpfMap]
    attached: dict[int, Interface] = field(default_factory=dict)
    native: Program | None = None

    @property
    def tables(self) -> Tables:
        return Tables(self.maps)

    @property
    def records(self) -> Records:
        return Records(self.maps[RECORDS])

    @property
    def is_ours(self) -> bool:
        """Whether its maps have the structures that we know."""
        origin = self.records.origin() if RECORDS in self.maps else None
        return origin is not None and origin.layout == LAYOUT

    def attach(self, interface: Interface) -> None:
        """No error if it is there already. Raises ActuatorError."""
        if interface.index not in self.attached:
            hooks.attach(self.program, interface)
            self.attached[interface.index] = interface

    def detach(self, interface: Interface) -> None:
        """Raises ActuatorError."""
        hooks.detach(self.program, interface)
        self.attached.pop(interface.index, None)

    def for_driver(self) -> Program:
        """The program for drivers, with these maps. Raises ActuatorError."""
        if self.native is None:
            made, _ = _loaded({}, self.maps)
            self.native, made.native = made.native, None
            made.close()
        assert self.native is not None
        return self.native

    def adopts(self, program: Program) -> bool:
        """Whether a program that was found in a driver goes on as it is: it uses these maps. It is this installation's
        from now on, if so. Raises ActuatorError."""
        if self.native is not None:
            return hooks.number_of(program) == hooks.number_of(self.native)
        if sorted(hooks.map_numbers(program)) != sorted(hooks.map_numbers(self.program)):
            return False
        self.native = Program(os.dup(program.descriptor), program.name)
        return True

    def close(self) -> None:
        """Let go of it; what is attached stays."""
        self.program.close()
        if self.native is not None:
            self.native.close()
        for map_ in self.maps.values():
            map_.close()


def find() -> Installation | None:
    """What is attached in this network namespace. Raises ActuatorError."""
    found: Installation | None = None
    for interface, program in _programs():
        if found is not None:
            found.attached[interface.index] = interface
            program.close()
            continue
        maps = hooks.maps_of(program)
        installation = Installation(program, maps, {interface.index: interface})
        if installation.is_ours:
            found = installation
        else:
            installation.close()
    return found or _found_in_drivers()


def _found_in_drivers() -> Installation | None:
    """What is at no tcx hook any more: its maps are the same."""
    found: Installation | None = None
    for _, program in xdp.ours():
        seen = Installation(program, hooks.maps_of(program))
        if found is None and seen.is_ours:
            found, _ = _loaded({}, seen.maps)
            assert found.native is not None
            found.native.close()
            found.native = Program(os.dup(program.descriptor), program.name)
        seen.close()
    return found


def install(sizes: Mapping[str, int]) -> Installation:
    """Load the program; it is attached nowhere yet, and what is there of another layout is removed. Raises
    ActuatorError."""
    made, object_ = _loaded(sizes, {})
    made.records.put_origin(Origin(LAYOUT, object_))
    remove_strangers()
    return made


def renewed(found: Installation) -> Installation:
    """The same with the program of today; one that runs goes on where none can be had. Raises ActuatorError."""
    origin = found.records.origin()
    try:
        today = object_file(OBJECT).name
    except CannotBuild:
        return found
    if origin is not None and origin.object == today:
        return found
    new, object_ = _loaded({}, found.maps)
    for interface in found.attached.values():
        hooks.replace(new.program, interface, old=found.program)
    for interface, program in xdp.ours():
        # A driver that does not take the new one keeps the old one, which has the same maps; see drivers.py.
        with suppress(ActuatorError):
            if found.adopts(program):
                xdp.replace(new.for_driver(), interface, old=program)
        program.close()
    new.attached = found.attached
    new.records.put_origin(Origin(LAYOUT, object_))
    found.close()
    return new


def remove_strangers() -> None:
    """Detach programs of ours whose maps have other structures. Raises ActuatorError."""
    for interface, program in _programs():
        found = Installation(program, hooks.maps_of(program))
        if not found.is_ours:
            found.detach(interface)
        found.close()
    for interface, program in xdp.ours():
        found = Installation(program, hooks.maps_of(program))
        if not found.is_ours:
            xdp.detach(program, interface)
        found.close()


def _programs() -> Iterator[tuple[Interface, Program]]:
    """Those that bear the name of ours; the caller closes them."""
    for interface in hooks.interfaces():
        for program in hooks.attached(interface):
            if program.name == PROGRAM:
                yield interface, program
            else:
                program.close()


def _loaded(sizes: Mapping[str, int], maps: Mapping[str, BpfMap]) -> tuple[Installation, str]:
    path = _object()
    loaded = load(path, sizes=sizes, reuse=maps)
    native = loaded.programs[xdp.PROGRAM]
    for program in loaded.programs.values():
        if program.name not in (PROGRAM, xdp.PROGRAM):
            program.close()
    made = Installation(loaded.programs[PROGRAM], loaded.maps, native=native)
    for name in UNREAD:
        hooks.bind(made.program, made.maps[name])
        hooks.bind(native, made.maps[name])
    return made, path.name


def _object() -> Path:
    try:
        return object_file(OBJECT)
    except CannotBuild as error:
        raise ActuatorError("build the BPF program", str(error)) from error
