"""Health checks: one file per kind with its pure judgement of what came back, and the machine that runs one check.

The I/O of each kind is in yaoki.runtime.probes; both halves are tied in one registry in yaoki.daemon.
"""
