"""ARP and neighbour discovery of one node: its kernel answers for the addresses that it holds, its main process sees
what arrives.

The kernel needs no process for that: a node whose processes are dead or stopped still answers. Questions teach nobody
anything here; members know each other by their answers.
"""

from collections.abc import Callable
from dataclasses import dataclass

from yaoki.core.address import BROADCAST, IPAddress, MacAddress
from yaoki.node.wire_messages import ClaimsSeen, WireInterface
from yaoki.packet.claim import Claim, Form
from yaoki.sim.kernel import Kernel
from yaoki.sim.topology import Attachment


@dataclass(frozen=True, slots=True)
class Question:
    """An ARP request or neighbour solicitation of a node: who has `address`? Tell `mac`."""

    node: str
    mac: MacAddress
    address: IPAddress


Send = Callable[[str, "Question | Claim", str | None], None]
"""Out of an interface, to one node or to all."""


class Resolution:
    """One node's. `send` puts frames on the wire, `see` is told what a packet socket sees."""

    def __init__(
        self,
        node: str,
        attachments: tuple[Attachment, ...],
        kernel: Kernel,
        *,
        send: Send,
        see: Callable[[ClaimsSeen], None],
    ) -> None:
        self._node = node
        self._attachments = {attachment.interface: attachment for attachment in attachments}
        self._macs = {attachment.interface: attachment.mac for attachment in attachments}
        self._kernel = kernel
        self._send = send
        self._see = see

    def state(self, interface: str) -> WireInterface:
        """What the kernel says of an interface."""
        attachment, up = self._attachments[interface], self._kernel.has_carrier(interface)
        return WireInterface(interface, up, attachment.mac, attachment.ipv4, attachment.link_local)

    def ask(self, interface: str, address: IPAddress) -> None:
        """A packet socket sends a question."""
        self._send(interface, Question(self._node, self._macs[interface], address), None)

    def announce(self, interface: str, address: IPAddress) -> None:
        """The other nodes hear an announcement, too."""
        self._send(interface, Claim(address, self._macs[interface], Form.ANNOUNCEMENT, BROADCAST), None)

    def hear(self, interface: str, frame: Question | Claim) -> None:
        """A frame has arrived."""
        if isinstance(frame, Claim):
            self._see(ClaimsSeen(interface, (frame,)))
            return
        attachment = self._attachments[interface]
        if attachment.has(frame.address) or self._kernel.answers(interface, frame.address):
            self._send(interface, Claim(frame.address, self._macs[interface], Form.ANSWER, frame.mac), frame.node)
