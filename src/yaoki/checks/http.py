"""The http check (RFC 9112): one request, and what its response must be.

Bodies are read up to `within` octets; what lies beyond cannot make a check pass or fail. A status outside the list is
told before a wrong header, and that before a wrong body: the first one is what an operator wants to know.
"""

import re
from dataclasses import dataclass
from datetime import timedelta

from yaoki.checks.check import CheckId, Finding, HttpParams
from yaoki.checks.failure import passed, wrong_answer

MAX_HEAD = 65536
"""Octets of status line and header; more is a wrong answer."""
_SHOWN = 60
"""Characters of a header or body that are shown as evidence."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back: status, header fields as they stand, and the first octets of the content."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes


def host_of(check: CheckId, params: HttpParams) -> str:
    """The Host field: as configured, else the target, with its port unless that is the scheme's own."""
    if params.host is not None:
        return params.host
    host = f"[{check.target}]" if check.target.version == 6 else str(check.target)
    return host if params.port == (443 if params.tls else 80) else f"{host}:{params.port}"


def request_headers(
    check: CheckId, params: HttpParams, *, authorization: str | None = None
) -> tuple[tuple[str, str], ...]:
    """The header fields of the request; the connection serves this one only. `authorization` is the secret's value."""
    credentials = () if authorization is None else (("Authorization", authorization),)
    return (
        ("Host", host_of(check, params)),
        ("User-Agent", "yaoki-check"),
        ("Accept", "*/*"),
        ("Connection", "close"),
        *credentials,
    )


def wants_body(params: HttpParams) -> bool:
    """Whether the content has to be read at all; without, the verdict is known with the header."""
    return params.body is not None and params.method != "HEAD"


def judge(params: HttpParams, response: Response, took: timedelta) -> Finding:
    """Of a response, complete or cut at `within`."""
    if response.status not in params.status:
        return wrong_answer(f"HTTP {response.status}", took)
    if params.header is not None:
        name, pattern = params.header
        values = [value for field, value in response.headers if field.lower() == name.lower().encode()]
        if not any(re.search(pattern, value.decode("latin-1")) for value in values):
            found = b", ".join(values).decode("latin-1")[:_SHOWN] if values else "absent"
            return wrong_answer(f"HTTP {response.status}, {name}: {found}", took)
    if params.body is not None and not re.search(params.body, response.body.decode(errors="replace")):
        excerpt = response.body[:_SHOWN].decode(errors="replace")
        return wrong_answer(f"HTTP {response.status}, body does not match: {excerpt!r}", took)
    return passed(f"HTTP {response.status}", took)
