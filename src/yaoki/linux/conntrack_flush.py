"""Forgets every flow of this network namespace, ours or not: `python -m yaoki.linux.conntrack_flush`.

For the lab, where a machine that loses its power keeps its kernel. Few imports: it runs often.
"""

import socket
import struct

_NETLINK_NETFILTER = 12
_CT_DELETE = (1 << 8) | 2
_REQUEST, _ACK = 0x1, 0x4


def main() -> None:
    """Ask for it, and wait until it is done."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER) as sock:
        # A deletion that names no flow means all (ctnetlink_del_conntrack).
        sock.send(struct.pack("=IHHIIBBH", 20, _CT_DELETE, _REQUEST | _ACK, 1, 0, socket.AF_UNSPEC, 0, 0))
        sock.recv(4096)


if __name__ == "__main__":
    main()
