"""Drivers that run the assemblies against the real world: event loops, links between processes, probes, the control
socket, hooks, logs and metrics.
"""
