"""The witness: the store of leases of a site that has no three machines for etcd, one small process on a third machine.

To its clients it is a single etcd: it answers what yaoki.runtime.stores.gateway asks, and refuses everything else. So
nodes need no second driver, and a site that grows changes nothing but its `store`.

Invariants (what yaoki.election.store promises): requests take effect one after another; no answer and no news leave
before what they tell is on the disk; revisions grow for ever, over restarts and even where the disk was lost.
Deliberately absent: other members. Without the witness nobody takes or renews a lease.
"""
