"""What this kernel and machine can do of what Yaoki may ask of them, found out by trying it.

What would change the machine is tried in a network namespace made for the purpose and gone afterwards. Nothing is
concluded from version numbers that can be tried instead.
"""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from yaoki.core.error import ActuatorError
from yaoki.linux.bpf.self_test import self_test
from yaoki.linux.carriers import Carriers, carriers
from yaoki.linux.realtime import kernel_tick

TRY_LIMIT_S = 10.0
FINE_TICK_MS = 4.0
"""The longest tick of a kernel that can keep the gate of a VIP advertised every 10 ms (yaoki.vrrp.dead_man)."""
MOST_INTERFACES = 32
"""Shown; a machine of containers has hundreds."""
_VRRP = 112
_NEEDED = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}
"""What every node needs, by the numbers of capabilities(7)."""


class Ability(StrEnum):
    """Whether something can be done; `unknown` where it could not be tried."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capability:
    """One thing tried: what came of it, and what it means if it cannot be done. `needed`: no node runs without it."""

    name: str
    ability: Ability
    evidence: str
    consequence: str
    needed: bool = False


_TRANSLATION = """
table inet t {
  counter c { }
  map services { type ipv4_addr . inet_proto . inet_service : verdict; }
  map counted { type ipv4_addr . inet_service : counter; }
  chain s { meta l4proto tcp dnat ip to numgen inc mod 2 map { 0 : 192.0.2.1 . 80, 1 : 192.0.2.2 . 80 }; }
  chain p {
    type nat hook prerouting priority dstnat
    fib daddr type local ip daddr . meta l4proto . th dport vmap @services
  }
}
"""
_PERSISTENCE = """
table inet t {
  set pins { type ipv4_addr; size 10; flags dynamic, timeout; timeout 5m; }
  chain p { type filter hook prerouting priority 0; update @pins { ip saddr }; }
}
"""
_INGRESS = """
table netdev t {
  map flows { typeof ip saddr : ether daddr; size 10; flags dynamic, timeout; }
  chain p {
    type filter hook ingress device "lo" priority 0
    update @flows { ip saddr timeout 1m : ether daddr } ether daddr set 02:00:00:00:00:01 fwd to "lo"
  }
}
"""
_EGRESS = 'table netdev t { chain p { type filter hook egress device "lo" priority 0; policy accept; }; }'
_MACVLAN = (
    "ip link add here0 type veth peer name there0 && "
    "ip link add link here0 name virtual0 address 00:00:5e:00:01:01 type macvlan mode vepa && ip link set virtual0 up"
)


def examine() -> tuple[Capability, ...]:
    """Try everything; last, what each interface can carry."""
    return (*(trial() for trial in _TRIALS), *_interfaces())


def _interfaces() -> Iterable[Capability]:
    """Which balancer plane direct return has on each interface, and why."""
    known = Carriers()
    names = sorted(carriers())
    for name in names[:MOST_INTERFACES]:
        lacks = known.lacks(name)
        evidence = f"plane bpf, by its tcx hook; {_xdp(known, name)}" if lacks is None else f"plane nftables: {lacks}"
        consequence = "direct return on it is slower by an eighth to a quarter"
        yield Capability(f"plane:{name}", Ability.YES if lacks is None else Ability.NO, evidence, consequence)
    if len(names) > MOST_INTERFACES:
        left = f"{len(names) - MOST_INTERFACES} interfaces more are not shown"
        yield Capability("plane:...", Ability.UNKNOWN, left, "their rule is the same")


def _xdp(known: Carriers, name: str) -> str:
    lacks = known.lacks_xdp(name)
    return "xdp, too" if lacks is None else f"not xdp: {lacks}"


def lacking_privileges(held: int | None = None) -> tuple[str, ...]:
    """Which capabilities (capabilities(7)) a node needs that this process has not; `held` are its effective ones."""
    bits = _effective_capabilities() if held is None else held
    return tuple(name for name, bit in _NEEDED.items() if not bits >> bit & 1)


def _privileges() -> Capability:
    lacking = lacking_privileges()
    return Capability(
        "privileges",
        Ability.NO if lacking else Ability.YES,
        f"lacks {', '.join(lacking)}" if lacking else f"{' and '.join(_NEEDED)} are held",
        "a node cannot own addresses or write tables; run it as root",
        needed=True,
    )


def _kernel() -> Capability:
    return Capability("kernel", Ability.YES, f"Linux {os.uname().release} on {os.uname().machine}", "")


def _vrrp() -> Capability:
    ability, evidence = _can_open(socket.AF_INET, socket.SOCK_RAW, _VRRP)
    return Capability("vrrp-socket", ability, evidence, "no VIP can be shared with other nodes", needed=True)


def _packets() -> Capability:
    ability, evidence = _can_open(socket.AF_PACKET, socket.SOCK_RAW, 0)
    return Capability(
        "packet-socket", ability, evidence, "a VIP that moves cannot be announced by gratuitous ARP", needed=True
    )


def _namespaces() -> Capability:
    ability, evidence = _in_namespace("true")
    return Capability(
        "namespaces", ability, evidence, "no lab and no rehearsal on this machine; nft cannot be tried harmlessly"
    )


def _translation() -> Capability:
    ability, evidence = _nft(_TRANSLATION)
    return Capability("nft-nat", ability, evidence, "no virtual service with forward nat or fullnat")


def _persistence() -> Capability:
    ability, evidence = _nft(_PERSISTENCE)
    return Capability("nft-dynamic-sets", ability, evidence, "no persistence: none of the planes can remember sources")


def _ingress() -> Capability:
    ability, evidence = _nft(_INGRESS)
    return Capability("nft-ingress", ability, evidence, "no virtual service with forward direct")


def _egress() -> Capability:
    ability, evidence = _nft(_EGRESS)
    return Capability("nft-egress", ability, evidence, "no dead-man gate: a dead or hung speaker leaves two owners")


def _virtual_macs() -> Capability:
    ability, evidence = _in_namespace("sh", "-c", _MACVLAN)
    if ability is Ability.YES:
        evidence = "a macvlan can be put on an interface"
    elif _in_namespace("true")[0] is not Ability.YES:
        ability, evidence = Ability.UNKNOWN, f"not tried: {evidence}"
    return Capability("macvlan", ability, evidence, "no VIP with mac: virtual")


def _library() -> Capability:
    try:
        ctypes.CDLL("libnftables.so.1")
    except OSError as error:
        return Capability(
            "libnftables", Ability.NO, str(error), "each change of tables starts the nft program: 5 ms more"
        )
    return Capability("libnftables", Ability.YES, "libnftables.so.1 loads", "")


def _tracking() -> Capability:
    ability, evidence = _can_open(socket.AF_NETLINK, socket.SOCK_RAW, 12)
    return Capability(
        "conntrack", ability, evidence, "flows of a dead server are not rescheduled, but wait for their time-out"
    )


def _copies() -> Capability:
    ability, evidence = _in_namespace(sys.executable, "-m", "yaoki.linux.flow_self_test")
    return Capability(
        "flow-copies",
        ability,
        "a flow that is put into the kernel is found there" if ability is Ability.YES else evidence,
        "a move of a VIP cuts the flows of its services with forward nat",
    )


def _forwarding() -> Capability:
    path = Path("/proc/sys/net/ipv4/ip_forward")
    try:
        value = path.read_text().strip()
    except OSError as error:
        return Capability("ip-forward", Ability.NO, str(error), "translated packets are not passed on")
    writable = os.access(path, os.W_OK)
    return Capability(
        "ip-forward",
        Ability.YES if value == "1" or writable else Ability.NO,
        f"it is {value}" + (" and can be set" if writable else " and cannot be set here"),
        "translated packets are not passed on; set net.ipv4.ip_forward=1 outside this container",
    )


def _realtime() -> Capability:
    try:
        with_fifo = os.sched_param(1)
        before = os.sched_getscheduler(0), os.sched_getparam(0)
        os.sched_setscheduler(0, os.SCHED_FIFO, with_fifo)
        os.sched_setscheduler(0, *before)
    except OSError as error:
        return Capability(
            "real-time",
            Ability.NO,
            f"SCHED_FIFO: {error.strerror}",
            "on a busy machine advertisements may be late; intervals shorter than 50 ms are raised to that",
        )
    return Capability("real-time", Ability.YES, "SCHED_FIFO is granted", "")


def _tick() -> Capability:
    tick_ms = kernel_tick() / timedelta(milliseconds=1)
    return Capability(
        "kernel-tick",
        Ability.YES if tick_ms <= FINE_TICK_MS else Ability.NO,
        f"time-outs are counted in {tick_ms:.3g} ms (hz: {1000 / tick_ms:.0f})",
        "files with advertisement intervals shorter than 20 ms are refused: the dead-man gate could not keep them",
    )


def _marks() -> Capability:
    release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2] if part.isdigit())
    return Capability(
        "address-marks",
        Ability.YES if release >= (5, 18) else Ability.NO,
        "IFA_PROTO is kept since Linux 5.18",
        "addresses that a killed speaker left cannot be told from others; they are found by the site file",
    )


def _bpf() -> Capability:
    consequence = "every virtual service is carried by nftables"
    try:
        self_test()
    except ActuatorError as error:
        return Capability("bpf", Ability.NO, str(error), consequence)
    return Capability(
        "bpf", Ability.YES, "the balancer's program loads and sends a packet where it should", consequence
    )


def _tools() -> Capability:
    missing = [tool for tool in ("ip", "nft", "unshare") if shutil.which(tool) is None]
    return Capability(
        "tools",
        Ability.NO if missing else Ability.YES,
        f"missing: {', '.join(missing)}" if missing else "ip, nft and unshare are there",
        "apt install iproute2 nftables util-linux",
        needed=True,
    )


def _lab_tools() -> Capability:
    missing = [tool for tool in ("nginx", "tc", "ethtool") if shutil.which(tool) is None]
    return Capability(
        "lab-tools",
        Ability.NO if missing else Ability.YES,
        f"missing: {', '.join(missing)}" if missing else "nginx, tc and ethtool are there",
        "no rehearsal on this machine; apt install nginx-light iproute2 ethtool",
    )


_TRIALS: Iterable[Callable[[], Capability]] = (
    _kernel,
    _privileges,
    _tools,
    _vrrp,
    _packets,
    _marks,
    _realtime,
    _tick,
    _forwarding,
    _tracking,
    _copies,
    _library,
    _namespaces,
    _translation,
    _persistence,
    _ingress,
    _egress,
    _virtual_macs,
    _bpf,
    _lab_tools,
)


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _can_open(family: int, kind: int, protocol: int) -> tuple[Ability, str]:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError as error:
        return Ability.NO, error.strerror or str(error)
    return Ability.YES, "the socket opens"


def _nft(text: str) -> tuple[Ability, str]:
    ability, evidence = _in_namespace("nft", "-f", "-", text=text)
    if ability is Ability.YES:
        return ability, "the kernel takes such a table"
    if _in_namespace("true")[0] is not Ability.YES:
        return Ability.UNKNOWN, f"not tried: {evidence}"
    return ability, evidence


def _in_namespace(*command: str, text: str = "") -> tuple[Ability, str]:
    """Run a command in a network namespace of its own."""
    try:
        result = subprocess.run(
            ["unshare", "--net", *command], input=text, capture_output=True, text=True, check=False, timeout=TRY_LIMIT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Ability.NO, str(error)
    if result.returncode == 0:
        return Ability.YES, "a network namespace can be made"
    said = result.stderr.strip().splitlines()
    return Ability.NO, said[0] if said else f"exit status {result.returncode}"
