"""The diagnoses that there are, as one table: name, operands, what is done. What is not in it cannot be run.

To add one: a line here. A program is given as the names under which it may be installed, the first that is there being
taken, and as what it is called with; its options come from here, its operands from yaoki.runtime.diagnosis.operands.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from yaoki.checks.check import IcmpParams, NeighbourParams, TcpParams
from yaoki.runtime.diagnosis import operands, programs
from yaoki.runtime.diagnosis.operands import Operand, Url, Value
from yaoki.runtime.diagnosis.probing import get, probe
from yaoki.runtime.diagnosis.programs import Result, Tell

Values = Sequence[Value | None]
"""One for each operand; None for one that was left out and has no default."""
Arguments = Callable[[Values], list[str]]


@dataclass(frozen=True, slots=True)
class Program:
    """A program of the system. `ways`: its names, each with its arguments; `package`: what has it, for Debian."""

    ways: Mapping[str, Arguments]
    package: str
    within_s: float = 15.0
    as_root: bool = False

    def __call__(self, values: Values, tell: Tell) -> Result:
        path = programs.find(tuple(self.ways))
        if path is None:
            names = " or ".join(self.ways)
            return Result(False, f"{names} is not installed on this machine (Debian's package {self.package})")
        argv = [str(path), *self.ways[path.name](values)]
        return programs.run(argv, within_s=self.within_s, as_root=self.as_root, tell=tell)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One line of the table."""

    name: str
    operands: tuple[Operand, ...]
    help: str
    make: Callable[[Values, Tell], Result]

    @property
    def usage(self) -> str:
        """As it is typed."""
        shown = (f"[{operand.shown}]" if operand.optional else operand.shown for operand in self.operands)
        return " ".join((self.name, *shown))


def _ping(values: Values, tell: Tell) -> Result:
    host, times = values
    assert isinstance(times, int)
    return probe(_host(host), IcmpParams(), times, tell)


def _arping(values: Values, tell: Tell) -> Result:
    address, times = values
    assert isinstance(times, int)
    return probe(_host(address), NeighbourParams(), times, tell)


def _connect(values: Values, tell: Tell) -> Result:
    host, port = values
    assert isinstance(port, int)
    return probe(_host(host), TcpParams(port), 1, tell)


def _get(values: Values, tell: Tell) -> Result:
    (url,) = values
    assert isinstance(url, Url)
    return get(url, tell)


def _host(value: Value | None) -> operands.Host:
    assert value is not None
    assert not isinstance(value, Url | int | str)
    return value


def _dig(values: Values) -> list[str]:
    name, kind, server = values
    at = [] if server is None else [f"@{server}"]
    return ["+time=2", "+tries=2", "+nocmd", *at, "-t", str(kind), "-q", str(name)]


def _sockets(values: Values) -> list[str]:
    return ["-tuanp" if values == ["all"] else "-tulnp"]


def _routes(values: Values) -> list[str]:
    (address,) = values
    if address is None:
        return ["route", "show", "table", "all"]
    bare, _, interface = str(address).partition("%")
    return ["route", "get", bare, *(["dev", interface] if interface else [])]


_TRACEROUTE = Program(
    {
        "traceroute": lambda values: ["-n", "-q", "1", "-w", "1", "-m", "30", str(values[0])],
        "tracepath": lambda values: ["-n", "-m", "30", str(values[0])],
    },
    "traceroute",
    within_s=40.0,
)

DIAGNOSES: tuple[Diagnosis, ...] = (
    Diagnosis("ping", (operands.HOST, operands.COUNT), "echo requests, a second apart", _ping),
    Diagnosis("arping", (operands.ADDRESS, operands.COUNT), "who has an address, by ARP or ND", _arping),
    Diagnosis("connect", (operands.HOST, operands.PORT), "open a TCP connection, and close it", _connect),
    Diagnosis("get", (operands.URL,), "one HTTP request; its status, not its content", _get),
    Diagnosis("traceroute", (operands.HOST,), "the routers on the way", _TRACEROUTE),
    Diagnosis(
        "lookup",
        (operands.NAME,),
        "the addresses of a name, as this machine resolves it",
        Program({"getent": lambda values: ["ahosts", str(values[0])]}, "libc-bin"),
    ),
    Diagnosis(
        "dig",
        (operands.NAME, operands.RECORD_TYPE, operands.SERVER),
        "ask a name server",
        Program({"dig": _dig}, "bind9-dnsutils"),
    ),
    # As root, for only root is told which process has a socket.
    Diagnosis("sockets", (operands.WHICH,), "TCP and UDP sockets", Program({"ss": _sockets}, "iproute2", as_root=True)),
    Diagnosis("addresses", (), "interfaces and addresses", Program({"ip": lambda _: ["-br", "address"]}, "iproute2")),
    Diagnosis("neighbours", (), "the neighbour cache", Program({"ip": lambda _: ["neighbour"]}, "iproute2")),
    Diagnosis(
        "routes", (operands.ANY_ADDRESS,), "routes, or the way to one address", Program({"ip": _routes}, "iproute2")
    ),
)
