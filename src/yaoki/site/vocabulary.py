"""The vocabulary of the site file: every key with its kind, default and meaning, as one table.

The validation (yaoki.site.load), the JSON Schema (`yaoki schema`) and the reference in docs/site-file.md are made of
this table. To add a key: add a line here or in one of the parts (yaoki.site.vocabulary_checks and so on), and use its
value in yaoki.site.build.
"""

from datetime import timedelta

from yaoki.election.lease_params import DEFAULT_DURATION, LONGEST_DURATION, SHORTEST_DURATION
from yaoki.lb.service import GUE_PORT, Encapsulation, Forward, PlaneWish, Scheduler, WhenAllDown
from yaoki.lb.validity import MOST_FLOWS
from yaoki.pool.member import DEFAULT_PRIORITY
from yaoki.site.kinds import (
    ADDRESS,
    INTERFACE_NAME,
    LISTEN,
    NAME,
    PREFIX,
    Boolean,
    Duration,
    Integer,
    Kind,
    Reference,
    Share,
    TargetOf,
    Text,
    Word,
)
from yaoki.site.model import ArpLeak, Election, VipWhenDisabled, WhenDisabled
from yaoki.site.placement import Placement
from yaoki.site.shapes import Anything, Key, ListOf, MapOf, NotYet, Record, WordOr
from yaoki.site.units import duration_text
from yaoki.site.vocabulary_authentication import AUTHENTICATION
from yaoki.site.vocabulary_checks import CHECK
from yaoki.site.vocabulary_machines import ACKNOWLEDGE, HOST, NETWORK, NETWORK_NAME, NODE
from yaoki.site.vocabulary_quarantine import QUARANTINE
from yaoki.site.vocabulary_store import STORE
from yaoki.vrrp.params import ChecksumForm, Failback, OutOfStep, Transport
from yaoki.vrrp.virtual_mac import MacKind

_MS = timedelta(milliseconds=1)
_S = timedelta(seconds=1)
_PORT = Integer(1, 65535)

LATER_SECTIONS = ("lines", "uplinks", "publish", "zones", "regions", "tunnels", "clusters", "hubs")
LAYER_7_KEYS = ("content-rules", "headers", "tls")

_NODE = Reference(("nodes",), "node")
_HOST = Reference(("hosts",), "host")
_CHECK = Reference(("checks",), "check")
_VIP = Reference(("vips",), "VIP")
_SERVICE = Reference(("services",), "service")
_HOST_OR_NODE = Reference(("hosts", "nodes"), "host or node")

# --- VIPs -------------------------------------------------------------------------------------------------------------

VIP = Record(
    "a VIP",
    (
        Key("network", NETWORK_NAME, "the network that the addresses belong to", required=True),
        Key("addresses", ListOf(ADDRESS, least=1), "the addresses that move together", required=True),
        Key(
            "election",
            Word(
                {
                    "vrrp": "by VRRP priority",
                    "lease": "only while it holds a lease in the store: never two owners, unless a hypervisor froze it",
                },
                Election,
            ),
            "how the owner is found",
            "vrrp",
        ),
        Key(
            "lease-duration",
            Duration(SHORTEST_DURATION, LONGEST_DURATION),
            "how long a renewed lease is good for; a takeover lasts up to 1.1 times this",
            duration_text(DEFAULT_DURATION),
        ),
        Key("vrid", Integer(1, 255), "the virtual router id, unique on the network", required=True),
        Key("advertise", Duration(10 * _MS, 255 * _S), "the Advertisement_Interval", "1s"),
        Key("version", Integer(2, 3), "the VRRP version; 2 is for IPv4 and whole seconds only", "3"),
        Key(
            "members",
            MapOf(
                _NODE,
                Record("a member", (Key("priority", Integer(1, 255), "its VRRP priority", "that of the placement"),)),
                least=1,
            ),
            "the nodes that may own it",
            required=True,
        ),
        Key(
            "placement",
            Word(
                {
                    "priority": "as the members' priorities say",
                    "spread": "evenly over the members, whoever of them has failed; they need no priorities",
                },
                Placement,
            ),
            "who owns it, and who comes next",
            "priority",
        ),
        Key(
            "failback",
            Word(
                {
                    "prefer": "the highest priority retakes",
                    "sticky": "the owner keeps",
                    "manual": "a returned node may not own until released",
                },
                Failback,
            ),
            "what happens when a node of higher priority returns",
            "prefer",
        ),
        Key(
            "failback-delay",
            Duration(0 * _S, timedelta(days=1)),
            "how long `prefer` hears a lower owner that is well before it retakes",
            "0s",
        ),
        Key(
            "startup-delay",
            Duration(0 * _S, timedelta(hours=1)),
            "how long a node that starts waits at least to hear an owner",
            "0s",
        ),
        Key(
            "checksum",
            Word(
                {
                    "as-heard": "the form last heard from a peer",
                    "pseudo-header": "as keepalived sends it",
                    "message-only": "as RFC 9568 has it",
                },
                ChecksumForm,
            ),
            "the IPv4 checksum form that is sent; both are accepted",
            "as-heard",
        ),
        Key(
            "transport",
            Word(
                {
                    "multicast": "to the VRRP group of the link",
                    "unicast": "to the own address of each other member and of each peer",
                },
                Transport,
            ),
            "where advertisements go",
            "multicast",
        ),
        Key(
            "peers",
            ListOf(ADDRESS),
            "routers that do not run Yaoki, such as a keepalived, for unicast; they arm no dead-man gate, so an owner"
            " whose speaker is killed may stay a second one beside them",
            "[]",
        ),
        Key(
            "out-of-step",
            Word(
                {
                    "as-ever": "it takes over as its priority says",
                    "last": "it takes over after every member that runs the owner's",
                },
                OutOfStep,
            ),
            "a spare that runs another generation of the site than the owner",
            "as-ever",
        ),
        Key("authentication", AUTHENTICATION, "how advertisements are signed, and what of others is accepted"),
        Key("accept", Boolean(), "whether its owner takes packets to it for itself", "true"),
        Key(
            "mac",
            Word(
                {
                    "own": "that of the owner's interface; the neighbours are told when the VIP moves",
                    "virtual": "that of the virtual router (RFC 9568 7.3), which moves with the VIP",
                },
                MacKind,
            ),
            "the MAC address that its addresses are at",
            "own",
        ),
        Key(
            "when-disabled",
            Word({"keep": "its owner answers for it", "withdraw": "nobody has it: no ARP, no ping"}, VipWhenDisabled),
            "what becomes of it while every service on it is disabled",
            "keep",
        ),
        Key("stateful", Boolean(), "whether what listens on it loses data by moving", "false"),
        Key("quarantine", QUARANTINE, "of a stateful VIP: how a node that returns waits, and what releases it"),
        Key(
            "track",
            ListOf(
                Record(
                    "a track",
                    (
                        Key("service", _SERVICE, "a service: it fails when no server of it is up"),
                        Key("interface", INTERFACE_NAME, "an interface of each member: it fails when it is down"),
                        Key("check", _CHECK, "a check, made of `target` by each member"),
                        Key("target", TargetOf(_HOST_OR_NODE), "what is checked: a host, a node or an address"),
                        Key("route", PREFIX, "a prefix that each member's routing table must have a route to"),
                        Key(
                            "weight",
                            Integer(-253, 253),
                            "added to the priority while it fails",
                            "none: the node may not own",
                        ),
                        Key("reverse", Boolean(), "whether it counts while it works, not while it fails", "false"),
                    ),
                )
            ),
            "what else must work for a node to own it",
            "[]",
        ),
        ACKNOWLEDGE,
    ),
)

# --- sync groups ------------------------------------------------------------------------------------------------------

SYNC_GROUP = Record(
    "a sync group",
    (
        Key("vips", ListOf(_VIP, least=1), "the VIPs that one node owns together, or none of them", required=True),
        ACKNOWLEDGE,
    ),
)

# --- services ---------------------------------------------------------------------------------------------------------

_FORWARD = Word(
    {
        "nat": "the destination is rewritten; the servers' way back leads through the balancer",
        "fullnat": "source and destination are rewritten",
        "direct": "only the destination MAC is rewritten; the server answers the client itself",
        "tunnel": "like direct, to servers across routers: the packet goes inside another one",
    },
    Forward,
)
_ENCAPSULATION = Word(
    {
        "ipip": "an IP packet: 20 octets more in IPv4, 40 in IPv6",
        "gue": "UDP in an IP packet, by which routers and servers tell flows apart: 28 octets more, or 48",
    },
    Encapsulation,
)
_SOURCE = Record(
    "source persistence",
    (
        Key("ipv4-mask", Integer(0, 32), "bits of an IPv4 source that count", "32"),
        Key("ipv6-mask", Integer(0, 128), "bits of an IPv6 source that count", "128"),
        Key("timeout", Duration(_S, timedelta(days=7)), "forgotten when idle for so long", "5m"),
    ),
)
LAYER_7_PERSISTENCE = ("cookie", "header", "tls-session")

_DEFAULT_CHECK = "direct under direct return, else tcp; icmp for udp"

_SORRY = Record(
    "when-all-down",
    (
        Key("sorry", _HOST, "a server that says sorry", required=True),
        Key("port", _PORT, "its port", "the service's port"),
        Key("forward", _FORWARD, "its forwarding method", "the service's"),
        Key("check", ListOf(_CHECK, or_one=True), "the check that it must pass, or several", _DEFAULT_CHECK),
    ),
)

SERVER = Record(
    "a server",
    (
        Key("weight", Integer(0, 65535), "its share of new flows; 0 takes none", "1000"),
        Key(
            "priority",
            Integer(1, 254),
            "new flows go to the highest that has a server up; servers of a lower one are backups",
            str(DEFAULT_PRIORITY),
        ),
        Key("port", _PORT, "its port", "the service's port"),
        Key("forward", _FORWARD, "its forwarding method", "the service's"),
        Key("connection-limit", Integer(1, MOST_FLOWS), "with so many open flows it takes no new ones", "none"),
    ),
)

_PLANE = Word(
    {
        "auto": "BPF for direct return where the node and the interface can carry it, else nftables; tunnels: BPF only",
        "bpf": "BPF; where it cannot be, nftables all the same, and `yaoki status` complains",
        "xdp": "BPF in the card's driver; where that cannot be, at tcx, and `yaoki status` complains",
        "nftables": "nftables, which has no tunnels",
    },
    PlaneWish,
)

SERVICE = Record(
    "a service",
    (
        Key("vip", _VIP, "the VIP that it listens on", required=True),
        Key("listen", LISTEN, "transport and port, such as tcp/80", required=True),
        Key("forward", _FORWARD, "the forwarding method; a server may differ", "nat"),
        Key("encapsulation", _ENCAPSULATION, "what packets to `tunnel` servers go inside", "ipip"),
        Key("encapsulation-port", _PORT, "the UDP port of `gue` at the servers", str(GUE_PORT)),
        Key(
            "scheduler",
            Word(
                {
                    "rr": "in turn",
                    "wrr": "in turn by weight",
                    "lc": "to the one with the fewest open flows",
                    "wlc": "to the one with the fewest for its weight",
                    "p2c": "to the less loaded of two drawn by weight",
                    "sh": "by a hash of the source address",
                    "maglev": "by a hash of source address and port",
                },
                Scheduler,
            ),
            "how a new flow gets its server",
            "wrr",
        ),
        Key(
            "persistence",
            WordOr(
                Word({"none": "no persistence"}),
                Record(
                    "persistence",
                    (
                        Key("source", _SOURCE, "flows from one source stay on one server"),
                        *(Key(name, Anything(), "layer 7", offered=False) for name in LAYER_7_PERSISTENCE),
                    ),
                ),
            ),
            "what keeps a client on its server: none, or {source: ...}",
            "none",
        ),
        Key("check", ListOf(_CHECK, or_one=True), "the check, or several that must all pass", _DEFAULT_CHECK),
        Key("servers", MapOf(_HOST, SERVER, least=1), "the real servers, by host", required=True),
        Key(
            "when-all-down",
            WordOr(
                Word({"refuse": "reset or port unreachable", "last-known": "to those last up"}, WhenAllDown),
                _SORRY,
            ),
            "what new flows get when no server is up",
            "refuse",
        ),
        Key("slow-start", Duration(0 * _S, timedelta(hours=1)), "a risen server's weight grows over this", "0s"),
        Key("panic-threshold", Share(), "more failing at once than this makes the checker suspect; 0% is off", "0%"),
        Key(
            "idle-timeout",
            Duration(10 * _S, timedelta(days=7)),
            "a flow of `direct` or `tunnel` is forgotten when idle for so long; others have the kernel's times",
            "15m; 5m for udp",
        ),
        Key(
            "arp-leak",
            Word({"tell": "an event", "remove": "and no new flows while another is up"}, ArpLeak),
            "what follows when a `direct` server claims the VIP by ARP or ND",
            "tell",
        ),
        Key("enabled", Boolean(), "whether it is served at all", "true"),
        Key(
            "when-disabled",
            Word({"cut": "they are cut", "drain": "they go on to their end"}, WhenDisabled),
            "what becomes of its flows when it is disabled; new ones are refused",
            "cut",
        ),
        Key("copy-flows", Boolean(), "flows of all but `fullnat` are copied to the VIP's other members", "true"),
        Key("plane", _PLANE, "the balancer plane that carries it", "that of `balancer`"),
        Key(
            "slo",
            Record(
                "an slo",
                (
                    Key("outage", Duration(_MS, timedelta(days=1)), "longest outage when a node, path or link fails"),
                    Key("server-outage", Duration(_MS, timedelta(days=1)), "longest outage when one server fails"),
                ),
            ),
            "what a rehearsal holds each scenario against",
        ),
        *(Key(name, Anything(), "a layer-7 option", offered=False) for name in LAYER_7_KEYS),
        ACKNOWLEDGE,
    ),
)

BALANCER = Record(
    "the balancer", (Key("plane", _PLANE, "the balancer plane of services that name none", "auto"), ACKNOWLEDGE)
)

_EVENT = Text("an event kind", r"[a-z]+(?:-[a-z]+)*", example="became-active")

HOOK = Record(
    "a hook",
    (
        Key("events", ListOf(_EVENT, least=1), "the kinds of events it runs on", required=True),
        Key("command", ListOf(Text(), least=1), "the program and its arguments", required=True),
        Key("vips", ListOf(_VIP, least=1), "it runs on events of these VIPs only", "every event"),
        Key("nodes", ListOf(_NODE, least=1), "the nodes that it runs on", "every node"),
        Key("user", Text("an account name", r"[a-z_][a-z0-9_-]*"), "the account it runs as", "nobody"),
        Key("timeout", Duration(10 * _MS, timedelta(hours=1)), "it is killed after this", "10s"),
    ),
)


def _section(name: str, value: Kind, description: str) -> Key:
    return Key(name, MapOf(NAME, value, partial=True), description)


SITE = Record(
    "a site file",
    (
        Key("version", Integer(1, 1), "the version of this vocabulary", required=True),
        Key("site", NAME, "the name of the site", required=True),
        Key("include", ListOf(Text(), or_one=True), "more files, as patterns relative to this one"),
        _section("networks", NETWORK, "broadcast domains"),
        _section("nodes", NODE, "machines that run Yaoki"),
        _section("hosts", HOST, "machines that do not: real servers, routers, clients"),
        _section("checks", CHECK, "health checks"),
        _section("vips", VIP, "addresses that move between nodes"),
        _section("sync-groups", SYNC_GROUP, "VIPs that are owned by one node together"),
        Key(
            "store",
            STORE,
            "where leases are kept: `kind: etcd`, `witness` or, on a single node, `in-process`",
        ),
        _section("services", SERVICE, "virtual services"),
        Key("balancer", BALANCER, "what all virtual services have in common"),
        _section("hooks", HOOK, "programs run on events"),
        *(Key(name, NotYet(), "a later domain", offered=False) for name in LATER_SECTIONS),
    ),
    partial=True,
)
