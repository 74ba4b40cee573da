"""The part of the vocabulary for networks, nodes and hosts, and what all objects may say; see yaoki.site.vocabulary."""

from yaoki.lb.realserver import OperatingSystem
from yaoki.site.kinds import ADDRESS, INTERFACE_NAME, MAC, PREFIX, Boolean, Integer, Reference, Text, Word
from yaoki.site.shapes import Key, ListOf, MapOf, Record

NETWORK_NAME = Reference(("networks",), "network")
_GATEWAY = Reference(("hosts", "vips", "nodes"), "host, node or VIP")
_OTHER_NODE = Reference(("nodes",), "node")

_ENDS = r'[^\\/:*?"<>|%\s\x00-\x1f\x7f-\x9f]'
_WITHIN = r'[^\\/:*?"<>|%\x00-\x1f\x7f-\x9f\u2028\u2029]'
_CONNECTION = Text(
    "the name of a network connection",
    rf"{_ENDS}(?:{_WITHIN}{{0,253}}{_ENDS})?",
    example='"ローカル エリア接続", which has none of \\ / : * ? " < > | % in it',
)
"""What Windows refuses in such a name, and the % that a command prompt would read as the beginning of a variable."""

ACKNOWLEDGE = Key(
    "acknowledge",
    ListOf(Text("the id of a lint rule", r"[a-z0-9-]+")),
    "lint rules whose finding here is known and accepted",
    "[]",
)

NETWORK = Record(
    "a network",
    (
        Key("prefixes", ListOf(PREFIX, least=1), "the prefixes of this broadcast domain", required=True),
        Key("gateway", _GATEWAY, "the host, node or VIP that leads out of it"),
        ACKNOWLEDGE,
    ),
)

INTERFACE = Record(
    "an interface",
    (
        Key("network", NETWORK_NAME, "the network that it is plugged into", required=True),
        Key("addresses", ListOf(ADDRESS), "its own addresses, each within a prefix of the network", "[]"),
        Key("alias", _CONNECTION, "what its own operating system calls it, as Windows does", "its name here"),
        Key("wake-on-lan", MAC, "the MAC address by which `yaoki node wake` switches the machine on"),
    ),
)

_INTERFACES = Key(
    "interfaces", MapOf(INTERFACE_NAME, INTERFACE, least=1), "its interfaces, by the kernel's name", required=True
)
_MACHINE_GATEWAY = Key("gateway", _GATEWAY, "its default gateway, in place of the network's")

_HZ = Key(
    "hz",
    Integer(100, 1000),
    "its kernel's CONFIG_HZ: time-outs are counted in ticks of 1/hz seconds",
    "asked of the node",
)

_STANDBY_FOR = Key(
    "standby-for",
    ListOf(_OTHER_NODE, least=1),
    "the nodes whose place this cold standby can take: `yaoki node replace`",
    "[]",
)
_REPLACES = Key("replaces", _OTHER_NODE, "the node whose place it has taken, written by `yaoki node replace`")

NODE = Record("a node", (_INTERFACES, _MACHINE_GATEWAY, _HZ, _STANDBY_FOR, _REPLACES, ACKNOWLEDGE))

HOST = Record(
    "a host",
    (
        _INTERFACES,
        Key(
            "plays",
            ListOf(
                Word(
                    {
                        "nginx": "a web server",
                        "echo": "answers with what it was sent",
                        "client": "sends requests",
                        "etcd": "a member of the store of leases",
                        "witness": "the witness that keeps the leases",
                    }
                )
            ),
            "what the lab starts on it",
            "[]",
        ),
        _MACHINE_GATEWAY,
        Key(
            "os",
            Word(
                {
                    "linux": "any Linux, until it starts again",
                    "debian": "with ifupdown",
                    "rhel": "with systemd",
                    "freebsd": "its loopback is lo0",
                    "windows-2003": "2000 and 2003",
                    "windows-2008": "2008 and 2008 R2",
                    "windows": "2012 and later",
                },
                OperatingSystem,
            ),
            "what it runs, for `yaoki realserver setup`",
        ),
        Key("loopback", _CONNECTION, "what its loopback adapter is called, if it runs Windows", "Loopback"),
        Key("forwards", Boolean(), "whether it routes between its interfaces", "false"),
        ACKNOWLEDGE,
    ),
)
