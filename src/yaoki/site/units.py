"""Numbers with their unit, as the site file writes them: durations "300ms", sizes "1M", shares "50%"."""

import re
from datetime import timedelta

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(us|ms|s|m|h|d)")
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)%")
_SIZE = re.compile(r"([0-9]{1,9})([kMG]?)")
_MULTIPLES = {"": 1, "k": 1024, "M": 1024**2, "G": 1024**3}
_UNITS = {
    "us": timedelta(microseconds=1),
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


def parse_duration(text: str) -> timedelta | None:
    """A duration, or None for anything else than a number directly followed by us, ms, s, m, h or d."""
    found = _DURATION.fullmatch(text)
    if found is None:
        return None
    try:
        return float(found[1]) * _UNITS[found[2]]
    except OverflowError:
        return None


def duration_text(duration: timedelta) -> str:
    """A duration in the largest unit of which it is a whole number: "300ms", "90s", "5m"."""
    if not duration:
        return "0s"
    name = next(name for name in ("d", "h", "m", "s", "ms", "us") if duration % _UNITS[name] == timedelta(0))
    return f"{duration // _UNITS[name]}{name}"


def parse_size(text: str) -> int | None:
    """A size in octets, or None for anything else than a whole number, directly followed by k, M or G (1024 steps)."""
    found = _SIZE.fullmatch(text)
    return int(found[1]) * _MULTIPLES[found[2]] if found else None


def size_text(size: int) -> str:
    """A size in the largest multiple of which it is a whole number: "64k"."""
    name = next((name for name in ("G", "M", "k") if size and size % _MULTIPLES[name] == 0), "")
    return f"{size // _MULTIPLES[name]}{name}"


def parse_share(text: str) -> float | None:
    """A share of the whole, 0..1, from "50%"; None for anything else."""
    found = _SHARE.fullmatch(text)
    return float(found[1]) / 100 if found else None
