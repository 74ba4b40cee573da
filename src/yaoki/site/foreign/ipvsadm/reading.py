"""The lines of one table, each option with its remark.

    -A -t 192.0.2.50:80 -s wrr -p 360 -M 255.255.255.0      a virtual service
    -a -t 192.0.2.50:80 -r 192.0.2.21:80 -g -w 1            a real server of it

Without -n, ipvsadm prints names of hosts and ports; a Directory tells what they stand for.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Protocol as Interface

from yaoki.core.address import Family, IPAddress, parse_address
from yaoki.core.error import Location, Problem
from yaoki.lb.service import Encapsulation, Forward, Protocol, Scheduler, Tunnel
from yaoki.lb.validity import MOST_FLOWS
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.configuration import RealServer, VirtualServer
from yaoki.site.foreign.keepalived.methods import GUE, OTHER_FAMILY, tunnel_of
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import is_unicast, number
from yaoki.site.foreign.keepalived.virtual_servers import CLOSEST, FAILOVER, PORT_FLAGS, SCHEDULERS

MAX_LINES = 100_000
_PERSISTENCE = timedelta(minutes=6)
"""ipvsadm(8): the timeout of -p without one."""
_LONG = {
    "--add-service": "-A", "--add-server": "-a", "--tcp-service": "-t", "--udp-service": "-u", "--fwmark-service": "-f",
    "--scheduler": "-s", "--persistent": "-p", "--netmask": "-M", "--real-server": "-r", "--gatewaying": "-g",
    "--ipip": "-i", "--masquerading": "-m", "--weight": "-w", "--u-threshold": "-x", "--l-threshold": "-y",
    "--ops": "-o", "--sched-flags": "-b", "--ipv6": "-6",
}  # fmt: skip
_WITH_VALUE = {"-t", "-u", "-f", "-s", "-M", "-r", "-w", "-x", "-y", "-b", "--pe", "--sctp-service",
               "--tun-type", "--tun-port"}  # fmt: skip
_METHODS = {"-g": Forward.DIRECT, "-m": Forward.NAT, "-i": Forward.TUNNEL}
_CHECKSUM = "UDP around a packet has no checksum; what is inside has its own"
_NOT_TAKEN = {
    "-x": f"its value is no whole number 1..{MOST_FLOWS}",
    "-y": "a server takes new flows again as soon as it is below its limit",
    "-o": "a flow of datagrams keeps its server",
    "--pe": "persistence is by source",
    "-b": "a hash is of the source address alone unless the flag is the scheduler's own -port",
    "--tun-type": "it is for tunnels",
    "--tun-port": "only gue has a port",
    "--tun-csum": _CHECKSUM,
    "--tun-remcsum": _CHECKSUM,
}


class Directory(Interface):
    """What names stand for."""

    def address(self, name: str, /) -> IPAddress | None: ...

    def port(self, name: str, protocol: Protocol, /) -> int | None: ...


class NoNames:
    """Knows none: for tables that were saved with -n."""

    def address(self, name: str) -> IPAddress | None:
        del name
        return None

    def port(self, name: str, protocol: Protocol) -> int | None:
        del name, protocol
        return None


@dataclass(slots=True)
class _Table:
    """Virtual servers by how their lines name them; None: not taken, so its servers are not either."""

    found: dict[tuple[str, str], VirtualServer | None] = field(default_factory=dict)


class TableReader:
    """Reads one file."""

    def __init__(self, file: str, directory: Directory, report: Report, problems: list[Problem]) -> None:
        self._file = file
        self._directory = directory
        self._report = report
        self._problems = problems
        self._table = _Table()

    def read(self, text: str) -> tuple[tuple[VirtualServer, ...], tuple[Statement, ...]]:
        """The virtual servers, and every line as a statement with its options."""
        statements = []
        for count, line in enumerate(text.splitlines()[:MAX_LINES], start=1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            where = Location(self._file, count, 1 + len(line) - len(line.lstrip()), line)
            statement = self._statement(words, where)
            if statement is None:
                return (), ()
            statements.append(statement)
            self._line(statement)
        found = (server for server in self._table.found.values() if server is not None)
        return tuple(found), tuple(statements)

    def _statement(self, words: list[str], where: Location) -> Statement | None:
        names = [_LONG.get(word, word) for word in words]
        if names[0] not in ("-A", "-a"):
            what = f'"{words[0]}" begins no line of a table that ipvsadm has saved'
            self._problems.append(Problem("ipvsadm-syntax", where, what, "save it: ipvsadm -S -n > FILE"))
            return None
        options, values = [], names[1:]
        while values:
            keyword = values.pop(0)
            optional = keyword == "-p" and values and values[0].isdigit()
            taken = (values.pop(0),) if values and (keyword in _WITH_VALUE or optional) else ()
            options.append(Statement(keyword, taken, where))
        return Statement(names[0], tuple(words[1:]), where, tuple(options))

    def _line(self, line: Statement) -> None:
        said = {option.keyword: option for option in line.items}
        key = next(
            ((name, said[name].first() or "") for name in ("-t", "-u", "-f", "--sctp-service") if name in said), None
        )
        if key is None:
            self._report.whole_not_taken(line, "it names no service")
        elif line.keyword == "-A" and key in self._table.found:
            self._report.whole_not_taken(line, "there is such a service already")
        elif line.keyword == "-A":
            self._table.found[key] = self._service(line, said, key)
        elif (held := self._table.found.get(key)) is None:
            self._report.whole_not_taken(line, "its service is not taken")
        else:
            server = self._server(line, said, held)
            if server is not None:
                self._table.found[key] = replace(held, servers=(*held.servers, server))

    def _service(self, line: Statement, said: dict[str, Statement], key: tuple[str, str]) -> VirtualServer | None:
        protocol = {"-t": Protocol.TCP, "-u": Protocol.UDP}.get(key[0])
        if protocol is None:
            why = "packets are told by address and port, not by marks" if key[0] == "-f" else "SCTP is not balanced"
            self._report.whole_not_taken(line, why)
            return None
        place = self._place(key[1], protocol)
        if isinstance(place, str):
            self._report.whole_not_taken(line, place)
            return None
        address, port = place
        if not port:
            self._report.whole_not_taken(line, "a service listens on one port")
            return None
        self._report.taken(line, "a service")
        self._report.taken(said[key[0]], "listen")
        made = VirtualServer(
            name="",
            address=address,
            port=port,
            protocol=protocol,
            scheduler=self._scheduler(said),
            forward=Forward.DIRECT,
            persistence=self._persistence(said.get("-p")),
            mask=self._mask(said.get("-M"), address),
            servers=(),
            source=line,
            failover="-s" in said and said["-s"].first() == FAILOVER,
        )
        self._others(line)
        return made

    def _server(self, line: Statement, said: dict[str, Statement], service: VirtualServer) -> RealServer | None:
        where = said["-r"].first() if "-r" in said else None
        place = self._place(where or "", service.protocol)
        weight = number(said["-w"].first(), 0, 65535) if "-w" in said else 1
        method = next((name for name in _METHODS if name in said), "-g")
        tunnel = tunnel_of(_value(said, "--tun-type"), _value(said, "--tun-port")) if method == "-i" else None
        if isinstance(place, str) or isinstance(tunnel, str) or weight is None:
            refused = next((why for why in (place, tunnel) if isinstance(why, str)), None)
            self._report.whole_not_taken(line, refused or "its weight is no whole number 0..65535")
            return None
        if Family.of(place[0]) is not Family.of(service.address):
            self._report.whole_not_taken(line, OTHER_FAMILY)
            return None
        self._report.taken(line, "a server")
        for keyword in ("-t", "-u", "-r", "-w", method):
            if keyword in said:
                self._report.taken(said[keyword], {"-w": "weight", method: "forward"}.get(keyword, "a server"))
        if tunnel is not None:
            self._tunnel(said, tunnel)
        limit = number(said["-x"].first(), 1, MOST_FLOWS) if "-x" in said else None
        if limit is not None:
            self._report.taken(said["-x"], "connection-limit")
        elif "-x" in said and said["-x"].first() == "0":
            self._report.not_needed(said["-x"], "it is no limit")
        self._others(line)
        port = place[1] or service.port
        return RealServer(place[0], port, weight, _METHODS[method], (), line, limit, tunnel)

    # --- options ---

    def _tunnel(self, said: dict[str, Statement], tunnel: Tunnel) -> None:
        if tunnel.encapsulation is Encapsulation.GUE:
            self._report.changed(said["--tun-type"], GUE)
            self._report.taken(said["--tun-port"], "encapsulation-port")
        elif "--tun-type" in said:
            self._report.taken(said["--tun-type"], "encapsulation")
        if "--tun-nocsum" in said:
            self._report.not_needed(said["--tun-nocsum"], _CHECKSUM)

    def _scheduler(self, said: dict[str, Statement]) -> Scheduler:
        option, flags = said.get("-s"), said.get("-b")
        word = "wlc" if option is None else option.first() or ""
        named = () if flags is None else (flags.first() or "").split(",")
        if option is not None and flags is not None and PORT_FLAGS.get(word) in named:
            for each in (option, flags):
                self._report.taken(each, f"scheduler: {Scheduler.MAGLEV}")
            return Scheduler.MAGLEV
        if option is not None and word == FAILOVER:
            self._report.taken(option, "priority, at its servers")
            return Scheduler.WEIGHTED_ROUND_ROBIN
        found = SCHEDULERS.get(word)
        if option is not None and found is not None:
            self._report.taken(option, "scheduler")
        closest = found or CLOSEST.get(word, Scheduler.WEIGHTED_ROUND_ROBIN)
        if option is not None and found is None:
            self._report.changed(option, f"scheduler: {closest.value} comes closest to {word}")
        return closest

    def _persistence(self, option: Statement | None) -> timedelta | None:
        if option is None:
            return None
        seconds = None if option.first() is None else number(option.first(), 1, 7 * 86400)
        if option.first() is not None and seconds is None:
            self._report.not_taken(option, "its value is no time of 1 second to 7 days")
            return None
        self._report.taken(option, "persistence: by source")
        return _PERSISTENCE if seconds is None else timedelta(seconds=seconds)

    def _mask(self, option: Statement | None, address: IPAddress) -> int | None:
        if option is None:
            return None
        text = option.first() or ""
        bits = number(text, 0, 128) if address.version == 6 else None
        if address.version == 4:
            try:
                bits = ip_network(f"0.0.0.0/{text}").prefixlen
            except ValueError:
                bits = None
        if bits is None:
            self._report.not_taken(option, "its value is no mask")
            return None
        self._report.taken(option, "persistence: the bits of the source that count")
        return bits

    def _others(self, line: Statement) -> None:
        for option in line.items:
            if not self._report.knows(option):
                self._report.not_taken(option, _NOT_TAKEN.get(option.keyword, "it has no counterpart"))

    def _place(self, text: str, protocol: Protocol) -> tuple[IPAddress, int] | str:
        """An address and a port (0: none), or why the text is neither."""
        host, _, port = text.rpartition(":") if text.count(":") == 1 or "]:" in text else (text, "", "")
        host = host.removeprefix("[").removesuffix("]").partition("%")[0]
        try:
            address: IPAddress | None = parse_address(host)
        except ValueError:
            address = self._directory.address(host)
        if address is None:
            return f'"{host}" is no address, and no name that is known here: save it with -n'
        if not is_unicast(address):
            return f"no host can have {address}"
        found = number(port, 0, 65535) if port.isdigit() or not port else self._directory.port(port, protocol)
        if port and found is None:
            return f'"{port}" is no port, and no name that is known here: save it with -n'
        return address, found or 0


def _value(said: dict[str, Statement], keyword: str) -> str | None:
    return said[keyword].first() if keyword in said else None
