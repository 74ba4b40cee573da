"""Parameters of the heartbeat: the other nodes that share VIPs with this one, and the ways to each of them."""

from dataclasses import dataclass
from datetime import timedelta

from yaoki.core.address import IPAddress
from yaoki.packet.authentication_params import AuthenticationParams

SHORTEST_INTERVAL = timedelta(milliseconds=50)
LONGEST_INTERVAL = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class PeerPath:
    """One network that both nodes are on: our interface and address there, and the peer's address."""

    interface: str
    own: IPAddress
    peer: IPAddress


@dataclass(frozen=True, slots=True)
class PeerParams:
    """A node that shares `vips` with us. Without a path it is never heard. Without VIPs it is a cold standby for us, or
    we are one for it, or it was `replaced` by another node, and is told so should it return. `authentication` is how
    heartbeats to it and from it are signed."""

    node: str
    vips: tuple[str, ...]
    paths: tuple[PeerPath, ...]
    replaced: bool = False
    authentication: AuthenticationParams | None = None


@dataclass(frozen=True, slots=True)
class HeartbeatParams:
    """What this node is called, the generation of its configuration, its peers, and how often they hear from it:
    SHORTEST_INTERVAL to LONGEST_INTERVAL."""

    node: str = ""
    generation: str = ""
    interval: timedelta = LONGEST_INTERVAL
    peers: tuple[PeerParams, ...] = ()

    def __post_init__(self) -> None:
        if not SHORTEST_INTERVAL <= self.interval <= LONGEST_INTERVAL:
            raise ValueError(f"heartbeat interval {self.interval} is outside {SHORTEST_INTERVAL} to {LONGEST_INTERVAL}")


NO_PEERS = HeartbeatParams()
"""Of a node that shares nothing, or that has not been told yet."""


def heartbeat_interval(fastest: timedelta) -> timedelta:
    """The interval that goes with the shortest advertisement interval of the VIPs that are shared."""
    return min(max(fastest, SHORTEST_INTERVAL), LONGEST_INTERVAL)
