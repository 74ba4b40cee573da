"""How commands talk to a running node: its control socket, found by --run-dir or --node, or the only one there is."""

import argparse
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from yaoki.cli.prefix import expand
from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import UsageError
from yaoki.node.events import EVENT_KINDS

RUN_ROOT = Path("/run/yaoki")
STATE_ROOT = Path("/var/lib/yaoki")
TIMEOUT_S = 30.0
RUN_DIR = "YAOKI_RUN_DIR"
"""The environment variable that stands for --run-dir; set inside a node of a lab."""


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare how the node is found."""
    parser.add_argument("--node", metavar="NAME", help="the node, where several run on this machine")
    parser.add_argument(
        "--run-dir", type=Path, metavar="DIR", help=f"where its sockets are (default ${RUN_DIR} or {RUN_ROOT}/NAME)"
    )


def node_is_meant(args: argparse.Namespace, *, root: Path = RUN_ROOT) -> bool:
    """Whether the arguments name a node, or any runs here."""
    named = args.run_dir is not None or args.node is not None or RUN_DIR in os.environ
    return named or any(root.glob("*/control.sock"))


def run_dir_of(args: argparse.Namespace, *, instead: str = "", root: Path = RUN_ROOT) -> Path:
    """The run directory that the arguments mean. Raises UsageError if there is none, or a choice; `instead` says what
    can be done without a node."""
    if args.run_dir is not None:
        return Path(args.run_dir)
    if args.node is None and RUN_DIR in os.environ:
        return Path(os.environ[RUN_DIR])
    running = sorted(path.parent.name for path in root.glob("*/control.sock"))
    if args.node is not None:
        return root / (expand(args.node, running, what="running node") if running else args.node)
    if not running:
        raise UsageError(
            f"no node runs here (nothing in {root}); start one with `yaoki node --site FILE --node NAME`, "
            f"name its --run-dir, or ask one of a lab: `yaoki lab exec SITE NODE yaoki ...`{instead}"
        )
    if len(running) > 1:
        raise UsageError(f"several nodes run here; choose with --node: {', '.join(running)}")
    return root / running[0]


class NodeClient:
    """One connection to a node. Raises UsageError when the node is not there, or says no."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "control.sock"
        self._codec = Codec(EVENT_KINDS)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(TIMEOUT_S)
        try:
            self._socket.connect(str(self._path))
        except OSError as error:
            self._socket.close()
            why = error.strerror or error
            raise UsageError(f"no node answers at {self._path} ({why}); is it running, and are you root?") from error
        self._file = self._socket.makefile("rb")

    def __enter__(self) -> "NodeClient":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._socket.close()

    def ask(self, do: str, **fields: object) -> dict[str, Any]:
        """One request, one result."""
        self._send({"do": do, **fields})
        return self._result()

    def ask_for(self, type_: Any, do: str, **fields: object) -> Any:  # noqa: ANN401 - as Codec.decode
        """As `ask`, with the result as a value of `type_`."""
        return self._value(self.ask(do, **fields), type_)

    def operate(self, command: object) -> dict[str, Any]:
        """Carry out an operator's command."""
        return self.ask("operate", command=self._codec.plain(command))

    def stream(self, type_: Any, do: str, **fields: object) -> Iterator[Any]:  # noqa: ANN401
        """One request, results until the node ends it."""
        self._send({"do": do, **fields})
        if fields.get("follow"):
            self._socket.settimeout(None)
        while (result := self._maybe_result()) is not None:
            yield self._value(result, type_)

    def _value(self, plain: dict[str, Any], type_: Any) -> Any:  # noqa: ANN401
        try:
            return self._codec.value(plain, type_)
        except Undecodable as error:
            raise UsageError(
                f"the node is of another version than this command ({error.why}); `yaoki upgrade` brings it to this one"
            ) from error

    def _send(self, request: Mapping[str, object]) -> None:
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as error:
            raise UsageError(f"the node does not listen any more: {error.strerror}") from error

    def _result(self) -> dict[str, Any]:
        result = self._maybe_result()
        if result is None:
            raise UsageError("the node has ended the connection; `yaoki events` or its log say why")
        return result

    def _maybe_result(self) -> dict[str, Any] | None:
        try:
            line = self._file.readline()
        except TimeoutError as error:
            raise UsageError(f"the node has not answered in {TIMEOUT_S:g} s") from error
        except OSError:
            return None  # it has ended, or begins another life
        if not line:
            return None
        answer = json.loads(line)
        if not answer["ok"]:
            cure = f"; {answer['cure']}" if answer.get("cure") else ""
            raise UsageError(f"{answer['why']}{cure}")
        if answer.get("end"):
            return None
        result: dict[str, Any] = answer["result"]
        return result


def connect(args: argparse.Namespace, *, instead: str = "") -> NodeClient:
    """The node that the arguments mean. Raises UsageError, which says `instead` where there is none."""
    return NodeClient(run_dir_of(args, instead=instead))
