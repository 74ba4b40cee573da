"""Elements of sets and maps whose contents are the rules' own, written beside them: what another node has told.

Invariants: one batch, which takes effect as a whole, for BATCH elements; an element's time-out begins anew.
Limits: BATCH elements in one batch.
"""

import errno
import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from yaoki.linux.attributes import attribute, nest
from yaoki.linux.nftables_batch import DELETE_ELEMENTS, NEW_ELEMENTS, BatchWriter, head

BATCH = 256

# linux/netfilter/nf_tables.h
_LIST_ELEMENTS, _ELEMENT, _KEY, _DATA, _TIMEOUT, _VALUE = 3, 1, 1, 2, 4, 1
_MS = struct.Struct("!Q")
_CLASHES = frozenset({errno.EEXIST, errno.EBUSY})
"""An element with this key and other data is there."""


@dataclass(frozen=True, slots=True)
class TimedElement:
    """Key and data as they lie in registers; `data` is empty in a set."""

    key: bytes
    timeout_ms: int
    data: bytes = b""


class ElementWriter:
    """In the network namespace of the process that made it. Tables are named as nft names them: "inet x"."""

    def __init__(self) -> None:
        self._batches = BatchWriter()

    def close(self) -> None:
        self._batches.close()

    def put(self, table: str, set_: str, elements: Sequence[TimedElement]) -> dict[int, int]:
        """Put them there, in the place of what is there; how many the kernel refused, by the errno. ENOENT: there is no
        such set; ENFILE: it is full. Raises ActuatorError if the kernel does not answer."""
        refused: dict[int, int] = {}
        for start in range(0, len(elements), BATCH):
            part = elements[start : start + BATCH]
            # Added, which is no error if it is there; deleted, and added with the whole time: kernels before 6.12 know
            # no other way to put a time-out off.
            number = self._run(table, set_, part, (NEW_ELEMENTS, DELETE_ELEMENTS, NEW_ELEMENTS))
            if number in _CLASHES:
                for each in part:
                    self._count(refused, self._replace(table, set_, each), 1)
            else:
                self._count(refused, number, len(part))
        return refused

    def _replace(self, table: str, set_: str, element: TimedElement) -> int:
        number = self._run(table, set_, (element,), (DELETE_ELEMENTS, NEW_ELEMENTS))
        return self._run(table, set_, (element,), (NEW_ELEMENTS,)) if number == errno.ENOENT else number

    @staticmethod
    def _count(refused: dict[int, int], number: int, elements: int) -> None:
        if number:
            refused[number] = refused.get(number, 0) + elements

    def _run(self, table: str, set_: str, elements: Collection[TimedElement], changes: Sequence[int]) -> int:
        """All of it or nothing; the errno of the first refusal, 0 if there was none."""
        parts = [(kind, _body(table, set_, elements, added=kind == NEW_ELEMENTS)) for kind in changes]
        return self._batches.tried(parts, purpose=f"elements of {set_}")


def _body(table: str, set_: str, elements: Collection[TimedElement], *, added: bool) -> bytes:
    return head(table, set_) + nest(_LIST_ELEMENTS, *(_element(each, added=added) for each in elements))


def _element(element: TimedElement, *, added: bool) -> bytes:
    key = nest(_KEY, attribute(_VALUE, element.key))
    if not added:
        return nest(_ELEMENT, key)
    data = nest(_DATA, attribute(_VALUE, element.data)) if element.data else b""
    return nest(_ELEMENT, key, data, attribute(_TIMEOUT, _MS.pack(element.timeout_ms)))
