"""Sends the Magic Packet out of an interface."""

import socket

from yaoki.core.address import MacAddress
from yaoki.core.error import ActuatorError
from yaoki.packet.wake_on_lan import magic_packet


def wake(interface: str, mac: MacAddress) -> None:
    """Wake whoever has this MAC on the interface's network; nobody answers to it. Raises ActuatorError."""
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0) as sock:
            sock.bind((interface, 0))
            sock.send(magic_packet(mac, MacAddress(sock.getsockname()[4])))
    except OSError as error:
        raise ActuatorError(f"wake {mac} on {interface}", error.strerror or str(error), errno=error.errno) from error
