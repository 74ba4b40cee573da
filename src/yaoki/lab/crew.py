"""All probe processes of a lab together: two per client and the observer on the switch, spoken to as one.

Commands go to all of them before any answer is awaited, so they begin and end together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from yaoki.core.address import Family, IPAddress, MacAddress
from yaoki.lab.lab import Lab
from yaoki.lab.measure import Heard, OwnerRecord, ProbeRecord
from yaoki.lab.probes.process import ProbeProcess
from yaoki.lab.probes.targets import ProbeKind, Target, clients
from yaoki.lab.probes.wire import now_us
from yaoki.lab.topology import Bridge

_DATAGRAMS = frozenset({ProbeKind.UDP, ProbeKind.PINNED, ProbeKind.CONTROL})


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What a probe saw in the last few tenths of a second. `silent` counts streams that are not open or wait."""

    target: Target
    sent: int
    failed: int
    servers: frozenset[str]
    silent: int


@dataclass(frozen=True, slots=True)
class Question:
    """One VIP address that the observer asks for."""

    vip: str
    address: IPAddress
    bridge: Bridge


@dataclass(frozen=True, slots=True)
class Seen:
    """What all probes saw lately; `owners` has, for each question, who answered each of the latest requests.
    `advertised_us` is when the last VRRP advertisement was heard, on the clock of the records; None if none was."""

    glimpses: tuple[Glimpse, ...]
    owners: tuple[tuple[Question, tuple[tuple[MacAddress, ...], ...]], ...]
    advertised_us: int | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """What all probes recorded, and how late and how busy they were themselves."""

    probes: tuple[ProbeRecord, ...]
    owners: tuple[OwnerRecord, ...]
    heard: tuple[Heard, ...]
    late_ms: dict[str, float]
    cpu: float


class Crew:
    """The probes of one lab, from construction to `close`."""

    def __init__(self, lab: Lab) -> None:
        self._plan = lab.plan
        log = lab.directory / "probes.log"
        self._probes: dict[tuple[str, str], ProbeProcess] = {}
        try:
            for client in clients(lab.site):
                for kind in ("datagram", "request"):
                    self._probes[client.name, kind] = ProbeProcess(kind, lab.namespace(client.name), log=log)
            self._observer = ProbeProcess("observer", lab.plan.switch, log=log)
        except BaseException:
            self.close()
            raise
        self._targets: dict[tuple[str, str], list[Target]] = {}
        self._questions = tuple(
            Question(vip.name, address.ip, lab.plan.bridge(vip.network))
            for vip in lab.site.vips
            for address in vip.addresses
        )

    def go(self, targets: Sequence[Target], *, watching: bool = False) -> None:
        """Begin to probe; what was recorded before is forgotten, but with `watching` not by the observer."""
        self._targets = {place: [] for place in self._probes}
        for target in targets:
            self._targets[target.client, "datagram" if target.kind in _DATAGRAMS else "request"].append(target)
        for place, probe in self._probes.items():
            probe.tell({"do": "go", "targets": [_plain(target) for target in self._targets[place]]})
        self._observer.tell({"do": "mark"} if watching else self._to_ask())
        self._answers()

    def watch(self) -> None:
        """Only the observer begins, to ask who owns; the probes rest, as after `halt`."""
        self._observer.tell(self._to_ask())
        self._observer.answer()

    def watched(self) -> Seen:
        """What the observer saw lately, alone."""
        self._observer.tell({"do": "look"})
        return self._seen((), self._observer.answer())

    def halt_watch(self) -> tuple[OwnerRecord, ...]:
        """The observer ends; who owned since it began alone."""
        self._observer.tell({"do": "halt", "since_us": 0})
        return self._owned(self._observer.answer())

    def _to_ask(self) -> dict[str, Any]:
        questions = [
            {"address": str(q.address), "interface": q.bridge.observer, "bridge": q.bridge.name}
            for q in self._questions
        ]
        ports = {port.switch_port: str(port.mac) for name in self._plan.namespaces for port in name.ports}
        return {"do": "go", "targets": questions, "ports": ports}

    def seen(self) -> Seen:
        """What the probes saw lately."""
        answers = self._ask({"do": "look"})
        glimpses = []
        for place, targets in self._targets.items():
            for target, plain in zip(targets, answers[place]["streams"], strict=True):
                servers = frozenset(plain["servers"])
                glimpses.append(Glimpse(target, plain["sent"], plain["failed"], servers, plain.get("silent", 0)))
        return self._seen(tuple(glimpses), answers["", "observer"])

    def _seen(self, glimpses: tuple[Glimpse, ...], watched: dict[str, Any]) -> Seen:
        owners = [
            (question, tuple(tuple(MacAddress.parse(mac) for mac in by) for by in lately))
            for question, lately in zip(self._questions, watched["owners"], strict=True)
        ]
        return Seen(glimpses, tuple(owners), watched["advertised_us"])

    def mark(self) -> int:
        """The measuring begins; the result is the moment, on the clock of the records."""
        self._ask({"do": "mark"})
        return now_us()

    def halt(self, since_us: int, *, owned_since_us: int | None = None) -> Records:
        """End the probing; what was recorded since then, and who owned since another moment, if one is given."""
        for probe in self._probes.values():
            probe.tell({"do": "halt", "since_us": since_us})
        self._observer.tell({"do": "halt", "since_us": since_us if owned_since_us is None else owned_since_us})
        answers = self._answers()
        probes = [
            ProbeRecord(target, plain["at_us"], plain["ok"], plain.get("cut", 0), tuple(plain.get("failures", ())))
            for place, targets in self._targets.items()
            for target, plain in zip(targets, answers[place]["streams"], strict=True)
        ]
        watched = answers["", "observer"]
        return Records(
            tuple(probes),
            self._owned(watched),
            tuple(Heard(*item) for item in watched["heard"] if item[0] >= since_us),
            {f"{kind} probe": answer["late_us"] / 1000 for (_, kind), answer in answers.items()},
            sum(answer["cpu"] for answer in answers.values()),
        )

    def _owned(self, watched: dict[str, Any]) -> tuple[OwnerRecord, ...]:
        return tuple(
            OwnerRecord(question.vip, Family.of(question.address), plain["at_us"], plain["by"])
            for question, plain in zip(self._questions, watched["questions"], strict=True)
        )

    def close(self) -> None:
        """End the processes."""
        for probe in self._probes.values():
            probe.close()
        if hasattr(self, "_observer"):
            self._observer.close()

    def _ask(self, command: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
        for probe in (*self._probes.values(), self._observer):
            probe.tell(command)
        return self._answers()

    def _answers(self) -> dict[tuple[str, str], dict[str, Any]]:
        answers = {place: probe.answer() for place, probe in self._probes.items()}
        return {**answers, ("", "observer"): self._observer.answer()}


def _plain(target: Target) -> dict[str, Any]:
    return {
        "kind": target.kind.value,
        "address": str(target.address),
        "port": target.port,
        "period_us": target.period_us,
        "server": target.server,
    }
