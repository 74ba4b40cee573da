"""Election by lease: an owner that renews by compare-and-swap in a store of three voters, or a witness, and an epoch.

The epoch is the fencing token.

Invariant: at no moment do two nodes trust the same lease; see yaoki.election.lease for what that rests on.
"""
