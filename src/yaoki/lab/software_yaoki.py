"""Yaoki on the nodes of a lab: the real daemon, asked over its real control socket."""

import json
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaoki.checks.events import CheckFell
from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import ActuatorError
from yaoki.core.event import EventBody
from yaoki.lab import namespaces
from yaoki.lab.events import LabEvent, Turn
from yaoki.lab.lab import Lab
from yaoki.lab.software import Part
from yaoki.lb.plane import PlaneReason
from yaoki.lb.service import PlaneWish
from yaoki.node.brain_events import BalancerApplied, FlowsRemoved
from yaoki.node.events import EVENT_KINDS
from yaoki.node.messages import RouterState
from yaoki.pool.member import Health
from yaoki.runtime.event_log import LoggedEvent
from yaoki.vrrp.events import BecameActive

_ANSWER_LIMIT_S = 10.0
_LATEST_EVENTS = 2000


class Yaoki:
    """Runs `yaoki node` on the nodes of a lab; `environment` is put on top of our own."""

    name = "yaoki"
    reconfigures = True

    def __init__(self, lab: Lab, *, environment: Mapping[str, str] | None = None) -> None:
        self._lab = lab
        self._environment = environment
        self._codec = Codec(EVENT_KINDS)

    def start(self, node: str) -> None:
        command = [sys.executable, "-m", "yaoki.cli", "node", "--site", str(self._lab.file), "--node", node]
        command += ["--run-dir", str(self.run_directory(node)), "--state-dir", str(self._state_directory(node))]
        self._lab.start_process(node, command, log="node.log", environment=self._environment)

    def stop(self, node: str) -> None:
        namespaces.send_signal(self.processes(node, Part.MAIN), signal.SIGTERM)

    def restart(self, node: str) -> None:
        self._ask(node, {"do": "restart"})

    def apply(self, node: str, file: Path) -> None:
        self._ask(node, {"do": "apply", "file": str(file), "force": True})

    def processes(self, node: str, part: Part) -> tuple[int, ...]:
        found = namespaces.processes([self._lab.namespace(node)])
        return tuple(pid for pid in found if _belongs(namespaces.command_line(pid), part))

    def forget(self, node: str) -> None:
        """After a stop that is still going on, or with a part left behind by a kill, what is left keeps what it has."""
        _ = node
        self._lab.reap()

    def missing(self, node: str) -> str | None:
        try:
            status = self._ask(node, {"do": "status", "counted": False})
        except ActuatorError as error:
            return error.why
        return next(_missing(status), None)

    def events(self, node: str, since_us: int) -> tuple[LabEvent, ...]:
        try:
            found = list(self._logged(node))
        except (OSError, Undecodable, ActuatorError):
            return ()
        events = ((logged.event.at.us, _turn(logged.event.body)) for logged in found)
        return tuple(LabEvent(at, node, turn[0], turn[1]) for at, turn in events if turn is not None and at >= since_us)

    def run_directory(self, node: str) -> Path:
        """Where the node's sockets are, for `yaoki status --run-dir`."""
        return self._lab.machine_directory(node) / "run"

    def _state_directory(self, node: str) -> Path:
        return self._lab.machine_directory(node) / "state"

    def _ask(self, node: str, request: dict[str, Any]) -> dict[str, Any]:
        """One request, one result. Raises ActuatorError if the node is not there or says no."""
        what = f"{request['do']} on {node}"
        try:
            answer = next(self._conversation(node, request))
        except (OSError, StopIteration) as error:
            raise ActuatorError(what, "the node does not answer") from error
        if not answer["ok"]:
            raise ActuatorError(what, str(answer["why"]))
        result: dict[str, Any] = answer["result"]
        if result.get("problems"):
            raise ActuatorError(what, "; ".join(result["problems"]))
        return result

    def _logged(self, node: str) -> Iterator[LoggedEvent]:
        """The latest events; a second request behind the first tells where they end."""
        for answer in self._conversation(node, {"do": "events", "last": _LATEST_EVENTS}, {"do": "life"}):
            if not answer["ok"] or answer["result"].get("is") != LoggedEvent.__name__:
                return
            yield self._codec.value(answer["result"], LoggedEvent)

    def _conversation(self, node: str, *requests: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_ANSWER_LIMIT_S)
            connection.connect(str(self.run_directory(node) / "control.sock"))
            connection.sendall("".join(json.dumps(request) + "\n" for request in requests).encode())
            with connection.makefile("rb") as lines:
                for line in lines:
                    yield json.loads(line)


def _belongs(arguments: tuple[str, ...], part: Part) -> bool:
    ours = any(argument == "yaoki.cli" or argument.startswith("yaoki.runtime.") for argument in arguments)
    match part:
        case Part.ALL:
            return ours
        case Part.MAIN:
            return "yaoki.cli" in arguments and "node" in arguments
        case Part.SPEAKER:
            return "yaoki.runtime.speaker" in arguments


def _missing(status: dict[str, Any]) -> Iterator[str]:
    for part in status["parts"]:
        if not part["reached"]:
            yield f"its {part['part']} is out of reach"
    for router in status["routers"]:
        takes_part = router["state"] in (RouterState.ACTIVE.value, RouterState.BACKUP.value)
        if not takes_part and not router["withdrawn"]:
            yield f"{router['vip']} is {router['state'] or 'unknown'}"
    for service in status["services"]:
        plane, wanted = service["plane"], service["enabled"] and PlaneWish(service["wished_plane"]).is_bpf
        if wanted and (plane is None or plane["reason"] == PlaneReason.UNABLE.value):
            yield f"{service['name']} is not on BPF: {'no plane has it yet' if plane is None else plane['why']}"
        for server in service["servers"]:
            if service["enabled"] and server["health"] != Health.UP.value:
                yield f"{server['name']} of {service['name']} is {server['health']}"


def _turn(body: EventBody) -> tuple[Turn, str] | None:
    match body:
        case BecameActive(vip=vip):
            return Turn.TOOK_OVER, vip
        case CheckFell(name=name):
            return Turn.SERVER_FELL, name
        case BalancerApplied() | FlowsRemoved():
            return Turn.APPLIED, ""
        case _:
            return None
