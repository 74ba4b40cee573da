"""Health checks: what each kind asks, one file per kind, and the pure judgement of what came back.

The I/O of each kind is in yaoki.runtime.probes, whose registry ties the two halves together; when to probe, and what
the results make of a verdict, is yaoki.node.check_shard's.
"""
