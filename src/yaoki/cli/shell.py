"""Look at the network from a node, and do nothing else: a closed list of diagnoses, each of them recorded.

Without words it asks for one after the other (`help` lists them, `exit` ends it). Nothing typed reaches a shell or a
program's options, so somebody who may use it can run nothing else, read no file and write none. Programs of the system
run as nobody (`ss` as root), and with a time limit. Who asked what, and what came of it, is among the node's events
(`yaoki events`), or where no node runs in the system's log; without either nothing is run. Exit status: 0 all is well;
1 no answer, or the program said no; 2 not understood, or not recorded.

For people who shall have this and no more, in authorized_keys of root:
  restrict,pty,command="yaoki shell --as alice" ssh-ed25519 AAAA... alice
Then `ssh root@lb1` asks, and `ssh root@lb1 ping 192.0.2.1` asks once.

examples:
  yaoki shell
  yaoki shell ping 192.0.2.1
  yaoki shell arping 192.0.2.50 3
  yaoki shell connect web1.example.org 443
  yaoki shell get http://192.0.2.50/healthz
  yaoki shell dig www.example.org AAAA 192.0.2.53
"""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from io import TextIOWrapper
from types import FrameType

from yaoki.cli.node_client import add_node_arguments
from yaoki.cli.output import print_json, talk
from yaoki.cli.shell_record import Recorder, who
from yaoki.cli.table import table
from yaoki.core.error import UsageError
from yaoki.node.diagnosis_events import DiagnosisBegun, DiagnosisEnded, DiagnosisRefused
from yaoki.runtime.diagnosis.programs import Result, Tell
from yaoki.runtime.diagnosis.reading import MAX_LINE, read
from yaoki.runtime.diagnosis.table import DIAGNOSES

ASKED_BY_SSH = "SSH_ORIGINAL_COMMAND"
"""What sshd puts there of a forced command's caller: sshd(8)."""
PACE_S = 0.25
"""One line in so much time: nobody types faster, and who pipes thousands does not push all else out of the record."""
_INTERRUPTED = Result(False, "interrupted")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--as", dest="person", metavar="NAME", help="who it is, for the record: in a forced command")
    add_node_arguments(parser)
    # Whatever follows is the diagnosis, also what looks like an option: that is refused, and recorded, like the rest.
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="DIAGNOSIS ...", help="one diagnosis; without, they are asked for"
    )


def run(args: argparse.Namespace) -> int:
    """Make one diagnosis, or ask for them."""
    shell = _Shell(Recorder(args), who(args.person), as_json=args.json)
    words = args.words or os.environ.get(ASKED_BY_SSH, "").split()
    if args.json and not words:
        raise UsageError("-j goes with one diagnosis: yaoki -j shell ping 192.0.2.1")
    with _ended_in_order():
        return shell.one(words) if words else shell.several()


class _Shell:
    def __init__(self, recorder: Recorder, person: str, *, as_json: bool) -> None:
        self._recorder = recorder
        self._person = person
        self._as_json = as_json

    def several(self) -> int:
        """Until there is nothing more; the result is that of the last one."""
        status, not_before = 0, 0.0
        if sys.stdin is None:
            return status
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        asks = sys.stdin.isatty()
        if asks:
            talk("diagnoses only, and all are recorded; help lists them, exit ends this")
        while True:
            try:
                time.sleep(max(0.0, not_before - time.monotonic()))
                if asks:
                    print("yaoki> ", end="", file=sys.stderr, flush=True)
                words = _words_of_a_line()
                if words is None or words in (["exit"], ["quit"]):
                    return status
                if words:
                    status, not_before = 1, time.monotonic() + PACE_S  # 1, if it is interrupted
                    status = self.one(words)
            except UsageError as error:
                talk(str(error))
                status = 2
            except KeyboardInterrupt:
                talk("")

    def one(self, words: Sequence[str]) -> int:
        """Make one diagnosis. Raises UsageError for what is none, and if it cannot be recorded."""
        if words in (["help"], ["?"]):
            print("\n".join(table([(each.usage, each.help) for each in DIAGNOSES])))
            return 0
        try:
            asked = read(words)
        except UsageError as error:
            self._recorder.take(DiagnosisRefused(self._person, str(error)))
            raise
        self._recorder.take(DiagnosisBegun(self._person, asked.text))
        begun = time.monotonic()
        said: list[str] = []
        tell: Tell = said.append if self._as_json else _print
        result = _INTERRUPTED
        try:
            result = asked.make(tell)
        finally:
            took = timedelta(seconds=time.monotonic() - begun)
            self._recorder.take(DiagnosisEnded(self._person, asked.text, result.said, took))
        if self._as_json:
            print_json({"asked": asked.text, "good": result.good, "result": result.said, "output": "".join(said)})
        else:
            talk(f"{asked.text}: {result.said}")
        return int(not result.good)


def _words_of_a_line() -> list[str] | None:
    """Those of the next line; None if there is none. One that is too long is one word, to be refused, and what is left
    of it is no line of its own."""
    line = part = sys.stdin.readline(MAX_LINE + 2)
    while len(part) == MAX_LINE + 2 and not part.endswith("\n"):
        part = sys.stdin.readline(MAX_LINE + 2)
    if not line:
        return None
    return line.split() if len(line) <= MAX_LINE + 1 else [line]


@contextmanager
def _ended_in_order() -> Iterator[None]:
    """Who hangs up ends a diagnosis as Ctrl-C does: what was run for it ends, too, and that is recorded."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    former = {each: signal.signal(each, leave) for each in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
