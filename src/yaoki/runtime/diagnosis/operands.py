"""What may be typed behind the name of a diagnosis: each kind of word with its grammar; all else is refused.

Invariant: no value that comes out, written as text, begins with a dash, or holds a blank, a quote, a control character
or anything else that means something to a shell.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address

from yaoki.core.address import IPAddress, parse_address

MAX_COUNT = 20
MAX_NAME = 253
MAX_URL = 1024

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*\.?")
_INTERFACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}")
_NUMBER = re.compile(r"[1-9][0-9]{0,4}")
_URL = re.compile(
    r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^/:\[\]]+))(?::(?P<port>[0-9]+))?"
    r"(?P<path>/[A-Za-z0-9._~/%?&=+:,@-]*)?"
)
_RECORD_TYPES = ("A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TXT")


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a host, not resolved yet."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Url:
    """Where an HTTP request goes."""

    tls: bool
    host: IPAddress | Name
    port: int
    path: str


Host = IPAddress | Name
Value = Host | Url | int | str


@dataclass(frozen=True, slots=True)
class Operand:
    """One kind of word. `read` raises ValueError with what is wanted; `default` is taken where it is left out."""

    shown: str
    read: Callable[[str], Value]
    optional: bool = False
    default: Value | None = None


def _address(text: str) -> IPAddress:
    bare, percent, zone = text.partition("%")
    try:
        address = parse_address(bare)
    except ValueError:
        raise ValueError("an address, such as 192.0.2.1 or 2001:db8::1") from None
    if not percent:
        return address
    if not isinstance(address, IPv6Address) or not address.is_link_local or _INTERFACE.fullmatch(zone) is None:
        raise ValueError("an address; only fe80:: addresses have an interface, as in fe80::1%eth0")
    return IPv6Address(f"{address}%{zone}")


def _name(text: str) -> Name:
    if len(text) > MAX_NAME or _NAME.fullmatch(text) is None or text.rstrip(".").rpartition(".")[2].isdigit():
        raise ValueError("a name of letters, digits and hyphens, such as www.example.org")
    return Name(text)


def _host(text: str) -> IPAddress | Name:
    try:
        return _address(text) if ":" in text or text.replace(".", "").isdigit() else _name(text)
    except ValueError:
        raise ValueError("an address or a name, such as 192.0.2.1 or www.example.org") from None


def _number(text: str, most: int, wanted: str) -> int:
    if _NUMBER.fullmatch(text) is None or int(text) > most:
        raise ValueError(f"{wanted} 1..{most}")
    return int(text)


def _url(text: str) -> Url:
    found = _URL.fullmatch(text) if len(text) <= MAX_URL else None
    if found is None:
        raise ValueError("a URL such as http://192.0.2.50/healthz")
    tls = found["scheme"] == "https"
    host = _address(found["six"]) if found["six"] else _host(found["host"])
    port = _number(found["port"], 65535, "a port") if found["port"] else 443 if tls else 80
    return Url(tls, host, port, found["path"] or "/")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        found = next((word for word in words if word.lower() == text.lower()), None)
        if found is None:
            raise ValueError(f"one of {', '.join(words)}")
        return found

    return read


HOST = Operand("HOST", _host)
ADDRESS = Operand("ADDRESS", _address)
ANY_ADDRESS = Operand("ADDRESS", _address, optional=True)
SERVER = Operand("SERVER", _address, optional=True)
NAME = Operand("NAME", _name)
PORT = Operand("PORT", lambda text: _number(text, 65535, "a port"))
COUNT = Operand("COUNT", lambda text: _number(text, MAX_COUNT, "a count"), optional=True, default=4)
URL = Operand("URL", _url)
RECORD_TYPE = Operand("TYPE", _one_of(*_RECORD_TYPES), optional=True, default="A")
WHICH = Operand("listening|all", _one_of("listening", "all"), optional=True, default="listening")
