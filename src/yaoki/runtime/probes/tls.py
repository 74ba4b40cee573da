"""The I/O of the tls check, and of TLS under https."""

import socket
import ssl
from collections.abc import Generator
from datetime import UTC, datetime
from functools import cache

from yaoki.checks import tls
from yaoki.checks.check import CheckId, Finding, TlsParams
from yaoki.checks.failure import wrong_answer
from yaoki.runtime.probes.loop import READABLE, WRITABLE, Job, Probe, Wait
from yaoki.runtime.probes.sockets import address_of, connecting, open_stream


def probe(job: Job) -> Probe:
    """Connect, shake hands, look at the certificate."""
    check = job.spec.id
    params = check.params
    assert isinstance(params, TlsParams)
    sock = open_stream(check)
    try:
        yield from connecting(sock, address_of(check.target, params.port))
        sock = secured = wrapped(sock, check, server_name=params.server_name, verify=params.verify)
        yield from shaking_hands(secured)
        certificate = secured.getpeercert(binary_form=True) or b""
        now = datetime.now(UTC)  # noqa: TID251 - certificates are dated by the wall
        return tls.judge(params, certificate, secured.version() or "TLS", now=now, took=job.took())
    except ssl.SSLError as error:
        return failed(error, job)
    finally:
        sock.close()


def wrapped(sock: socket.socket, check: CheckId, *, server_name: str | None, verify: bool) -> ssl.SSLSocket:
    """A TLS socket on a connected one, before its handshake. To verify without a name is to verify the address."""
    name = server_name if server_name is not None or not verify else str(check.target)
    return context(verify).wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False)


def shaking_hands(sock: ssl.SSLSocket) -> Generator[Wait, None, None]:
    """The handshake. Raises ssl.SSLError."""
    while True:
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            yield Wait(sock.fileno(), READABLE, "TLS handshake")
        except ssl.SSLWantWriteError:
            yield Wait(sock.fileno(), WRITABLE, "TLS handshake")
        else:
            return


def failed(error: ssl.SSLError, job: Job) -> Finding:
    """The TLS library's refusal, in its own words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return wrong_answer(f"certificate: {error.verify_message}", job.took())
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
        return wrong_answer("closed during the TLS handshake", job.took())
    words = (error.reason or "handshake failed").replace("_", " ").lower()
    return wrong_answer(f"TLS: {words}", job.took())


@cache
def context(verify: bool) -> ssl.SSLContext:
    """Made once each: reading the system's authorities takes milliseconds."""
    if verify:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
