"""Weighted rendezvous hashing: each key draws a score for each member and goes to the highest.

Thaler and Ravishankar, "Using name-based mappings to increase hit rates", 1998; weights after Schindelhauer and
Schomaker's logarithmic method: -ln(u) / weight is an exponential draw, and the smallest of these is a member with
probability weight / (sum of weights).

Invariants: removing a member moves its own keys only, to all others by weight; adding one takes keys from others and
moves none between them; raising one's weight only brings it keys.
"""

import math
from collections.abc import Sequence
from hashlib import blake2b

from yaoki.pool.maglev import Share

_UNIT = 1 << 53


def rendezvous(key: bytes, shares: Sequence[Share]) -> int:
    """The index of the member that `key` belongs to. Raises ValueError without members."""
    if not shares:
        raise ValueError("nobody to give the key to")
    draws = [(_draw(key, share), index) for index, share in enumerate(shares)]
    return min(draws)[1]


def ranking(key: bytes, shares: Sequence[Share]) -> tuple[int, ...]:
    """All members, the one that `key` belongs to first, then where it goes when that one leaves, and so on."""
    return tuple(index for _, index in sorted((_draw(key, share), index) for index, share in enumerate(shares)))


def _draw(key: bytes, share: Share) -> float:
    digest = blake2b(key, digest_size=8, key=blake2b(share.name.encode(), digest_size=32).digest()).digest()
    uniform = ((int.from_bytes(digest, "big") >> 11) + 0.5) / _UNIT
    return -math.log(uniform) / share.weight
