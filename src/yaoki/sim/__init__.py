"""A seeded, deterministic world that drives the same assemblies as the runtime.

Invariant: it contains no logic that a shipped engine ought to have; never imports yaoki.linux.
"""
