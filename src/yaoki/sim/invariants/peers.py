"""Invariants of what speakers know of each other."""

from yaoki.node.messages import PathStatus
from yaoki.sim.invariants.invariant import Invariant


class PeersKnown(Invariant):
    """See `holds`."""

    name = "peers known"
    holds = (
        "once settled, a speaker hears those peers whose speakers run, on every path that carries frames, and no other"
    )

    def settled(self) -> None:
        for name, node in self.ledger.world.nodes.items():
            for peer in node.speaker.peers() if node.speaking() else ():
                for path in peer.paths:
                    reached = self._reached(name, peer.node, path)
                    if path.alive != reached:
                        believes = "hears" if path.alive else "does not hear"
                        self.broken(f"{name} {believes} {peer.node} on {path.interface}")

    def _reached(self, node: str, peer: str, path: PathStatus) -> bool:
        here, there = self.ledger.world.nodes[node], self.ledger.world.nodes[peer]
        attachment = next(a for a in there.attachments if a.has(path.peer))
        way = self.ledger.world.networks[attachment.network].way(peer, node)
        ports = here.ports[path.interface], there.ports[attachment.interface]
        return there.speaking() and there.speaker.is_configured and way.clean and all(port.live for port in ports)
