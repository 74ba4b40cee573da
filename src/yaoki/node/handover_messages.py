"""What two speakers of one node say to each other when the newer one takes the older one's place.

    newer                                older
    WishesWanted  --------------------->
                  <---------------------  Wishes        what it was ordered
    ReadyToSpeak  --------------------->                sockets are open, the gate is known
                  <---------------------  YouSpeak      it has fallen silent, and which leases are good until when

Between the last two messages nobody speaks; what the older one held is in the kernel, and stays there. A lease is the
node's and not the process's, and its end is an instant of the machine's clock, so it is as good to the newer one.
"""

from dataclasses import dataclass

from yaoki.node.holder_messages import LeaseValid
from yaoki.node.messages import SpeakerOrder


@dataclass(frozen=True, slots=True)
class WishesWanted:
    """Tell what you were ordered."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Orders that make a new speaker want what this one wants."""

    orders: tuple[SpeakerOrder, ...]


@dataclass(frozen=True, slots=True)
class ReadyToSpeak:
    """Fall silent as soon as nothing is under way."""


@dataclass(frozen=True, slots=True)
class YouSpeak:
    """I am silent from now on. These leases I held, each under the claim by which its keeper knows it."""

    leases: tuple[LeaseValid, ...] = ()


ToOlder = WishesWanted | ReadyToSpeak
ToNewer = Wishes | YouSpeak
