"""Whether this kernel takes copies of flows: `python -m yaoki.linux.flow_self_test`, in a namespace made for it."""

import sys
from ipaddress import ip_address

from yaoki.core.address import Family
from yaoki.core.error import ActuatorError
from yaoki.lb.flow import Flow, Stage
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.flow_table import FlowNews, FlowReader, FlowWriter

_SERVICE = ServiceKey(ip_address("192.0.2.50"), Protocol.TCP, 80)
_FLOW = Flow(_SERVICE, ip_address("198.51.100.9"), 40000, ip_address("203.0.113.21"), 80, Stage.ESTABLISHED, 60)


def main() -> int:
    """Put one there, and find it."""
    try:
        writer, reader = FlowWriter(), FlowReader()
        FlowNews((writer.id,)).close()
        refused = writer.put((_FLOW,), owned=False)
        reader.begin((Family.IPV4,))
        found = [flow.server for flow in reader.read((_SERVICE,))[0]]
    except (OSError, ActuatorError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if refused or found != [_FLOW.server]:
        sys.stderr.write("the kernel does not keep a flow that it is given\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
