"""The holder's side of a lease: what the process that answers for an address must know and must not forget.

Its duties, in this order: answer for the address only while `answers(now)`, and let the kernel end that by itself at
`answers_until` (its dead-man gate); repeat its wish for as long as it wants the lease; before `gave_up`, be silent.

Invariant: a grant counts only for the claim that it was made to. One that was on its way while the lease was given up
would otherwise open the gate although the store knows already that the lease is free.
"""

from yaoki.core.instant import Instant


class LeaseHolder:
    """One lease, not wanted at first."""

    def __init__(self) -> None:
        self.claim = 0
        """Counts the times that the lease was begun to be wanted."""
        self.wanted = False
        self.epoch: int | None = None
        """Fencing token of what is held, for the application; None while nothing is."""
        self.answers_until: Instant | None = None
        """When the gate must have closed; None: it is closed."""

    def want(self) -> None:
        """Begin, or go on, to want the lease."""
        if not self.wanted:
            self.wanted = True
            self.claim += 1

    def inherit(self, *, claim: int, epoch: int, valid_until: Instant) -> None:
        """An earlier process of this machine wanted it so and was granted it; it has fallen silent for this one."""
        self.wanted, self.claim = True, claim
        self.epoch, self.answers_until = epoch, valid_until

    def gave_up(self) -> None:
        """The address is silent and shall stay so: the keeper may release the lease."""
        self.wanted = False
        self._close()

    def granted(self, *, claim: int, epoch: int, valid_until: Instant) -> None:
        """The keeper says that the lease is good until then."""
        if self.wanted and claim == self.claim:
            self.epoch, self.answers_until = epoch, valid_until

    def over(self) -> None:
        """The keeper says that the lease is lost."""
        self._close()

    def answers(self, now: Instant) -> bool:
        """Whether the address may be answered for."""
        return self.answers_until is not None and now < self.answers_until

    def _close(self) -> None:
        self.epoch = self.answers_until = None
