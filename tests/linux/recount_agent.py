"""A server fails while the flows of its service are counted: told as JSON, from a namespace of its own."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from ipaddress import IPv4Address

from tests.lb.samples import trio
from yaoki.lb.flow import Flow, Stage
from yaoki.lb.service import Desired, Duty, RealServer, Scheduler, VirtualService
from yaoki.linux.flow_table import FlowWriter
from yaoki.linux.nftables_names import TRANSLATION, service_name
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.planes import SplitBalancer
from yaoki.runtime.balancer import BalancerActuator

SERVICE = trio(scheduler=Scheduler.LEAST_CONNECTION)
FLOWS = (40_000, 40_000, 20_000)
"""Of the three servers: counting all of them takes half a second."""
A_MOMENT_S = 0.03


async def main() -> None:
    """Once."""
    subprocess.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"], check=True)
    balancer = BalancerActuator(SplitBalancer())
    await applied(balancer, SERVICE)
    with closing(FlowWriter()) as writer:
        refused = sum(writer.put(flows(number), owned=True) for number in range(len(FLOWS)))
    counting = asyncio.create_task(balancer.recount())
    await asyncio.sleep(A_MOMENT_S)
    begun = not counting.done()
    await applied(balancer, without("s2"))
    told = {"refused": refused, "begun": begun, "counting": not counting.done(), "at_once": turns()}
    told |= {"asked": await counting, "in_the_end": turns()}
    await balancer.cleanup()
    balancer.close()
    sys.stdout.write(json.dumps(told))


async def applied(balancer: BalancerActuator, service: VirtualService) -> None:
    finished = await balancer.apply(Desired((service,)))
    assert finished.error is None, finished.error


def without(name: str) -> VirtualService:
    out = {"weight": 0, "duty": Duty.OUT}
    servers = (replace(server, **out) if server.name == name else server for server in SERVICE.servers)  # type: ignore[arg-type] # as the fields are
    return replace(SERVICE, servers=tuple(servers))


def flows(number: int) -> list[Flow]:
    server = SERVICE.servers[number]
    return [flow(number, server, index) for index in range(FLOWS[number])]


def flow(number: int, server: RealServer, index: int) -> Flow:
    client = IPv4Address("198.51.100.1") + 8 * number + index // 50_000
    return Flow(SERVICE.key, client, 1024 + index % 50_000, server.address, server.port, Stage.ESTABLISHED, 1000)


def turns() -> dict[str, int]:
    """How many slots each server has."""
    names = {server.address.packed: server.name for server in SERVICE.servers}
    with closing(NftablesReader()) as reader:
        elements = reader.elements(TRANSLATION, f"slots/{service_name(SERVICE.key)}")
        return dict(Counter(names[element.value[:4]] for element in elements))


if __name__ == "__main__":
    asyncio.run(main())
