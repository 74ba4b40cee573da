"""Segments of TCP connections that connection tracking does not know: those of copied services are held up, once.

When a VIP moves, a connection of the last milliseconds may be ahead of its copy. Its next segment would be scheduled
anew, and another server refuse it, or a server's answer would pass untranslated, and the client refuse it. Dropped,
it comes again by TCP's own retransmission (200 ms at the earliest under Linux), and by then the copy is there. Who is
still a stranger after HOLD is let through as ever.

    table inet yaoki-flows
      set services4, services6     of the copied services that are TCP: address, port
      set places4, places6         of their servers
      set waiting4, waiting6       connections that are held up (HOLD)
      set seen4, seen6             connections that have been held up (REMEMBERED)
      chain prerouting             between connection tracking and address translation
      chain DIGEST                 empty; by its name a later life knows that all is as it wants it

With direct return the balancer's program does so itself (bpf/strangers.h), and nftables' rules by what `holding_chain`
makes in their own table (nftables_flows.py).

Invariants: what opens a connection never waits; a connection waits once; a full set holds nobody up; one transaction
for each change.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from hashlib import blake2b

from yaoki.core.address import Family, IPAddress
from yaoki.lb.service import Protocol, ServiceKey
from yaoki.linux.nftables_names import ADDRESS_TYPE, IP, STRANGERS, STRANGERS_PRIORITY
from yaoki.linux.nftables_reader import NftablesReader
from yaoki.linux.nftables_session import NftSession, open_session

HOLD = timedelta(milliseconds=100)
"""Longer than a copy takes, shorter than what a retransmission waits."""
REMEMBERED = timedelta(seconds=10)
MOST_HELD = 65536

Place = tuple[IPAddress, int]


class StrangerRules:
    """The table in this network namespace."""

    def __init__(self, *, hold: timedelta = HOLD) -> None:
        self._hold = hold
        self._session: NftSession | None = None
        self._applied: tuple[frozenset[Place], frozenset[Place]] | None = None

    def apply(self, services: Iterable[ServiceKey], servers: Iterable[Place]) -> None:
        """Hold up strangers to these services and from these servers, and no others. Raises ActuatorError."""
        keys = frozenset((key.address, key.port) for key in services if key.protocol is Protocol.TCP)
        wanted = keys, frozenset(servers) if keys else frozenset()
        if wanted == self._applied:
            return
        lines = list(_table(*wanted, self._hold)) if keys else list(_nothing())
        if self._applied is not None or not _is_there(_digest(lines) if keys else None):
            self._session = self._session or open_session()
            marked = [*lines, f"add chain {STRANGERS} {_digest(lines)}"] if keys else lines
            self._session.run("\n".join(marked) + "\n", purpose="hold up segments of unknown connections")
        self._applied = wanted


def remove_stranger_rules() -> None:
    """Take the table away, whoever made it. Raises ActuatorError."""
    open_session().run("\n".join(_nothing()) + "\n", purpose="let unknown connections through")


def holding_chain(table: str, family: Family, hold: timedelta = HOLD) -> Iterator[str]:
    """The chain `hold4` or `hold6` of a table, which drops a stranger's segments for a while and then lets them pass,
    with the sets that it needs. Sets that are there stay."""
    n, ip, address = family.value, IP[family], ADDRESS_TYPE[family]
    connection = f"type {address} . inet_service . {address} . inet_service"
    for name, lasts in ((f"waiting{n}", hold), (f"seen{n}", REMEMBERED)):
        timeout = f"{lasts // timedelta(milliseconds=1)}ms"
        spec = f"{connection}; flags dynamic,timeout; timeout {timeout}; gc-interval 1s; size {MOST_HELD};"
        yield f"add set {table} {name} {{ {spec} }}"
    segment = f"{ip} saddr . tcp sport . {ip} daddr . tcp dport"
    yield f"add chain {table} hold{n}"
    yield f"flush chain {table} hold{n}"
    yield f"add rule {table} hold{n} {segment} @waiting{n} drop"
    yield f"add rule {table} hold{n} {segment} @seen{n} return"
    yield f"add rule {table} hold{n} add @seen{n} {{ {segment} }} add @waiting{n} {{ {segment} }} drop"


def _digest(lines: Iterable[str]) -> str:
    return "made/" + blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()


def _is_there(digest: str | None) -> bool:
    """Whether an earlier life has left a table of this digest, or none."""
    with closing(NftablesReader()) as reader:
        if not reader.has_table(STRANGERS):
            return digest is None
        return digest is not None and digest in reader.chains(STRANGERS)


def _nothing() -> Iterator[str]:
    yield f"add table {STRANGERS}"
    yield f"delete table {STRANGERS}"


def _table(keys: Collection[Place], servers: Collection[Place], hold: timedelta) -> Iterator[str]:
    """In the place of whatever is there."""
    yield from _nothing()
    yield f"add table {STRANGERS}"
    hook = f"type filter hook prerouting priority {STRANGERS_PRIORITY}; policy accept;"
    yield f"add chain {STRANGERS} prerouting {{ {hook} }}"
    yield f"add rule {STRANGERS} prerouting tcp flags & (syn | ack) == syn accept"
    for family in Family:
        n, ip, address = family.value, IP[family], ADDRESS_TYPE[family]
        known = {f"services{n}": keys, f"places{n}": servers}
        for name, places in known.items():
            yield f"add set {STRANGERS} {name} {{ type {address} . inet_service; }}"
            mine = sorted(f"{each} . {port}" for each, port in places if Family.of(each) is family)
            if mine:
                yield f"add element {STRANGERS} {name} {{ {', '.join(mine)} }}"
        yield from holding_chain(STRANGERS, family, hold)
        unknown = "ct state { new, invalid }"
        to_us = f"fib daddr type local {ip} daddr . tcp dport @services{n}"
        yield f"add rule {STRANGERS} prerouting {unknown} {to_us} jump hold{n}"
        yield f"add rule {STRANGERS} prerouting {unknown} {ip} saddr . tcp sport @places{n} jump hold{n}"
