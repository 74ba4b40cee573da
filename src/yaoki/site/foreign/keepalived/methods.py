"""How packets get to a real server: lb_kind and lvs_method of keepalived, and what a tunnel of IPVS is here.

lb_kind TUN type gue port 6080 nocsum
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from yaoki.lb.service import Encapsulation, Forward, Tunnel
from yaoki.site.foreign.keepalived.blocks import Statement
from yaoki.site.foreign.keepalived.report import Report
from yaoki.site.foreign.keepalived.values import number

GUE = "encapsulation: gue; with nothing between UDP and the packet, which Linux takes out as well"
NO_GRE = "there are no tunnels by GRE: make it one by ipip or gue, at the server as well"
NO_PORT = "gue has a port 1..65535"
OTHER_FAMILY = "it is of another family than the VIP: give it an address of the VIP's as well, also behind a tunnel"
ENDS = (
    "what takes packets out of tunnels is in no file. A server that does so for IPVS goes on as it is; another is set"
    " up by yaoki realserver setup {service} SERVER. Nodes need the plane on BPF (yaoki doctor) and a route to servers"
)
"""What is left to do at a service with tunnels."""
_FORWARDS = {"NAT": Forward.NAT, "DR": Forward.DIRECT, "TUN": Forward.TUNNEL}


@dataclass(frozen=True, slots=True)
class Method:
    """A forwarding method; `tunnel` is what packets go inside, with TUNNEL."""

    forward: Forward
    tunnel: Tunnel | None = None


def tunnel_of(kind: str | None, port: str | None) -> Tunnel | str:
    """The tunnel of a kind and port as IPVS has them, or why there is none."""
    if kind in (None, "ipip"):
        return Tunnel()
    if kind == "gre":
        return NO_GRE
    if kind != "gue":
        return f"{kind} is no kind of tunnel"
    found = number(port, 1, 65535)
    return NO_PORT if found is None else Tunnel(Encapsulation.GUE, found)


def method_of(item: Statement, report: Report) -> Method | None:
    """The method of a lb_kind or lvs_method, remarked on."""
    forward = _FORWARDS.get((item.first() or "").upper())
    if forward is None:
        report.not_taken(item, f"forwarding by {item.first()} is not imported")
        return None
    if forward is not Forward.TUNNEL:
        report.taken(item, "forward")
        return Method(forward)
    tunnel = tunnel_of(_after("type", item.values), _after("port", item.values))
    if isinstance(tunnel, str):
        report.not_taken(item, tunnel)
        return None
    if tunnel.encapsulation is Encapsulation.GUE:
        report.changed(item, f"forward: tunnel, {GUE}")
    else:
        report.taken(item, "forward: tunnel")
    return Method(forward, tunnel)


def _after(word: str, values: Sequence[str]) -> str | None:
    found = [value for before, value in pairwise(values) if before == word]
    return found[0] if found else None
