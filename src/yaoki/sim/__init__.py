"""A seeded, deterministic world that drives the same assemblies as the runtime.

Invariants: it contains no logic that a shipped engine ought to have; never imports yaoki.linux; equal seeds give equal
traces; all chance comes from yaoki.sim.chance and all time from yaoki.sim.timeline.
"""
