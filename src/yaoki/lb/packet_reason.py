"""Why the balancer's program let a packet go the way it went."""

from enum import StrEnum


class PacketReason(StrEnum):
    """In the order in which the program counts them (enum reason in linux/bpf/tables.h). All but `sent` went to no
    server: passed to the kernel, or dropped."""

    SENT = "sent"
    NOT_OURS = "not-ours"
    OTHER_HOST = "other-host"
    OTHER_INTERFACE = "other-interface"
    MALFORMED = "malformed"
    NO_SERVER = "no-server"
    NO_FLOW = "no-flow"
    NO_FIRST_FRAGMENT = "no-first-fragment"
    SHUT = "shut"
    TOO_BIG = "too-big"
    TOO_BIG_UNTOLD = "too-big-untold"
    NO_HEADROOM = "no-headroom"
    HELD_UP = "held-up"

    @property
    def is_usual(self) -> bool:
        """Whether it is no wonder, however many there are: packets that no service is concerned with."""
        return self in (PacketReason.SENT, PacketReason.NOT_OURS, PacketReason.OTHER_HOST)
