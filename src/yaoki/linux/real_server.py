"""The places that the set-up of a real server changes: kernel parameters, addresses of the loopback, ends of tunnels,
files and links.

Invariant: a write puts the whole value there or leaves the one before.
"""

import errno
import os
import socket
from ipaddress import ip_interface
from pathlib import Path
from typing import assert_never

from yaoki.core.address import IPInterface
from yaoki.core.error import ActuatorError
from yaoki.lb.realserver.places import THERE, Place, PlaceKind
from yaoki.linux import rtnetlink
from yaoki.linux.rtnetlink import Address, Link, Rtnetlink
from yaoki.linux.sysctl import ROOT, SysctlKeeper
from yaoki.linux.tunnel_device import read_device, read_port, write_device, write_port

LOOPBACK = "lo"
_CONF = ROOT / "net/ipv4/conf"


class ServerMachine:
    """This machine."""

    def __init__(self) -> None:
        self._sysctls = SysctlKeeper()
        self._requests = Rtnetlink()

    def close(self) -> None:
        self._requests.close()

    def read(self, place: Place) -> str | None:
        """What a place holds; None: nothing is there. Raises ActuatorError."""
        match place.kind:
            case PlaceKind.SYSCTL:
                return self._sysctls.read(place.name)
            case PlaceKind.ADDRESS:
                wanted = (LOOPBACK, ip_interface(place.name))
                return THERE if wanted in self.addresses() else None
            case PlaceKind.DEVICE:
                return read_device(place.name)
            case PlaceKind.PORT:
                return THERE if read_port(place.name) else None
            case PlaceKind.FILE:
                return _read_file(Path(place.name))
            case PlaceKind.LINK:
                return _read_link(Path(place.name))
            case _:
                assert_never(place.kind)

    def write(self, place: Place, value: str | None) -> None:
        """Put a value there; None: take away what is there. Raises ActuatorError."""
        match place.kind:
            case PlaceKind.SYSCTL:
                assert value is not None, "a parameter always has a value"
                self._sysctls.set(place.name, value)
            case PlaceKind.ADDRESS:
                self._write_address(ip_interface(place.name), there=value is not None)
            case PlaceKind.DEVICE:
                write_device(place.name, value)
            case PlaceKind.PORT:
                write_port(place.name, there=value is not None)
            case PlaceKind.FILE:
                _write_file(Path(place.name), value)
            case PlaceKind.LINK:
                _write_link(Path(place.name), value)
            case _:
                assert_never(place.kind)

    def addresses(self) -> tuple[tuple[str, IPInterface], ...]:
        """Every address with its interface. Raises ActuatorError."""
        links = list(self._requests.dump(rtnetlink.RTM_GETLINK))
        names = {link.index: link.name for link in links if isinstance(link, Link)}
        found = list(self._requests.dump(rtnetlink.RTM_GETADDR))
        return tuple((names.get(one.index, "?"), one.address) for one in found if isinstance(one, Address))

    def arp_ignore(self) -> dict[str, str]:
        """The parameter of every interface, without that of all and of those to come."""
        names = sorted(entry.name for entry in _CONF.iterdir() if entry.name not in ("all", "default"))
        return {name: self._sysctls.read(f"net/ipv4/conf/{name}/arp_ignore") for name in names}

    def _write_address(self, address: IPInterface, *, there: bool) -> None:
        index = socket.if_nametoindex(LOOPBACK)
        request = rtnetlink.add_address(index, address) if there else rtnetlink.delete_address(index, address)
        already = (errno.EEXIST,) if there else (errno.EADDRNOTAVAIL,)
        try:
            self._requests.request(request, f"{'add' if there else 'delete'} {address} on {LOOPBACK}")
        except ActuatorError as error:
            if error.errno not in already:
                raise


def _read_file(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(f"read {path}", error) from error


def _write_file(path: Path, text: str | None) -> None:
    beside = path.with_name(f".{path.name}.yaoki")
    try:
        if text is None:
            path.unlink(missing_ok=True)
            return
        mode = path.stat().st_mode & 0o7777 if path.exists() else 0o644
        try:
            beside.write_text(text, encoding="utf-8", errors="surrogateescape")
            beside.chmod(mode)
            beside.rename(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _refused(f"write {path}", error) from error


def _read_link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(f"read the link {path}", error) from error


def _write_link(path: Path, target: str | None) -> None:
    try:
        path.unlink(missing_ok=True)
        if target is not None:
            path.symlink_to(target)
    except OSError as error:
        raise _refused(f"link {path}", error) from error


def _refused(change: str, error: OSError) -> ActuatorError:
    if error.errno == errno.ENOENT:
        return ActuatorError(
            change, f"there is no directory {os.path.dirname(error.filename or '')}", errno=error.errno
        )
    return ActuatorError(change, error.strerror or str(error), errno=error.errno)
