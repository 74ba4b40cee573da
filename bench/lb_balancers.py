"""The balancers of `make bench-lb`: how each is started on its machine. All forward the same three services.

Yaoki runs as its users run it, `yaoki node` with a site file. The peers are Debian's, configured as their manuals say:

* nftlb by its JSON file, once for direct return (`dsr`), once for `dnat`. It asks for its servers' MACs in the name of
  the VIP, which servers of direct return hold themselves and so never answer; its rules then send to 00:00:00:00:00:00.
  It takes a MAC that the kernel knows already, so the servers are pinged first; where a rule has none all the same, we
  put the right one in and load nftlb's rules again.
* HAProxy in TCP mode with a thread per core. nginx's stream module with a worker per core.
"""

import json
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from bench.lb_lab import BULK, PACKETS, SERVERS, WEB, Place
from yaoki.lab import namespaces
from yaoki.lab.events import Turn
from yaoki.lab.lab import Lab
from yaoki.lab.software_yaoki import Yaoki

BPF = Place("bpf", 1, direct=True, plane="bpf")
NFTABLES_DIRECT = Place("nft-direct", 2, direct=True, plane="nftables")
NFTABLES_NAT = Place("nft-nat", 3, plane="nftables")
NFTLB_DIRECT = Place("nftlb-direct", 4, direct=True)
NFTLB_NAT = Place("nftlb-nat", 5)
HAPROXY = Place("haproxy", 6, rewrites_source=True)
NGINX = Place("nginx", 7, rewrites_source=True)
PLACES = (BPF, NFTABLES_DIRECT, NFTABLES_NAT, NFTLB_DIRECT, NFTLB_NAT, HAPROXY, NGINX)
IN_KERNEL = (NFTABLES_DIRECT, NFTABLES_NAT, NFTLB_DIRECT, NFTLB_NAT)
"""Those that BPF is compared with: no process of theirs sees a packet."""
NAMES = {
    BPF: "BPF direct",
    NFTABLES_DIRECT: "nftables direct",
    NFTABLES_NAT: "nftables NAT",
    NFTLB_DIRECT: "nftlb direct",
    NFTLB_NAT: "nftlb NAT",
    HAPROXY: "HAProxy",
    NGINX: "nginx stream",
}

STREAM_MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")
TOOLS = ("wrk", "iperf3", "nftlb", "haproxy", "nginx", "conntrack")
READY_LIMIT_S = 30.0
_NO_MAC = "00:00:00:00:00:00"
_PORTS = ((WEB, "tcp"), (BULK, "tcp"), (PACKETS, "udp"))


def start(lab: Lab) -> None:
    """Start them all; returns when Yaoki's nodes lack nothing any more and own their VIPs. Raises TimeoutError."""
    software = Yaoki(lab)
    nodes = [place.machine for place in PLACES if place.plane is not None]
    for node in nodes:
        software.start(node)
    starters: dict[Place, Callable[[Lab, Place], None]] = {
        NFTLB_DIRECT: _start_nftlb,
        NFTLB_NAT: _start_nftlb,
        HAPROXY: _start_haproxy,
        NGINX: _start_nginx,
    }
    for place, starter in starters.items():
        starter(lab, place)
    deadline = time.monotonic() + READY_LIMIT_S
    for node in nodes:
        while (lacks := _lacks(software, node)) is not None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{node} is not ready after {READY_LIMIT_S:g} s: {lacks}")
            time.sleep(0.1)


def _lacks(software: Yaoki, node: str) -> str | None:
    """A node by itself lacks nothing while it still listens for another owner."""
    if (missing := software.missing(node)) is not None:
        return missing
    took_over = any(event.turn is Turn.TOOK_OVER for event in software.events(node, 0))
    return None if took_over else "its VIP"


def _start_nftlb(lab: Lab, place: Place) -> None:
    namespace = lab.namespace(place.machine)
    file = lab.machine_directory(place.machine) / "nftlb.json"
    file.write_text(json.dumps({"farms": [_farm(place, port, protocol) for port, protocol in _PORTS]}))
    for address in SERVERS.values():
        namespaces.run(namespaces.inside(namespace, ["ping", "-c1", "-W2", str(address)]))
    namespaces.run(namespaces.inside(namespace, ["nftlb", "-c", str(file), "-l", "4", "-e"]))
    rules = namespaces.run(namespaces.inside(namespace, ["nft", "list", "ruleset"]))
    if _NO_MAC in rules:
        macs = [str(lab.plan.port(server, "eth0").mac) for server in SERVERS]
        filled = re.sub(rf"(\d+) : {_NO_MAC}", lambda slot: f"{slot[1]} : {macs[int(slot[1])]}", rules)
        namespaces.run(namespaces.inside(namespace, ["nft", "-f", "-"]), text=f"flush ruleset\n{filled}")


def _farm(place: Place, port: int, protocol: str) -> dict[str, object]:
    return {
        "name": f"farm{port}",
        "family": "ipv4",
        "virtual-addr": str(place.vip),
        "virtual-ports": str(port),
        "mode": "dsr" if place.direct else "dnat",
        "protocol": protocol,
        "scheduler": "hash",
        "sched-param": "srcip" if port == BULK else "srcip srcport",
        "state": "up",
        "backends": [
            {"name": name, "ip-addr": str(address), "weight": "1", "state": "up"} for name, address in SERVERS.items()
        ],
    }


def _start_haproxy(lab: Lab, place: Place) -> None:
    lines = [
        *("global", "  maxconn 8000", f"  nbthread {os.cpu_count()}"),
        *("defaults", "  mode tcp", "  timeout connect 3s", "  timeout client 30s", "  timeout server 30s"),
    ]
    for port, balance in ((WEB, "roundrobin"), (BULK, "source")):
        lines += [f"listen port{port}", f"  bind {place.vip}:{port}", f"  balance {balance}"]
        lines += [f"  server {name} {address}:{port}" for name, address in SERVERS.items()]
    file = lab.machine_directory(place.machine) / "haproxy.cfg"
    file.write_text("\n".join(lines) + "\n")
    lab.start_process(place.machine, ["haproxy", "-db", "-f", str(file)], log="haproxy.log")


def _start_nginx(lab: Lab, place: Place) -> None:
    directory = lab.machine_directory(place.machine)
    file = directory / "nginx.conf"
    file.write_text(
        f"load_module {STREAM_MODULE};\nworker_processes {os.cpu_count()};\ndaemon off;\npid {directory}/nginx.pid;\n"
        f"error_log {directory}/error.log;\nevents {{ worker_connections 8192; }}\nstream {{\n"
        + _upstream(WEB)
        + _upstream(BULK, "hash $remote_addr; ")
        + _upstream(PACKETS)
        + f" server {{ listen {place.vip}:{WEB} backlog=4096; proxy_pass port{WEB}; }}\n"
        + f" server {{ listen {place.vip}:{BULK}; proxy_pass port{BULK}; }}\n"
        + f" server {{ listen {place.vip}:{PACKETS} udp reuseport; proxy_pass port{PACKETS}; }}\n}}\n"
    )
    command = ["nginx", "-p", str(directory), "-c", str(file), "-e", str(directory / "error.log")]
    lab.start_process(place.machine, command, log="nginx.log")


def _upstream(port: int, how: str = "") -> str:
    return f" upstream port{port} {{ {how}{' '.join(f'server {address}:{port};' for address in SERVERS.values())} }}\n"
