"""Makes the namespaces, bridges, cables, addresses and routes of a LabPlan. Quick: a handful of `ip -batch` calls."""

from collections.abc import Iterator

from yaoki.core.address import IPInterface
from yaoki.lab.namespaces import inside, ip_batch, run
from yaoki.lab.topology import LabPlan, Namespace, Port


def build(plan: LabPlan) -> None:
    """Make it all; nothing of it may exist yet. Raises ActuatorError and leaves what it has made to the caller."""
    ip_batch(f"netns add {name}" for name in plan.all_namespaces)
    set_sysctls(plan.switch, plan.switch_sysctls)
    for namespace in plan.namespaces:
        set_sysctls(namespace.name, namespace.sysctls)
    ip_batch(_switch(plan), namespace=plan.switch)
    for namespace in plan.namespaces:
        ip_batch(_machine(namespace), namespace=namespace.name)


def set_sysctls(namespace: str, sysctls: tuple[tuple[str, str], ...]) -> None:
    """Write sysctls in a namespace; keys that this kernel does not have are passed over."""
    text = "".join(f"{key} = {value}\n" for key, value in sysctls)
    run(inside(namespace, ["sysctl", "-q", "-e", "-p", "-"]), text=text)


def addressing(namespace: Namespace) -> Iterator[str]:
    """The `ip` commands that give a machine its addresses and routes; for a machine that has none."""
    for address in namespace.loopback:
        yield f"addr add {_nodad(address)} dev lo"
    for port in namespace.ports:
        for address in port.addresses:
            yield f"addr add {_nodad(address)} dev {port.interface}"
    for route in namespace.routes:
        yield f"route replace {route.destination} via {route.via}"


def _switch(plan: LabPlan) -> Iterator[str]:
    yield "link set lo up"
    for bridge in plan.bridges:
        yield f"link add {bridge.name} type bridge stp_state 0 mcast_snooping 0"
        yield f'link set {bridge.name} alias "{bridge.network}" up'
        yield f"link add {bridge.observer} type veth peer name {bridge.observer_port}"
        yield f"link set {bridge.observer_port} master {bridge.name} up"
        yield f"link set {bridge.observer} up"
    for namespace in plan.namespaces:
        for port in namespace.ports:
            yield from _cable(namespace, port)


def _cable(namespace: Namespace, port: Port) -> Iterator[str]:
    yield (
        f"link add {port.switch_port} type veth peer name {port.interface} address {port.mac} netns {namespace.name}"
    )
    yield f'link set {port.switch_port} alias "{port.machine} {port.interface}"'
    yield f"link set {port.switch_port} master {port.bridge} up"


def _machine(namespace: Namespace) -> Iterator[str]:
    yield "link set lo up"
    for port in namespace.ports:
        yield f"link set {port.interface} up"
    yield from addressing(namespace)


def _nodad(address: IPInterface) -> str:
    return f"{address} nodad" if address.version == 6 else str(address)
