"""Values of statements: numbers, times, addresses, commands. A value that is wrong is None; the caller says so."""

import re
from datetime import timedelta
from ipaddress import ip_interface

from yaoki.core.address import IPAddress, IPInterface, parse_address
from yaoki.site.kinds import MAX_TEXT

_MAX_ARGUMENTS = 64
_INTERFACE = re.compile(r"[A-Za-z0-9_.-]{1,15}")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*")
_SHELL = re.compile(r"[<>|&;`$*?]")
_NUMBER = re.compile(r"[0-9]{1,9}")
_TIME = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_ZONE = re.compile(r"%[^/]*")
_WEIGHT = re.compile(r"[+-]?[0-9]{1,4}")
_ARGUMENT = re.compile(r"'([^']*)'|\"([^\"]*)\"|(\S+)")


def number(text: str | None, low: int, high: int) -> int | None:
    """A whole number within bounds, both included."""
    if text is None or _NUMBER.fullmatch(text) is None:
        return None
    return int(text) if low <= int(text) <= high else None


def weight(text: str | None) -> int | None:
    """A weight -253..253."""
    if text is None or _WEIGHT.fullmatch(text) is None:
        return None
    return int(text) if -253 <= int(text) <= 253 else None


def seconds(text: str | None) -> timedelta | None:
    """A <TIMER>: seconds, with or without a fraction, of which microseconds count."""
    if text is None or _TIME.fullmatch(text) is None:
        return None
    return timedelta(seconds=float(text))


def address(text: str | None) -> IPAddress | None:
    """A unicast address without a length; the zone of a link-local one is that of the interface anyhow."""
    try:
        found = None if text is None else parse_address(_ZONE.sub("", text))
    except ValueError:
        return None
    return found if found is not None and is_unicast(found) else None


def interface_address(text: str | None) -> IPInterface | None:
    """An address with or without a length; without, it is alone in its prefix."""
    try:
        return None if text is None else ip_interface(_ZONE.sub("", text))
    except ValueError:
        return None


def is_unicast(found: IPAddress) -> bool:
    """Whether a host could have the address on a network that a site can have: link-local ones of IPv6 included."""
    if found.is_multicast or found.is_loopback or (found.version == 4 and found.is_link_local):
        return False
    # 0.0.0.0/8 is "this network", 240.0.0.0/4 reserved; ::/16 holds what is no host's: unspecified, loopback, mapped.
    return 0x01 <= int(found) >> 24 < 0xF0 if found.version == 4 else int(found) >> 112 > 0


def interface(text: str | None) -> str | None:
    """The name of an interface."""
    return text if text is not None and _INTERFACE.fullmatch(text) is not None else None


def account(text: str | None) -> str | None:
    """The name of an account."""
    return text if text is not None and _ACCOUNT.fullmatch(text) is not None else None


def command(text: str | None) -> tuple[str, ...] | None:
    """A script with its parameters, as keepalived parts them: by white space outside quotes; by a shell if it needs
    one. None: there is nothing to be run, or more than a command of a site may have."""
    if text is None or not text.strip() or len(text) > MAX_TEXT or "\0" in text:
        return None
    if _SHELL.search(text):
        return ("sh", "-c", text)
    found = (match.groups(default="") for match in _ARGUMENT.finditer(text))
    words = tuple(single or double or plain for single, double, plain in found)
    return words if len(words) <= _MAX_ARGUMENTS else None


def flag(text: str | None) -> bool | None:
    """A <BOOL>; without a value it is on."""
    if text is None:
        return True
    return {"on": True, "true": True, "yes": True, "off": False, "false": False, "no": False}.get(text)
