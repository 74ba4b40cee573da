"""virtual_server, virtual_server_group and real_server of one file, each statement with its remark."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network

from yaoki.core.address import Family, IPAddress, parse_address
from yaoki.lb.service import Forward, Protocol, Scheduler
from yaoki.lb.validity import MOST_FLOWS
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.checkers import HOST, KINDS, UNKNOWN_KINDS, CheckerReader, Pace
from yaoki.site.foreign.keepalived.configuration import Check, RealServer, VirtualServer
from yaoki.site.foreign.keepalived.methods import OTHER_FAMILY, Method, method_of
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import address, number, seconds

MAX_RANGE = 256
"""Addresses of one range of a group."""

SCHEDULERS = {
    "rr": Scheduler.ROUND_ROBIN,
    "wrr": Scheduler.WEIGHTED_ROUND_ROBIN,
    "lc": Scheduler.LEAST_CONNECTION,
    "wlc": Scheduler.WEIGHTED_LEAST_CONNECTION,
    "twos": Scheduler.POWER_OF_TWO,
    "sh": Scheduler.SOURCE_HASH,
}
FAILOVER = "fo"
"""The scheduler by which the server of the greatest weight gets all."""
CLOSEST = {
    "mh": Scheduler.SOURCE_HASH,
    "sed": Scheduler.WEIGHTED_LEAST_CONNECTION,
    "nq": Scheduler.WEIGHTED_LEAST_CONNECTION,
}
PORT_FLAGS = {"mh": "mh-port", "sh": "sh-port"}
"""Of schedulers by a hash of the source: what makes the source port count as well, as `maglev` does."""
_NAT = Method(Forward.NAT)
"""keepalived's own default."""
_NOT_FORWARDED = "it is forwarded to in a way that is not imported"
_PERSISTENCE = timedelta(minutes=6)
_MAIL = "Yaoki sends no mail: run a hook on the events that matter"
_NOT_NEEDED = {
    "inhibit_on_failure": "a server that is down takes no new flows, and those that it has are left to end",
    "ha_suspend": "servers are checked on every node, so that a backup knows them",
    "sh-fallback": "the shares of servers that are down go to the others",
    "mh-fallback": "the shares of servers that are down go to the others",
    "snmp_name": "a service has a name",
    "virtualhost": "host, at its http checks",
    "persistence_engine": "persistence is by source",
    "ip_family": "the family is that of the address",
}
_NOT_TAKEN = {
    "ops": "a flow of datagrams keeps its server",
    "sorry_server": "it has no usable address",
    "sorry_server_inhibit": "a server that is down is out while another answers for it",
    "sorry_server_lvs_method": "there is no sorry_server that it is for",
    "quorum_up": "run a hook on service-serving",
    "quorum_down": "run a hook on service-empty",
    "hysteresis": "a service is served while it has one server",
    "omega": "what happens at a stop is an event: run a hook on it",
    "smtp_alert": _MAIL,
    "lthreshold": "a server takes new flows again as soon as it is below its limit",
    "notify_up": "run a hook on server-duty-changed",
    "notify_down": "run a hook on server-duty-changed",
    "sh-port": "no scheduler sh is named with it",
    "mh-port": "no scheduler mh is named with it",
}


class VirtualServerReader:
    """Reads the balancing part of one file."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._checkers = CheckerReader(report)

    def read(self, statements: tuple[Statement, ...]) -> tuple[VirtualServer, ...]:
        """Every virtual server, those of groups one by one."""
        groups = {
            block.first() or "": self._group(block) for block in statements if block.keyword == "virtual_server_group"
        }
        found: list[VirtualServer] = []
        for block in statements:
            if block.keyword == "virtual_server" and block.block is not None:
                found += self._virtual_server(block, groups)
        return tuple(found)

    def _group(self, block: Statement) -> tuple[tuple[IPAddress, int], ...]:
        self._report.taken(block, "a service on each of its addresses that is a VIP's")
        found: list[tuple[IPAddress, int]] = []
        for item in block.items:
            port = number(item.first(), 1, 65535)
            addresses = _range(item.keyword)
            if item.keyword == "fwmark":
                self._report.not_taken(item, "packets are told by address and port, not by marks")
            elif addresses is None:
                self._report.not_taken(item, f"{item.keyword} is no address and no range of up to {MAX_RANGE}")
            elif port is None:
                self._report.not_taken(item, "a service listens on one port")
            else:
                self._report.taken(item, "listen")
                found += ((one, port) for one in addresses)
        return tuple(found)

    def _virtual_server(
        self, block: Statement, groups: dict[str, tuple[tuple[IPAddress, int], ...]]
    ) -> Iterable[VirtualServer]:
        listeners, refused = _listeners(block, groups)
        said = {item.keyword: item for item in block.items}
        protocol = (said["protocol"].first() or "TCP").upper() if "protocol" in said else "TCP"
        if refused is None and protocol not in ("TCP", "UDP"):
            refused = f"{protocol} is not balanced"
        method = self._method(said.get("lb_kind") or said.get("lvs_method"), _NAT)
        if refused is None and method is None:
            refused = _NOT_FORWARDED
        if refused is not None or method is None:
            self._report.whole_not_taken(block, refused or "")
            return
        self._report.taken(block, "a service")
        if "protocol" in said:
            self._report.taken(said["protocol"], "listen")
        host = _host(said, None)
        pace = self._checkers.pace(block, Pace({}))
        servers = [
            made
            for item in block.items
            if item.keyword == "real_server" and item.block is not None
            if (made := self._real_server(item, pace, method, host)) is not None
        ]
        heard = {Family.of(where) for where, _ in listeners}
        for server in servers:
            if Family.of(server.address) not in heard:
                self._report.whole_not_taken(server.source, OTHER_FAMILY)
        whole = VirtualServer(
            name=said["snmp_name"].first() or "" if "snmp_name" in said else "",
            address=listeners[0][0],
            port=listeners[0][1],
            protocol=Protocol(protocol.lower()),
            scheduler=self._scheduler(said),
            forward=method.forward,
            persistence=self._persistence(said.get("persistence_timeout")),
            mask=self._mask(said.get("persistence_granularity"), listeners[0][0]),
            servers=tuple(servers),
            source=block,
            failover=_is_failover(said),
            sorry=self._sorry(said, method),
        )
        self._others(block)
        for where, port in listeners:
            fitting = tuple(server for server in whole.servers if Family.of(server.address) is Family.of(where))
            sorry = whole.sorry
            if sorry is not None and Family.of(sorry.address) is not Family.of(where):
                sorry = None
            yield replace(whole, address=where, port=port, servers=fitting, sorry=sorry)

    def _sorry(self, said: dict[str, Statement], outer: Method) -> RealServer | None:
        """Remarked on when it is known whether it can be a server here."""
        item, method = said.get("sorry_server"), said.get("sorry_server_lvs_method")
        where = None if item is None else address(item.first())
        port = 0 if item is None or len(item.values) < 2 else number(item.values[1], 0, 65535)
        if item is None or where is None or port is None:
            return None
        own = self._method(method, outer)
        if own is None:
            self._report.not_taken(item, _NOT_FORWARDED)
            return None
        self._report.taken(item, "when-all-down: sorry")
        return RealServer(where, port, 1, own.forward, (), item, tunnel=own.tunnel)

    def _others(self, block: Statement) -> None:
        """A remark on all that nothing was said of yet."""
        for item in block.items:
            if item.keyword == "quorum" and item.first() == "1":
                self._report.not_needed(item, "a service is served while it has one server")
            elif item.keyword == "quorum":
                self._report.not_taken(item, "a service is served while it has one server")
            elif item.keyword in _NOT_NEEDED:
                self._report.not_needed(item, _NOT_NEEDED[item.keyword])
            elif not self._report.knows(item):
                self._report.whole_not_taken(item, _NOT_TAKEN.get(item.keyword, "it is not known here"))

    def _scheduler(self, said: dict[str, Statement]) -> Scheduler:
        item = said.get("lb_algo") or said.get("lvs_sched")
        # keepalived's own default is wlc.
        word = "wlc" if item is None else item.first() or "wlc"
        flag = said.get(PORT_FLAGS.get(word, ""))
        if item is not None and flag is not None:
            for each in (item, flag):
                self._report.taken(each, f"scheduler: {Scheduler.MAGLEV}")
            return Scheduler.MAGLEV
        if item is not None and word == FAILOVER:
            self._report.taken(item, "priority, at its servers")
            return Scheduler.WEIGHTED_ROUND_ROBIN
        if word in SCHEDULERS:
            if item is not None:
                self._report.taken(item, "scheduler")
            return SCHEDULERS[word]
        closest = CLOSEST.get(word, Scheduler.WEIGHTED_ROUND_ROBIN)
        if item is not None:
            self._report.changed(item, f"scheduler: {closest} comes closest to {word}")
        return closest

    def _method(self, item: Statement | None, outer: Method) -> Method | None:
        return outer if item is None else method_of(item, self._report)

    def _persistence(self, item: Statement | None) -> timedelta | None:
        if item is None:
            return None
        found = _PERSISTENCE if item.first() is None else seconds(item.first())
        if found is None or not timedelta(seconds=1) <= found <= timedelta(days=7):
            self._report.not_taken(item, "its value is no time of 1 second to 7 days")
            return None
        self._report.taken(item, "persistence: by source")
        return found

    def _mask(self, item: Statement | None, listener: IPAddress) -> int | None:
        if item is None:
            return None
        text = item.first() or ""
        bits = number(text, 0, 128)
        if bits is None or listener.version == 4:
            try:
                bits = ip_network(f"0.0.0.0/{text}").prefixlen
            except ValueError:
                self._report.not_taken(item, "its value is no mask")
                return None
        self._report.taken(item, "persistence: the bits of the source that count")
        return bits

    def _real_server(self, block: Statement, outer: Pace, method: Method, host: str | None) -> RealServer | None:
        where = address(block.first())
        port = number(block.values[1] if len(block.values) > 1 else "0", 0, 65535)
        said = {item.keyword: item for item in block.items}
        own = self._method(said.get("lb_kind") or said.get("lvs_method"), method)
        if where is None or port is None or own is None:
            self._report.whole_not_taken(block, "it has no usable address" if own is not None else _NOT_FORWARDED)
            return None
        self._report.taken(block, "a server")
        host = _host(said, host)
        pace = self._checkers.pace(block, outer)
        checks: list[Check] = []
        for item in block.items:
            if item.keyword in KINDS and item.block is not None:
                checks += self._checkers.checks(item, pace, where, host)
            elif item.keyword in UNKNOWN_KINDS:
                self._report.whole_not_taken(item, UNKNOWN_KINDS[item.keyword])
        weight = number(said["weight"].first(), 0, 65535) if "weight" in said else 1
        if "weight" in said and weight is None:
            self._report.not_taken(said["weight"], "its value is no whole number 0..65535; 1 stands in its place")
        elif "weight" in said:
            self._report.taken(said["weight"], "weight")
        if "virtualhost" in said:
            self._report.taken(said["virtualhost"], "host, at its http checks")
        limit = self._limit(said.get("uthreshold"))
        self._others(block)
        weight = 1 if weight is None else weight
        return RealServer(where, port, weight, own.forward, tuple(checks), block, limit, own.tunnel)

    def _limit(self, item: Statement | None) -> int | None:
        if item is None:
            return None
        limit = number(item.first(), 1, MOST_FLOWS)
        if limit is None:
            self._report.not_taken(item, f"its value is no whole number 1..{MOST_FLOWS}")
        else:
            self._report.taken(item, "connection-limit")
        return limit


def _is_failover(said: dict[str, Statement]) -> bool:
    item = said.get("lb_algo") or said.get("lvs_sched")
    return item is not None and item.first() == FAILOVER


def _host(said: dict[str, Statement], outer: str | None) -> str | None:
    """The host that http checks ask for, as a server or virtual server has it."""
    found = said["virtualhost"].first() if "virtualhost" in said else None
    return found if found is not None and HOST.fullmatch(found) is not None else outer


def _listeners(
    block: Statement, groups: dict[str, tuple[tuple[IPAddress, int], ...]]
) -> tuple[tuple[tuple[IPAddress, int], ...], str | None]:
    """Where a virtual server listens, or why it cannot."""
    match block.values:
        case ("group", name):
            found = groups.get(name)
            if found is None:
                return (), f"there is no virtual_server_group {name}"
            return found, None if found else "its group has no address with a port"
        case ("fwmark", *_):
            return (), "packets are told by address and port, not by marks"
        case (where, port) if (one := address(where)) is not None and (listening := number(port, 1, 65535)) is not None:
            return ((one, listening),), None
        case _:
            return (), "a service listens on an address and one port"


def _range(text: str) -> tuple[IPAddress, ...] | None:
    """An address, or the addresses of a range: 192.0.2.1-9, 192.0.2.250-192.0.3.9, 192.0.2.8/29."""
    try:
        if "/" in text:
            network = ip_network(text, strict=False)
            return tuple(network) if network.num_addresses <= MAX_RANGE else None
        low, dash, high = text.partition("-")
        first = parse_address(low)
        if not dash:
            return (first,)
        if not any(mark in high for mark in ".:"):
            mark = "." if first.version == 4 else ":"
            high = f"{low.rpartition(mark)[0]}{mark}{high}"
        last = parse_address(high)
        count = int(last) - int(first) + 1
        if last.version != first.version or not 1 <= count <= MAX_RANGE:
            return None
        return tuple(first + step for step in range(count))
    except ValueError:
        return None
