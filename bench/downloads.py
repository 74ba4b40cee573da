"""How many of 500 open downloads are cut when the balancer that they go through loses its power.

Pairs of balancers on one bridge, each with a VIP of its own and three servers by round robin; all owners are killed in
one instant, between two pieces of every download. Yaoki's pairs run as its users run it, `yaoki node` with a site file;
beside them keepalived with a ruleset for nftables that translates addresses, as is usual where nothing is copied.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from bench.lb_lab import interface
from bench.row import Row
from yaoki.lab import namespaces
from yaoki.lab.build import set_sysctls
from yaoki.lab.fault import PowerOffTogether
from yaoki.lab.injector import Injector
from yaoki.lab.lab import Lab
from yaoki.lab.peers_keepalived import configuration
from yaoki.lab.software_yaoki import Yaoki
from yaoki.site.load import load_site

DOWNLOADS, QUICK_DOWNLOADS = 500, 100
PORT = 80
SETTLED_S = 3.0
"""From the last download's opening to the fault: a second is enough for the copies."""
WATCHED_S = 12.0
"""From the fault on: longer than a download is given to go on."""
READY_LIMIT_S = 60.0
SERVERS = {f"web{number}": IPv4Address("192.0.2.20") + number for number in (1, 2, 3)}
CLIENT, CLIENT_ADDRESS = "client", IPv4Address("192.0.2.9")

_VIP, _FROM, _OWN = IPv4Address("192.0.2.50"), IPv4Address("192.0.2.100"), IPv4Address("192.0.2.150")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two balancers. `forward` is None where the site file knows of no service."""

    title: str
    machine: str
    number: int
    forward: str | None
    plane: str = "auto"
    copies: bool = True
    most_cut: int | None = None

    @property
    def nodes(self) -> tuple[str, str]:
        return f"{self.machine}1", f"{self.machine}2"

    @property
    def own(self) -> tuple[IPv4Address, IPv4Address]:
        return _OWN + 2 * self.number, _OWN + 2 * self.number + 1

    @property
    def vip(self) -> IPv4Address:
        return _VIP + self.number

    @property
    def client(self) -> IPv4Address:
        """Where the client comes from when it goes to this VIP."""
        return _FROM + self.number


PEER = Pair("keepalived, nftables NAT", "peer", 5, None)
PAIRS = (
    Pair("BPF direct", "bpf", 1, "direct", "bpf", most_cut=0),
    Pair("nftables direct", "nft", 2, "direct", "nftables", most_cut=0),
    Pair("nftables NAT", "nat", 3, "nat", most_cut=0),
    Pair("BPF direct, copy-flows: false", "bare", 4, "direct", "bpf", copies=False),
    PEER,
)


def rows(quick: bool) -> list[Row]:
    """Downloads that were cut, of each pair. Raises RuntimeError where a tool is missing."""
    if shutil.which("keepalived") is None:
        raise RuntimeError("missing: keepalived; apt install keepalived")
    count = QUICK_DOWNLOADS if quick else DOWNLOADS
    with tempfile.TemporaryDirectory() as directory, _running(Path(directory)) as lab:
        cut = _cut(lab, count)
    of = f"of {count}"
    theirs = cut[str(PEER.vip)]
    return [
        Row(
            f"downloads cut: {pair.title}",
            cut[str(pair.vip)],
            of,
            theirs,
            PEER.title,
            None if pair.most_cut is None else f"ours <= {pair.most_cut}",
        )
        for pair in PAIRS
        if pair is not PEER
    ]


def _cut(lab: Lab, count: int) -> dict[str, int]:
    """By the VIP."""
    places = [f"{pair.client}/{pair.vip}/{PORT}" for pair in PAIRS]
    command = [sys.executable, "-m", "bench.download_ends", "fetch", str(count), *places]
    client = subprocess.Popen(
        namespaces.inside(lab.namespace(CLIENT), command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert client.stdout is not None
        opened = json.loads(client.stdout.readline() or "{}")
        if opened.get("open") != count * len(PAIRS):
            raise RuntimeError("the downloads could not be opened")
        time.sleep(SETTLED_S)
        Injector(lab, Yaoki(lab)).inject(PowerOffTogether(tuple(pair.nodes[0] for pair in PAIRS)))
        time.sleep(WATCHED_S)
        told, _ = client.communicate(timeout=READY_LIMIT_S)
    finally:
        client.kill()
        client.wait()
    found: dict[str, int] = json.loads(told)
    return found


@contextmanager
def _running(directory: Path) -> Iterator[Lab]:
    """The network with servers and balancers; gone afterwards."""
    file = directory / "site.yaml"
    file.write_text(site())
    lab = Lab(load_site(file).site, file)
    lab.up()
    try:
        _ready_ends(lab)
        software = Yaoki(lab)
        for pair in PAIRS:
            for node in pair.nodes:
                if pair is PEER:
                    _start_peer(lab, node)
                else:
                    software.start(node)
        _wait(lab, software)
        yield lab
    finally:
        lab.down()


def _ready_ends(lab: Lab) -> None:
    namespaces.ip_batch((f"addr add {pair.client}/32 dev eth0" for pair in PAIRS), namespace=lab.namespace(CLIENT))
    translated = [pair for pair in PAIRS if pair.forward != "direct"]
    for server in SERVERS:
        # The answers under address translation lead through whoever owns the VIP.
        lines = (f"route add {pair.client}/32 via {pair.vip}" for pair in translated)
        namespaces.ip_batch(lines, namespace=lab.namespace(server))
        lab.start_process(server, [sys.executable, "-m", "bench.download_ends", "serve", str(PORT)], log="serve.log")


def _start_peer(lab: Lab, node: str) -> None:
    namespace, directory = lab.namespace(node), lab.machine_directory(node)
    set_sysctls(namespace, (("net.ipv4.ip_forward", "1"), ("net.ipv4.conf.all.send_redirects", "0")))
    set_sysctls(namespace, (("net.ipv4.conf.eth0.send_redirects", "0"),))
    slots = ", ".join(f"{slot} : {address}" for slot, address in enumerate(SERVERS.values()))
    rule = f"ip daddr {PEER.vip} tcp dport {PORT} dnat to numgen inc mod {len(SERVERS)} map {{ {slots} }}"
    ruleset = f"table ip nat {{\n chain in {{\n type nat hook prerouting priority -100;\n {rule}\n }}\n}}\n"
    namespaces.run(namespaces.inside(namespace, ["nft", "-f", "-"]), text=ruleset)
    (directory / "keepalived.conf").write_text(configuration(lab.site, node))
    command = ["keepalived", "-f", str(directory / "keepalived.conf"), "-n", "-l", "-P"]
    command += ["-p", str(directory / "keepalived.pid"), "-r", str(directory / "vrrp.pid")]
    lab.start_process(node, command, log="keepalived.log")


def _wait(lab: Lab, software: Yaoki) -> None:
    """Until every pair is as it shall be. Raises TimeoutError."""
    deadline = time.monotonic() + READY_LIMIT_S
    for pair in PAIRS:
        for node in pair.nodes if pair is not PEER else ():
            while (lacks := software.missing(node)) is not None:
                _late(deadline, f"{node}: {lacks}")
        while not _holds(lab, pair.nodes[0], pair.vip) or _holds(lab, pair.nodes[1], pair.vip):
            _late(deadline, f"{pair.nodes[0]} does not own its VIP alone")


def _late(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"not ready after {READY_LIMIT_S:g} s: {what}")
    time.sleep(0.1)


def _holds(lab: Lab, node: str, vip: IPv4Address) -> bool:
    shown = namespaces.run(["ip", "-n", lab.namespace(node), "-j", "addr", "show", "dev", "eth0"])
    return any(each.get("local") == str(vip) for link in json.loads(shown) for each in link["addr_info"])


def site() -> str:
    """The site file of all pairs."""
    ends = {CLIENT: CLIENT_ADDRESS, **SERVERS}
    nodes = [(node, own) for pair in PAIRS for node, own in zip(pair.nodes, pair.own, strict=True)]
    return "\n".join(
        [
            "version: 1",
            "site: bench-downloads",
            "networks: {front: {prefixes: [192.0.2.0/24]}}",
            "nodes:",
            *(f"  {name}: {interface(address)}" for name, address in nodes),
            "hosts:",
            *(f"  {name}: {interface(address)}" for name, address in ends.items()),
            "checks:",
            f"  port: {{kind: tcp, port: {PORT}, interval: 2s, timeout: 1s, fall: 5, rise: 1}}",
            "vips:",
            *(line for pair in PAIRS for line in _vip(pair)),
            "services:",
            *(line for pair in PAIRS if pair.forward is not None for line in _service(pair)),
            "",
        ]
    )


def _vip(pair: Pair) -> Iterator[str]:
    first, second = pair.nodes
    yield f"  {pair.machine}-vip:"
    yield f"    {{network: front, addresses: [{pair.vip}], vrid: {pair.number}, advertise: 100ms,"
    yield f"     members: {{{first}: {{priority: 150}}, {second}: {{priority: 100}}}}}}"


def _service(pair: Pair) -> Iterator[str]:
    yield f"  {pair.machine}:"
    yield f"    vip: {pair.machine}-vip"
    yield f"    listen: tcp/{PORT}"
    yield f"    forward: {pair.forward}"
    yield f"    plane: {pair.plane}"
    yield "    scheduler: rr"
    yield "    check: port"
    yield f"    copy-flows: {str(pair.copies).lower()}"
    yield f"    servers: {{{', '.join(f'{name}: {{}}' for name in SERVERS)}}}"
    if pair.forward == "nat":
        yield "    acknowledge: [nat-gateway]"
