"""A node's clocks: a monotonic one that runs a little fast or slow, and a wall clock that somebody may set.

Invariant: the monotonic clock never goes back; it stands still while its machine is frozen.
"""

from yaoki.core.instant import Instant

_MILLION = 1_000_000


class NodeClock:
    """Converts between the world's time and what one node's clocks show. `drift_ppm` is how much too fast it runs."""

    def __init__(self, *, started_at: int, zero: int, drift_ppm: int = 0) -> None:
        self._base = started_at
        self._shown = zero
        self._rate = _MILLION + drift_ppm
        self._frozen = False
        self.wall_offset = 0
        # Asked for again and again within one moment.
        self._asked = -1
        self._answered = Instant(0)

    def monotonic(self, world_us: int) -> int:
        """What the monotonic clock shows at a time of the world."""
        if self._frozen:
            return self._shown
        return self._shown + (world_us - self._base) * self._rate // _MILLION

    def instant(self, world_us: int) -> Instant:
        """The same as an Instant."""
        if world_us != self._asked:
            self._asked, self._answered = world_us, Instant(self.monotonic(world_us))
        return self._answered

    def world(self, shown: int) -> int:
        """The first time of the world at which the monotonic clock shows at least this much."""
        return self._base - (self._shown - shown) * _MILLION // self._rate

    def wall(self, world_us: int) -> int:
        """What the wall clock shows, in microseconds."""
        return self.monotonic(world_us) + self.wall_offset

    def freeze(self, world_us: int) -> None:
        """The machine stops, and its clock with it."""
        self._shown, self._base, self._frozen = self.monotonic(world_us), world_us, True

    def thaw(self, world_us: int) -> None:
        """The machine runs on as if nothing had been."""
        self._base, self._frozen = world_us, False
