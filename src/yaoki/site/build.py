"""From the values that the vocabulary made of the file to the model, with the checks that need two places at once.

Defaults that are not constants live here and in the model's own field defaults; the vocabulary only describes them.
"""

from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_interface
from typing import TypeVar

from yaoki.checks.check import (
    DirectParams,
    HttpParams,
    IcmpParams,
    KindParams,
    NeighbourParams,
    Schedule,
    ScriptParams,
    TcpParams,
    TlsParams,
    UdpParams,
)
from yaoki.core.address import IPAddress, IPInterface, IPNetwork
from yaoki.core.error import LocalError, Problem
from yaoki.lb.service import Forward, WhenAllDown
from yaoki.packet.authentication_params import AuthenticationParams, KeyRef, default_window
from yaoki.site.model import (
    CheckDefinition,
    DataCheck,
    Hook,
    Interface,
    Machine,
    Network,
    Persistence,
    Server,
    Service,
    Site,
    Slo,
    Store,
    StoreKind,
    StoreMember,
    SyncGroup,
    Track,
    TrackedCheck,
    TrackedInterface,
    TrackedRoute,
    TrackedService,
    Vip,
    VipMember,
)
from yaoki.site.placement import Placement, spread
from yaoki.site.reading import Value
from yaoki.site.replacement import with_replacements
from yaoki.site.source_map import Path, SourceMap
from yaoki.site.standbys import wrong_standbys
from yaoki.site.units import duration_text
from yaoki.site.vocabulary import LAYER_7_KEYS, LAYER_7_PERSISTENCE
from yaoki.vrrp.params import Failback

_Values = dict[str, Value]
_T = TypeVar("_T")

DEFAULT_INTERVAL = timedelta(seconds=1)
_CENTISECOND = timedelta(milliseconds=10)
_LONGEST_V3_CS = 4095


class SiteBuilder:
    """Makes the model. An object with a problem is reported and left out."""

    def __init__(self, source_map: SourceMap, problems: list[Problem]) -> None:
        self._map = source_map
        self._problems = problems
        self._prefixes: dict[str, tuple[IPNetwork, ...]] = {}
        self._placed: dict[str, dict[str, int]] = {}

    def build(self, values: _Values) -> Site:
        """The model of what `vocabulary.SITE` read."""
        networks = self._each("networks", values, _network)
        self._prefixes = {network.name: network.prefixes for network in networks}
        self._refuse_shared_names(values)
        self._placed = spread(
            (name, tuple(vip["members"]))
            for name, vip in values.get("vips", {}).items()
            if vip.get("placement") is Placement.SPREAD
        )
        site = Site(
            name=values.get("site", ""),
            networks=networks,
            machines=(*self._each("nodes", values, self._node), *self._each("hosts", values, self._host)),
            checks=self._each("checks", values, _check),
            vips=self._each("vips", values, self._vip),
            services=self._each("services", values, self._service),
            hooks=self._each("hooks", values, _hook),
            store=self._store(values.get("store")),
            sync_groups=self._each("sync-groups", values, _sync_group),
            **_given(values.get("balancer", {}), "plane"),
        )
        wrong = wrong_standbys(site)
        for place, what, cure, other in wrong:
            self._refuse("wrong-standby", place, what, cure, other=other)
        return site if wrong else with_replacements(site)

    def _each(self, section: str, values: _Values, make: Callable[[str, _Values], _T | None]) -> tuple[_T, ...]:
        made = (make(name, value) for name, value in values.get(section, {}).items())
        return tuple(item for item in made if item is not None)

    def _refuse(self, rule: str, path: Path, what: str, cure: str, *, other: Path | None = None) -> None:
        where = self._map.at(*path)
        self._problems.append(Problem(rule, where, what, cure, None if other is None else self._map.at(*other)))

    def _refuse_shared_names(self, values: _Values) -> None:
        """Gateways name nodes, hosts and VIPs alike, so a name may mean only one of them."""
        held: dict[str, str] = {}
        for section in ("nodes", "hosts", "vips"):
            for name in values.get(section, {}):
                if name in held:
                    what = f'the name "{name}" is used in {held[name]} and in {section}'
                    other = (held[name], name)
                    self._refuse("duplicate-name", (section, name), what, "rename one of them", other=other)
                held.setdefault(name, section)

    def _store(self, values: _Values | None) -> Store | None:
        if values is None:
            return None
        for key, needed in (("certificate", "key"), ("key", "certificate"), ("certificate", "ca")):
            if key in values and needed not in values:
                self._refuse(
                    "missing-key", ("store", key), f"store: {key} is of no use without {needed}", f"add {needed}"
                )
                return None
        named = (values["endpoint"],) if "endpoint" in values else values.get("endpoints", ())
        members = tuple(StoreMember(*member) for member in named)
        for index, member in enumerate(members):
            first = members.index(member)
            if first < index:
                place, other = ("store", "endpoints", index), ("store", "endpoints", first)
                self._refuse(
                    "duplicate-name", place, "store: one endpoint stands here twice", "remove one", other=other
                )
                return None
        return Store(
            StoreKind(values["kind"]), members, **_given(values, "election-timeout", "ca", "certificate", "key")
        )

    def _node(self, name: str, values: _Values) -> Machine | None:
        return self._machine("nodes", name, values)

    def _host(self, name: str, values: _Values) -> Machine | None:
        return self._machine("hosts", name, values)

    def _machine(self, section: str, name: str, values: _Values) -> Machine | None:
        interfaces = tuple(
            self._interface((section, name, "interfaces", interface), interface, value)
            for interface, value in values["interfaces"].items()
        )
        found = tuple(interface for interface in interfaces if interface is not None)
        if len(found) < len(interfaces):
            return None
        return Machine(
            name=name,
            interfaces=found,
            is_node=section == "nodes",
            plays=values.get("plays", ()),
            gateway=values.get("gateway"),
            forwards=values.get("forwards", False),
            hz=values.get("hz"),
            standby_for=values.get("standby-for", ()),
            replaces=values.get("replaces"),
            os=values.get("os"),
            loopback=values.get("loopback"),
        )

    def _interface(self, path: Path, name: str, values: _Values) -> Interface | None:
        network = values["network"]
        addresses = []
        for index, address in enumerate(values.get("addresses", ())):
            within = self._within(network, address)
            if within is None:
                what = f"{address} is in no prefix of the network {network}"
                cure = f"give it an address of {_listed(self._prefixes.get(network, ()))}, or add the prefix"
                other = ("networks", network, "prefixes")
                self._refuse("address-outside-network", (*path, "addresses", index), what, cure, other=other)
                return None
            addresses.append(within)
        return Interface(name, network, tuple(addresses), values.get("alias"), values.get("wake-on-lan"))

    def _within(self, network: str, address: IPAddress) -> IPInterface | None:
        """The address with the length of the network's prefix that holds it; the longest, should several."""
        lengths = [prefix.prefixlen for prefix in self._prefixes.get(network, ()) if address in prefix]
        if not lengths:
            # A network with a problem of its own says nothing about addresses.
            return None if network in self._prefixes else ip_interface(address)
        return ip_interface((address, max(lengths)))

    def _vip(self, name: str, values: _Values) -> Vip | None:
        if not self._fits_version(name, values):
            return None
        tracks = self._tracks(name, values.get("track", ()))
        members = self._members(name, values)
        if tracks is None or members is None:
            return None
        network = values["network"]
        return Vip(
            name=name,
            network=network,
            addresses=tuple(self._within(network, address) or _lone(address) for address in values["addresses"]),
            members=members,
            vrid=values["vrid"],
            track=tracks,
            authentication=self._authentication(name, values),
            **_quarantine(name, values),
            **_given(values, "advertise", "version", "failback", "checksum", "stateful"),
            **_given(
                values,
                "election",
                "lease-duration",
                "transport",
                "peers",
                "failback-delay",
                "startup-delay",
                "out-of-step",
                "accept",
                "mac",
                "when-disabled",
            ),
        )

    def _authentication(self, vip: str, values: _Values) -> AuthenticationParams | None:
        written = values.get("authentication")
        if written is None:
            return None
        place: Path = ("vips", vip, "authentication")
        keys = [KeyRef(written.get("key-id", 1), written["hmac"])]
        for index, key in enumerate(written.get("also", ())):
            if key["key-id"] in (known.id for known in keys):
                what = f"two keys of {vip} go by the number {key['key-id']}"
                self._refuse("duplicate-name", (*place, "also", index, "key-id"), what, "give one of them another")
            keys.append(KeyRef(key["key-id"], key["hmac"]))
        window = written.get("window", default_window(values.get("advertise", DEFAULT_INTERVAL)))
        if window % timedelta(seconds=1):
            what = "window: it is counted in whole seconds"
            self._refuse("out-of-range", (*place, "window"), what, f"write {window // timedelta(seconds=1) + 1}s")
        return AuthenticationParams(tuple(keys), window=window, **_given(written, "mode", "replay"))

    def _members(self, vip: str, values: _Values) -> tuple[VipMember, ...] | None:
        """The members with the priorities that they were given, or that the placement gives them."""
        written = values["members"]
        placed = self._placed.get(vip)
        wrong = [node for node, member in written.items() if ("priority" in member) is (placed is not None)]
        for node in wrong:
            place: Path = ("vips", vip, "members", node)
            if placed is None:
                cure = "add priority: a whole number 1..255, or write placement: spread at the VIP"
                self._refuse("missing-key", place, f'{node}: a member needs the key "priority"', cure)
            else:
                what = f"{node} has a priority, but the placement spread makes those of {vip}"
                other = ("vips", vip, "placement")
                self._refuse("wrong-value", (*place, "priority"), what, "remove one of the two", other=other)
        if wrong:
            return None
        return tuple(
            VipMember(node, member["priority"] if placed is None else placed[node]) for node, member in written.items()
        )

    def _tracks(self, vip: str, written: tuple[_Values, ...]) -> tuple[Track, ...] | None:
        tracks = [self._track(("vips", vip, "track", index), values) for index, values in enumerate(written)]
        found = tuple(track for track in tracks if track is not None)
        return found if len(found) == len(tracks) else None

    def _track(self, path: Path, values: _Values) -> Track | None:
        subjects = [key for key in ("service", "interface", "check", "route") if key in values]
        if len(subjects) != 1:
            what = f"track: an entry watches one thing, and this one has {' and '.join(subjects) or 'none'}"
            cure = "write one of service, interface, check and route, and a second entry for another"
            self._refuse("wrong-value", path, what, cure)
            return None
        if ("check" in values) != ("target" in values):
            what = "track: check and target belong together"
            cure = "write both, such as {check: ping, target: router}"
            self._refuse("wrong-value", path, what, cure)
            return None
        return Track(_tracked(subjects[0], values), values.get("weight"), values.get("reverse", False))

    def _fits_version(self, name: str, values: _Values) -> bool:
        """RFC 9568 5.2.7 and RFC 3768 5.3.7: the interval counts in centiseconds of 12 bits, or in seconds of 8."""
        advertise = values.get("advertise", timedelta(seconds=1))
        path: Path = ("vips", name, "advertise")
        if values.get("version", 3) == 2:
            if advertise % timedelta(seconds=1):
                what = "advertise: VRRP version 2 counts in whole seconds"
                self._refuse("out-of-range", path, what, "use version: 3")
                return False
            for index, address in enumerate(values["addresses"]):
                if address.version == 6:
                    place: Path = ("vips", name, "addresses", index)
                    self._refuse("wrong-value", place, "VRRP version 2 knows no IPv6", "use version: 3")
                    return False
        elif advertise % _CENTISECOND or advertise > _LONGEST_V3_CS * _CENTISECOND:
            what = "advertise: VRRP version 3 counts in steps of 10ms, up to 40950ms"
            nearest = min(-(-advertise // _CENTISECOND), _LONGEST_V3_CS) * _CENTISECOND
            self._refuse("out-of-range", path, what, f"write {duration_text(nearest)}")
            return False
        return True

    def _service(self, name: str, values: _Values) -> Service | None:
        if self._wants_layer_7(name, values):
            return None
        transport, port = values["listen"]
        persistence = values.get("persistence", "none")
        return Service(
            name=name,
            vip=values["vip"],
            protocol=transport,
            port=port,
            servers=tuple(_server(host, server) for host, server in values["servers"].items()),
            checks=values.get("check", ()),
            persistence=None if persistence == "none" else _persistence(persistence),
            slo=Slo(**_given(values.get("slo", {}), "outage", "server-outage")),
            **_when_all_down(values),
            **_given(values, "forward", "scheduler", "slow-start", "panic-threshold", "arp-leak", "when-disabled"),
            **_given(values, "enabled", "copy-flows", "plane", "idle-timeout", "encapsulation", "encapsulation-port"),
        )

    def _wants_layer_7(self, name: str, values: _Values) -> bool:
        """Refuses what needs a proxy that sees both directions of a connection."""
        persistence = values.get("persistence", {})
        wanted: list[Path] = [(key,) for key in LAYER_7_KEYS if key in values]
        if isinstance(persistence, dict):
            wanted += [("persistence", key) for key in LAYER_7_PERSISTENCE if key in persistence]
        forwards = {values.get("forward"), *(server.get("forward") for server in values["servers"].values())}
        for path in wanted:
            key = ": ".join(str(step) for step in path)
            place: Path = ("services", name, *path)
            if Forward.DIRECT in forwards or Forward.TUNNEL in forwards:
                what = f"{key}: direct return sees no replies, so it can do nothing at layer 7"
                if path[0] == "persistence":
                    cure = "use persistence: none or persistence: {source: {}}, or another forwarding method"
                else:
                    cure = f"remove {key}, or use another forwarding method"
                rule = "direct-persistence" if path[0] == "persistence" else "direct-layer-7"
                self._refuse(rule, place, what, cure, other=("services", name, "forward"))
            else:
                what = f"{key}: layer 7 is not part of this release yet"
                self._refuse("not-in-this-release", place, what, "remove it")
        return bool(wanted)


def _given(values: _Values, *names: str) -> _Values:
    """Those of the keys that were written, as keyword arguments of the model; the model has the defaults."""
    return {name.replace("-", "_"): values[name] for name in names if name in values}


def _lone(address: IPAddress) -> IPInterface:
    """A VIP in no prefix: link-local (RFC 9568 5.2.9 has one first), or a mistake that lint speaks of."""
    return ip_interface((address, 64)) if address.is_link_local and address.version == 6 else ip_interface(address)


def _listed(prefixes: tuple[IPNetwork, ...]) -> str:
    return " or ".join(str(prefix) for prefix in prefixes)


def _network(name: str, values: _Values) -> Network:
    return Network(name, values["prefixes"], values.get("gateway"))


def _tracked(subject: str, values: _Values) -> TrackedService | TrackedInterface | TrackedCheck | TrackedRoute:
    match subject:
        case "service":
            return TrackedService(values["service"])
        case "interface":
            return TrackedInterface(values["interface"])
        case "check":
            return TrackedCheck(values["check"], values["target"])
        case _:
            return TrackedRoute(values["route"])


def _when_all_down(values: _Values) -> _Values:
    """A word, or who says sorry."""
    written = values.get("when-all-down", WhenAllDown.REFUSE)
    if isinstance(written, WhenAllDown):
        return {"when_all_down": written}
    sorry = Server(written["sorry"], **_given(written, "port", "forward"))
    return {"when_all_down": WhenAllDown.SORRY, "sorry": sorry, "sorry_checks": written.get("check", ())}


def _server(host: str, values: _Values) -> Server:
    if not values:
        return Server(host)
    return Server(host, **_given(values, "weight", "priority", "port", "forward", "connection-limit"))


def _persistence(values: _Values) -> Persistence:
    source = values.get("source", {})
    return Persistence(**_given(source, "ipv4-mask", "ipv6-mask", "timeout"))


def _sync_group(name: str, values: _Values) -> SyncGroup:
    return SyncGroup(name, tuple(values["vips"]))


def _quarantine(vip: str, values: _Values) -> _Values:
    """What `stateful` and `quarantine` say; failing back by itself must be asked for."""
    written = values.get("quarantine", {})
    found: _Values = {} if "failback" in values or not values.get("stateful") else {"failback": Failback.MANUAL}
    if "alone" in written:
        found["quarantine"] = written["alone"]
    if "data-check" in written:
        check = written["data-check"]
        found["data_check"] = DataCheck(vip, check["command"], **_given(check, "user", "timeout", "interval"))
    return found


def _hook(name: str, values: _Values) -> Hook:
    return Hook(
        name, on=values["events"], command=values["command"], **_given(values, "vips", "nodes", "user", "timeout")
    )


def _check(name: str, values: _Values) -> CheckDefinition:
    interval = values.get("interval", DEFAULT_INTERVAL)
    schedule = Schedule(
        interval=interval,
        timeout=values.get("timeout", interval / 2),
        **_given(values, "fall", "rise", "fast-interval", "hold-down"),
    )
    return CheckDefinition(name, _params(values), schedule, values.get("source"))


def _params(values: _Values) -> KindParams:
    """Port 0 stands for the port of the server that will be checked."""
    port = values.get("port", 0)
    match values["kind"]:
        case "icmp":
            return IcmpParams()
        case "neighbour":
            return NeighbourParams()
        case "tcp":
            return TcpParams(port)
        case "udp":
            return UdpParams(port, **_given(values, "send", "expect", "require-answer"))
        case "tls":
            return TlsParams(port, **_given(values, "server-name", "verify", "min-days"))
        case "http" | "https":
            expect = values.get("expect", {})
            header = expect.get("header")
            return HttpParams(
                port,
                header=None if header is None else (header["name"], header.get("value", "")),
                tls=values["kind"] == "https",
                **_given(values, "path", "method", "host", "verify", "authorization"),
                **_given(expect, "status", "body", "within"),
            )
        case "direct":
            return DirectParams()
        case "script":
            return ScriptParams(values["command"], **_given(values, "user"))
        case kind:
            raise LocalError(f"the vocabulary has a check kind that nothing is made of: {kind}")
