"""The observer on the switch: asks for every VIP by ARP or neighbour solicitation and records who answers each request.

It runs in the switch's namespace with a port of its own on each bridge, so it sees what is broadcast and what answers
it, nothing else. Requests do not disturb what is measured: an ARP request has the sender address 0.0.0.0 and teaches
nobody; a solicitation comes from one of ASKERS link-local addresses that nobody else speaks to. Each request has the
MAC address of one of ASKERS, in turn, so that an answer names the request it belongs to. Gratuitous announcements and
VRRP advertisements are recorded with the sender's MAC address; for a virtual MAC, with that of the machine which the
switch has learnt it from. Two answers from one virtual MAC to one request are two owners'. Runs until its stdin is
closed.
"""

import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from yaoki.core.address import MacAddress
from yaoki.lab.probes.switch_table import SwitchTable
from yaoki.lab.probes.wire import Conversation, Lateness, now_us, undisturbed
from yaoki.packet.arp import request
from yaoki.packet.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6
from yaoki.packet.neighbour import ADVERTISEMENT, solicitation

ASKERS = 16
PERIOD_US = 10_000
MOST_RECORDED = 100_000
"""Announcements and advertisements kept per measurement."""

_LOOK_BACK_US = 250_000
_LONGEST_SLEEP_US = 5_000
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_ETH_P_ALL = 3
_ASKER = b"\x02\x59\x6c\x00\x00"
_VRRP = 112
_ARP = ETHERTYPE_ARP.to_bytes(2, "big")
_IPV4 = ETHERTYPE_IPV4.to_bytes(2, "big")
_IPV6 = ETHERTYPE_IPV6.to_bytes(2, "big")
_ICMPV6 = 58


@dataclass(slots=True)
class Question:
    """One VIP address that is asked for: the frames to send, and who answered each request."""

    sock: socket.socket
    address: bytes
    frames: list[bytes]
    due_us: int
    asked_us: list[int] = field(default_factory=list)
    answered_by: list[list[str]] = field(default_factory=list)

    def ask(self, now: int) -> None:
        """Send the next request."""
        # On a bridge that is down this fails: nobody can answer, which is what the record then says.
        with suppress(OSError):
            self.sock.send(self.frames[len(self.asked_us) % ASKERS])
        self.asked_us.append(now)
        self.answered_by.append([])

    def answered(self, asker: int, mac: str, machine: str) -> None:
        """An answer from `mac`, sent by the machine of another MAC perhaps, has come to the newest request of this
        asker."""
        newest = len(self.asked_us) - 1
        number = newest - (newest - asker) % ASKERS
        if number < 0:
            return
        answered_by = self.answered_by[number]
        if machine not in answered_by:
            answered_by.append(machine)
        elif machine != mac and mac not in answered_by:
            # No machine answers twice; both of these were in the queue when the switch was asked.
            answered_by.append(mac)


class Observer:
    """All questions, and all that was heard."""

    def __init__(self) -> None:
        self.talk = Conversation()
        self.sockets: dict[str, socket.socket] = {}
        self.questions: list[Question] = []
        self.heard: list[tuple[int, str, str, str]] = []
        self.advertised_us: int | None = None
        self.lateness = Lateness()
        self.table = SwitchTable({})
        self.bridges: dict[socket.socket, int] = {}

    def run(self) -> None:
        """Observe until the rehearsal closes its end."""
        undisturbed()
        while True:
            now = now_us()
            upcoming = now + _LONGEST_SLEEP_US
            for question in self.questions:
                if question.due_us <= now:
                    self.lateness.note(now - question.due_us)
                    question.ask(now)
                    question.due_us = max(question.due_us + PERIOD_US, now)
                upcoming = min(upcoming, question.due_us)
            self._wait(max(0, upcoming - now_us()) / 1_000_000)

    def _wait(self, seconds: float) -> None:
        talk = self.talk.fileno()
        by_number = {sock.fileno(): sock for sock in self.sockets.values()}
        readable, _, _ = select.select([talk, *by_number], [], [], seconds)
        for number in readable:
            if number == talk:
                for command in self.talk.commands():
                    self._obey(command)
            else:
                self._read(by_number[number])

    def _read(self, sock: socket.socket) -> None:
        while True:
            try:
                frame = sock.recv(256)
            except OSError:
                # Nothing more to read, or the interface went down for a moment.
                return
            kind, bridge = frame[12:14], self.bridges[sock]
            if kind == _ARP:
                self._heard_arp(frame, bridge)
            elif kind == _IPV6:
                self._heard_ipv6(frame, bridge)
            elif kind == _IPV4 and frame[23] == _VRRP:
                at = 14 + (frame[14] & 15) * 4
                self._note(frame, bridge, "advert", f"{frame[at + 1]}/{frame[at + 2]}/4")

    def _heard_arp(self, frame: bytes, bridge: int) -> None:
        sender, target = frame[28:32], frame[38:42]
        if sender == target:
            self._note(frame, bridge, "gratuitous", str(IPv4Address(sender)))
        elif frame[21] == 2 and frame[:5] == _ASKER:
            self._answered(sender, frame, bridge)

    def _heard_ipv6(self, frame: bytes, bridge: int) -> None:
        if frame[20] == _VRRP:
            self._note(frame, bridge, "advert", f"{frame[55]}/{frame[56]}/6")
        elif frame[20] == _ICMPV6 and frame[54] == ADVERTISEMENT:
            if frame[:5] == _ASKER:
                self._answered(frame[62:78], frame, bridge)
            elif frame[38] == 0xFF:
                self._note(frame, bridge, "gratuitous", str(IPv6Address(frame[62:78])))

    def _answered(self, address: bytes, frame: bytes, bridge: int) -> None:
        machine = self.table.sender(bridge, frame[6:12])
        for question in self.questions:
            if question.address == address:
                question.answered(frame[5], frame[6:12].hex(":"), machine)

    def _note(self, frame: bytes, bridge: int, what: str, detail: str) -> None:
        now = now_us()
        if what == "advert":
            self.advertised_us = now
        if len(self.heard) < MOST_RECORDED:
            self.heard.append((now, what, self.table.sender(bridge, frame[6:12]), detail))

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "go":
                self.table.close()
                self.table = SwitchTable(command["ports"])
                self._go(command["targets"])
                self.talk.answer({})
            case "mark":
                self.lateness.begin()
                self.talk.answer({})
            case "look":
                since = now_us() - _LOOK_BACK_US
                owners = [_lately(question, since) for question in self.questions]
                self.talk.answer({"owners": owners, "advertised_us": self.advertised_us})
            case _:
                self._halt(command["since_us"])

    def _go(self, targets: list[dict[str, Any]]) -> None:
        self.heard = []
        begin = now_us()
        self.questions = [
            Question(
                self._socket(target["interface"], target["bridge"]),
                IPv6Address(target["address"]).packed
                if ":" in target["address"]
                else IPv4Address(target["address"]).packed,
                _frames(target["address"]),
                begin,
            )
            for target in targets
        ]
        self.lateness.begin()

    def _halt(self, since_us: int) -> None:
        time.sleep(PERIOD_US / 1_000_000)
        self._wait(0)
        records = []
        for question in self.questions:
            first = next((i for i, at in enumerate(question.asked_us) if at >= since_us), len(question.asked_us))
            records.append({"at_us": question.asked_us[first:], "by": question.answered_by[first:]})
        heard = [item for item in self.heard if item[0] >= since_us]
        self.talk.answer({"questions": records, "heard": heard, **self.lateness.record()})
        self.questions = []

    def _socket(self, interface: str, bridge: str) -> socket.socket:
        if interface not in self.sockets:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
            sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            sock.bind((interface, _ETH_P_ALL))
            sock.setblocking(False)
            self.sockets[interface] = sock
            self.bridges[sock] = socket.if_nametoindex(bridge)
        return self.sockets[interface]


def _lately(question: Question, since_us: int) -> list[list[str]]:
    return [by for at, by in zip(question.asked_us, question.answered_by, strict=True) if at >= since_us]


def _frames(address: str) -> list[bytes]:
    """One request of each asker."""
    macs = [MacAddress(_ASKER + bytes([number])) for number in range(ASKERS)]
    if ":" not in address:
        return [request(mac, IPv4Address("0.0.0.0"), IPv4Address(address)).frame() for mac in macs]  # noqa: S104
    return [
        solicitation(mac, IPv6Address(f"fe80::59:6c00:{number + 1:x}"), IPv6Address(address))
        for number, mac in enumerate(macs)
    ]


if __name__ == "__main__":
    Observer().run()
