"""Numbers as they are typed: ports, an address with a port, amounts of time.

`int` alone reads the digits of every script, and `isdigit` calls more than these digits: neither is asked here first.
"""

import argparse
import math
import re

from yaoki.core.error import UsageError

_WHOLE = re.compile(r"[0-9]{1,9}")


def whole_number(text: str, most: int = 999_999_999) -> int | None:
    """A number 0..most in decimal digits, or None."""
    return int(text) if _WHOLE.fullmatch(text) is not None and int(text) <= most else None


def endpoint(text: str, *, least_port: int, example: str) -> tuple[str, int]:
    """The host and the port of "HOST:PORT", "[2001:db8::1]:PORT" or ":PORT", whose host is empty. Raises UsageError."""
    host, colon, written = text.rpartition(":")
    port = whole_number(written, 65535)
    if not colon or port is None or port < least_port:
        raise UsageError(f'"{text}" is no ADDRESS:PORT; for example {example}')
    return host.strip("[]"), port


def amount(text: str) -> float:
    """How long, of whatever unit, for argparse: neither negative nor without end."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f'"{text}" is no number, 0 or more')
    return found
