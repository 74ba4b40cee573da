"""The proof that the servers of a service are right for direct return, from the balancer: what to send, what the
answers mean, and what follows from all that was seen.

Invariants: a finding rests on frames that were seen or on a silence that was waited for, and says which; nothing that
is sent has the VIP as its source, so nobody's neighbour cache learns anything about it.
"""

from yaoki.lb.proof.findings import Finding, Neighbourhood, Question, Result, Saying, Tried, findings
from yaoki.lb.proof.path import Answer, Kind, PathProbe, Route

__all__ = [
    "Answer",
    "Finding",
    "Kind",
    "Neighbourhood",
    "PathProbe",
    "Question",
    "Result",
    "Route",
    "Saying",
    "Tried",
    "findings",
]
