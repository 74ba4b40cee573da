"""A task to vary: the service web, on both families, on web1."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Any

from yaoki.lb.realserver import OperatingSystem, RealServerTask
from yaoki.lb.service import Protocol

BOTH = (ip_interface("192.0.2.50/24"), ip_interface("2001:db8:1::50/64"))
OWN = (ip_address("192.0.2.21"), ip_address("2001:db8:1::21"))


def task(os: OperatingSystem, **more: Any) -> RealServerTask:  # noqa: ANN401 - any field
    called = ("ローカル エリア接続", "ローカル エリア接続 2") if os.is_windows else ("eth0", "Loopback")
    made = RealServerTask(
        service="web",
        server="web1",
        os=os,
        vips=BOTH,
        own=OWN,
        interface=called[0],
        loopback=called[1],
        protocol=Protocol.TCP,
        port=80,
        neighbour=("lb1", "eth0"),
    )
    return replace(made, **more)
