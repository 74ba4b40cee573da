"""The bounds of a recording, as they are typed: "time=30s,packets=1000,octets=10M,snap=128"."""

from dataclasses import replace
from datetime import timedelta

from yaoki.core.error import UsageError
from yaoki.runtime.recorder import LONGEST_TIME, MOST_OCTETS, MOST_PACKETS, Bounds
from yaoki.site.units import duration_text, parse_duration, parse_size, size_text

SHORTEST_SNAP = 128
"""Headers of IPv6 and TCP with their options, and the Ethernet header."""
LONGEST_SNAP = 262_144


def bounds_of(text: str) -> Bounds:
    """Those that are not named keep their defaults. Raises UsageError."""
    bounds = Bounds()
    for part in filter(None, text.split(",")):
        name, _, value = part.partition("=")
        match name:
            case "time":
                bounds = replace(bounds, time=_time(value))
            case "packets":
                bounds = replace(bounds, packets=_number(name, value, 1, MOST_PACKETS))
            case "octets":
                bounds = replace(bounds, octets=_number(name, value, 1, MOST_OCTETS))
            case "snap":
                bounds = replace(bounds, snap=_number(name, value, SHORTEST_SNAP, LONGEST_SNAP))
            case _:
                raise UsageError(f'there is no bound "{name}": time, packets, octets and snap are bounds')
    return bounds


def _time(value: str) -> timedelta:
    found = parse_duration(value)
    if found is None or not timedelta(0) < found <= LONGEST_TIME:
        raise UsageError(f'time="{value}": a duration up to {duration_text(LONGEST_TIME)}, such as 30s')
    return found


def _number(name: str, value: str, least: int, most: int) -> int:
    found = parse_size(value)
    if found is None or not least <= found <= most:
        raise UsageError(f'{name}="{value}": a number from {least} to {size_text(most)}, such as 10k')
    return found
