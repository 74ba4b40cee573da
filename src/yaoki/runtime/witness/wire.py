"""The part of etcd's JSON gateway that the witness serves: requests to values, and answers to octets.

It is the other half of yaoki.runtime.stores.gateway, which says how the gateway writes. What a client may ask beyond
that is refused, never half understood: a swap has one comparison of a key's revision and one write of the same key.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from yaoki.core.error import YaokiError
from yaoki.election.store import ABSENT, KeyState, NotSwapped, Swapped
from yaoki.runtime.stores.gateway import RANGE, TXN, WATCH
from yaoki.runtime.witness.ledger import Write


class NotServed(YaokiError):
    """A request that the witness does not understand or does not serve; the text is for the client."""

    def __init__(self, status: int, why: str) -> None:
        self.status = status
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class Keys:
    """One key, or with `end` those from `first` on that come before it, in the order of their octets."""

    first: str
    end: bytes | None = None

    def holds(self, key: str) -> bool:
        if self.end is None:
            return key == self.first
        return self.first.encode() <= key.encode() < self.end


@dataclass(frozen=True, slots=True)
class Read:
    """Read some keys."""

    keys: Keys


@dataclass(frozen=True, slots=True)
class Swap:
    """Write a key if its revision is the expected one, else read it."""

    key: str
    expected: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Watch:
    """Report writes of some keys from a revision on."""

    keys: Keys
    start: int


Wish = Read | Swap | Watch


def read_wish(path: str, body: bytes) -> Wish:
    """Raises NotServed."""
    if path not in (RANGE, TXN, WATCH):
        raise NotServed(404, f"a witness does not serve {path}")
    try:
        plain = json.loads(body)
        if path == RANGE:
            return Read(_keys(plain))
        if path == TXN:
            return _swap(plain)
        wish = plain["create_request"]
        return Watch(_keys(wish), int(wish.get("start_revision", 0)))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise NotServed(400, f"not understood: {type(error).__name__}: {error}") from error


def _swap(plain: Mapping[str, Any]) -> Swap:
    (compare,), (success,), (failure,) = plain["compare"], plain["success"], plain["failure"]
    put, read = success["request_put"], failure["request_range"]
    if compare["target"] != "MOD" or compare.get("result", "EQUAL") != "EQUAL":
        raise ValueError("a witness compares a key's mod_revision for equality, and nothing else")
    if not compare["key"] == put["key"] == read["key"] or "range_end" in read:
        raise ValueError("a witness compares, writes and reads one and the same key")
    return Swap(_octets(put["key"]).decode(), int(compare.get("mod_revision", 0)), _octets(put.get("value", "")))


def _keys(plain: Mapping[str, Any]) -> Keys:
    end = plain.get("range_end")
    return Keys(_octets(plain["key"]).decode(), None if end is None else _octets(end))


def read_answer(revision: int, found: Mapping[str, KeyState]) -> bytes:
    """To Read: the revision of the store, and the keys that exist."""
    kvs = [_kv(key, state) for key, state in found.items() if state.revision != ABSENT]
    return _encode({"header": _header(revision), "kvs": kvs, "count": str(len(kvs))})


def swap_answer(key: str, result: Swapped | NotSwapped) -> bytes:
    """To Swap."""
    match result:
        case Swapped(revision):
            return _encode({"header": _header(revision), "succeeded": True, "responses": [{"response_put": {}}]})
        case NotSwapped(state):
            kvs = [] if state.revision == ABSENT else [_kv(key, state)]
            return _encode({"header": _header(state.revision), "responses": [{"response_range": {"kvs": kvs}}]})


def watch_opened(revision: int) -> bytes:
    """The first line of a watch."""
    return _line({"header": _header(revision), "created": True})


def watch_compacted(revision: int) -> bytes:
    """The only line of a watch that begins above every revision given, so that its client reads the keys anew."""
    return _line({"header": _header(revision), "canceled": True, "compact_revision": str(revision)})


def watch_news(revision: int, writes: Iterable[Write]) -> bytes:
    """A line of a watch with writes in their order."""
    events = [{"kv": _kv(write.key, KeyState(write.revision, write.value))} for write in writes]
    return _line({"header": _header(revision), "events": events})


def refusal(why: str) -> bytes:
    """The body of an answer that is not 200."""
    return _encode({"error": why, "message": why})


def _kv(key: str, state: KeyState) -> dict[str, str]:
    value = b64encode(state.value or b"").decode()
    return {"key": b64encode(key.encode()).decode(), "mod_revision": str(state.revision), "value": value}


def _header(revision: int) -> dict[str, str]:
    return {"revision": str(revision)}


def _octets(text: str) -> bytes:
    return b64decode(text, validate=True)


def _line(result: dict[str, Any]) -> bytes:
    return _encode({"result": result}) + b"\n"


def _encode(plain: dict[str, Any]) -> bytes:
    return json.dumps(plain, separators=(",", ":")).encode()
