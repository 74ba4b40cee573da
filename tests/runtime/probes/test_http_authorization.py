"""The http probe sends a secret by reference, and says nothing of its value when it cannot."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtime.probes.conftest import RunProbe, Serve
from yaoki.checks.check import HttpParams, Outcome
from yaoki.core.secret import SecretRef
from yaoki.runtime.secret_file import DIRECTORY_VARIABLE


@pytest.fixture
def secrets(tmp_path: Path) -> Iterator[Path]:
    before = os.environ.get(DIRECTORY_VARIABLE)
    os.environ[DIRECTORY_VARIABLE] = str(tmp_path)
    yield tmp_path
    if before is None:
        del os.environ[DIRECTORY_VARIABLE]
    else:
        os.environ[DIRECTORY_VARIABLE] = before


def test_the_secret_is_sent_and_the_body_searched_as_far_as_asked(
    secrets: Path, serve: Serve, run_probe: RunProbe
) -> None:
    (secrets / "token").write_text("Bearer abc\n")
    (secrets / "token").chmod(0o600)
    heard: list[bytes] = []

    def behave(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += connection.recv(4096)
        heard.append(request)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n" + b"." * 1990 + b"allisgood\n")

    port = serve(behave)
    wanted = {"body": "good", "authorization": SecretRef("token")}
    assert run_probe(HttpParams(port, within=2000, **wanted)).passed  # type: ignore[arg-type]  # fields of many types
    assert b"\r\nAuthorization: Bearer abc\r\n" in heard[0]
    assert run_probe(HttpParams(port, within=1000, **wanted)).outcome is Outcome.WRONG_ANSWER  # type: ignore[arg-type]


def test_without_the_secret_the_probe_is_not_run(secrets: Path, serve: Serve, run_probe: RunProbe) -> None:
    asked: list[bool] = []
    port = serve(lambda _: asked.append(True))
    finding = run_probe(HttpParams(port, authorization=SecretRef("token")))
    assert finding.outcome is Outcome.NOT_RUN
    assert finding.evidence == f"secret token: {secrets / 'token'}: No such file or directory"
    assert asked == []
