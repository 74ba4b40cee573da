"""Three real etcd on the loopback, with every port chosen by the kernel, and their data in memory where that can be:
what is measured here is Yaoki and etcd's protocol, not a disk that others use too.
"""

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from yaoki.election.store import Endpoint, EtcdStore

HEARTBEAT_MS = 50
ELECTION_MS = 500
PREFIX = "yaoki/test/"


class EtcdCluster:
    """Starts on entering, and waits for a leader. Members are numbered 0, 1, 2. `certificates`, if given, holds ca.pem,
    etcd.pem, etcd.key, node.pem and node.key: clients are then served by TLS only, and only with a certificate."""

    def __init__(self, members: int = 3, certificates: Path | None = None) -> None:
        self._certificates = certificates
        shared = Path("/dev/shm")
        self._dir = Path(tempfile.mkdtemp(prefix="ykh-etcd-", dir=shared if shared.is_dir() else None))
        ports = _free_ports(2 * members)
        self.client_ports, self._peer_ports = ports[:members], ports[members:]
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        for number in range(len(self.client_ports)):
            self._processes.append(self._start(number, "new"))
        self.wait_for_leader()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        shutil.rmtree(self._dir, ignore_errors=True)

    @property
    def spec(self) -> EtcdStore:
        at = self._certificates
        if at is None:
            return EtcdStore(tuple(Endpoint("127.0.0.1", port) for port in self.client_ports), PREFIX)
        endpoints = tuple(Endpoint("127.0.0.1", port, tls=True) for port in self.client_ports)
        return EtcdStore(endpoints, PREFIX, str(at / "ca.pem"), str(at / "node.pem"), str(at / "node.key"))

    def leader(self) -> int | None:
        """The member that the others follow, if one answers."""
        for number in range(len(self.client_ports)):
            status = self._post(number, "/v3/maintenance/status")
            if status is not None and int(status.get("leader", "0")) != 0:
                heads = [self._post(each, "/v3/maintenance/status") for each in range(len(self.client_ports))]
                ids = [None if head is None else head["header"]["member_id"] for head in heads]
                return ids.index(status["leader"]) if status["leader"] in ids else None
        return None

    def wait_for_leader(self, *, within_s: float = 30) -> int:
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            leader = self.leader()
            if leader is not None and self._post(leader, "/v3/kv/range", b'{"key":"YQ=="}') is not None:
                return leader
            time.sleep(0.05)
        raise AssertionError(f"etcd has no leader after {within_s} s")

    def kill(self, number: int) -> None:
        self._processes[number].kill()
        self._processes[number].wait()

    def restart(self, number: int) -> None:
        """Start a killed member again with the data it had."""
        self._processes[number] = self._start(number, "existing")

    def pause(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGSTOP)

    def resume(self, number: int) -> None:
        self._processes[number].send_signal(signal.SIGCONT)

    def ctl(self, *words: str) -> str:
        """etcdctl with these words."""
        endpoints = ",".join(f"127.0.0.1:{port}" for port in self.client_ports)
        command = ["etcdctl", "--endpoints", endpoints, *words]
        environment = {**os.environ, "ETCDCTL_API": "3"}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True, timeout=20).stdout

    @property
    def _scheme(self) -> str:
        return "http" if self._certificates is None else "https"

    @property
    def _tls(self) -> ssl.SSLContext | None:
        if self._certificates is None:
            return None
        context = ssl.create_default_context(cafile=self._certificates / "ca.pem")
        context.load_cert_chain(self._certificates / "node.pem", self._certificates / "node.key")
        return context

    def _start(self, number: int, state: str) -> subprocess.Popen[bytes]:
        peers = [f"http://127.0.0.1:{port}" for port in self._peer_ports]
        client = f"{self._scheme}://127.0.0.1:{self.client_ports[number]}"
        words = {
            "name": f"e{number}",
            "data-dir": str(self._dir / f"e{number}"),
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peers[number],
            "initial-advertise-peer-urls": peers[number],
            "initial-cluster": ",".join(f"e{each}={url}" for each, url in enumerate(peers)),
            "initial-cluster-state": state,
            "heartbeat-interval": str(HEARTBEAT_MS),
            "election-timeout": str(ELECTION_MS),
            "logger": "zap",
            "log-level": "error",
        }
        if self._certificates is not None:
            for name, file in (("trusted-ca-file", "ca.pem"), ("cert-file", "etcd.pem"), ("key-file", "etcd.key")):
                words[name] = str(self._certificates / file)
        arguments = [word for name, value in words.items() for word in (f"--{name}", value)]
        if self._certificates is not None:
            arguments.append("--client-cert-auth")
        return subprocess.Popen(
            ["etcd", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def _post(self, number: int, path: str, body: bytes = b"{}") -> dict[str, Any] | None:
        url = f"{self._scheme}://127.0.0.1:{self.client_ports[number]}{path}"
        try:
            with urllib.request.urlopen(url, body, timeout=0.5, context=self._tls) as answer:
                plain: dict[str, Any] = json.load(answer)
                return plain
        except (OSError, ValueError):
            return None


def make_certificates(directory: Path) -> None:
    """A signer, a certificate of the members and one of a node. The members' is for clients too: the JSON gateway is a
    client of its own member."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=directory, check=True, capture_output=True, timeout=30)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=signer", "-days", "2")
    for name, usage in (("etcd", "serverAuth,clientAuth"), ("node", "clientAuth")):
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        (directory / "extensions").write_text(f"extendedKeyUsage={usage}\nsubjectAltName=IP:127.0.0.1\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "extensions")
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
