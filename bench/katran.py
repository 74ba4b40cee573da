"""Katran's program as a peer of ours: one virtual IP with three real servers behind IP in IP, as its daemon would fill
its tables.

It is not part of this project. BENCH_KATRAN names the object that clang made of its `katran/lib/bpf/balancer.bpf.c`,
with no feature switched on: clang -I. -I/usr/include/x86_64-linux-gnu -D__x86_64__ -D__KERNEL__ -O2 -g -target bpf -c
"""

import os
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from yaoki.core.address import MacAddress
from yaoki.linux.bpf.layout import index
from yaoki.linux.bpf.maps import BpfMap, MapKind, MapShape, processors
from yaoki.linux.bpf.object import LoadedObject, load

PROGRAM = "balancer_ingress"
FLOWS = 262_144
"""Of each processor, as many as ours keeps."""
RING = 65_537
_VIP_NUMBER = 1
_FLOW_KEY, _FLOW, _TCP = 40, 16, 6


def object_of_katran() -> Path | None:
    """Where it is; None: nobody has said."""
    path = os.environ.get("BENCH_KATRAN")
    return Path(path) if path else None


def load_katran(
    path: Path, vip: IPv4Address, port: int, servers: Sequence[IPv4Address], router: MacAddress
) -> LoadedObject:
    """With empty tables of flows."""
    loaded = load(path)
    maps = loaded.maps
    maps["ctl_array"].update(index(0), router.octets + bytes(2))
    maps["vip_map"].update(vip.packed + bytes(12) + struct.pack("!HBx", port, _TCP), struct.pack("=II", 0, _VIP_NUMBER))
    for number, server in enumerate(servers, 1):
        maps["reals"].update(index(number), server.packed + bytes(16))
    first = _VIP_NUMBER * RING
    # Which server a slot leads to is of no matter to the cost.
    maps["ch_rings"].update_all((index(first + slot), index(1 + slot % len(servers))) for slot in range(RING))
    for processor in range(processors()):
        flows = BpfMap.create(MapShape(MapKind.LRU_HASH, _FLOW_KEY, _FLOW, FLOWS), "lru")
        maps["lru_mapping"].update(index(processor), index(flows.descriptor))
        flows.close()
    return loaded
