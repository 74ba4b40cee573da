"""Claims addresses on eth0 for whoever runs it: gratuitous ARP in both forms, unsolicited neighbour advertisements.

    python claimant.py MAC TIMES PAUSE_S ADDRESS ...

Prints the CLOCK_MONOTONIC microsecond before the first frame.
"""

import socket
import sys
import time
from ipaddress import IPv4Address, ip_address

from yaoki.core.address import MacAddress
from yaoki.packet import arp, neighbour


def main(mac_text: str, times: str, pause: str, *addresses: str) -> None:
    mac = MacAddress.parse(mac_text)
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    frames: list[bytes] = []
    for address in map(ip_address, addresses):
        if isinstance(address, IPv4Address):
            frames += arp.announcement(mac, address)
        else:
            frames.append(neighbour.announcement(mac, address, router=False))
    sys.stdout.write(f"{time.monotonic_ns() // 1000}\n")
    sys.stdout.flush()
    for number in range(int(times)):
        if number:
            time.sleep(float(pause))
        for frame in frames:
            sock.sendto(frame, ("eth0", 0))


if __name__ == "__main__":
    main(*sys.argv[1:])
