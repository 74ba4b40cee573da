"""The timers of a virtual router (RFC 9568 6.1 and 6.2, RFC 3768 6.1 and 6.2), of its leaving, and the schedule of
announcements.

Invariant: durations only; nothing here knows a state.
"""

from datetime import timedelta

# RFC 9568 6.1: three advertisements may be lost.
LOST_ADVERTISEMENTS = 3

# After taking over, gratuitous ARP and neighbour advertisements at 0 and after each of these pauses: at 0, 20 ms,
# 100 ms, 500 ms and 2 s, because switches and neighbours drop single frames, and Linux ignores a second change within
# a second ("locktime").
ANNOUNCEMENT_PAUSES = (
    timedelta(milliseconds=20),
    timedelta(milliseconds=80),
    timedelta(milliseconds=400),
    timedelta(milliseconds=1500),
)
# Then for ever, because a neighbour that missed them all would keep a stale entry for up to hours.
ANNOUNCEMENT_REFRESH = timedelta(seconds=60)

# What is done at once on a sign of a second owner is done at most this often, so that two routers that contradict each
# other (a one-way link, two owners of priority 255) make no storm.
REACTION_GAP = timedelta(milliseconds=20)

# How long the addresses are held after the next owner was heard: keepalived advertises before it adds the address
# (measured: held 5 ms loses up to 21 of 1000 packets a second, held 30 ms none), and neighbours have to be told. Two
# owners at once, by intent, are never there for more than 50 ms.
HOLD = timedelta(milliseconds=40)

# A router that leaves and that nobody relieves gives up in the end: when a Backup that lost every advertisement would
# have taken over, and this much more for its claim to be heard; at the latest when an operator has waited long enough.
LEAVING_MARGIN = timedelta(milliseconds=100)
LONGEST_LEAVING = timedelta(seconds=15)


def skew_time(*, version: int, priority: int, interval: timedelta) -> timedelta:
    """RFC 9568 6.1: ((256 - priority) * Active_Adver_Interval) / 256. RFC 3768 6.1: (256 - priority) / 256 seconds."""
    return (256 - priority) * (interval if version == 3 else timedelta(seconds=1)) / 256


def active_down_interval(*, version: int, priority: int, interval: timedelta) -> timedelta:
    """Silence after which the Active router is taken for dead: 3 * interval + Skew_Time."""
    return LOST_ADVERTISEMENTS * interval + skew_time(version=version, priority=priority, interval=interval)


def leaving_limit(*, version: int, interval: timedelta) -> timedelta:
    """How long a router that leaves waits to be relieved, at most."""
    longest = active_down_interval(version=version, priority=1, interval=interval)
    return min(longest + LEAVING_MARGIN, LONGEST_LEAVING)


def announcement_pause(sent: int) -> timedelta:
    """The pause before the next announcement after `sent` (1 or more) of them."""
    return ANNOUNCEMENT_PAUSES[sent - 1] if sent <= len(ANNOUNCEMENT_PAUSES) else ANNOUNCEMENT_REFRESH
