"""What `yaoki vip move` would do, in plain words."""

from collections.abc import Iterable
from typing import assert_never

from yaoki.site.model import Vip
from yaoki.site.move import Move, Refusal
from yaoki.site.units import duration_text
from yaoki.vrrp.timing import HOLD


def told(vip: Vip, move: Move, to: str | None) -> Iterable[str]:
    """The sentences of one move, or of its refusal."""
    if move.refused is not None:
        yield f"VIP {vip.name}: stays on {move.before or 'nobody'}; {_refusal(vip, move, move.refused, to)}"
        return
    yield f"VIP {vip.name}: {move.before} -> {move.after}, by `yaoki vip move {vip.name}` on {move.before}"
    if move.along:
        yield f"  with it, of its sync group: {', '.join(move.along)}."
    if move.both_serve:
        yield (
            f"  nothing is lost: {move.before} keeps the addresses until it hears {move.after}, and"
            f" {duration_text(HOLD)} more; if it hears nobody, it stays."
        )
    else:
        yield (
            f"  packets are lost until {move.after} has the lease, for as long as a takeover lasts at worst:"
            f" {move.before} is silent before it gives it up, for two owners are never to be."
        )
    yield (
        f"  {move.before} then owns it only if nobody else does, until `yaoki vip admit {vip.name}` on {move.before};"
        f" {_left(vip, move)}."
    )
    if move.cut:
        yield f"  established flows of {' and '.join(move.cut)} are cut, for {move.after} does not know their servers."


def _left(vip: Vip, move: Move) -> str:
    rest = [member.node for member in vip.members if member.node not in (move.before, move.after)]
    return f"{' and '.join(rest)} come before it" if rest else "it is the only one left to take over"


def _refusal(vip: Vip, move: Move, why: Refusal, to: str | None) -> str:
    match why:
        case Refusal.NO_OWNER:
            return "no member lives that may own it"
        case Refusal.OWN_ADDRESS:
            return f"the addresses are {move.before}'s own (priority 255); give it a lower priority first"
        case Refusal.NO_SUCCESSOR:
            return f"no other member lives that may own it; {vip.name} would have no owner"
        case Refusal.OTHER_FIRST if move.after is not None and to != move.before:
            return f"{move.after} comes before {to} by its priority; move it on {move.after}, too, or raise {to}"
        case Refusal.OTHER_FIRST:
            return f"{to} owns it already"
        case _:
            assert_never(why)
