"""What the speaker's process reports of itself and of the kernel, besides what its routers report."""

from dataclasses import dataclass
from typing import ClassVar

from yaoki.core.address import IPInterface
from yaoki.core.event import EventBody, Severity


@dataclass(frozen=True, slots=True)
class SpeakerStarted(EventBody):
    """The speaker runs and waits for its orders."""

    pid: int


@dataclass(frozen=True, slots=True)
class SpeakerEnded(EventBody):
    """The speaker has released every VIP and ends."""

    pid: int


@dataclass(frozen=True, slots=True)
class PunctualityRefused(EventBody):
    """The kernel refused what keeps the speaker punctual; adverts of less than 50 ms are not safe then."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KernelRefused(EventBody):
    """The kernel refused a change or a packet, for the `count`th time; it is tried again.

    At most one event for each interface and change in each speaker.REFUSAL_QUIET.
    """

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    interface: str
    change: str
    why: str
    count: int


@dataclass(frozen=True, slots=True)
class AddressNotOurs(EventBody):
    """A VIP was on the interface already, put there by somebody else; it will be left there on release, too."""

    SEVERITY: ClassVar[Severity] = Severity.WARNING

    interface: str
    address: IPInterface


@dataclass(frozen=True, slots=True)
class OrderUnreadable(EventBody):
    """The node process sent what this version of the speaker cannot read; it goes on as it was last told."""

    SEVERITY: ClassVar[Severity] = Severity.ERROR

    why: str
