"""The parts of a site, each of which must fail at least once in a rehearsal (requirement B-01)."""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.site.model import Site


class ElementKind(StrEnum):
    """What kind of part it is."""

    NODE = "node"
    PROCESSES = "processes"
    MEMBERSHIP = "membership"
    LINK = "link"
    NETWORK = "network"
    HOST = "host"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Element:
    """One part; a membership is "vip/node", a link "machine/interface", a server "service/host"."""

    kind: ElementKind
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.name}"


def node(name: str) -> Element:
    """The node as a machine."""
    return Element(ElementKind.NODE, name)


def processes(name: str) -> Element:
    """The processes of a node."""
    return Element(ElementKind.PROCESSES, name)


def membership(vip: str, name: str) -> Element:
    """A node's part in a VIP."""
    return Element(ElementKind.MEMBERSHIP, f"{vip}/{name}")


def link(machine: str, interface: str) -> Element:
    """A machine's cable to its network."""
    return Element(ElementKind.LINK, f"{machine}/{interface}")


def network(name: str) -> Element:
    """A broadcast domain with its switch."""
    return Element(ElementKind.NETWORK, name)


def host(name: str) -> Element:
    """A machine that does not run Yaoki."""
    return Element(ElementKind.HOST, name)


def server(service: str, name: str) -> Element:
    """A real server of a service."""
    return Element(ElementKind.SERVER, f"{service}/{name}")


def elements_of(site: Site) -> tuple[Element, ...]:
    """Every part of a site."""
    found = [network(n.name) for n in site.networks]
    for machine in site.machines:
        found += [node(machine.name), processes(machine.name)] if machine.is_node else [host(machine.name)]
        found += [link(machine.name, interface.name) for interface in machine.interfaces]
    found += [membership(vip.name, member.node) for vip in site.vips for member in vip.members]
    found += [server(service.name, s.host) for service in site.services for s in service.servers]
    return tuple(found)


def memberships_of(site: Site, name: str) -> tuple[Element, ...]:
    """A node's parts in VIPs."""
    return tuple(membership(vip.name, name) for vip in site.vips if any(m.node == name for m in vip.members))


def servers_at(site: Site, name: str) -> tuple[Element, ...]:
    """What a host serves."""
    return tuple(server(s.name, name) for s in site.services if any(r.host == name for r in s.servers))
