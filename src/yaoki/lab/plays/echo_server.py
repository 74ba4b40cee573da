"""The echo server: `python -m yaoki.lab.plays.echo_server NAME ADDRESS/udp/PORT ADDRESS/tcp/PORT ...`.

Every answer is NAME, a zero octet, and what came. Addresses need not be there (IP_FREEBIND): a VIP is answered from
the moment that it arrives, and the answer's source is the VIP, because the socket is bound to it. For TCP the same
holds for each piece received.

Its own process, with few imports: many of them run in a lab.
"""

import gc
import select
import socket
import sys
from collections.abc import Sequence

_FREEBIND = {socket.AF_INET: (socket.IPPROTO_IP, 15), socket.AF_INET6: (socket.IPPROTO_IPV6, 78)}
_LARGEST = 65535
_AT_ONCE = 64
_BUFFER = 1 << 20


def main(arguments: Sequence[str]) -> None:
    """Serve until killed."""
    prefix = arguments[0].encode() + b"\0"
    poll = select.epoll()
    udp: dict[int, socket.socket] = {}
    listening: dict[int, socket.socket] = {}
    for endpoint in arguments[1:]:
        address, protocol, port = endpoint.split("/")
        listener = _bound(address, protocol, int(port))
        (udp if protocol == "udp" else listening)[listener.fileno()] = listener
        poll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    gc.freeze()
    gc.disable()
    while True:
        for number, _ in poll.poll():
            if number in udp:
                _answer(udp[number], prefix)
            elif number in listening:
                _accept(listening[number], poll, connections)
            elif not _echo(connections[number], prefix):
                poll.unregister(number)
                connections.pop(number).close()


def _bound(address: str, protocol: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM)
    sock.setsockopt(*_FREEBIND[family], 1)
    sock.setblocking(False)
    if protocol == "udp":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((address, port))
    else:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        sock.listen(1024)
    return sock


def _answer(sock: socket.socket, prefix: bytes) -> None:
    for _ in range(_AT_ONCE):
        try:
            data, peer = sock.recvfrom(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            continue
        try:
            sock.sendto(prefix + data, peer)
        except OSError:
            # No route back, or the address is not here any more: the asker sees silence, as it should.
            continue


def _accept(listener: socket.socket, poll: select.epoll, connections: dict[int, socket.socket]) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connections[connection.fileno()] = connection
    poll.register(connection, select.EPOLLIN)


def _echo(connection: socket.socket, prefix: bytes) -> bool:
    """Answer one piece; False when the connection is over."""
    try:
        data = connection.recv(_LARGEST)
        if data:
            connection.send(prefix + data)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return bool(data)


if __name__ == "__main__":
    main(sys.argv[1:])
