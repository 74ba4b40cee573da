"""What two speakers of one node say to each other when the newer one takes the older one's place.

    newer                                older
    WishesWanted  --------------------->
                  <---------------------  Wishes        what it was ordered, and an example of its last word
    ReadyToSpeak  --------------------->                sockets are open, the gate is known
                  <---------------------  YouSpeak      it has fallen silent, which leases are good until when, and
                                                        what it was ordered by then

Between the last two messages nobody speaks; what the older one held is in the kernel, and stays there. A lease is the
node's and not the process's, and its end is an instant of the machine's clock, so it is as good to the newer one.

"Newer" is who comes later; its version may be an older one, which cannot read what a later version says. It finds that
out from the Wishes, and goes: whatever the last word says is in the example.
"""

from dataclasses import dataclass

from yaoki.core.event import EventId
from yaoki.core.instant import Instant
from yaoki.node.holder_messages import LeaseValid
from yaoki.node.messages import ReleaseRouters, SpeakerOrder


@dataclass(frozen=True, slots=True)
class WishesWanted:
    """Tell what you were ordered."""


@dataclass(frozen=True, slots=True)
class YouSpeak:
    """I am silent from now on. These leases I held, each under the claim by which its keeper knows it. `orders` take
    the place of those of the Wishes, told perhaps seconds ago; none are told by one that was ordered nothing."""

    leases: tuple[LeaseValid, ...] = ()
    orders: tuple[SpeakerOrder, ...] = ()


EXAMPLE = YouSpeak((LeaseValid("vip", 1, 1, Instant(0), EventId("node/leases", 1)),), (ReleaseRouters(),))
"""With a value in every field, so that whoever can read it can read any."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Orders that make a new speaker want what this one wants. `example` is EXAMPLE, and is only to be read."""

    orders: tuple[SpeakerOrder, ...]
    example: YouSpeak = YouSpeak()


@dataclass(frozen=True, slots=True)
class ReadyToSpeak:
    """Fall silent as soon as nothing is under way."""


ToOlder = WishesWanted | ReadyToSpeak
ToNewer = Wishes | YouSpeak
