"""Sources that persistence keeps with a server under address translation, written as a copied flow tells of them.

The rules write them with every packet (nftables_nat); on a node through which no packet comes, this does. A set that is
not there belongs to a server that takes no new flows, or to a service that the plane has not made yet: its sources are
left out.
"""

import errno
import os
from collections.abc import Sequence

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import ServiceKey
from yaoki.linux.nftables_elements import ElementWriter, TimedElement
from yaoki.linux.nftables_names import TRANSLATION, pin_name


class PinWriter:
    """In the network namespace of the process that made it."""

    def __init__(self) -> None:
        self._writer = ElementWriter()

    def close(self) -> None:
        self._writer.close()

    def put(self, key: ServiceKey, server: IPAddress, port: int, sources: Sequence[bytes], seconds: int) -> int:
        """Remember these sources (masked, as octets) with a server of a service for so long; how many there was no
        place for. Raises ActuatorError."""
        elements = [TimedElement(source, seconds * 1000) for source in sources]
        refused = self._writer.put(TRANSLATION, pin_name(key, server, port), elements)
        # ENFILE: as many sources as a set has room for are there.
        left_out = refused.pop(errno.ENOENT, 0) + refused.pop(errno.ENFILE, 0)
        for number in refused:
            raise ActuatorError(f"remember sources of {key}", os.strerror(number), errno=number)
        return left_out
