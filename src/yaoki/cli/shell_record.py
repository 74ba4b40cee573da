"""Who uses the diagnostic shell, and where that is recorded: by the node, or without one in the system's log."""

import argparse
import os
import pwd
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from yaoki.cli.node_client import NodeClient, node_is_meant, run_dir_of
from yaoki.core.address import parse_address
from yaoki.core.codec import Codec
from yaoki.core.error import UsageError
from yaoki.node.diagnosis_events import DiagnosisEvent, DiagnosisRefused
from yaoki.node.events import EVENT_KINDS
from yaoki.node.wording import sentence
from yaoki.runtime.diagnosis.programs import printable

SYSTEM_LOG = Path("/dev/log")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_NOBODY = 0xFFFFFFFF
"""What the kernel says of a process that nobody has logged in for."""
_AUTHORITY, _WARNING, _NOTICE = 10 << 3, 4, 5
"""RFC 5424: facility authpriv, and severities."""


class Recorder:
    """Takes what is to be recorded, in the node's place of record or the system's."""

    def __init__(self, args: argparse.Namespace, *, system_log: Path = SYSTEM_LOG) -> None:
        self._run_dir = run_dir_of(args) if node_is_meant(args) else None
        self._codec = Codec(EVENT_KINDS)
        self._system_log = system_log

    def take(self, told: DiagnosisEvent) -> None:
        """Record it. Raises UsageError if it is recorded nowhere."""
        why = "no node runs here"
        if self._run_dir is not None:
            try:
                with NodeClient(self._run_dir) as node:
                    node.ask("record", told=self._codec.plain(told))
                return
            except UsageError as error:
                why = str(error)
        severity = _WARNING if isinstance(told, DiagnosisRefused) else _NOTICE
        line = f"<{_AUTHORITY | severity}>yaoki-shell: {printable(sentence(told))}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
                log.connect(str(self._system_log))
                log.send(line.encode())
        except OSError as error:
            raise UsageError(
                f"what is asked cannot be recorded, so nothing is run: {why}; nor does the system's log "
                f"({self._system_log}: {error.strerror})"
            ) from error


def who(
    person: str | None = None,
    environment: Mapping[str, str] = os.environ,
    loginuid: Path = Path("/proc/self/loginuid"),
) -> str:
    """The account that logged in, as the kernel knows it, else that of this process; with the name that was given for
    the person, and the address that they came from. Raises UsageError for what is no name."""
    if person is not None and _PERSON.fullmatch(person) is None:
        raise UsageError("--as takes a name of letters, digits and . _ @ -")
    uid = os.getuid()
    with suppress(OSError, ValueError):
        logged_in = int(loginuid.read_text())
        uid = uid if logged_in == _NOBODY else logged_in
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"account {uid}"
    if person is not None:
        name = f"{person} ({name})"
    with suppress(ValueError):
        client, _, _ = environment.get("SSH_CONNECTION", "").partition(" ")
        name += f" from {parse_address(client)}"
    return name
