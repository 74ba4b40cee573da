"""The ends of tunnels on this machine, by iproute2: devices that take packets out of others, UDP ports before them.

`ip link` loads the kernel's modules by itself, `ip fou` does not; what is loaded stays. Invariant: a device that is
there is whole, and takes what comes to one address.
"""

import json
import subprocess
from contextlib import suppress
from typing import Any

from yaoki.core.error import ActuatorError
from yaoki.lb.realserver.linux_tunnel import DEVICES, KINDS
from yaoki.linux.sysctl import SysctlKeeper

_LIMIT_S = 20
_LOOSE = "2"


def read_device(name: str) -> str | None:
    """The address that a device takes packets for, None if it is not there or not as it should be. Raises
    ActuatorError."""
    links: list[dict[str, Any]] = json.loads(_ip("-j", "-d", "link", "show") or "[]")
    link = next((each for each in links if each.get("ifname") == name), None)
    if link is None or "UP" not in link.get("flags", ()):
        return None
    info = link.get("linkinfo", {})
    if info.get("info_kind") != KINDS[_version(name)].split()[0]:
        return None
    if _version(name) == 4 and (SysctlKeeper().read(_filter(name)) != _LOOSE or not _has_address(name)):
        return None
    local: str | None = info.get("info_data", {}).get("local")
    return local


def write_device(name: str, address: str | None) -> None:
    """Make it anew for an address, or take it away. Raises ActuatorError, and then there is none."""
    version = _version(name)
    if any(each.get("ifname") == name for each in json.loads(_ip("-j", "link", "show") or "[]")):
        _ip("link", "del", name)
    if address is None:
        return
    _ip("link", "add", name, "type", *KINDS[version].split(), "local", address)
    try:
        if version == 4:
            # A loose filter lets nothing pass at an interface without an address.
            _ip("address", "add", f"{address}/32", "dev", name, "scope", "host")
            SysctlKeeper().set(_filter(name), _LOOSE)
        _ip("link", "set", name, "up")
    except ActuatorError:
        _ip("link", "del", name)
        raise


def read_port(name: str) -> bool:
    """Whether packets are taken out of GUE at a port, called as in "6080 ipv4". Raises ActuatorError."""
    port, family = name.split()
    try:
        found: list[dict[str, Any]] = json.loads(_ip("-j", "fou", "show") or "[]")
    except ActuatorError:
        return False  # the kernel knows nothing of it, or nothing yet
    families = {"inet": "ipv4", "inet6": "ipv6"}
    return any(
        str(each.get("port")) == port and families.get(str(each.get("family", "inet"))) == family and "gue" in each
        for each in found
    )


def write_port(name: str, *, there: bool) -> None:
    """Take packets out of GUE at a port, or no more. Raises ActuatorError."""
    port, family = name.split()
    options = ("-6",) if family == "ipv6" else ()
    if there:
        # Where it is built in there may be no modprobe; if it is not there at all, the next command says so.
        with suppress(ActuatorError):
            _run("modprobe", "fou")
        _ip(*options, "fou", "add", "port", port, "gue")
    else:
        _ip(*options, "fou", "del", "port", port)


def _version(name: str) -> int:
    return next(version for version, device in DEVICES.items() if device == name)


def _has_address(name: str) -> bool:
    found: list[dict[str, Any]] = json.loads(_ip("-j", "-4", "address", "show", "dev", name) or "[]")
    return any(each.get("addr_info") for each in found)


def _filter(name: str) -> str:
    return f"net/ipv4/conf/{name}/rp_filter"


def _ip(*words: str) -> str:
    return _run("ip", *words)


def _run(*words: str) -> str:
    change = " ".join(words)
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ActuatorError(change, str(error)) from error
    if done.returncode:
        raise ActuatorError(change, done.stderr.strip() or f"exit status {done.returncode}")
    return done.stdout
