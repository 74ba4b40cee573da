"""The site file: schema, loading with positions, lint rules, compilation to one NodePlan per node, and diff.

Invariant: no dict of the file travels past the loader; engines never see the site file.
"""
