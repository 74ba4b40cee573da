"""A port of this machine that belongs to us and at which the kernel says nothing, whatever arrives.

Who speaks to others past the kernel gets answers that the kernel knows nothing of; it would refuse them, by a reset or
an ICMP error. A socket is bound to the port, so nobody else gets it, with a filter that lets nothing through: what
arrives is dropped without a word, and is still seen by packet sockets.
"""

import ctypes
import socket
import struct

from yaoki.core.address import IPAddress
from yaoki.core.error import ActuatorError
from yaoki.lb.service import Protocol
from yaoki.linux.claim_filter import encoded

_SO_ATTACH_FILTER = 26
_REFUSE_ALL = ((0x06, 0, 0, 0),)
_KINDS = {Protocol.TCP: socket.SOCK_STREAM, Protocol.UDP: socket.SOCK_DGRAM}
_FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}


class QuietPort:
    """Of one of this machine's addresses; the kernel chooses the number. Raises ActuatorError."""

    def __init__(self, address: IPAddress, protocol: Protocol) -> None:
        try:
            self._socket = socket.socket(_FAMILIES[address.version], _KINDS[protocol] | socket.SOCK_CLOEXEC)
        except OSError as error:
            raise _refused(address, error) from error
        try:
            text = ctypes.create_string_buffer(encoded(_REFUSE_ALL))
            filter_ = struct.pack("@HP", len(_REFUSE_ALL), ctypes.addressof(text))
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, filter_)
            self._socket.bind((str(address), 0))
            if protocol is Protocol.TCP:
                # Only a listener's filter is asked before a reset is sent.
                self._socket.listen(1)
        except OSError as error:
            self._socket.close()
            raise _refused(address, error) from error
        self.number: int = self._socket.getsockname()[1]

    def close(self) -> None:
        self._socket.close()


def _refused(address: IPAddress, error: OSError) -> ActuatorError:
    return ActuatorError(f"take a port of {address}", error.strerror or str(error), errno=error.errno)
