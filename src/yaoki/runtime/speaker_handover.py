"""Two speakers of one node: the newer takes the older one's place, without a word to the network and without a pause.

The older one listens on D/speaker-handover.sock. It falls silent right after an advertisement, when nothing is under
way (a virtual router that leaves, an address that is not taken yet), so that the newer has nearly a whole interval, and
the dead-man gate nearly its whole limit, until the next one is due.

With its last word the older one names the leases that it holds and what it was ordered by then, and gives its netfilter
sockets away. The newer keeps these open: when one is closed, the kernel lets every change of nftables wait for an RCU
grace period, 7 to 34 ms as measured, and that of a gate would come too late.

Invariants: at every moment at most one of the two acts; should the newer one fail before ReadyToSpeak, the older goes
on, and should it fail after, the gate shuts as for any dead speaker. One that could not read the last word does not say
ReadyToSpeak.
"""

import contextlib
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

from yaoki.core.codec import Codec, Undecodable
from yaoki.core.error import LocalError
from yaoki.core.framing import MAX_DATAGRAM, BadFrame, Joiner, split
from yaoki.linux.nftables_session import netfilter_sockets
from yaoki.node.handover_messages import EXAMPLE, ReadyToSpeak, ToNewer, ToOlder, Wishes, WishesWanted, YouSpeak
from yaoki.node.holder_messages import LeaseValid
from yaoki.node.messages import SpeakerOrder
from yaoki.runtime.private_socket import listen_privately
from yaoki.runtime.select_loop import READABLE, SelectLoop

SOCKET_NAME = "speaker-handover.sock"
PATIENCE_S = 20.0
"""For which the newer one waits: a virtual router that leaves takes up to 15 s."""
MAX_GIVEN = 200
"""Sockets that are given away, two more with each successor; the kernel passes 253 at a time."""


class HandOver:
    """The older speaker's side. `wishes` are asked for when a newer one wants them; it is served one at a time."""

    def __init__(self, run_dir: Path, loop: SelectLoop, wishes: Callable[[], Sequence[SpeakerOrder]]) -> None:
        self.wanted = False
        """A newer one is ready to speak."""
        self._path = run_dir / SOCKET_NAME
        self._loop = loop
        self._wishes = wishes
        self._codec = Codec()
        self._listener: socket.socket | None = None
        self._newer: socket.socket | None = None

    def listen(self) -> None:
        """Take the socket's path; what an earlier speaker left there is replaced."""
        self._listener = listen_privately(self._path, waiting=1)
        self._loop.attach(self._listener.fileno(), READABLE, self._accept)

    def close(self) -> None:
        """Nobody can take this one's place any more."""
        self._forget()
        if self._listener is not None:
            self._loop.detach(self._listener.fileno())
            self._listener.close()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    def done(self, leases: tuple[LeaseValid, ...]) -> None:
        """This speaker is silent, and held these leases; it wants what it wants now."""
        if self._newer is not None:
            *first, last = split(self._codec.encode(YouSpeak(leases, tuple(self._wishes()))))
            with contextlib.suppress(OSError):
                for datagram in first:
                    self._newer.send(datagram)
                socket.send_fds(self._newer, [last], netfilter_sockets()[:MAX_GIVEN])

    def _forget(self) -> None:
        self.wanted = False
        if self._newer is not None:
            self._loop.detach(self._newer.fileno())
            self._newer.close()
            self._newer = None

    def _accept(self, _: int) -> None:
        assert self._listener is not None
        with contextlib.suppress(OSError):
            newer, _ = self._listener.accept()
            self._forget()
            newer.setblocking(False)
            self._newer, self._joiner = newer, Joiner()
            self._loop.attach(newer.fileno(), READABLE, self._hear)

    def _hear(self, _: int) -> None:
        assert self._newer is not None
        try:
            datagram = self._newer.recv(MAX_DATAGRAM)
            message = self._joiner.join(datagram) if datagram else None
            told: ToOlder | None = None if message is None else self._codec.decode(message, ToOlder)
        except (OSError, BadFrame, Undecodable):
            datagram, told = b"", None
        if not datagram:
            self._forget()
        match told:
            case WishesWanted():
                self._answer(Wishes(tuple(self._wishes()), EXAMPLE))
            case ReadyToSpeak():
                self.wanted = True
            case None:
                pass

    def _answer(self, answer: Wishes) -> None:
        """Whoever does not take it at once is no successor."""
        assert self._newer is not None
        try:
            for datagram in split(self._codec.encode(answer)):
                self._newer.send(datagram)
        except OSError:
            self._forget()


class Predecessor:
    """The newer speaker's side: it has nothing else to do yet, and waits. Raises LocalError if nothing comes of it."""

    def __init__(self, run_dir: Path) -> None:
        self.kept: list[int] = []
        """Descriptors that are kept open as long as we live."""
        self._codec, self._joiner = Codec(), Joiner()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        self._socket.settimeout(PATIENCE_S)
        try:
            self._socket.connect(str(run_dir / SOCKET_NAME))
        except OSError as error:
            raise LocalError(f"no speaker hands over in {run_dir}: {error.strerror}") from error

    def wishes(self) -> tuple[SpeakerOrder, ...]:
        """What it was ordered. Whoever cannot read this, or the example of its last word, leaves it alone."""
        try:
            answer = self._ask(WishesWanted())
        except Undecodable as error:
            self._socket.close()
            raise LocalError(
                f"the speaker that runs goes on, for it is of a version that this one cannot read ({error.why}); to"
                " change to this version stop the node with `yaoki stop`, which hands its VIPs to a peer, and start it"
            ) from error
        if not isinstance(answer, Wishes):
            raise LocalError("the speaker answered out of turn")
        return answer.orders

    def relieve(self) -> YouSpeak:
        """Have it fall silent; then it is for us to speak. Its last word."""
        try:
            answer = self._ask(ReadyToSpeak())
        except Undecodable as error:
            raise LocalError(f"the speaker does not hand over: {error}") from error
        if not isinstance(answer, YouSpeak):
            raise LocalError("the speaker answered out of turn")
        self._socket.close()
        return answer

    def _ask(self, question: ToOlder) -> ToNewer:
        """Its answer. Raises Undecodable."""
        try:
            for datagram in split(self._codec.encode(question)):
                self._socket.send(datagram)
            while True:
                datagram, given, _, _ = socket.recv_fds(self._socket, MAX_DATAGRAM, MAX_GIVEN)
                self.kept += given
                if not datagram:
                    raise LocalError("the speaker does not hand over")
                message = self._joiner.join(datagram)
                if message is not None:
                    answer: ToNewer = self._codec.decode(message, ToNewer)
                    return answer
        except (OSError, BadFrame) as error:
            raise LocalError(f"the speaker does not hand over: {error}") from error
