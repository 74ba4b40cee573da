"""What is to be set up: one service on one of its real servers, under one operating system."""

from dataclasses import dataclass
from enum import StrEnum

from yaoki.core.address import IPAddress, IPInterface
from yaoki.lb.service import Protocol, Tunnel


class OperatingSystem(StrEnum):
    """What a real server runs. `linux` is any Linux until it is started again; debian and rhel stay set up."""

    LINUX = "linux"
    DEBIAN = "debian"
    RHEL = "rhel"
    FREEBSD = "freebsd"
    WINDOWS_2003 = "windows-2003"
    WINDOWS_2008 = "windows-2008"
    WINDOWS = "windows"

    @property
    def is_linux(self) -> bool:
        return self in (OperatingSystem.LINUX, OperatingSystem.DEBIAN, OperatingSystem.RHEL)

    @property
    def is_windows(self) -> bool:
        return self in (OperatingSystem.WINDOWS_2003, OperatingSystem.WINDOWS_2008, OperatingSystem.WINDOWS)


@dataclass(frozen=True, slots=True)
class RealServerTask:
    """One service on one server.

    `vips` are the service's addresses with the length of their network's prefix, link-local ones left out; `own` the
    server's addresses beside them. `interface` and `loopback` are called as the operating system calls them.
    `neighbour` is a node beside it and its interface there. `others` are further services that the server serves by
    direct return, `after` those of them that stand before this one in the site file, and `kept` the addresses that they
    need there as well: an undo leaves them. Where packets come through a `tunnel`, `own` are the addresses that they
    come to, `balancers` those that they come from, and `tunnel_kept` says that others need it as well.
    """

    service: str
    server: str
    os: OperatingSystem
    vips: tuple[IPInterface, ...]
    own: tuple[IPAddress, ...]
    interface: str
    loopback: str
    protocol: Protocol
    port: int
    neighbour: tuple[str, str]
    others: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    kept: tuple[IPAddress, ...] = ()
    tunnel: Tunnel | None = None
    balancers: tuple[IPAddress, ...] = ()
    tunnel_kept: bool = False

    def of_version(self, version: int) -> tuple[IPInterface, ...]:
        """The VIPs of one IP version."""
        return tuple(vip for vip in self.vips if vip.version == version)

    @property
    def versions(self) -> tuple[int, ...]:
        """The IP versions that it has VIPs of."""
        return tuple(version for version in (4, 6) if self.of_version(version))

    def own_of(self, version: int) -> IPAddress:
        """The server's address of one IP version of which it has VIPs."""
        return next(address for address in self.own if address.version == version)

    @property
    def given_up(self) -> tuple[IPInterface, ...]:
        """The VIPs that an undo takes away."""
        return tuple(vip for vip in self.vips if vip.ip not in self.kept)

    @property
    def shared(self) -> tuple[IPInterface, ...]:
        """The VIPs that other services need as well."""
        return tuple(vip for vip in self.vips if vip.ip in self.kept)
