"""What the speaker makes of packets before a router hears them: refused, of a router that is not ours, or accepted.

Invariant: however many packets are hurled at us, there is at most one PacketRejected for each interface and reason in
REJECTION_QUIET, and one ForeignRouterHeard for each router.
"""

from datetime import timedelta

from yaoki.core.address import Family
from yaoki.core.event import EventBody
from yaoki.core.instant import Instant
from yaoki.node.messages import PacketArrived
from yaoki.node.speaker_router import SpeakerRouter, advertised_addresses
from yaoki.packet.malformed import Malformed
from yaoki.vrrp.advertisement import Advertisement, Rejection, decode
from yaoki.vrrp.events import AddressListMismatch, ChecksumFormLearnt, ForeignRouterHeard, PacketRejected

REJECTION_QUIET = timedelta(seconds=10)


class SpeakerReception:
    """Answers with what is to be told."""

    def __init__(self) -> None:
        self._rejected: dict[tuple[str, Rejection], tuple[int, Instant]] = {}
        self._foreign: dict[tuple[str, Family, int], None] = {}

    def accept(
        self, now: Instant, router: SpeakerRouter, packet: PacketArrived
    ) -> tuple[Advertisement | None, list[EventBody]]:
        """The advertisement in a packet, and what it tells besides if it is not the last one again."""
        if packet.flaw is not None:
            # Before all else: what is replayed is what was accepted before.
            return None, self._reject(now, packet, Malformed(packet.flaw, len(packet.payload)))
        if (known := router.known(packet)) is not None:
            return known, []
        advertisement = router.accept(packet)
        if isinstance(advertisement, Malformed):
            return None, self._reject(now, packet, advertisement)
        news: list[EventBody] = []
        key, source = router.configured.key, packet.source
        if router.learns_form(advertisement.checksum):
            news.append(ChecksumFormLearnt(key, source, advertisement.checksum))
        if router.new_mismatch(source, advertisement.addresses):
            ours = advertised_addresses(router.machine.params)
            news.append(AddressListMismatch(key, source, advertisement.addresses, ours))
        return advertisement, news

    def foreign(self, now: Instant, packet: PacketArrived) -> list[EventBody]:
        """A packet for no router of ours."""
        advertisement = decode(
            packet.payload, source=packet.source, destination=packet.destination, hop_limit=packet.hop_limit
        )
        if isinstance(advertisement, Malformed):
            return self._reject(now, packet, advertisement)
        seen = (packet.interface, packet.family, advertisement.vrid)
        if seen in self._foreign:
            return []
        self._foreign[seen] = None
        return [ForeignRouterHeard(*seen, packet.source)]

    def _reject(self, now: Instant, packet: PacketArrived, malformed: Malformed[Rejection]) -> list[EventBody]:
        seen = (packet.interface, malformed.reason)
        count, said_at = self._rejected.get(seen, (0, None))
        count += 1
        news: list[EventBody] = []
        if said_at is None or now - said_at >= REJECTION_QUIET:
            said_at = now
            news.append(PacketRejected(packet.interface, packet.source, malformed.reason, malformed.offset, count))
        self._rejected[seen] = (count, said_at)
        return news
