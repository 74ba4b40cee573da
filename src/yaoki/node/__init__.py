"""The assemblies of a node: Brain, SpeakerBrain and CheckShard, each a machine; incidents; snapshots for readers.

Invariant: no I/O, no clock; never imports yaoki.linux.
"""
