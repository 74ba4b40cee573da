from dataclasses import dataclass

from yaoki.core.event import Emit, EventBody, EventId, EventNumbering
from yaoki.core.instant import Instant


@dataclass(frozen=True, slots=True)
class ServerFell(EventBody):
    server: str


def test_events_of_one_source_are_numbered_from_one_and_keep_their_cause() -> None:
    numbering = EventNumbering("lb1/brain")
    cause = EventId("lb1/checks", 7)
    first = numbering.event(Instant(1), Emit(ServerFell("web1"), because=cause))
    second = numbering.event(Instant(2), Emit(ServerFell("web2"), because=first.id))
    assert (str(first.id), str(second.id)) == ("lb1/brain:1", "lb1/brain:2")
    assert first.because == cause
    assert second.because == first.id
    assert second.at == Instant(2)
