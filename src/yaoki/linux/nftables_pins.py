"""Sources that persistence keeps with a server under address translation, written as a copied flow tells of them.

The rules write them with every packet (nftables_nat); on a node through which no packet comes, this does. A set that is
not there belongs to a server that takes no new flows, or to a service that the plane has not made yet: its sources are
left out.

Invariants: one batch for each set, which takes effect as a whole; the time-out of a source that is there begins anew.
Limits: BATCH sources in one batch.
"""

import errno
import os
import struct
from collections.abc import Collection, Sequence

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import ServiceKey
from yaoki.linux.attributes import attribute, nest
from yaoki.linux.nftables_batch import DELETE_ELEMENTS, NEW_ELEMENTS, BatchWriter, head
from yaoki.linux.nftables_names import TRANSLATION, pin_name

BATCH = 256

# linux/netfilter/nf_tables.h
_LIST_ELEMENTS, _ELEMENT, _KEY, _TIMEOUT, _VALUE = 3, 1, 1, 4, 1
_MS = struct.Struct("!Q")


class PinWriter:
    """A socket for it, which stays open."""

    def __init__(self) -> None:
        self._batches = BatchWriter()

    def close(self) -> None:
        self._batches.close()

    def put(self, key: ServiceKey, server: IPAddress, port: int, sources: Sequence[bytes], seconds: int) -> int:
        """Remember these sources (masked, as octets) with a server of a service for so long; how many there was no
        place for. Raises ActuatorError."""
        left_out = 0
        for start in range(0, len(sources), BATCH):
            part = sources[start : start + BATCH]
            refusal = self._run(pin_name(key, server, port), part, seconds * 1000)
            # ENFILE: as many sources as a set has room for are there.
            if refusal in (errno.ENOENT, errno.ENFILE):
                left_out += len(part)
            elif refusal:
                raise ActuatorError(f"remember sources of {key}", os.strerror(refusal), errno=refusal)
        return left_out

    def _run(self, name: str, sources: Collection[bytes], timeout_ms: int) -> int:
        # Added, which is no error if it is there; deleted, and added with the whole time: kernels before 6.12 know no
        # other way to put a time-out off.
        changes = ((NEW_ELEMENTS, timeout_ms), (DELETE_ELEMENTS, None), (NEW_ELEMENTS, timeout_ms))
        parts = [(kind, _body(name, sources, timeout)) for kind, timeout in changes]
        return self._batches.tried(parts, purpose="remember sources")


def _body(name: str, sources: Collection[bytes], timeout_ms: int | None) -> bytes:
    timeout = b"" if timeout_ms is None else attribute(_TIMEOUT, _MS.pack(timeout_ms))
    elements = (nest(_ELEMENT, nest(_KEY, attribute(_VALUE, source)), timeout) for source in sources)
    return head(TRANSLATION, name) + nest(_LIST_ELEMENTS, *elements)
