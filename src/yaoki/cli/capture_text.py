"""A verdict on a recording, in words: one sentence, what is wrong beside it, and the table of hops."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import assert_never

from yaoki.cli.table import table
from yaoki.lb.capture import Evidence, Hop, Verdict, Way
from yaoki.lb.capture.hops import End
from yaoki.packet.recording import Recording

_ENDS = {"time": "its time", "packets": "its bound of packets", "octets": "its bound of octets"}


def text(verdict: Verdict, hops: Sequence[Hop], recording: Recording, end: str | None) -> Iterator[str]:
    """The lines of an answer."""
    yield f"{len(recording.packets)} packets on {', '.join(map(str, recording.interfaces))}"
    if end in ("packets", "octets"):
        yield f"the recording ended at {_ENDS[end]}; there was more"
    yield f"{verdict.service}: {sentence(verdict)}"
    for remark in remarks(verdict):
        yield f"  {remark}"
    if hops:
        yield ""
        yield from table(_rows(hops))


def sentence(verdict: Verdict) -> str:
    """What was seen, and what it means."""
    asked = f"{_number(verdict.requests, 'request')} in"
    packets = sum(count.packets for _, count in verdict.through)
    through = f"{_number(packets, 'reply', 'replies')} through the balancer"
    match verdict.way:
        case Way.DIRECT:
            return f"{asked}, {through}, {_straight(verdict)}: direct return confirmed{_share(verdict)}"
        case Way.THROUGH:
            return f"{asked}, {through}, none past it: no direct return{_share(verdict)}"
        case Way.BOTH:
            return f"{asked}, {through}, and {_straight(verdict)}: both ways are used{_share(verdict)}"
        case Way.REFUSED:
            return f"{asked}, every connection was refused by {_list(who for who, _ in verdict.refused)}"
        case Way.UNANSWERED:
            return f"{asked}, {through}, and no sign of an answer"
        case Way.UNKNOWN:
            return (
                f"{asked}, {through}; whether and how they were answered was not recorded: record a server as well"
                if verdict.balancer
                else f"{asked}, and no reply; record the balancer as well"
            )
        case Way.NO_REQUEST:
            return "no request came while it was recorded" + ("" if verdict.balancer else "; no balancer was recorded")
        case _:
            assert_never(verdict.way)


def remarks(verdict: Verdict) -> Iterator[str]:
    """What else should be known, worst first."""
    if verdict.past:
        yield (
            f"requests reached {_list(who for who, _ in verdict.past)} past the balancer: something there answers ARP "
            f"or neighbour discovery for the VIP (`yaoki verify {verdict.service}`)"
        )
    for who, number in verdict.unanswered:
        yield (f"{_number(number, 'connection')} sent to {who} never answered (`yaoki verify {verdict.service}`)")
    for who, number in verdict.refused:
        yield f"{_number(number, 'connection')} refused by {who}"
    if verdict.as_wanted is False and not (verdict.past or verdict.unanswered or verdict.refused):
        wanted = " and ".join(sorted(verdict.wanted))
        yield f"the site file says forward: {wanted}"
    if verdict.way in (Way.DIRECT, Way.BOTH) and verdict.acknowledged:
        yield (
            f"{verdict.acknowledged:,} octets of replies are known by the clients' acknowledgements alone: the share "
            "is a lower bound"
        )
    if not verdict.balancer and verdict.way is not Way.NO_REQUEST:
        yield "no balancer was recorded: what passed it is not known"
    if verdict.lost:
        yield f"{verdict.lost} packets were lost by the recorder: nothing here is complete"


def plain(
    verdict: Verdict, hops: Sequence[Hop], recording: Recording, end: str | None, file: Path | None
) -> dict[str, object]:
    """The same for programs."""
    fields = {name: getattr(verdict, name) for name in verdict.__slots__}
    return {
        **fields,
        "wanted": sorted(verdict.wanted),
        "passed_by": verdict.passed_by,
        "as_wanted": verdict.as_wanted,
        "sentence": sentence(verdict),
        "remarks": list(remarks(verdict)),
        "hops": list(hops),
        "packets": len(recording.packets),
        "interfaces": [str(interface) for interface in recording.interfaces],
        "end": end,
        "file": file,
    }


def _straight(verdict: Verdict) -> str:
    servers = [who for who, _ in verdict.straight]
    if verdict.evidence is Evidence.ACKNOWLEDGED:
        return f"{verdict.acknowledged:,} octets of replies acknowledged by the clients"
    owners = [f"{who}'s" for who in servers]
    return f"replies seen from {_list(owners)} MAC with source VIP"


def _share(verdict: Verdict) -> str:
    share = verdict.passed_by
    if share is None:
        return ""
    if verdict.way is Way.THROUGH:
        return "; every octet passed here"
    least = "at least " if verdict.acknowledged else ""
    return f"; {least}{share:.1%} of the octets did not pass here".replace("%", " %")


def _rows(hops: Sequence[Hop]) -> list[tuple[str, ...]]:
    tunnelled = any(hop.inside for hop in hops)
    return [("STEP", "SOURCE", "DESTINATION", "INSIDE" if tunnelled else "", "TTL", "SEEN AT"), *map(_row, hops)]


def _row(hop: Hop) -> tuple[str, ...]:
    step = f"{hop.step}" + (" reply" if hop.reply else "")
    inside = "" if hop.inside is None else " > ".join(map(str, hop.inside))
    return step, _end(hop.source), _end(hop.destination), inside, str(hop.hop_limit), ", ".join(hop.seen_at)


def _end(end: End) -> str:
    return f"{end.address} ({end.machine or 'nobody known'} {end.mac})"


def _number(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _list(words: Iterable[str]) -> str:
    found = list(words)
    return " and ".join([", ".join(found[:-1]), found[-1]]) if len(found) > 1 else "".join(found)
