"""Maps of the kernel: look up, update and delete, singly and in batches. Per-CPU values are one for each processor."""

import errno
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Self

from yaoki.linux.bpf.syscall import Command, address, attempt, bpf, buffer, refusal, room

BATCH = 4096
"""Entries that one call reads or writes."""

PLACE = struct.Struct("=IIQQQ")
"""Attributes of looking up, updating and deleting: descriptor, 0, addresses of key and value, flags."""
_BATCH = struct.Struct("=QQQQIIQQ")
_BATCH_COUNT = struct.Struct("=I")
_COUNT_AT = 32
_NO_EXIST = 1
_INFO_LENGTH = 80


class MapKind(IntEnum):
    """enum bpf_map_type, those that are used here."""

    HASH = 1
    ARRAY = 2
    PROGRAM_ARRAY = 3
    PER_CPU_HASH = 5
    PER_CPU_ARRAY = 6
    LRU_HASH = 9
    LRU_PER_CPU_HASH = 10
    ARRAY_OF_MAPS = 12


_PER_CPU = {MapKind.PER_CPU_HASH, MapKind.PER_CPU_ARRAY, MapKind.LRU_PER_CPU_HASH}


@dataclass(frozen=True, slots=True)
class MapShape:
    """What a map is, by the kernel's own word. `value_size` is that of one processor."""

    kind: int
    key_size: int
    value_size: int
    max_entries: int

    @property
    def value_room(self) -> int:
        """Octets of a value as it is handed over."""
        return (self.value_size + 7) // 8 * 8 * processors() if self.kind in _PER_CPU else self.value_size


class BpfMap:
    """A map, by a descriptor that it owns. Every method may raise ActuatorError."""

    def __init__(self, descriptor: int, name: str) -> None:
        self.name = name
        self.descriptor = descriptor
        self.shape = _shape(descriptor, name)

    @classmethod
    def create(cls, shape: MapShape, name: str) -> Self:
        """A new map without entries; of an array, all zeros."""
        attributes = struct.pack("=IIII", shape.kind, shape.key_size, shape.value_size, shape.max_entries)
        return cls(bpf(Command.MAP_CREATE, attributes, change=f"BPF map {name}: create")[0], name)

    @classmethod
    def pinned(cls, path: Path) -> Self:
        """One that was pinned."""
        return cls(pinned_descriptor(path), path.name)

    @classmethod
    def by_id(cls, id_: int, name: str) -> Self:
        """One that the kernel has."""
        return cls(bpf(Command.MAP_BY_ID, struct.pack("=I", id_), change=f"BPF map {name}: open")[0], name)

    def pin(self, path: Path) -> None:
        """Let it live on under a name in a BPF file system."""
        pin(self.descriptor, path)

    def close(self) -> None:
        """Let go of the descriptor."""
        os.close(self.descriptor)

    def look_up(self, key: bytes) -> bytes | None:
        """The value of a key, None if there is none."""
        key_, value = buffer(key), room(self.shape.value_room)
        attributes = PLACE.pack(self.descriptor, 0, address(key_), address(value), 0)
        _, number, _ = attempt(Command.MAP_LOOKUP, attributes)
        if number == errno.ENOENT:
            return None
        if number:
            raise refusal(f"BPF map {self.name}: look up", number)
        return value.raw

    def update(self, key: bytes, value: bytes) -> None:
        """Put an entry there, at one instant."""
        key_, value_ = buffer(key), buffer(value)
        attributes = PLACE.pack(self.descriptor, 0, address(key_), address(value_), 0)
        bpf(Command.MAP_UPDATE, attributes, change=f"BPF map {self.name}: update")

    def insert(self, key: bytes, value: bytes) -> bool:
        """The same where there is none; whether there was none."""
        key_, value_ = buffer(key), buffer(value)
        attributes = PLACE.pack(self.descriptor, 0, address(key_), address(value_), _NO_EXIST)
        _, number, _ = attempt(Command.MAP_UPDATE, attributes)
        if number not in (0, errno.EEXIST):
            raise refusal(f"BPF map {self.name}: insert", number)
        return not number

    def delete(self, key: bytes) -> bool:
        """Take an entry away; whether it was there."""
        key_ = buffer(key)
        _, number, _ = attempt(Command.MAP_DELETE, PLACE.pack(self.descriptor, 0, address(key_), 0, 0))
        if number not in (0, errno.ENOENT):
            raise refusal(f"BPF map {self.name}: delete", number)
        return not number

    def update_all(self, entries: Iterable[tuple[bytes, bytes]]) -> None:
        """Put many entries there; each at one instant, and of maps in a map all after one wait for readers."""
        entries = iter(entries)
        while some := list(islice(entries, BATCH)):
            keys, values = buffer(b"".join(key for key, _ in some)), buffer(b"".join(value for _, value in some))
            attributes = _BATCH.pack(0, 0, address(keys), address(values), len(some), self.descriptor, 0, 0)
            bpf(Command.MAP_UPDATE_BATCH, attributes, change=f"BPF map {self.name}: update {len(some)} entries")

    def delete_all(self, keys: Sequence[bytes]) -> None:
        """Take entries away; those that are not there are no harm."""
        for key in keys:
            self.delete(key)

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """All entries, as far as they do not change meanwhile: one that is made or goes may be missed."""
        for keys, values, count in self._batches():
            yield from _split(keys, values, count, self.shape)

    def values(self) -> Iterator[bytes]:
        """The values of all entries, many at a time, one after the other."""
        for _, values, count in self._batches():
            yield values[: count * self.shape.value_room]

    def _batches(self) -> Iterator[tuple[bytes, bytes, int]]:
        shape = self.shape
        before, after = room(max(shape.key_size, 8)), room(max(shape.key_size, 8))
        keys, values = room(BATCH * shape.key_size), room(BATCH * shape.value_room)
        first, ended = True, False
        while not ended:
            attributes = _BATCH.pack(
                0 if first else address(before), address(after), address(keys), address(values), BATCH,
                self.descriptor, 0, 0,
            )  # fmt: skip
            _, number, found = attempt(Command.MAP_LOOKUP_BATCH, attributes)
            if number not in (0, errno.ENOENT):
                raise refusal(f"BPF map {self.name}: read all", number)
            (count,) = _BATCH_COUNT.unpack_from(found, _COUNT_AT)
            yield keys.raw, values.raw, count
            first, ended = False, number == errno.ENOENT
            before, after = after, before


def pin(descriptor: int, path: Path) -> None:
    """Give a map, program or link a name that keeps it alive. Raises ActuatorError."""
    name = buffer(os.fsencode(path) + b"\0")
    bpf(Command.OBJECT_PIN, struct.pack("=QII", address(name), descriptor, 0), change=f"BPF: pin {path}")


def pinned_descriptor(path: Path) -> int:
    """A descriptor of what was pinned. Raises ActuatorError."""
    name = buffer(os.fsencode(path) + b"\0")
    return bpf(Command.OBJECT_GET, struct.pack("=QII", address(name), 0, 0), change=f"BPF: open {path}")[0]


@cache
def processors() -> int:
    """How many processors the kernel keeps per-CPU values for: those that could ever be there."""
    last = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")[-1].split("-")[-1]
    return int(last) + 1


def _shape(descriptor: int, name: str) -> MapShape:
    info = room(_INFO_LENGTH)
    attributes = struct.pack("=IIQ", descriptor, _INFO_LENGTH, address(info))
    bpf(Command.OBJECT_INFO, attributes, change=f"BPF map {name}: ask what it is")
    kind, _, key_size, value_size, max_entries = struct.unpack_from("=IIIII", info.raw)
    return MapShape(kind, key_size, value_size, max_entries)


def _split(keys: bytes, values: bytes, count: int, shape: MapShape) -> Iterator[tuple[bytes, bytes]]:
    key_size, value_size = shape.key_size, shape.value_room
    for index in range(count):
        yield (
            keys[index * key_size : (index + 1) * key_size],
            values[index * value_size : (index + 1) * value_size],
        )
