"""A probe process as the rehearsal sees it: started once, asked many times."""

import json
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from yaoki.core.error import ActuatorError
from yaoki.lab.namespaces import start_talking

_ANSWER_LIMIT_S = 10.0
_END_LIMIT_S = 2.0


class ProbeLost(ActuatorError):
    """A probe has died or does not answer: nothing can be measured any more."""


class ProbeProcess:
    """One of `datagram`, `request`, `observer`, running in a namespace."""

    def __init__(self, kind: str, namespace: str, *, log: Path) -> None:
        self.kind = kind
        with log.open("ab") as out:
            self._process = start_talking(namespace, [sys.executable, "-m", f"yaoki.lab.probes.{kind}"], log=out)
        self._buffer = b""

    def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its answer. Raises ProbeLost if it has died or does not answer."""
        self.tell(command)
        return self.answer()

    def tell(self, command: dict[str, Any]) -> None:
        """Send a command; `answer` must follow."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise ProbeLost(f"{self.kind} probe", f"has ended with status {self._process.wait()}") from error

    def answer(self) -> dict[str, Any]:
        """The answer to the command that was sent first of those unanswered."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + _ANSWER_LIMIT_S
        while b"\n" not in self._buffer:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise ProbeLost(f"{self.kind} probe", f"has not answered for {_ANSWER_LIMIT_S:g} s ({self._doing()})")
            data = self._process.stdout.read1(1 << 20)  # type: ignore[attr-defined] # IO[bytes] is a BufferedReader
            if not data:
                raise ProbeLost(f"{self.kind} probe", f"has ended with status {self._process.wait()}")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        found = json.loads(line)
        assert isinstance(found, dict)
        return found

    def _doing(self) -> str:
        """What the kernel says of the process: its state, where it waits, its CPU time in ticks."""
        process = Path(f"/proc/{self._process.pid}")
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            return (
                f"state {fields[0]}, waits in {(process / 'wchan').read_text() or '-'}, CPU {fields[11]}+{fields[12]}"
            )
        except (OSError, IndexError) as error:
            return str(error)

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue
        try:
            self._process.wait(_END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
