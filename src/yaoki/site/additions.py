"""A virtual service or a real server added to a site file: what is written where, as the text of each file concerned.

Nothing is written here, and what is added is examined by whoever writes it (yaoki.site.examine, with `instead`).
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from yaoki.core.error import Problem, SiteError, UsageError
from yaoki.site.document import Mapping as Block
from yaoki.site.document import Node, Scalar, location
from yaoki.site.include import Includer
from yaoki.site.insertion import Entry, with_entry
from yaoki.site.load import read_site
from yaoki.site.model import Network
from yaoki.site.notation import block, listed, word
from yaoki.site.reading import TooManyProblems, suggestion
from yaoki.site.vocabulary import SERVER, SERVICE
from yaoki.site.vocabulary_machines import HOST


@dataclass(frozen=True, slots=True)
class NewHost:
    """A host that the site does not have yet: its interface with its addresses, and what else is said of it."""

    interface: str
    addresses: tuple[str, ...]
    keys: Mapping[str, Node]


@dataclass(frozen=True, slots=True)
class NewServer:
    """A real server: a host, and the keys that it has in its service. `machine`: the host is added, too."""

    host: str
    keys: Mapping[str, Node]
    machine: NewHost | None = None


@dataclass(frozen=True, slots=True)
class FileChange:
    """The text of one file as it is, and as it shall be."""

    file: Path
    before: str
    after: str


def service_added(path: Path, name: str, keys: Mapping[str, Node], servers: Iterable[NewServer]) -> list[FileChange]:
    """The site with one more virtual service. Raises UsageError or SiteError if there is no place for it."""
    adding = _Adding(path)
    if (held := adding.found("services", name)) is not None:
        raise UsageError(f"there is a service {name} already ({held}); yaoki service add-server {name} HOST adds to it")
    found = tuple(servers)
    hosts = [server.host for server in found]
    if (twice := next((host for host in hosts if hosts.count(host) > 1), None)) is not None:
        raise UsageError(f"the server {twice} is given twice")
    for server in found:
        adding.host(server)
    whole: dict[str, Node] = {
        **keys,
        "servers": block({server.host: block(_ordered(server.keys, SERVER.keys)) for server in found}),
    }
    adding.add(("services",), Entry(name, block(_ordered(whole, SERVICE.keys)), lines=1))
    return adding.changes()


def server_added(path: Path, service: str, server: NewServer) -> list[FileChange]:
    """The site with one more real server of a service. Raises UsageError or SiteError if there is no place for it."""
    adding = _Adding(path)
    if adding.found("services", service) is None:
        raise UsageError(f'there is no service "{service}"; {suggestion(service, adding.names("services"))}')
    if (held := adding.found("services", service, "servers", server.host)) is not None:
        raise UsageError(f"{server.host} is a server of {service} already ({held}); change it there")
    adding.host(server)
    adding.add(("services", service, "servers"), Entry(server.host, block(_ordered(server.keys, SERVER.keys))))
    return adding.changes()


def _ordered(keys: Mapping[str, Node], known: Iterable[str]) -> dict[str, Node]:
    """As the reference has them."""
    return {key: keys[key] for key in known if key in keys}


class _Adding:
    """A site while entries are added to its files, one after the other."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._before: dict[Path, bytes] = {}
        self._after: dict[Path, bytes] = {}
        self._names: dict[Path, Path] = {}
        self._root = self._read()

    def _read(self) -> Block:
        """The joined tree of all files. Raises SiteError if they cannot be read; what they say is not judged here."""
        problems: list[Problem] = []
        root = None
        with suppress(TooManyProblems):
            root = Includer(problems, self._after).read(self._path)
        if problems or root is None:
            raise SiteError(problems)
        return root

    def names(self, section: str) -> tuple[str, ...]:
        """Those that a section gives."""
        held = self._root.items.get(section)
        return tuple(held[1].items) if held is not None and isinstance(held[1], Block) else ()

    def found(self, *path: str) -> str | None:
        """Where a path is written, if it is."""
        node: Node = self._root
        place: Scalar | None = None
        for step in path:
            if not isinstance(node, Block) or step not in node.items:
                return None
            place, node = node.items[step]
        return None if place is None else str(location(place))

    def host(self, server: NewServer) -> None:
        """Add the host of a server, if that is wished; if not, there has to be one."""
        held = self.found("hosts", server.host)
        if server.machine is None:
            if held is None:
                cure = suggestion(server.host, self.names("hosts"))
                raise UsageError(
                    f'there is no host "{server.host}"; {cure} (a new one is added if its address is given: --address, '
                    f"or --server {server.host},address=...)"
                )
            return
        if held is not None:
            raise UsageError(f"there is a host {server.host} already ({held}); give no address, for it has its own")
        machine = server.machine
        network = _network_of(self._networks(), machine.addresses)
        addresses = listed([word(address) for address in machine.addresses])
        interface = block({"network": word(network), "addresses": addresses})
        keys: dict[str, Node] = {**machine.keys, "interfaces": block({machine.interface: interface})}
        self.add(("hosts",), Entry(server.host, block(_ordered(keys, HOST.keys))))

    def _networks(self) -> tuple[Network, ...]:
        reading = read_site(self._path, self._after)
        if reading.loaded is None:
            raise SiteError(reading.problems)
        return reading.loaded.site.networks

    def add(self, path: tuple[str, ...], entry: Entry) -> None:
        """Write one entry into the file that has the innermost thing on its path."""
        node: Node = self._root
        for step in path:
            if not isinstance(node, Block) or step not in node.items:
                break
            node = node.items[step][1]
        name = Path(node.file.name)
        file = name.resolve()
        if file not in self._before:
            self._names[file] = name
            self._before[file] = self._after[file] = name.read_bytes()
        self._after[file] = with_entry(self._after[file].decode(), path, entry).encode()
        self._root = self._read()

    def changes(self) -> list[FileChange]:
        """The files that were written into, in the order in which each is right without those after it."""
        return [
            FileChange(name, self._before[file].decode(), self._after[file].decode())
            for file, name in self._names.items()
        ]


def _network_of(networks: Iterable[Network], addresses: Iterable[str]) -> str:
    """The network that all addresses belong to. Raises UsageError if there is none."""
    found: set[str] = set()
    for text in addresses:
        try:
            address = ip_address(text)
        except ValueError:
            raise UsageError(f'"{text}" is no address; for example 192.0.2.23 or 2001:db8:1::23') from None
        holding = next((n.name for n in networks if any(address in prefix for prefix in n.prefixes)), None)
        if holding is None:
            raise UsageError(f"{address} is in no network of the site; add its prefix to one of them first")
        found.add(holding)
    if len(found) > 1:
        raise UsageError(f"the addresses are in several networks ({', '.join(sorted(found))}); write the host by hand")
    return found.pop()
