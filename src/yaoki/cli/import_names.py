"""What names in a table of ipvsadm stand for, as this machine knows them: its resolver, and /etc/services."""

import socket

from yaoki.core.address import IPAddress, parse_address
from yaoki.lb.service import Protocol


class SystemNames:
    """The names of this machine; the balancer's own may differ, which is why `ipvsadm -S -n` is better."""

    def address(self, name: str) -> IPAddress | None:
        """The first address of a name."""
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM) if name else []
        except (OSError, UnicodeError):
            return None
        return next((parse_address(str(one[4][0]).partition("%")[0]) for one in found), None)

    def port(self, name: str, protocol: Protocol) -> int | None:
        """The port of a service's name."""
        try:
            return socket.getservbyname(name, protocol.value)
        except (OSError, UnicodeError):
            return None
