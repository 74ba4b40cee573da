"""The messages of etcd's JSON gateway (etcd 3.4 and later, under /v3) that leases need, as values.

The gateway writes octets in base64, 64-bit numbers as text, and leaves out whatever is zero, empty or false.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

from yaoki.core.error import YaokiError
from yaoki.election.store import ABSENT, KeyState, NotSwapped, Swapped

RANGE = "/v3/kv/range"
TXN = "/v3/kv/txn"
WATCH = "/v3/watch"


class GatewayError(YaokiError):
    """The gateway refused, or what it said cannot be understood."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The keys of a range as of one revision of the store."""

    revision: int
    keys: dict[str, KeyState]


@dataclass(frozen=True, slots=True)
class News:
    """A message of a watch: writes in their order, each of a key. `compacted`: the revisions asked for are gone from
    the store, so the keys must be read anew."""

    writes: tuple[tuple[str, KeyState], ...]
    compacted: bool


def range_of_key(key: str) -> bytes:
    """Read one key, linearizably."""
    return _encode({"key": _text(key)})


def range_of_prefix(prefix: str) -> bytes:
    """Read every key that begins so."""
    return _encode({"key": _text(prefix), "range_end": _end_of(prefix)})


def swap(key: str, expected: int, value: bytes) -> bytes:
    """Write the key if its revision is the expected one (0: if it does not exist), else read it."""
    return _encode(
        {
            "compare": [{"target": "MOD", "result": "EQUAL", "key": _text(key), "mod_revision": str(expected)}],
            "success": [{"request_put": {"key": _text(key), "value": b64encode(value).decode()}}],
            "failure": [{"request_range": {"key": _text(key)}}],
        }
    )


def watch_of_prefix(prefix: str, start_revision: int) -> bytes:
    """Report writes of keys that begin so, from this revision on."""
    wish = {"key": _text(prefix), "range_end": _end_of(prefix), "start_revision": str(start_revision)}
    return _encode({"create_request": wish})


def read_key(answer: bytes) -> KeyState:
    """The answer to `range_of_key`."""
    return _only_key(_decode(answer))


def read_snapshot(answer: bytes) -> Snapshot:
    """The answer to `range_of_prefix`."""
    plain = _decode(answer)
    try:
        keys = dict(_key(each) for each in plain.get("kvs", ()))
        return Snapshot(int(plain["header"]["revision"]), keys)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(answer, error) from error


def read_swap(answer: bytes) -> Swapped | NotSwapped:
    """The answer to `swap`."""
    plain = _decode(answer)
    try:
        if plain.get("succeeded", False):
            return Swapped(int(plain["header"]["revision"]))
        return NotSwapped(_only_key(plain["responses"][0]["response_range"]))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise _not_understood(answer, error) from error


def read_news(line: bytes) -> News:
    """One line of a watch."""
    plain = _decode(line)
    try:
        result = plain["result"]
        compacted = int(result.get("compact_revision", 0)) > 0
        if result.get("canceled", False) and not compacted:
            raise GatewayError(f"the watch was ended: {result.get('cancel_reason', 'no reason given')}")
        # A deleted key is no write: nobody of us deletes one, and the next swap finds it gone.
        writes = tuple(_key(event["kv"]) for event in result.get("events", ()) if event.get("type", "PUT") == "PUT")
        return News(writes, compacted)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(line, error) from error


def read_refusal(status: int, body: bytes) -> GatewayError:
    """Why a request was refused."""
    try:
        why = json.loads(body)["message"]
    except (ValueError, KeyError, TypeError):
        why = body[:200].decode(errors="replace")
    return GatewayError(f"HTTP {status}: {why}")


def _decode(answer: bytes) -> dict[str, Any]:
    try:
        plain = json.loads(answer)
    except ValueError as error:
        raise _not_understood(answer, error) from error
    if not isinstance(plain, dict):
        raise _not_understood(answer, TypeError("no object"))
    if "error" in plain:
        refusal = plain["error"]
        raise GatewayError(str(refusal.get("message", refusal) if isinstance(refusal, dict) else refusal))
    return plain


def _only_key(plain: dict[str, Any]) -> KeyState:
    try:
        keys = plain.get("kvs", ())
        return _key(keys[0])[1] if keys else KeyState(ABSENT, None)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(str(plain).encode(), error) from error


def _key(plain: dict[str, Any]) -> tuple[str, KeyState]:
    name = b64decode(plain["key"], validate=True).decode()
    return name, KeyState(int(plain["mod_revision"]), b64decode(plain.get("value", ""), validate=True))


def _text(key: str) -> str:
    return b64encode(key.encode()).decode()


def _end_of(prefix: str) -> str:
    """The first key that no longer begins so: the last octet plus one. UTF-8 never contains the octet 255."""
    octets = prefix.encode()
    return b64encode(octets[:-1] + bytes([octets[-1] + 1])).decode()


def _encode(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()


def _not_understood(answer: bytes, error: Exception) -> GatewayError:
    return GatewayError(f"not understood: {type(error).__name__}: {error} in {answer[:200].decode(errors='replace')}")
