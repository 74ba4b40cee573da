"""The dead-man gate in the kernel: a netdev table that silences armed addresses which are not opened in time, and
hushes those that another node answers for by now.

    table netdev yaoki-gate
      set armed4, armed6                    addresses that are silent unless they are open
      set open4, open6   (flags timeout)    addresses that are open, each until its time-out
      set hushed4, hushed6                  addresses that are not answered for: neither ARP nor ND goes out for them
      chain in/IFNAME/INDEX   ingress       drops IP and ARP to an address that is armed and not open, but for claims:
                                            ARP that comes from an armed address
      chain out/IFNAME/INDEX  egress        drops IP and ARP from one; a solicited NA has the address as its source

Both chains come before every other chain of ours (GATE_PRIORITY), so neither the kernel nor a balancer plane on it
answers any more. Claims are let in because the wire observer hears who owns the address now only behind this hook; what
the kernel could answer to them would not get out. The time-out is the kernel's: no process has to live for it.

An open address is kept open by one batch that deletes it and adds it again. Kernels before 6.12 know no other way to
put a time-out off, and on all of them the batch is refused as a whole if the time-out has passed already: who was
silenced learns it by that, and cannot unsilence himself.

What the balancer's program in BPF redirects passes by these chains, so the program has deadlines of its own
(yaoki.linux.bpf.deadlines). They are written here, right after the gate has taken the change, and from the moment at
which the change was begun: a process that stands still in between opens nothing.

Invariants: messages are built once for each (addresses, limit); opening takes one send and one answer, and so does
hushing; what is hushed is still served; no deadline is put off unless the gate was.
"""

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import Family, IPAddress, parse_address
from yaoki.core.error import ActuatorError
from yaoki.linux.attributes import attribute, attributes, message, messages, nest
from yaoki.linux.bpf.deadlines import Deadlines, monotonic_ns, nanoseconds
from yaoki.linux.bpf.hooks import Interface
from yaoki.linux.nftables_names import ADDRESS_TYPE, GATE, GATE_PRIORITY, IP, hook_name
from yaoki.linux.nftables_session import open_session

MAX_PREPARED = 4096
"""Batches kept; more are built anew."""

_NETLINK_NETFILTER = 12
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_F_REQUEST, _F_ACK, _F_DUMP, _F_CREATE = 0x1, 0x4, 0x300, 0x400
# linux/netfilter/nfnetlink.h, nf_tables.h
_BATCH_BEGIN, _BATCH_END = 16, 17
_NFTABLES = 10 << 8
_NEWSETELEM, _GETSETELEM, _DELSETELEM = _NFTABLES | 12, _NFTABLES | 13, _NFTABLES | 14
_NFPROTO_NETDEV = 5
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_LIST_ELEMENT = 1
_KEY, _TIMEOUT, _EXPIRATION = 1, 4, 5
_VALUE = 1
_NFGENMSG = struct.Struct("!BBH")
_MS = struct.Struct("!Q")
_BUFFER = 65536
_TABLE = GATE.split()[1]
_SENT_FIRST = 1
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Armed:
    """An armed address, and for how long it is still open."""

    address: IPAddress
    open_for: timedelta


class GateReader:
    """Looks at the gate of this network namespace, whoever made it. Methods raise ActuatorError, with ENOENT if there
    is none.

    Its socket stays open: closing one makes every change of nftables wait for an RCU grace period, 10 to 34 ms as
    measured, and a change that opens the gate comes too late then.
    """

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        self._socket.bind((0, 0))

    def close(self) -> None:
        """Leave the gate as it is."""
        self._socket.close()

    def armed(self) -> list[Armed]:
        """What is armed."""
        found = []
        for family in Family:
            opened = dict(self._elements(f"open{family.value}"))
            armed = self._elements(f"armed{family.value}")
            found += [Armed(address, opened.get(address, timedelta(0))) for address, _ in armed]
        return found

    def _elements(self, name: str) -> Iterator[tuple[IPAddress, timedelta]]:
        """Each element of a set, with the time that it has left."""
        body = _NFGENMSG.pack(_NFPROTO_NETDEV, 0, 0) + _text(_LIST_TABLE, _TABLE) + _text(_LIST_SET, name)
        self._socket.send(message(_GETSETELEM, _F_REQUEST | _F_DUMP, _SENT_FIRST, body))
        while True:
            for kind, _, answer in messages(self._socket.recv(_BUFFER)):
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    number = -int(struct.unpack_from("=i", answer)[0])
                    raise ActuatorError("read the dead-man gate", os.strerror(number), errno=number)
                yield from _parse(answer)


class DeadManGate(GateReader):
    """The gate of this network namespace. Raises ActuatorError where the kernel has none. `followed` is told how many
    balancer programs it holds for, when these are others."""

    def __init__(self, followed: Callable[[int], None] = lambda _: None) -> None:
        self._prepared: dict[tuple[str, tuple[IPAddress, ...], int], bytes] = {}
        self._nft = open_session()
        self.make()
        super().__init__()
        self.deadlines = Deadlines(followed)

    def make(self) -> None:
        """Make the table and its sets; no error if they are there."""
        self._nft.run("\n".join(_skeleton()), purpose="make the dead-man gate")

    def close(self) -> None:
        """Leave the gate as it is."""
        super().close()
        self.deadlines.close()

    def take_up(self) -> list[Armed]:
        """What an earlier life has left armed, and from now on the balancer's programs agree with it."""
        armed = self.armed()
        self.deadlines.follow(everywhere=True)
        self.deadlines.align({each.address: each.open_for for each in armed})
        return armed

    def remove(self) -> None:
        """Take the whole gate away: nothing is silenced any more."""
        self._nft.run(f"add table {GATE}\ndelete table {GATE}", purpose="remove the dead-man gate")

    def hook(self, interface: str, index: int) -> None:
        """Watch over an interface from now on; no error if it is watched over already."""
        self._nft.run("\n".join(_hooks(interface, index)), purpose=f"hook the dead-man gate in at {interface}")
        self.deadlines.watch(Interface(interface, index))

    def guards(self, addresses: Iterable[IPAddress]) -> bool:
        """Whether the gate is there and armed for these, open or not; somebody may have flushed the whole ruleset."""
        try:
            armed = {each.address for each in self.armed()}
        except ActuatorError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        return all(address in armed for address in addresses)

    def arm(self, addresses: tuple[IPAddress, ...], limit: timedelta) -> None:
        """Arm addresses of one family, open for `limit` from now, whatever they were before."""
        begun = monotonic_ns()
        self._run("arm", addresses, limit)
        self.deadlines.follow()
        self.deadlines.put_off(addresses, begun + nanoseconds(limit))

    def refresh(self, addresses: tuple[IPAddress, ...], limit: timedelta) -> bool:
        """Keep addresses of one family open for `limit` from now; whether they still were."""
        begun = monotonic_ns()
        try:
            self._run("refresh", addresses, limit)
        except ActuatorError as error:
            if error.errno != errno.ENOENT:
                raise
            return False
        self.deadlines.put_off(addresses, begun + nanoseconds(limit))
        return True

    def disarm(self, addresses: Iterable[IPAddress]) -> None:
        """Let addresses answer whatever happens."""
        addresses = tuple(addresses)
        self._of_each_family("disarm", addresses)
        try:
            self.deadlines.follow()
        finally:
            self.deadlines.end(addresses)

    def hush(self, addresses: Iterable[IPAddress]) -> None:
        """Answer for these no more: another node does. Raises ActuatorError, with ENOENT if the gate is gone."""
        self._of_each_family("hush", addresses)

    def answer_again(self, addresses: Iterable[IPAddress]) -> None:
        """Take that back, if it was so."""
        self._of_each_family("answer again", addresses)

    def _of_each_family(self, what: str, addresses: Iterable[IPAddress]) -> None:
        for family in Family:
            mine = tuple(address for address in addresses if Family.of(address) is family)
            if mine:
                self._run(what, mine, timedelta(0))

    def _run(self, what: str, addresses: tuple[IPAddress, ...], limit: timedelta) -> None:
        limit_ms = limit // _MILLISECOND
        ready = self._prepared.get((what, addresses, limit_ms))
        if ready is None:
            if len(self._prepared) >= MAX_PREPARED:
                self._prepared.clear()
            ready = self._prepared[what, addresses, limit_ms] = batch(what, addresses, limit_ms)
        self._socket.send(ready)
        refusal = self._answer(last=_last_sequence(ready))
        if refusal:
            change = f"{what} in the dead-man gate: {', '.join(map(str, addresses))}"
            raise ActuatorError(change, os.strerror(refusal), errno=refusal)

    def _answer(self, *, last: int) -> int:
        """The first refusal in the answers to a batch, 0 if there is none. The last message is always answered."""
        refusal = 0
        while True:
            for kind, sequence, body in messages(self._socket.recv(_BUFFER)):
                if kind != _NLMSG_ERROR:
                    continue
                number = -int(struct.unpack_from("=i", body)[0])
                refusal = refusal or number
                if sequence in (last, _SENT_FIRST):
                    return refusal


def remove_gate() -> None:
    """Take the gate away, whoever made it. Raises ActuatorError."""
    open_session().run(f"add table {GATE}\ndelete table {GATE}", purpose="remove the dead-man gate")


def batch(what: str, addresses: tuple[IPAddress, ...], limit_ms: int) -> bytes:
    """The messages of one change ("arm", "refresh", "disarm", "hush", "answer again") of addresses of one family: all
    take effect, or none."""
    family = Family.of(addresses[0]).value
    armed, opened, hushed = f"armed{family}", f"open{family}", f"hushed{family}"
    changes = {
        # An element that may or may not be there is added, which is no error, before it is deleted.
        "arm": (
            (_NEWSETELEM, armed, None),
            (_NEWSETELEM, opened, limit_ms),
            (_DELSETELEM, opened, None),
            (_NEWSETELEM, opened, limit_ms),
        ),
        "refresh": ((_DELSETELEM, opened, None), (_NEWSETELEM, opened, limit_ms)),
        "disarm": (
            (_NEWSETELEM, armed, None),
            (_DELSETELEM, armed, None),
            (_NEWSETELEM, opened, 1),
            (_DELSETELEM, opened, None),
        ),
        "hush": ((_NEWSETELEM, hushed, None),),
        "answer again": ((_NEWSETELEM, hushed, None), (_DELSETELEM, hushed, None)),
    }[what]
    wrapped = _NFGENMSG.pack(0, 0, 10)
    sent = [message(_BATCH_BEGIN, _F_REQUEST, _SENT_FIRST, wrapped)]
    for number, (kind, name, timeout_ms) in enumerate(changes, _SENT_FIRST + 1):
        flags = _F_REQUEST | (_F_CREATE if kind == _NEWSETELEM else 0)
        last = number == _SENT_FIRST + len(changes)
        body = _NFGENMSG.pack(_NFPROTO_NETDEV, 0, 0) + _text(_LIST_TABLE, _TABLE) + _text(_LIST_SET, name)
        body += nest(_LIST_ELEMENTS, *(_element(address, timeout_ms) for address in addresses))
        sent.append(message(kind, flags | (_F_ACK if last else 0), number, body))
    sent.append(message(_BATCH_END, _F_REQUEST, _SENT_FIRST + len(changes) + 1, wrapped))
    return b"".join(sent)


def _element(address: IPAddress, timeout_ms: int | None) -> bytes:
    timeout = b"" if timeout_ms is None else attribute(_TIMEOUT, _MS.pack(timeout_ms))
    return nest(_LIST_ELEMENT, nest(_KEY, attribute(_VALUE, address.packed)), timeout)


def _last_sequence(ready: bytes) -> int:
    """That of the last change: the one before the end of the batch."""
    return [sequence for _, sequence, _ in messages(ready)][-2]


def _text(kind: int, text: str) -> bytes:
    return attribute(kind, text.encode() + b"\0")


def _parse(answer: bytes) -> Iterator[tuple[IPAddress, timedelta]]:
    for kind, elements in attributes(answer[_NFGENMSG.size :]):
        if kind != _LIST_ELEMENTS:
            continue
        for _, element in attributes(elements):
            found = dict(attributes(element))
            packed = dict(attributes(found[_KEY]))[_VALUE]
            left_ms = _MS.unpack(found[_EXPIRATION])[0] if _EXPIRATION in found else 0
            yield parse_address(socket.inet_ntop(_DOMAIN[len(packed)], packed)), left_ms * _MILLISECOND


_DOMAIN = {4: socket.AF_INET, 16: socket.AF_INET6}


def _skeleton() -> Iterator[str]:
    """The table and its sets, and proof that there are egress hooks."""
    yield f"add table {GATE}"
    for family in Family:
        kind = ADDRESS_TYPE[family]
        yield f"add set {GATE} armed{family.value} {{ type {kind}; }}"
        yield f"add set {GATE} open{family.value} {{ type {kind}; flags timeout; }}"
        yield f"add set {GATE} hushed{family.value} {{ type {kind}; }}"
        # What an earlier life was about to leave, this one may own.
        yield f"flush set {GATE} hushed{family.value}"
    yield f'add chain {GATE} trial {{ type filter hook egress device "lo" priority {GATE_PRIORITY}; }}'
    yield f"delete chain {GATE} trial"


def _hooks(interface: str, index: int) -> Iterator[str]:
    name = hook_name(interface, index)
    for way, hook, side in (("in", "ingress", "daddr"), ("out", "egress", "saddr")):
        chain = f"{way}/{name}"
        spec = f'type filter hook {hook} device "{interface}" priority {GATE_PRIORITY}; policy accept;'
        yield f"add chain {GATE} {chain} {{ {spec} }}"
        yield f"flush chain {GATE} {chain}"
        for family in Family:
            match = f"{IP[family]} {side}"
            yield f"add rule {GATE} {chain} {match} @armed{family.value} {match} != @open{family.value} drop"
        claims = "arp saddr ip != @armed4 " if way == "in" else ""
        yield f"add rule {GATE} {chain} {claims}arp {side} ip @armed4 arp {side} ip != @open4 drop"
    # A question of the kernel's own teaches whoever hears it, just as an answer does.
    yield f"add rule {GATE} out/{name} arp saddr ip @hushed4 drop"
    yield f"add rule {GATE} out/{name} icmpv6 type {{ 135, 136 }} ip6 saddr @hushed6 drop"
