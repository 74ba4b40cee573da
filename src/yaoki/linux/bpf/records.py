"""What a plane wants to find again of its services, kept beside the program in the kernel: the wish, the seats.

A record is JSON in parts of RECORD_LENGTH octets; the last part of one ends with zeros. It is written before what it
speaks of is changed, so there is never an entry in use of which no record knows.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from yaoki.core.codec import Codec, Undecodable
from yaoki.lb.service import VirtualService
from yaoki.linux.bpf.maps import BpfMap
from yaoki.linux.bpf.services import Seat, ServerPlace

RECORD_LENGTH = 1024
_ABOUT_ALL = 0xFFFFFFFF
_KEY = struct.Struct("=II")
_CODEC = Codec()


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """A service as it was asked for; `seats` are its servers' in the order of the service."""

    service: VirtualService
    digest: str
    numbers: tuple[int, ...]
    stamps: tuple[int, ...]

    @property
    def seats(self) -> Mapping[ServerPlace, Seat]:
        """By the servers' places."""
        return {
            (server.address, server.port): Seat(number, stamp)
            for server, number, stamp in zip(self.service.servers, self.numbers, self.stamps, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Origin:
    """Which structures the maps have, and which object the program is from."""

    layout: str
    object: str


class Records:
    """Every method may raise ActuatorError."""

    def __init__(self, map_: BpfMap) -> None:
        self._map = map_

    def put(self, id_: int, record: ServiceRecord) -> None:
        """In the place of an earlier one."""
        self._write(id_, _CODEC.encode(record))

    def remove(self, id_: int) -> None:
        """No error if there is none."""
        part = 0
        while self._map.delete(_KEY.pack(id_, part)):
            part += 1

    def all(self) -> dict[int, ServiceRecord]:
        """Those that can be read, by the id of the service."""
        found = {}
        for id_, text in self._texts():
            try:
                found[id_] = _CODEC.decode(text, ServiceRecord)
            except Undecodable:
                continue
        return found

    def decoded(self, known: Mapping[bytes, ServiceRecord]) -> dict[bytes, ServiceRecord]:
        """Those that can be read, by their texts; what is known is not decoded again."""
        found = {}
        for _, text in self._texts():
            try:
                found[text] = known[text] if text in known else _CODEC.decode(text, ServiceRecord)
            except Undecodable:
                continue
        return found

    def _texts(self) -> Iterator[tuple[int, bytes]]:
        texts: dict[int, dict[int, bytes]] = {}
        for key, value in self._map.items():
            id_, part = _KEY.unpack(key)
            texts.setdefault(id_, {})[part] = value
        texts.pop(_ABOUT_ALL, None)
        for id_, parts in sorted(texts.items()):
            yield id_, b"".join(parts[part] for part in sorted(parts)).rstrip(b"\0")

    def put_origin(self, origin: Origin) -> None:
        self._write(_ABOUT_ALL, _CODEC.encode(origin))

    def origin(self) -> Origin | None:
        """None if it cannot be read: not ours."""
        octets = self._map.look_up(_KEY.pack(_ABOUT_ALL, 0))
        try:
            found: Origin | None = None if octets is None else _CODEC.decode(octets.rstrip(b"\0"), Origin)
        except Undecodable:
            return None
        return found

    def _write(self, id_: int, text: bytes) -> None:
        parts = [text[at : at + RECORD_LENGTH].ljust(RECORD_LENGTH, b"\0") for at in range(0, len(text), RECORD_LENGTH)]
        self._map.update_all((_KEY.pack(id_, part), octets) for part, octets in enumerate(parts))
        part = len(parts)
        while self._map.delete(_KEY.pack(id_, part)):
            part += 1
