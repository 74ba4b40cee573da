"""The I/O of the http check: one request over plain TCP or TLS, parsed by h11."""

import socket
import ssl
from collections.abc import Generator

import h11

from yaoki.checks import http
from yaoki.checks.check import Finding, HttpParams
from yaoki.checks.failure import not_run, wrong_answer
from yaoki.runtime.probes import tls
from yaoki.runtime.probes.loop import READABLE, WRITABLE, Job, Probe, Wait
from yaoki.runtime.probes.sockets import address_of, connecting, open_stream
from yaoki.runtime.secret_file import SecretUnavailable, read_secret

_AT_ONCE = 65536


def probe(job: Job) -> Probe:
    """Connect, ask, read as much as the judgement needs."""
    check = job.spec.id
    params = check.params
    assert isinstance(params, HttpParams)
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=http.MAX_HEAD)
    try:
        secret = None if params.authorization is None else read_secret(params.authorization)
        headers = list(http.request_headers(check, params, authorization=secret))
        request = connection.send(h11.Request(method=params.method, target=params.path, headers=headers))
    except SecretUnavailable as error:
        return not_run(str(error), job.took())
    except h11.LocalProtocolError as error:
        return not_run(f"not a valid request: {error}", job.took())
    assert request is not None
    sock = open_stream(check)
    try:
        yield from connecting(sock, address_of(check.target, params.port))
        if params.tls:
            sock = secured = tls.wrapped(sock, check, server_name=params.host, verify=params.verify)
            yield from tls.shaking_hands(secured)
        yield from _sending(sock, request)
        return (yield from _reading(job, sock, connection, params))
    except ssl.SSLError as error:
        return tls.failed(error, job)
    except h11.RemoteProtocolError as error:
        return wrong_answer(f"not HTTP: {str(error).partition(':')[0]}", job.took())
    finally:
        sock.close()


def _sending(sock: socket.socket, data: bytes) -> Generator[Wait, None, None]:
    while data:
        try:
            data = data[sock.send(data) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            yield Wait(sock.fileno(), WRITABLE, "room to send the request")
        except ssl.SSLWantReadError:
            yield Wait(sock.fileno(), READABLE, "room to send the request")


def _reading(job: Job, sock: socket.socket, connection: h11.Connection, params: HttpParams) -> Probe:
    """Ends with the response's head if its body is of no interest, else with its end or after `within` octets."""
    response: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        assert event is not h11.PAUSED, "we offer no change of protocol, so h11 never waits for one"
        match event:
            case h11.NEED_DATA:
                data = yield from _receiving(sock, "HTTP response" if response is None else "end of the body")
                if response is None and not data:
                    return wrong_answer("closed without an answer", job.took())
                connection.receive_data(data)
                continue
            case h11.Response():
                response = event
            case h11.Data():
                body += event.data
            case _:  # an interim response, or the end
                pass
        ended = isinstance(event, h11.EndOfMessage) or len(body) >= params.within
        if response is not None and (ended or not http.wants_body(params)):
            return _judged(params, response, bytes(body[: params.within]), job)


def _receiving(sock: socket.socket, what: str) -> Generator[Wait, None, bytes]:
    """One read. It waits first each time, so that a server that never stops talking cannot keep the others waiting."""
    while True:
        if not (isinstance(sock, ssl.SSLSocket) and sock.pending()):
            yield Wait(sock.fileno(), READABLE, what)
        try:
            return sock.recv(_AT_ONCE)
        except (BlockingIOError, ssl.SSLWantReadError):
            continue
        except ssl.SSLWantWriteError:
            yield Wait(sock.fileno(), WRITABLE, what)


def _judged(params: HttpParams, response: h11.Response, body: bytes, job: Job) -> Finding:
    headers = tuple((bytes(name), bytes(value)) for name, value in response.headers)
    return http.judge(params, http.Response(response.status_code, headers, body), job.took())
