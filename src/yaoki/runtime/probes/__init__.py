"""The I/O of each kind of check, one file per kind, and the loop that runs thousands of probes in one thread.

A probe is a generator: it yields what it waits for and returns a Finding. Its timeout, its errors and its time are the
loop's business; the judgement of what came back is yaoki.checks'.
"""
