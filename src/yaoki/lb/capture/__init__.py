"""What a recording shows of a virtual service: which way its replies went, how much of it passed the balancer, and the
addresses and MACs of each hop.

Invariants: everything is computed from the recording and the topology; nothing that was not recorded is assumed. What
was lost, or not recorded at all, is said with the verdict.
"""

from yaoki.lb.capture.hops import Hop, hops_of
from yaoki.lb.capture.scene import Frame, Party, Role, Scene, concerns, frames_of, scene_of, unwrapped
from yaoki.lb.capture.verdict import Count, Evidence, Verdict, Way, judge

__all__ = [
    "Count",
    "Evidence",
    "Frame",
    "Hop",
    "Party",
    "Role",
    "Scene",
    "Verdict",
    "Way",
    "concerns",
    "frames_of",
    "hops_of",
    "judge",
    "scene_of",
    "unwrapped",
]
